using System.Text.Json.Serialization;

namespace GenerativeML;

/// <summary>How text is generated from a trained model.</summary>
/// <remarks>
/// <para>The controls act on a token's logits in this order, each on what the ones before it left:</para>
/// <list type="number">
/// <item><see cref="LogitBias"/></item>
/// <item><see cref="RepetitionPenalty"/></item>
/// <item><see cref="FrequencyPenalty"/> and <see cref="PresencePenalty"/></item>
/// <item><see cref="Temperature"/>; where it is zero, the largest logit wins and the rest is not done</item>
/// <item><see cref="TopK"/></item>
/// <item><see cref="TopP"/></item>
/// <item><see cref="MinP"/></item>
/// <item><see cref="TypicalP"/></item>
/// </list>
/// <para>What is left has probabilities that sum to one again, and a token is drawn by them.</para>
/// <para>A text may grow past the model's context length T: when the window is full, its newest T/2 tokens, the one
/// just added among them, stay and are evaluated anew at the positions from 0; all older ones are forgotten.</para>
/// </remarks>
public sealed record GenerationOptions
{
    /// <summary>The most tokens to generate. At least 1. Default 256.</summary>
    public int MaxNewTokens { get; init; } = 256;

    /// <summary>
    /// What logits are divided by: below 1 likely tokens become likelier, above 1 the distribution is flatter. Zero is
    /// greedy: always the likeliest token, of equal ones that with the lowest number. Default 1.
    /// </summary>
    public float Temperature { get; init; } = 1;

    /// <summary>
    /// Only this many of the likeliest tokens are kept (Fan 2018, arXiv:1805.04833); of equal ones, those with the
    /// lowest numbers. Default: all.
    /// </summary>
    public int? TopK { get; init; }

    /// <summary>
    /// The likeliest tokens are kept until their probabilities sum to this (nucleus sampling, Holtzman 2020,
    /// arXiv:1904.09751). In (0, 1]. Default 1: all.
    /// </summary>
    public float TopP { get; init; } = 1;

    /// <summary>
    /// Tokens are kept that are at least this many times as likely as the likeliest (Nguyen 2024, arXiv:2407.01082). In
    /// [0, 1]. Default 0: all.
    /// </summary>
    public float MinP { get; init; }

    /// <summary>
    /// The tokens whose −log p is closest to the distribution's entropy are kept, until their probabilities sum to this
    /// (locally typical sampling, Meister 2023, arXiv:2202.00666). In (0, 1]. Default 1: all.
    /// </summary>
    public float TypicalP { get; init; } = 1;

    /// <summary>
    /// Positive logits of tokens that the prompt or the generated text has already are divided by this, negative ones
    /// are multiplied (Keskar 2019, arXiv:1909.05858). Positive; above 1 discourages repetition. Default 1: none.
    /// </summary>
    public float RepetitionPenalty { get; init; } = 1;

    /// <summary>Subtracted from a token's logit for each time that it was generated. Default 0.</summary>
    public float FrequencyPenalty { get; init; }

    /// <summary>Subtracted from a token's logit if it was generated before. Default 0.</summary>
    public float PresencePenalty { get; init; }

    /// <summary>
    /// Added to the logits of tokens, by their numbers; negative infinity forbids a token. Default: nothing.
    /// </summary>
    [JsonNumberHandling(JsonNumberHandling.AllowNamedFloatingPointLiterals)]
    public IReadOnlyDictionary<int, float> LogitBias { get; init; } = new Dictionary<int, float>();

    /// <summary>
    /// Texts that end the generation as soon as one appears in what was generated; it and what follows are not part of
    /// the result. Default: none.
    /// </summary>
    public IReadOnlyList<string> StopStrings { get; init; } = [];

    /// <summary>
    /// Tokens that end the generation, by their numbers; the token is not part of the result. A model whose tokenizer
    /// has a token for the end of a document adds it. Default: none.
    /// </summary>
    public IReadOnlyList<int> StopTokens { get; init; } = [];

    /// <summary>
    /// Where the random numbers start: the same prompt, options and seed give the same text, whatever other prompts
    /// are continued with it. So equal prompts give equal texts. Default: another seed for each prompt and call.
    /// </summary>
    public int? Seed { get; init; }

    /// <summary>What becomes of a prompt that is longer than the window. Default: its end is used.</summary>
    public LongPrompts LongPrompts { get; init; }

    /// <summary>
    /// Whether each token comes with the logarithm of its probability, as the model gave it before any of the controls.
    /// Default: no.
    /// </summary>
    public bool LogProbabilities { get; init; }

