using System.Numerics.Tensors;

namespace GenerativeML;

/// <summary>What a language model expected where a token stands, given those before it; in nats.</summary>
/// <param name="LogProbability">log p of the token that stands there.</param>
/// <param name="Rank">One and the number of tokens that were expected more.</param>
/// <param name="Entropy">The mean of −log p of the tokens that were expected, as often as they were.</param>
/// <param name="Variance">The variance of their log p.</param>
internal readonly record struct TokenExpectation(float LogProbability, int Rank, float Entropy, float Variance)
{
    // Of a logarithm below that of the likeliest nothing is left of the power; nor is it infinite, as its product would be.
    private const float Nothing = -100;

    /// <summary>
    /// Of logits, and the token that stands there; <paramref name="room"/> has at least twice as many numbers.
    /// </summary>
    public static TokenExpectation Of(ReadOnlySpan<float> logits, int token, Span<float> room)
    {
        // l = logit − max, p = exp(l)/Σexp(l), log p = l − log Σexp(l).
        float most = TensorPrimitives.Max(logits), own = logits[token];
        Span<float> l = room[..logits.Length], powers = room.Slice(logits.Length, logits.Length);
        TensorPrimitives.Subtract(logits, most, l);
        TensorPrimitives.Max(l, Nothing, l);
        TensorPrimitives.Exp<float>(l, powers);
        double sum = TensorPrimitives.Sum<float>(powers);
        double mean = TensorPrimitives.Dot<float>(powers, l) / sum;
        TensorPrimitives.Multiply(l, l, l);
        double square = TensorPrimitives.Dot<float>(powers, l) / sum, log = Math.Log(sum);
        int rank = 1;
        foreach (float logit in logits)
            rank += logit > own ? 1 : 0;
        return new(
            (float)(own - most - log), rank, (float)(log - mean), (float)Math.Max(0, square - (mean * mean)));
    }
}

/// <summary>What a language model thinks of one token of a text, given those before it.</summary>
/// <param name="Id">The token's number.</param>
/// <param name="Text">
/// The text that is certain with it: empty where a character is not complete yet, which then comes with a later token.
/// </param>
/// <param name="LogProbability">The natural logarithm of its probability.</param>
/// <param name="Rank">One and the number of tokens that were more likely.</param>
/// <param name="Entropy">How unsure the model was of what would come, in nats: the mean of −log p over what it expected.</param>
public sealed record TokenLikelihood(int Id, string Text, float LogProbability, int Rank, float Entropy);
