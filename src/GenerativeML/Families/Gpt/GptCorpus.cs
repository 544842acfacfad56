namespace GenerativeML;

/// <summary>
/// The tokens of a text, in the order in which they are read: two bytes each where the vocabulary allows it, else four.
/// </summary>
internal sealed class GptCorpus
{
    // Pages, so that a growing text is never copied as a whole.
    private const int PageBits = 20;
    private const int PageLength = 1 << PageBits;

    private readonly bool _narrow;
    private readonly long _budget;
    private readonly List<Array> _pages = [];
    private readonly List<long> _starts = [];

    /// <param name="vocabularySize">Tokens are below it.</param>
    /// <param name="budgetBytes">The most memory that they may take.</param>
    public GptCorpus(int vocabularySize, long budgetBytes = long.MaxValue)
    {
        VocabularySize = vocabularySize;
        _narrow = vocabularySize <= 1 << 16;
        _budget = budgetBytes;
    }

    public int VocabularySize { get; }

    /// <summary>The number of tokens.</summary>
    public long Count { get; private set; }

    /// <summary>
    /// Where documents start, ascending; empty for one running text. Windows then start at one of them every other
    /// time, so that the network learns how texts begin.
    /// </summary>
    public IReadOnlyList<long> Starts => _starts;

    /// <summary>Remembers that a document starts with the token that is added next.</summary>
    public void StartDocument() => _starts.Add(Count);

    /// <summary>Adds tokens at the end.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A token is not of the vocabulary.</exception>
    /// <exception cref="InvalidOperationException">The text needs more memory than it may take.</exception>
    public void Add(ReadOnlySpan<int> tokens)
    {
        foreach (int token in tokens)
        {
            if ((uint)token >= (uint)VocabularySize)
                throw new ArgumentOutOfRangeException(
                    nameof(tokens), token, $"Token {token} is not one of the vocabulary's {VocabularySize}.");
            int at = (int)(Count & (PageLength - 1));
            if (at == 0)
                AddPage();
            if (_narrow)
                ((ushort[])_pages[^1])[at] = (ushort)token;
            else
                ((int[])_pages[^1])[at] = token;
            Count++;
        }
    }

    /// <summary>Copies tokens out, from number <paramref name="start"/> on.</summary>
    public void CopyTo(long start, Span<long> target)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(start);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(start + target.Length, Count, nameof(start));
        for (int done = 0; done < target.Length;)
        {
            Array page = _pages[(int)((start + done) >> PageBits)];
            int from = (int)((start + done) & (PageLength - 1));
            int n = Math.Min(target.Length - done, PageLength - from);
            Span<long> part = target.Slice(done, n);
            if (_narrow)
                Widen(((ushort[])page).AsSpan(from, n), part);
            else
                Widen(((int[])page).AsSpan(from, n), part);
            done += n;
        }
    }

    private static void Widen<T>(ReadOnlySpan<T> from, Span<long> to)
        where T : System.Numerics.INumberBase<T>
    {
        for (int i = 0; i < from.Length; i++)
            to[i] = long.CreateTruncating(from[i]);
    }

    private void AddPage()
    {
        long bytes = (_pages.Count + 1L) * PageLength * (_narrow ? sizeof(ushort) : sizeof(int));
        // A text of one page is small enough for anyone.
        if (_pages.Count > 0 && bytes > _budget)
            throw new InvalidOperationException(
                $"The text has more than {Count} tokens, which need more memory than option CacheBudgetBytes allows, " +
                $"{_budget}. Raise it, or train on less text.");
        _pages.Add(_narrow ? new ushort[PageLength] : new int[PageLength]);
    }
}
