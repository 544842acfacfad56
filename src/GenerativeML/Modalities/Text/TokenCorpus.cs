using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using Microsoft.ML;
using Microsoft.ML.Data;
using TorchSharp;

namespace GenerativeML;

/// <summary>
/// The tokens of a text, in the order in which they are read: two bytes each where the vocabulary allows it, else four.
/// </summary>
/// <param name="vocabularySize">Tokens are below it.</param>
/// <param name="budgetBytes">The most memory that they may take.</param>
internal sealed class TokenCorpus(int vocabularySize, long budgetBytes = long.MaxValue)
{
    // Pages, so that a growing text is never copied as a whole.
    private const int PageBits = 20;
    private const int PageLength = 1 << PageBits;

    private readonly bool _narrow = vocabularySize <= 1 << 16;
    private readonly List<Array> _pages = [];
    private readonly List<long> _starts = [];

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
    /// <exception cref="InvalidOperationException">The text needs more memory than it may take.</exception>
    public void Add(ReadOnlySpan<int> tokens)
    {
        foreach (int token in tokens)
        {
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
        for (int done = 0; done < target.Length;)
        {
            Array page = _pages[(int)((start + done) >> PageBits)];
            int from = (int)((start + done) & (PageLength - 1));
            int n = Math.Min(target.Length - done, PageLength - from);
            Span<long> part = target.Slice(done, n);
            if (_narrow)
                TensorPrimitives.ConvertTruncating<ushort, long>(((ushort[])page).AsSpan(from, n), part);
            else
                TensorPrimitives.ConvertTruncating<int, long>(((int[])page).AsSpan(from, n), part);
            done += n;
        }
    }

    /// <summary>A hash of all tokens and of where documents start.</summary>
    public string Fingerprint()
    {
        var fingerprint = new Fingerprint();
        long[] part = new long[4096];
        for (long start = 0; start < Count; start += part.Length)
        {
            Span<long> tokens = part.AsSpan(0, (int)Math.Min(part.Length, Count - start));
            CopyTo(start, tokens);
            fingerprint.Add(tokens);
        }
        foreach (long start in Starts)
            fingerprint.Add((ulong)start);
        return fingerprint.ToString();
    }

    private void AddPage()
    {
        long bytes = (_pages.Count + 1L) * PageLength * (_narrow ? sizeof(ushort) : sizeof(int));
        // A text of one page is small enough for anyone.
        if (_pages.Count > 0 && bytes > budgetBytes)
            throw new InvalidOperationException(
                $"The text has more than {Count} tokens, which need more memory than option CacheBudgetBytes allows, " +
                $"{budgetBytes}. Raise it, or train on less text.");
        _pages.Add(_narrow ? new ushort[PageLength] : new int[PageLength]);
    }
}

/// <summary>A text column of training rows: read as often as it takes, never held as a whole.</summary>
internal sealed class TextColumn(IDataView data, string name, string parameter, CancellationToken cancellation)
{
    private readonly DataViewSchema.Column _column =
        InputColumns.Find(data.Schema, new RowField(name, FieldKind.Text, Width: 1), parameter);

    /// <summary>The rows' texts, in order.</summary>
    public IEnumerable<string> Texts() => data.GetColumn<string>(_column).Select(text =>
    {
        cancellation.ThrowIfCancellationRequested();
        return text;
    });

    /// <summary>
    /// What the rows' texts are parsed to, held in memory; what is null is left out. Words are what one of them is called, and
    /// many, and what is said of a text that cannot be parsed.
    /// </summary>
    /// <exception cref="InvalidOperationException">A text cannot be parsed, there is none, or they need more memory.</exception>
    public List<T> Parse<T>((string One, string Many, string Wrong) words, long budgetBytes, Func<string, T?> parse, Func<T, long> bytesOf)
        where T : class
    {
        List<T> items = [];
        long row = 0, bytes = 0;
        foreach (string text in Texts())
        {
            try
            {
                if (parse(text) is { } item)
                {
                    items.Add(item);
                    bytes += bytesOf(item) + 64;
                }
            }
            catch (FormatException wrong)
            {
                throw new InvalidOperationException($"Row {row} of column '{name}' (counted from 0){words.Wrong} {wrong.Message}", wrong);
            }
            if (bytes > budgetBytes && items.Count > 1)
                throw new InvalidOperationException(
                    $"The first {items.Count} {words.Many} need more memory than option CacheBudgetBytes allows, {budgetBytes}. "
                    + "Raise it, or train on fewer.");
            row++;
        }
        return items.Count > 0 ? items : throw new InvalidOperationException(
            $"There is no {words.One} to train on: column '{name}' is empty, or all its rows are.");
    }

