using System.Runtime.InteropServices;
using TorchSharp;

namespace GenerativeML;

/// <summary>Parts of documents, none longer than a window: as many of each as it takes to hold all its tokens.</summary>
internal sealed class DocumentWindows
{
    private readonly (long Start, long End)[] _documents;
    private readonly long[] _before; // windows of all documents before each, and of all
    private readonly int _room;

    /// <summary>Windows of at most so many tokens over the part of a text from one place to another.</summary>
    public DocumentWindows(TokenCorpus corpus, int room, long from, long to)
    {
        _room = room;
        IReadOnlyList<long> starts = corpus.Starts.Count > 0 ? corpus.Starts : [0];
        _documents =
        [
            .. starts.Select((start, i) => (
                    Start: Math.Max(start, from),
                    End: Math.Min(i + 1 < starts.Count ? starts[i + 1] : corpus.Count, to)))
                .Where(document => document.End > document.Start),
        ];
        _before = new long[_documents.Length + 1];
        for (int i = 0; i < _documents.Length; i++)
            _before[i + 1] = _before[i] + (_documents[i].End - _documents[i].Start + room - 1) / room;
    }

    public long Count => _before[^1];

    /// <summary>Window number n, where all follow one after the other.</summary>
    public (long Start, int Length) Next(long number)
    {
        (long start, long end, long first) = DocumentOf(number);
        long at = start + (number - first) * _room;
        return (at, (int)Math.Min(_room, end - at));
    }

    /// <summary>
    /// A random window: one of a document's as likely as another's, and of a long document from anywhere, with a fair share
    /// of its beginning and end.
    /// </summary>
    public (long Start, int Length) Draw(ref SplitMix64 random)
    {
        (long start, long end, _) = DocumentOf((long)(random.NextDouble() * Count));
        long length = end - start;
        if (length <= _room)
            return (start, (int)length);
        double at = random.NextDouble() * length - _room / 2.0;
        return (start + Math.Clamp((long)at, 0, length - _room), _room);
    }

    /// <summary>
    /// A random window and its neighbour in the document, before or behind it, which overlaps with it where the document is
    /// too short for both; of a document of one window that again.
    /// </summary>
    public (long Start, int Length)[] DrawPair(ref SplitMix64 random)
    {
        (long start, int length) = Draw(ref random);
        int at = Array.BinarySearch(_documents, (start, long.MaxValue));
        (long from, long to) = _documents[(at < 0 ? ~at : at) - 1];
        long before = Math.Max(from, start - length), behind = Math.Min(to - length, start + length);
        bool isBehind = behind - start == start - before ? random.Next(2) == 0 : behind - start > start - before;
        return [(start, length), (isBehind ? behind : before, length)];
    }

    private (long Start, long End, long First) DocumentOf(long window)
    {
        int found = Array.BinarySearch(_before, window);
        found = found < 0 ? ~found - 1 : found;
        return (_documents[found].Start, _documents[found].End, _before[found]);
    }
}

/// <summary>
/// Texts of which some tokens are hidden, in training each two of them neighbours where they are contrasted: fields are the
/// tokens (B, T), padded; one for those that count and zero for others, (B, T); and what those were that are to be predicted,
/// <see cref="SequenceToSequenceNetwork.Ignored"/> elsewhere, (B, T). An epoch is as many windows as hold the text; its end is
/// for validation, where the same tokens are hidden each time.
/// </summary>
internal sealed class MaskedTokens : TrainingData
{
    // Windows are drawn for so many batches, of which one takes those of about the same length: less is padded.
    private const int Drawn = 8;

    private readonly TokenCorpus _corpus;
    private readonly MaskedVocabulary _vocabulary;
    private readonly double _share;
    private readonly bool _wholeWords, _pairs;
    private readonly DocumentWindows _trained, _held;

    /// <exception cref="InvalidOperationException">There is no text, or all of it is held back.</exception>
    public MaskedTokens(
        TokenCorpus corpus, MaskedVocabulary vocabulary, MaskedLanguageModelOptions options, int seed, torch.Device device)
        : base([new RowField("Tokens", FieldKind.Int64, options.ContextLength)], device, seed, null)
    {
        (_corpus, _vocabulary, _share, _wholeWords) = (corpus, vocabulary, options.MaskShare, options.WholeWords);
        _pairs = options.ContrastiveWeight > 0;
        long held = (long)Math.Ceiling(corpus.Count * options.ValidationFraction);
        _trained = new(corpus, options.Room, 0, corpus.Count - held);
        _held = new(corpus, options.Room, corpus.Count - held, corpus.Count);
        (TrainingRows, ValidationRows) = (_trained.Count, _held.Count);
        if (TrainingRows == 0)
            throw new InvalidOperationException(
                corpus.Count == 0 ? "There is no text to train on: the input is empty."
                    : $"All {corpus.Count} tokens of the text are held back for validation. Lower ValidationFraction.");
        Fingerprints = !options.IsDataKnown ? [] : [corpus.Fingerprint()];
    }

