using System.Numerics.Tensors;

namespace GenerativeML;

/// <summary>How a text is searched for, token by token (beam search; with one beam, greedy).</summary>
/// <remarks>
/// The likeliest <see cref="Beams"/> beginnings are kept and each is continued by every token. One that ends is a text;
/// after <see cref="MaxTokens"/> tokens the end is all that may follow. The search ends when there are as many texts as
/// beams, or no more beginnings. The best is the one with the largest log-probability divided by the number of its tokens, the one that ends
/// it among them, to the power of <see cref="LengthPenalty"/>. Of equal ones the first found wins: the same source always
/// gives the same text, whatever others are computed with it.
/// </remarks>
public sealed record BeamSearchOptions
{
    private const int MaxBeams = 1024;

    /// <summary>How many beginnings are kept. From 1, which is greedy, to 1024. Default 4.</summary>
    public int Beams { get; init; } = 4;

    /// <summary>
    /// How much length counts: with 0 texts are compared by their log-probabilities, which favours short ones; with 1 by
    /// their mean over tokens. Not negative. Default 1.
    /// </summary>
    public double LengthPenalty { get; init; } = 1;

    /// <summary>
    /// The most tokens of a text, the one that ends it not counted; at least 1, and no more than the model's window for
    /// targets, which is the default.
    /// </summary>
    public int? MaxTokens { get; init; }

    /// <summary>Checks each option.</summary>
    /// <exception cref="ArgumentOutOfRangeException">One is out of its range.</exception>
    internal void Validate()
    {
        OptionChecks.Within(Beams, 1, MaxBeams);
        OptionChecks.NonNegativeFinite(LengthPenalty);
        OptionChecks.AtLeast(MaxTokens ?? 1, 1, nameof(MaxTokens));
    }
}

/// <summary>A text that a model has made of another.</summary>
/// <param name="Text">The text: whole characters. Bytes of a last character that is not complete are left out.</param>
/// <param name="LogProbability">The natural logarithm of its probability, its end among what is probable.</param>
/// <param name="Score">
/// The same, divided by the number of tokens, the one that ends it among them, to the power of
/// <see cref="BeamSearchOptions.LengthPenalty"/>: what texts were compared by.
/// </param>
/// <param name="TokenCount">Tokens, the one that ends the text among them.</param>
/// <param name="IsComplete">
/// Whether it came to its end, or was cut off: it has <see cref="BeamSearchOptions.MaxTokens"/> tokens, and something else
/// was likelier to follow than the end.
/// </param>
public sealed record TargetText(string Text, float LogProbability, float Score, int TokenCount, bool IsComplete)
{
    /// <summary>
    /// The other texts of the beam, best first: <see cref="BeamSearchOptions.Beams"/> − 1, or fewer where there were no
    /// more.
    /// </summary>
    public IReadOnlyList<TargetText> Alternatives { get; init; } = [];

    /// <summary><see cref="Text"/>.</summary>
    public override string ToString() => Text;
}

/// <summary>A sequence of tokens that a search has found.</summary>
internal sealed record FoundSequence(int[] Tokens, double LogProbability, double Score, bool IsComplete);

/// <summary>
/// The search for one sequence: the beginnings that it keeps, one for each beam, and the sequences that have ended. Used by
/// one thread at a time.
/// </summary>
internal sealed class BeamSearch
{
    private readonly int _end, _most;
    private readonly double _penalty;
    private readonly List<FoundSequence> _found = [];
    private readonly List<(double LogProbability, int Beam, int Token)> _candidates = [];
    private Beginning[] _live;
    private int _length; // tokens of each beginning

    /// <summary>A search for sequences of at most so many tokens before the one that ends them.</summary>
    public BeamSearch(BeamSearchOptions options, int end, int most)
    {
        (Beams, _penalty, _end, _most) = (options.Beams, options.LengthPenalty, end, most);
        // At first all beams are the same beginning: one of them counts.
        _live = [.. Enumerable.Range(0, Beams).Select(i => new Beginning(null, end, 0, i == 0 ? 0 : double.NegativeInfinity))];
        Parents = [.. Enumerable.Range(0, Beams)];
    }

