namespace GenerativeML;

/// <summary>A token that a GPT has generated.</summary>
/// <param name="Id">Its number in the vocabulary.</param>
/// <param name="LogProbability">
/// The natural logarithm of the probability that the model gave it, before any of the controls of
/// <see cref="GenerationOptions"/>; NaN where <see cref="GenerationOptions.LogProbabilities"/> is not set.
/// </param>
/// <param name="Alternatives">
/// The tokens that the model held likeliest in its place, likeliest first: as many as
/// <see cref="GenerationOptions.Alternatives"/> says. The token itself can be among them.
/// </param>
public readonly record struct GeneratedToken(
    int Id, float LogProbability, IReadOnlyList<TokenAlternative> Alternatives);

/// <summary>A token that could have been generated.</summary>
/// <param name="Id">Its number in the vocabulary.</param>
/// <param name="LogProbability">The natural logarithm of the probability that the model gave it.</param>
public readonly record struct TokenAlternative(int Id, float LogProbability);