    public override IEnumerable<Batch> Epoch(int epoch, int batchSize, long skip, CancellationToken cancellation) =>
        MakeEach(batchSize, skip, number => Draw(epoch * BatchesPerEpoch(batchSize) + number, batchSize));

    public override IEnumerable<Batch> Validation(int batchSize)
    {
        for (long start = 0; start < _held.Count; start += batchSize)
        {
            var random = new SplitMix64(SplitMix64.Derive(Seed, RandomPurpose.Validation, start));
            yield return Make(
                [.. Enumerable.Range(0, (int)Math.Min(batchSize, _held.Count - start)).Select(i => Read(_held.Next(start + i)))],
                ref random);
        }
    }

    private Batch Draw(long step, int rows)
    {
        var random = new SplitMix64(SplitMix64.Derive(Seed, RandomPurpose.Order, step));
        // Sorted by length alone; which of equals come together is as random as they are.
        int each = _pairs ? 2 : 1, groups = (rows + each - 1) / each;
        var drawn = new (long Start, int Length)[groups * Drawn][];
        for (int i = 0; i < drawn.Length; i++)
            drawn[i] = _pairs ? _trained.DrawPair(ref random) : [_trained.Draw(ref random)];
        int first = groups * random.Next(Drawn);
        return Make([.. drawn.OrderBy(w => w[0].Length).Skip(first).Take(groups).SelectMany(w => w).Take(rows).Select(Read)], ref random);
    }

    private int[] Read((long Start, int Length) window)
    {
        long[] tokens = new long[window.Length];
        _corpus.CopyTo(window.Start, tokens);
        return Array.ConvertAll(tokens, token => (int)token);
    }

    private Batch Make(int[][] texts, ref SplitMix64 random)
    {
        (long[] tokens, float[] seen, int length) = Passages.Pad(_vocabulary, texts);
        long[] targets = new long[tokens.Length];
        Array.Fill(targets, SequenceToSequenceNetwork.Ignored);
        double[] weights = new double[texts.Length];
        for (int row = 0; row < texts.Length; row++)
        {
            (int[] text, int first) = (texts[row], row * length);
            foreach (int i in Chosen(_vocabulary, text, _share, _wholeWords, ref random))
            {
                weights[row]++;
                targets[first + 1 + i] = text[i];
                tokens[first + 1 + i] = Hidden(_vocabulary, text[i], ref random);
            }
        }
        torch.Tensor[] fields = InOwnScope(() =>
        [
            HostTensors.Index(tokens, Device).reshape(texts.Length, length), HostTensors.FromRows(seen, texts.Length, length, Device),
            HostTensors.Index(targets, Device).reshape(texts.Length, length),
        ]);
        return new(fields, texts.Length, weights);
    }

    /// <summary>
    /// The places of a text that are to be predicted: the share, one at least, of all tokens, or words until there are as
    /// many.
    /// </summary>
    public static IReadOnlyList<int> Chosen(
        MaskedVocabulary vocabulary, ReadOnlySpan<int> text, double share, bool wholeWords, ref SplitMix64 random)
    {
        // Rounded at random, so that the share is right in the mean.
        int wanted = Math.Clamp((int)(text.Length * share + random.NextDouble()), 1, text.Length);
        List<(int Start, int Length)> words = [];
        for (int i = 0; i < text.Length; i++)
        {
            if (wholeWords && i > 0 && vocabulary.GoesOn(text[i - 1], text[i]))
                words[^1] = (words[^1].Start, words[^1].Length + 1);
            else
                words.Add((i, 1));
        }
        random.Shuffle(CollectionsMarshal.AsSpan(words));
        List<int> chosen = [];
        foreach ((int start, int length) in words)
        {
            // Of the word that would be too much, as often as the share is right in the mean.
            int left = wanted - chosen.Count;
            if (left <= 0 || (length > left && chosen.Count > 0 && random.NextDouble() * length >= left))
                break;
            chosen.AddRange(Enumerable.Range(start, length));
        }
        return chosen;
    }

    /// <summary>What is seen in the place of a token that is to be predicted: mostly the mask.</summary>
    public static int Hidden(MaskedVocabulary vocabulary, int token, ref SplitMix64 random)
    {
        const double hidden = 0.8, replaced = 0.1;
        double chance = random.NextDouble();
        return chance < hidden ? vocabulary.Mask : chance < hidden + replaced ? vocabulary.Draw(ref random) : token;
    }
}