    /// <summary>
    /// How many of the model's likeliest tokens to name for each token, with their log-probabilities. Above zero only
    /// with <see cref="LogProbabilities"/>. Default 0.
    /// </summary>
    public int Alternatives { get; init; }

    /// <summary>Checks each option, and that they do not contradict each other.</summary>
    /// <exception cref="ArgumentException">One is out of its range, or two contradict each other.</exception>
    internal void Validate()
    {
        OptionChecks.AtLeast(MaxNewTokens, 1);
        OptionChecks.NonNegativeFinite(Temperature);
        OptionChecks.AtLeast(TopK ?? 1, 1, nameof(TopK));
        OptionChecks.AboveZero<float>(TopP, 1);
        OptionChecks.Within(MinP, 0, 1);
        OptionChecks.AboveZero<float>(TypicalP, 1);
        OptionChecks.PositiveFinite(RepetitionPenalty);
        OptionChecks.Within(FrequencyPenalty, float.MinValue, float.MaxValue);
        OptionChecks.Within(PresencePenalty, float.MinValue, float.MaxValue);
        OptionChecks.AtLeast(Alternatives, 0);
        OptionChecks.Defined(LongPrompts);
        ArgumentNullException.ThrowIfNull(LogitBias);
        ArgumentNullException.ThrowIfNull(StopStrings);
        ArgumentNullException.ThrowIfNull(StopTokens);
        foreach ((int token, float bias) in LogitBias)
        {
            if (float.IsNaN(bias) || float.IsPositiveInfinity(bias))
                throw new ArgumentOutOfRangeException(
                    nameof(LogitBias), bias, $"The bias of token {token} must be a number or negative infinity.");
        }
        if (StopStrings.Any(string.IsNullOrEmpty))
            throw new ArgumentException("A stop string is empty.", nameof(StopStrings));
        if (Temperature == 0 && (TopK is not null || TopP < 1 || MinP > 0 || TypicalP < 1))
            throw new ArgumentException(
                "Temperature 0 always takes the likeliest token, so TopK, TopP, MinP and TypicalP would do nothing: "
                + "leave them out, or give a temperature above 0.", nameof(Temperature));
        if (Alternatives > 0 && !LogProbabilities)
            throw new ArgumentException(
                $"Alternatives is {Alternatives}, but LogProbabilities is not set.", nameof(Alternatives));
    }

    /// <summary>Checks the numbers of tokens, once it is known how many tokens there are.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A token has another number.</exception>
    internal void CheckTokens(int vocabularySize)
    {
        foreach ((int token, string option) in LogitBias.Keys.Select(t => (t, nameof(LogitBias)))
            .Concat(StopTokens.Select(t => (t, nameof(StopTokens)))))
        {
            if (token < 0 || token >= vocabularySize)
                throw new ArgumentOutOfRangeException(
                    option, token, $"Option {option} names token {token}; tokens are 0 to {vocabularySize - 1}.");
        }
    }
}

/// <summary>What becomes of a prompt with more tokens than a model looks at together.</summary>
public enum LongPrompts
{
    /// <summary>As many of its last tokens are used as fit.</summary>
    KeepEnd,

    /// <summary>It is an error.</summary>
    Error,
}

/// <summary>Why a generated text ends where it does.</summary>
public enum FinishReason
{
    /// <summary>It has <see cref="GenerationOptions.MaxNewTokens"/> tokens.</summary>
    Length,

    /// <summary>One of <see cref="GenerationOptions.StopTokens"/> was drawn.</summary>
    StopToken,

    /// <summary>One of <see cref="GenerationOptions.StopStrings"/> appeared.</summary>
    StopString,
}

/// <summary>A text that a model has generated.</summary>
/// <param name="Text">
/// What follows on the prompt: whole characters. Bytes of a last character that is not complete are left out.
/// </param>
/// <param name="Tokens">
/// The tokens that were generated. Where a stop string ended the text, its own are among them.
/// </param>
/// <param name="FinishReason">Why the text ends where it does.</param>
public sealed record GeneratedText(string Text, IReadOnlyList<GeneratedToken> Tokens, FinishReason FinishReason)
{
    /// <summary><see cref="Text"/>.</summary>
    public override string ToString() => Text;
}

/// <summary>A token that a model has generated.</summary>
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

/// <summary>A text that a model has written while it was trained.</summary>
/// <param name="Step">Training steps made until then.</param>
/// <param name="Text">The prompt and what follows on it.</param>
public sealed record TrainingSample(long Step, string Text);