    public int Beams { get; }

    /// <summary>Whether the search has ended.</summary>
    public bool IsOver { get; private set; }

    /// <summary>Of each beam, which beam's beginning before the last step its own is a continuation of.</summary>
    public int[] Parents { get; }

    /// <summary>The newest token of a beam; at first the one that ends texts, from which they begin.</summary>
    public int Token(int beam) => _live[beam].Token;

    /// <summary>Goes a step on; of each beam there are logits of the token that follows.</summary>
    public void Advance(LogitsOf logits)
    {
        _candidates.Clear();
        for (int beam = 0; beam < Beams; beam++)
        {
            if (_live[beam].IsOpen)
                AddCandidates(beam, logits(beam));
        }
        _candidates.Sort(Compare);
        List<Beginning> next = [];
        for (int rank = 0; rank < _candidates.Count && next.Count < Beams; rank++)
        {
            (double logProbability, int beam, int token) = _candidates[rank];
            Beginning before = _live[beam];
            if (token != _end)
            {
                Parents[next.Count] = beam;
                next.Add(new(before, token, before.Count + 1, logProbability));
            }
            else if (rank < Beams)
            {
                Find(before, logProbability, _length < _most || TensorPrimitives.IndexOfMax<float>(logits(beam)) == _end);
            }
        }
        IsOver = next.Count == 0 || _found.Count >= Beams;
        for (int beam = next.Count; beam < Beams; beam++)
        {
            Parents[beam] = beam;
            next.Add(new(null, _end, 0, double.NegativeInfinity));
        }
        _live = [.. next];
        _length++;
    }

    /// <summary>What was found, best first; no more than there are beams.</summary>
    public IReadOnlyList<FoundSequence> Results() => [.. _found.OrderByDescending(found => found.Score).Take(Beams)];

    private static int Compare(
        (double LogProbability, int Beam, int Token) a, (double LogProbability, int Beam, int Token) b)
    {
        int order = b.LogProbability.CompareTo(a.LogProbability);
        return order != 0 ? order : (a.Beam, a.Token).CompareTo((b.Beam, b.Token));
    }

    // Those of a beam that could be among the first two for each beam: more cannot count, since one token of each ends.
    private void AddCandidates(int beam, ReadOnlySpan<float> logits)
    {
        double before = _live[beam].LogProbability - TrainedLanguageModel.LogSumExp(logits);
        if (_length == _most)
        {
            _candidates.Add((before + logits[_end], beam, _end));
            return;
        }
        // The least of those kept comes first; of equal ones the last.
        var kept = new PriorityQueue<int, (float, int)>();
        float least = float.NegativeInfinity;
        for (int token = 0; token < logits.Length; token++)
        {
            if (kept.Count < 2 * Beams)
                kept.Enqueue(token, (logits[token], -token));
            else if (logits[token] > least)
                kept.EnqueueDequeue(token, (logits[token], -token));
            else
                continue;
            if (kept.Count == 2 * Beams)
                least = logits[kept.Peek()];
        }
        foreach ((int token, _) in kept.UnorderedItems)
            _candidates.Add((before + logits[token], beam, token));
    }

    private void Find(Beginning beginning, double logProbability, bool complete)
    {
        var tokens = new int[beginning.Count];
        for (Beginning? at = beginning; at is { Count: > 0 }; at = at.Before)
            tokens[at.Count - 1] = at.Token;
        _found.Add(new(tokens, logProbability, logProbability / Math.Pow(tokens.Length + 1, _penalty), complete));
    }

    /// <summary>A sequence's beginning: what came before, its last token, how many there are.</summary>
    private sealed record Beginning(Beginning? Before, int Token, int Count, double LogProbability)
    {
        /// <summary>Whether it is one; a beam has none where there are fewer than beams.</summary>
        public bool IsOpen => !double.IsNegativeInfinity(LogProbability);
    }
}

/// <summary>A beam's logits of the token that follows.</summary>
internal delegate ReadOnlySpan<float> LogitsOf(int beam);