    /// <summary>
    /// All texts as tokens, in one text where there is a <paramref name="separator"/>, otherwise each a document.
    /// Rows with a text that are to be <paramref name="heldBack"/> go to <paramref name="held"/>.
    /// </summary>
    /// <exception cref="InvalidOperationException">
    /// The text has characters that the vocabulary cannot express, or needs more memory.
    /// </exception>
    public TokenCorpus Read(
        TokenCodec codec, string? separator, long budgetBytes, ValidationRows? heldBack = null,
        List<string>? held = null)
    {
        var corpus = new TokenCorpus(codec.VocabularySize, budgetBytes);
        ReadOnlySpan<int> end = codec.EndOfText is int token ? [token] : [];
        long row = -1, filled = -1;
        foreach (string text in Texts())
        {
            row++;
            if (text.Length > 0 && heldBack?.Contains(++filled) == true)
            {
                held!.Add(text);
            }
            else if (separator is not null)
            {
                corpus.Add(Encode(codec, text + separator, row));
            }
            else if (text.Length > 0)
            {
                corpus.StartDocument();
                corpus.Add(end);
                corpus.Add(Encode(codec, text, row));
            }
        }
        if (separator is null)
            corpus.Add(end);
        return corpus;
    }

    /// <summary>The rows that have a text.</summary>
    /// <exception cref="InvalidOperationException">There are none.</exception>
    public long Count() => Texts().LongCount(text => text.Length > 0) is > 0 and long count
        ? count
        : throw new InvalidOperationException(
            $"There is no text to train on: column '{name}' is empty, or all its rows are.");

    private int[] Encode(TokenCodec codec, string text, long row)
    {
        try
        {
            return codec.Encode(text);
        }
        catch (InvalidOperationException unknown)
        {
            throw new InvalidOperationException(
                $"Row {row} of column '{name}' (counted from 0) cannot be encoded. {unknown.Message}", unknown);
        }
    }
}

/// <summary>
/// Windows of a text as batches (B, T + 1). An epoch is as many windows as hold the text's number of tokens; the end of
/// the text is for validation.
/// </summary>
internal abstract class TokenData : TrainingData
{
    /// <exception cref="InvalidOperationException">There is less text than one window of each.</exception>
    protected TokenData(
        TokenCorpus corpus, int length, string option, double validationFraction, int seed, torch.Device device,
        params IReadOnlyList<RowField> more)
        : base([new RowField("Tokens", FieldKind.Int64, length + 1), .. more], device, seed, null)
    {
        (Corpus, Length) = (corpus, length);
        long held = (long)Math.Ceiling(corpus.Count * validationFraction);
        Trained = corpus.Count - held;
        if (corpus.Count == 0)
            throw new InvalidOperationException("There is no text to train on: the input is empty.");
        if (Trained < length + 1)
        {
            string without = held > 0 ? $" without the {held} held back for validation" : "";
            throw new InvalidOperationException(
                $"The text has {Trained} tokens{without}, and windows of {length} need at least {length + 1}. "
                + $"Give more text, or lower option {option}.");
        }
        if (held == 1)
            throw new InvalidOperationException(
                "Of the text, one token is held back for validation, and two are needed. Raise ValidationFraction.");
        TrainingRows = (Trained + length - 1) / length;
        ValidationRows = held > 0 ? (held - 1 + length - 1) / length : 0;
    }

    public override IReadOnlyList<string> Fingerprints => [Corpus.Fingerprint()];

    public override IEnumerable<Batch> Epoch(int epoch, int batchSize, long skip, CancellationToken cancellation) =>
        MakeEach(batchSize, skip, number => Draw((epoch * BatchesPerEpoch(batchSize)) + number, batchSize));

    protected TokenCorpus Corpus { get; }

    /// <summary>Tokens of a window that predict the next, T.</summary>
    protected int Length { get; }

    /// <summary>The first so many tokens train.</summary>
    protected long Trained { get; }

    /// <summary>The windows of a step, counted over all epochs.</summary>
    protected abstract Batch Draw(long step, int rows);

    /// <summary>Random numbers of a step.</summary>
    protected SplitMix64 Random(long step) => new(SplitMix64.Derive(Seed, RandomPurpose.Order, step));

    /// <summary>Windows of so many tokens and one, (rows, length + 1), from where each starts.</summary>
    protected torch.Tensor Read(int rows, int length, Func<int, long> start)
    {
        torch.Tensor host = torch.empty(rows, length + 1, torch.ScalarType.Int64);
        Span<long> tokens = MemoryMarshal.Cast<byte, long>(host.bytes);
        for (int i = 0; i < rows; i++)
        {
            // Only readers come to the end of the text: they go on at its beginning.
            Span<long> window = tokens.Slice(i * (length + 1), length + 1);
            long at = start(i);
            int before = (int)Math.Min(window.Length, (at < Trained ? Trained : Corpus.Count) - at);
            Corpus.CopyTo(at, window[..before]);
            Corpus.CopyTo(0, window[before..]);
        }
        return HostTensors.OnDevice(host, Device);
    }
}

/// <summary>
/// Windows that are drawn at random for training, and follow one after the other over the text's end for validation.
/// </summary>
internal sealed class TokenWindows : TokenData
{
    private readonly int _documents; // the first so many documents start among what trains, with a whole window to follow

