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
/// Windows of a text as batches (B, T + 1): drawn at random for training, one after the other over the text's end for
/// validation. An epoch is as many windows as hold the text's number of tokens.
/// </summary>
internal sealed class TokenWindows : TrainingData
{
    private readonly TokenCorpus _corpus;
    private readonly int _context;
    private readonly long _trained; // the first so many tokens train
    private readonly int _documents; // the first so many documents start among them, with a whole window to follow

    /// <exception cref="InvalidOperationException">There is less text than one window of each.</exception>
    public TokenWindows(TokenCorpus corpus, int context, double validationFraction, int seed, torch.Device device)
        : base([new RowField("Tokens", FieldKind.Int64, context + 1)], device, seed, null)
    {
        (_corpus, _context) = (corpus, context);
        long held = (long)Math.Ceiling(corpus.Count * validationFraction);
        _trained = corpus.Count - held;
        if (corpus.Count == 0)
            throw new InvalidOperationException("There is no text to train on: the input is empty.");
        if (_trained < context + 1)
        {
            string without = held > 0 ? $" without the {held} held back for validation" : "";
            throw new InvalidOperationException(
                $"The text has {_trained} tokens{without}, and a context of {context} needs at least {context + 1}. " +
                "Give more text, or lower option ContextLength.");
        }
        if (held == 1)
            throw new InvalidOperationException(
                "Of the text, one token is held back for validation, and two are needed. Raise ValidationFraction.");
        _documents = corpus.Starts.Count(s => s + context < _trained);
        TrainingRows = (_trained + context - 1) / context;
        ValidationRows = held > 0 ? (held - 1 + context - 1) / context : 0;
    }

    public override IReadOnlyList<string> Fingerprints
    {
        get
        {
            var fingerprint = new Fingerprint();
            long[] part = new long[4096];
            for (long start = 0; start < _corpus.Count; start += part.Length)
            {
                Span<long> tokens = part.AsSpan(0, (int)Math.Min(part.Length, _corpus.Count - start));
                _corpus.CopyTo(start, tokens);
                fingerprint.Add(tokens);
            }
            foreach (long start in _corpus.Starts)
                fingerprint.Add((ulong)start);
            return [fingerprint.ToString()];
        }
    }

    public override IEnumerable<Batch> Epoch(int epoch, int batchSize, long skip, CancellationToken cancellation)
    {
        for (long number = skip; number < BatchesPerEpoch(batchSize); number++)
        {
            using torch.Tensor windows = Timed(() => Draw(epoch, number, batchSize)).DetachFromDisposeScope();
            yield return new Batch([windows], batchSize);
        }
    }

    public override IEnumerable<Batch> Validation(int batchSize)
    {
        long end = _corpus.Count;
        for (long start = _trained; start < end - 1;)
        {
            // The last window may be shorter; it is a batch of its own.
            long left = end - 1 - start;
            int length = (int)Math.Min(_context, left), rows = (int)Math.Clamp(left / _context, 1, batchSize);
            torch.Tensor windows = Read(rows, length, i => start + ((long)i * length));
            yield return new Batch([windows], rows, (double)rows * length);
            start += (long)rows * length;
        }
    }

    private torch.Tensor Draw(int epoch, long number, int rows)
    {
        var random = new SplitMix64(
            SplitMix64.Derive(Seed, RandomPurpose.Order, (epoch * BatchesPerEpoch(rows)) + number));
        return Read(rows, _context, _ =>
            _documents > 0 && random.Next(2) == 0
                ? _corpus.Starts[random.Next(_documents)]
                : (long)(random.NextDouble() * (_trained - _context)));
    }

    private torch.Tensor Read(int rows, int length, Func<int, long> start)
    {
        torch.Tensor host = torch.empty(rows, length + 1, torch.ScalarType.Int64);
        Span<long> tokens = MemoryMarshal.Cast<byte, long>(host.bytes);
        for (int i = 0; i < rows; i++)
            _corpus.CopyTo(start(i), tokens.Slice(i * (length + 1), length + 1));
        return HostTensors.OnDevice(host, Device);
    }
}
