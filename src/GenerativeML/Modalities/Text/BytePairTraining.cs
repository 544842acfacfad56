using System.Runtime.InteropServices;
using System.Text;
using Microsoft.ML.Tokenizers;

namespace GenerativeML;

/// <summary>How a byte-pair vocabulary is learned.</summary>
public sealed record BytePairOptions
{
    /// <summary>
    /// The most tokens, the 256 for single bytes among them. From 257 to 1,000,000. Fewer come out where no pair is
    /// frequent enough. Default 4096.
    /// </summary>
    public int VocabularySize { get; init; } = 4096;

    /// <summary>How often a pair must occur to become a token. At least 1. Default 2.</summary>
    public long MinFrequency { get; init; } = 2;

    /// <summary>
    /// Whether the last token is <c>&lt;|endoftext|&gt;</c>, which stands between documents. Default: yes.
    /// </summary>
    public bool EndOfText { get; init; } = true;

    /// <summary>Told the share of the vocabulary that has been learned, from 0 to 1, now and then.</summary>
    public IProgress<double>? Progress { get; init; }

    /// <summary>Stops the learning.</summary>
    public CancellationToken CancellationToken { get; init; }

    internal void Validate()
    {
        OptionChecks.Within(VocabularySize, 257, 1_000_000);
        OptionChecks.AtLeast(MinFrequency, 1);
    }
}

/// <summary>
/// Learns which pairs of neighbours to join (Sennrich 2016): always the most frequent, of equally frequent ones the one
/// with the lower numbers. Each different word is kept once, with how often it occurs; a merge touches only the words
/// that have the pair.
/// </summary>
internal sealed class BytePairTraining(BytePairOptions options)
{
    private const int Bytes = 256;
    private const int ReportEvery = 64;

    private readonly List<(List<int> Tokens, long Count)> _words = [];
    private readonly Dictionary<(int Left, int Right), Pair> _pairs = [];
    private readonly List<(int Left, int Right)> _new = [];
    private readonly PriorityQueue<(int Left, int Right), (long, int, int)> _queue = new();

    /// <summary>The pairs to join, in order; the n-th makes token 256 + n.</summary>
    public List<(int Left, int Right)> Run(IEnumerable<string> texts)
    {
        ReadWords(texts);
        for (int word = 0; word < _words.Count; word++)
            CountPairs(word, 1);
        int wanted = options.VocabularySize - Bytes - (options.EndOfText ? 1 : 0);
        var merges = new List<(int Left, int Right)>(wanted);
        while (merges.Count < wanted && MostFrequent() is (int, int) best)
        {
            options.CancellationToken.ThrowIfCancellationRequested();
            Merge(best, Bytes + merges.Count);
            merges.Add(best);
            if (merges.Count % ReportEvery == 0)
                options.Progress?.Report((double)merges.Count / wanted);
        }
        options.Progress?.Report(1);
        return merges;
    }

    private void ReadWords(IEnumerable<string> texts)
    {
        var counts = new Dictionary<string, long>(StringComparer.Ordinal);
        Dictionary<string, long>.AlternateLookup<ReadOnlySpan<char>> lookup =
            counts.GetAlternateLookup<ReadOnlySpan<char>>();
        foreach (string text in texts)
        {
            options.CancellationToken.ThrowIfCancellationRequested();
            foreach ((int offset, int length) in RobertaPreTokenizer.Instance.PreTokenize(text))
                CollectionsMarshal.GetValueRefOrAddDefault(lookup, text.AsSpan(offset, length), out _)++;
        }
        foreach ((string word, long count) in counts)
            _words.Add(([.. Encoding.UTF8.GetBytes(word).Select(b => ByteCharacters.Bytes.IndexOf(b))], count));
    }

    // Counts a word's pairs in, or with -1 out again.
    private void CountPairs(int word, int sign)
    {
        (List<int> tokens, long count) = _words[word];
        for (int i = 0; i + 1 < tokens.Count; i++)
        {
            ref Pair? seen = ref CollectionsMarshal.GetValueRefOrAddDefault(
                _pairs, (tokens[i], tokens[i + 1]), out bool known);
            seen ??= new();
            seen.Count += sign * count;
            seen.Words.Add(word);
            if (!known)
                _new.Add((tokens[i], tokens[i + 1]));
        }
    }

    // The queue keeps what was true once; an entry whose count has changed since is corrected when it comes up.
    private (int Left, int Right)? MostFrequent()
    {
        _new.ForEach(Offer);
        _new.Clear();
        while (_queue.TryDequeue(out (int Left, int Right) pair, out (long Negated, int, int) place))
        {
            if (_pairs.TryGetValue(pair, out Pair? seen) && seen.Count == -place.Negated)
                return pair;
            Offer(pair);
        }
        return null;
    }

    private void Offer((int Left, int Right) pair)
    {
        if (_pairs.TryGetValue(pair, out Pair? seen) && seen.Count >= options.MinFrequency)
            _queue.Enqueue(pair, (-seen.Count, pair.Left, pair.Right));
    }

    private void Merge((int Left, int Right) pair, int token)
    {
        _pairs.Remove(pair, out Pair? merged);
        foreach (int word in merged!.Words)
        {
            CountPairs(word, -1);
            List<int> tokens = _words[word].Tokens;
            int to = 0;
            for (int from = 0; from < tokens.Count; from++)
            {
                bool joined = from + 1 < tokens.Count && (tokens[from], tokens[from + 1]) == pair;
                tokens[to++] = joined ? token : tokens[from];
                from += joined ? 1 : 0;
            }
            tokens.RemoveRange(to, tokens.Count - to);
            CountPairs(word, 1);
        }
        _pairs.Remove(pair);
    }

    private sealed class Pair
    {
        public long Count { get; set; }

        /// <summary>The words that have it, or had it.</summary>
        public HashSet<int> Words { get; } = [];
    }
}