    /// <exception cref="InvalidOperationException">There is less text than one window of each.</exception>
    public TokenWindows(TokenCorpus corpus, int context, double validationFraction, int seed, torch.Device device)
        : base(corpus, context, nameof(GptOptions.ContextLength), validationFraction, seed, device) =>
        _documents = corpus.Starts.Count(s => s + context < Trained);

    public override IEnumerable<Batch> Validation(int batchSize)
    {
        long end = Corpus.Count;
        for (long start = Trained; start < end - 1;)
        {
            // The last window may be shorter; it is a batch of its own.
            long left = end - 1 - start;
            int length = (int)Math.Min(Length, left), rows = (int)Math.Clamp(left / Length, 1, batchSize);
            torch.Tensor windows = Read(rows, length, i => start + ((long)i * length));
            yield return new Batch([windows], rows, [.. Enumerable.Repeat((double)length, rows)]);
            start += (long)rows * length;
        }
    }

    protected override Batch Draw(long step, int rows)
    {
        SplitMix64 random = Random(step);
        return new([Read(rows, Length, _ =>
            _documents > 0 && random.Next(2) == 0
                ? Corpus.Starts[random.Next(_documents)]
                : (long)(random.NextDouble() * (Trained - Length)))], rows);
    }
}

/// <summary>
/// Windows that follow each other: as many readers as a batch has rows, evenly spaced over the text, each of which goes
/// on where its last window ended, and at the text's end at its beginning. A second field, (B, 1), is zero where a
/// reader's state is to begin anew. Where documents start, every other time that a reader has come over the start of one,
/// it goes to the start of a random one: the network learns how texts begin. In a validation batch each row is one long
/// part of the text's end.
/// </summary>
internal sealed class TokenReaders : TokenData
{
    // Parts of the validation text that are shorter than so many windows would tell of beginnings more than of the text.
    private const int ValidationWindows = 16;

    private readonly int _documents; // the first so many documents start among what trains
    private long[] _places = [];
    private float[] _goesOn = [];
    private long _next;

    /// <exception cref="InvalidOperationException">There is less text than one window of each.</exception>
    public TokenReaders(TokenCorpus corpus, int length, double validationFraction, int seed, torch.Device device)
        : base(
            corpus, length, nameof(RecurrentLanguageModelOptions.WindowLength), validationFraction, seed, device,
            new RowField("GoesOn", FieldKind.Single, 1)) =>
        _documents = corpus.Starts.Count(s => s < Trained - 1);

    public override IEnumerable<Batch> Validation(int batchSize)
    {
        long held = Corpus.Count - 1 - Trained;
        if (held < 1)
            yield break;
        int rows = (int)Math.Clamp(held / ((long)ValidationWindows * Length), 1, batchSize);
        int length = (int)Math.Min(held / rows, int.MaxValue / 2 / rows);
        yield return new Batch([Read(rows, length, i => Trained + ((long)i * length))], rows, [.. Enumerable.Repeat((double)length, rows)]);
    }

    protected override Batch Draw(long step, int rows)
    {
        // Where readers are follows from all steps before; going on after a checkpoint walks through them.
        if (_places.Length != rows || step < _next)
        {
            _goesOn = new float[rows];
            SplitMix64 random = Random(0);
            _places =
            [
                .. Enumerable.Range(0, rows).Select(i =>
                    _documents > 0 ? Corpus.Starts[random.Next(_documents)] : i * Trained / rows),
            ];
            _next = 0;
        }
        for (; _next < step; _next++)
            Move(Random(_next + 1));
        torch.Tensor goesOn = HostTensors.FromRows(_goesOn, rows, 1, Device);
        return new([Read(rows, Length, i => _places[i]), goesOn], rows);
    }

    private void Move(SplitMix64 random)
    {
        for (int i = 0; i < _places.Length; i++)
        {
            long end = _places[i] + Length;
            bool jumps = _documents > 0 && Starts(end) > Starts(_places[i]) && random.Next(2) == 0;
            _places[i] = jumps ? Corpus.Starts[random.Next(_documents)] : end % Trained;
            _goesOn[i] = jumps ? 0 : 1;
        }
    }

    // The number of documents that start at a place or before.
    private int Starts(long place)
    {
        int low = 0, high = _documents;
        while (low < high)
        {
            int middle = (low + high) / 2;
            (low, high) = Corpus.Starts[middle] <= place ? (middle + 1, high) : (low, middle);
        }
        return low;
    }
}
