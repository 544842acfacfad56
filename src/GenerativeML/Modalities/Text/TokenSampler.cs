using System.Numerics.Tensors;

namespace GenerativeML;

/// <summary>A token that may be drawn, and how likely.</summary>
/// <param name="Token">Its number.</param>
/// <param name="Weight">A logit at first, then a probability.</param>
internal readonly record struct Candidate(int Token, float Weight);

/// <summary>
/// Draws a sequence's tokens from logits by <see cref="GenerationOptions"/>, in the order stated there. One for each
/// sequence: it counts tokens and has random numbers of its own.
/// </summary>
internal sealed class TokenSampler(GenerationOptions options, int vocabularySize, int seed)
{
    private static readonly Comparison<Candidate> LikeliestFirst = static (a, b) =>
        a.Weight != b.Weight ? b.Weight.CompareTo(a.Weight) : a.Token.CompareTo(b.Token);

    private readonly Candidate[] _candidates = new Candidate[vocabularySize];
    private readonly Dictionary<int, int> _timesGenerated = []; // zero for a token of the prompt
    private SplitMix64 _random = new(SplitMix64.Derive(seed, RandomPurpose.Sample));

    /// <summary>Takes note of a token of the prompt.</summary>
    public void AddPrompt(int token) => _timesGenerated.TryAdd(token, 0);

    /// <summary>Draws the next token from logits, (vocabulary), which are changed, and takes note of it.</summary>
    /// <exception cref="InvalidOperationException">No token has a probability above zero.</exception>
    public int Next(Span<float> logits)
    {
        Penalize(logits);
        int token = options.Temperature == 0 ? Argmax(logits) : Draw(Distribution(logits));
        _timesGenerated[token] = _timesGenerated.GetValueOrDefault(token) + 1;
        return token;
    }

    /// <summary>Biases and penalties.</summary>
    public void Penalize(Span<float> logits)
    {
        foreach ((int token, float bias) in options.LogitBias)
            logits[token] += bias;
        if (options is { RepetitionPenalty: 1, FrequencyPenalty: 0, PresencePenalty: 0 })
            return;
        foreach ((int token, int times) in _timesGenerated)
        {
            float repetition = logits[token] > 0 ? 1 / options.RepetitionPenalty : options.RepetitionPenalty;
            float presence = times > 0 ? options.PresencePenalty : 0;
            logits[token] = logits[token] * repetition - times * options.FrequencyPenalty - presence;
        }
    }

    /// <summary>The tokens that can be drawn, with probabilities that sum to one, from penalised logits.</summary>
    /// <exception cref="InvalidOperationException">There are none.</exception>
    public ReadOnlySpan<Candidate> Distribution(ReadOnlySpan<float> logits)
    {
        Span<Candidate> kept = Finite(logits);
        if (options.TopK is int k && k < kept.Length)
            kept = Largest(kept, k);
        ToProbabilities(kept);
        if (options.TopP < 1)
            kept = Nucleus(kept);
        if (options.MinP > 0)
            kept = Normalize(AtLeast(kept, options.MinP * Max(kept)));
        if (options.TypicalP < 1)
            kept = Typical(kept);
        return kept;
    }

    /// <summary>
    /// The candidates with the largest weights, largest first; of equal ones those with the lowest numbers.
    /// </summary>
    public static Span<Candidate> Largest(Span<Candidate> candidates, int count)
    {
        // Most candidates are out at the first comparison, with the smallest of the largest so far.
        Span<Candidate> largest = candidates[..count];
        largest.Sort(LikeliestFirst);
        for (int i = count; i < candidates.Length; i++)
        {
            Candidate candidate = candidates[i];
            if (LikeliestFirst(candidate, largest[^1]) > 0)
                continue;
            int at = largest.BinarySearch(candidate, Comparer<Candidate>.Create(LikeliestFirst));
            at = at < 0 ? ~at : at;
            largest[at..^1].CopyTo(largest[(at + 1)..]);
            largest[at] = candidate;
        }
        return largest;
    }

    private Span<Candidate> Finite(ReadOnlySpan<float> logits)
    {
        int count = 0;
        for (int token = 0; token < logits.Length; token++)
        {
            // NaN is not larger either.
            if (logits[token] > float.NegativeInfinity)
                _candidates[count++] = new(token, logits[token]);
        }
        return count > 0 ? _candidates.AsSpan(0, count) : throw Nothing();
    }

    private void ToProbabilities(Span<Candidate> candidates)
    {
        float max = Max(candidates);
        if (float.IsPositiveInfinity(max))
            throw Nothing();
        for (int i = 0; i < candidates.Length; i++)
            candidates[i] = candidates[i] with { Weight = MathF.Exp((candidates[i].Weight - max) / options.Temperature) };
        Normalize(candidates);
    }

    private Span<Candidate> Nucleus(Span<Candidate> candidates)
    {
        // Those below this sum to less than what is left out anyway; the others are few, and only they are sorted.
        Span<Candidate> likely = AtLeast(candidates, (1 - options.TopP) / candidates.Length);
        likely.Sort(LikeliestFirst);
        return UntilSum(likely, options.TopP);
    }

    private Span<Candidate> Typical(Span<Candidate> candidates)
    {
        double entropy = 0;
        foreach (Candidate c in candidates)
            entropy -= c.Weight > 0 ? c.Weight * Math.Log(c.Weight) : 0;
        candidates.Sort((a, b) =>
        {
            double fromA = Math.Abs(-Math.Log(a.Weight) - entropy), fromB = Math.Abs(-Math.Log(b.Weight) - entropy);
            return fromA != fromB ? fromA.CompareTo(fromB) : a.Token.CompareTo(b.Token);
        });
        return UntilSum(candidates, options.TypicalP);
    }

    // The first candidates, up to the one that brings their sum to the mass.
    private static Span<Candidate> UntilSum(Span<Candidate> candidates, float mass)
    {
        double sum = 0;
        int count = 0;
        while (count < candidates.Length && sum < mass)
            sum += candidates[count++].Weight;
        return Normalize(candidates[..count]);
    }

    private static Span<Candidate> AtLeast(Span<Candidate> candidates, float least)
    {
        int count = 0;
        foreach (Candidate candidate in candidates)
        {
            if (candidate.Weight >= least)
                candidates[count++] = candidate;
        }
        return candidates[..count];
    }

    private static Span<Candidate> Normalize(Span<Candidate> candidates)
    {
        double sum = 0;
        foreach (Candidate candidate in candidates)
            sum += candidate.Weight;
        for (int i = 0; i < candidates.Length; i++)
            candidates[i] = candidates[i] with { Weight = (float)(candidates[i].Weight / sum) };
        return candidates;
    }

    private static float Max(ReadOnlySpan<Candidate> candidates)
    {
        float max = float.NegativeInfinity;
        foreach (Candidate candidate in candidates)
            max = MathF.Max(max, candidate.Weight);
        return max;
    }

    private int Draw(ReadOnlySpan<Candidate> candidates)
    {
        double left = _random.NextDouble();
        foreach (Candidate candidate in candidates)
        {
            left -= candidate.Weight;
            if (left < 0)
                return candidate.Token;
        }
        // Rounding left a little over.
        return candidates[^1].Token;
    }

    private static int Argmax(ReadOnlySpan<float> logits)
    {
        int best = TensorPrimitives.IndexOfMax(logits); // a NaN is the largest there
        return logits[best] > float.NegativeInfinity ? best : throw Nothing();
    }

    private static InvalidOperationException Nothing() =>
        new("No token is left to draw: LogitBias forbids all of them, or the model's weights are not numbers.");
}
