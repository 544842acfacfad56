using System.Numerics.Tensors;

namespace GenerativeML;

/// <summary>What a language model expected where a token stands, given those before it; in nats.</summary>
/// <param name="LogProbability">log p of the token that stands there.</param>
/// <param name="Rank">One and the number of tokens that were expected more.</param>
/// <param name="Entropy">The mean of −log p of the tokens that were expected, as often as they were.</param>
/// <param name="Variance">The variance of their log p.</param>
internal readonly record struct TokenExpectation(float LogProbability, int Rank, float Entropy, float Variance)
{
    /// <summary>Of logits, and the token that stands there; <paramref name="room"/> has at least as many numbers.</summary>
    public static TokenExpectation Of(ReadOnlySpan<float> logits, int token, Span<float> room)
    {
        // l = logit − max, p = exp(l)/Σexp(l), log p = l − log Σexp(l).
        float most = TensorPrimitives.Max(logits), own = logits[token];
        room = room[..logits.Length];
        TensorPrimitives.Subtract(logits, most, room);
        TensorPrimitives.Exp<float>(room, room);
        double sum = 0, first = 0, second = 0;
        int rank = 1;
        for (int i = 0; i < logits.Length; i++)
        {
            rank += logits[i] > own ? 1 : 0;
            double l = logits[i] - most, power = room[i];
            if (power == 0) // whose logarithm may be infinite
                continue;
            sum += power;
            first += power * l;
            second += power * l * l;
        }
        double log = Math.Log(sum), mean = first / sum;
        return new(
            (float)(own - most - log), rank, (float)(log - mean), (float)Math.Max(0, (second / sum) - (mean * mean)));
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
