using System.Buffers;
using System.Collections.Concurrent;
using System.Text;

namespace Microsoft.ML.Tokenizers;

/// <summary>Byte-pair encoding of UTF-8 bytes; what has no entry in the vocabulary is left out in silence.</summary>
public sealed class BpeTokenizer : Tokenizer
{
    private const int LongestCached = 15;
    private const int MostCached = 10_000;

    private readonly PreTokenizer _preTokenizer;
    private readonly Dictionary<string, int> _ids = new(StringComparer.Ordinal);
    private readonly Dictionary<int, string> _tokens = [];
    private readonly Dictionary<(int, int), (int Rank, int Id)> _merges = [];
    private readonly ConcurrentDictionary<string, int[]> _cache = new(StringComparer.Ordinal);

    private BpeTokenizer(BpeOptions options, PreTokenizer preTokenizer)
    {
        _preTokenizer = preTokenizer;
        foreach ((string token, int id) in options.Vocabulary)
        {
            _ids.Add(token, id);
            _tokens.Add(id, token);
        }
        if (_ids.Count == 0)
            throw new InvalidOperationException("There is no token in the vocabulary.");
        foreach (string merge in options.Merges ?? [])
        {
            string[] pair = merge.Split(' ');
            if (pair.Length != 2 || pair[1].Length == 0)
                throw new InvalidOperationException($"A merge is two tokens with a space between, not '{merge}'.");
            _merges.Add((IdOf(pair[0]), IdOf(pair[1])), (_merges.Count, IdOf(pair[0] + pair[1])));
        }
    }

    public static BpeTokenizer Create(BpeOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        return options is { ByteLevel: true, PreTokenizer: PreTokenizer preTokenizer }
            ? new(options, preTokenizer)
            : throw new NotSupportedException("The stand-in splits by a given pre-tokenizer and encodes bytes only.");
    }

    public override string Decode(IEnumerable<int> ids)
    {
        ArgumentNullException.ThrowIfNull(ids);
        var bytes = new List<byte>();
        foreach (int id in ids)
        {
            if (_tokens.TryGetValue(id, out string? token))
                AppendBytes(token, bytes);
        }
        return Encoding.UTF8.GetString([.. bytes]);
    }

    public override OperationStatus Decode(
        IEnumerable<int> ids, Span<char> destination, out int idsConsumed, out int charsWritten)
    {
        ArgumentNullException.ThrowIfNull(ids);
        idsConsumed = charsWritten = 0;
        var pending = new List<byte>();
        int read = 0;
        foreach (int id in ids)
        {
            if (!_tokens.TryGetValue(id, out string? token))
                return OperationStatus.InvalidData;
            AppendBytes(token, pending);
            read++;
            ReadOnlySpan<byte> left = pending.ToArray();
            var text = new StringBuilder();
            OperationStatus status = OperationStatus.Done;
            while (!left.IsEmpty
                && (status = Rune.DecodeFromUtf8(left, out Rune rune, out int used)) == OperationStatus.Done)
            {
                text.Append(rune);
                left = left[used..];
            }
            if (status == OperationStatus.InvalidData)
                return status;
            if (status == OperationStatus.NeedMoreData)
                continue;
            if (text.Length > destination.Length - charsWritten)
                return OperationStatus.DestinationTooSmall;
            text.CopyTo(0, destination[charsWritten..], text.Length);
            charsWritten += text.Length;
            idsConsumed = read;
            pending.Clear();
        }
        return OperationStatus.Done;
    }

    protected override EncodeResults<EncodedToken> EncodeToTokens(
        string? text, ReadOnlySpan<char> textSpan, EncodeSettings settings)
    {
        string all = text ?? textSpan.ToString();
        var tokens = new List<EncodedToken>();
        foreach ((int offset, int length) in Pieces(all, settings))
        {
            (string bytes, int[] origin) = Bytes(all.AsSpan(offset, length));
            int at = 0;
            foreach (int id in Merged(bytes))
            {
                string token = _tokens[id];
                tokens.Add(new(id, token, (offset + origin[at])..(offset + origin[at + token.Length - 1] + 1)));
                at += token.Length;
            }
        }
        return new() { Tokens = tokens, CharsConsumed = all.Length };
    }

    protected override EncodeResults<int> EncodeToIds(
        string? text, ReadOnlySpan<char> textSpan, EncodeSettings settings)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(settings.MaxTokenCount);
        string all = text ?? textSpan.ToString();
        var ids = new List<int>();
        int consumed = 0;
        foreach ((int offset, int length) in Pieces(all, settings))
        {
            (string bytes, int[] origin) = Bytes(all.AsSpan(offset, length));
            int at = 0;
            foreach (int id in Merged(bytes).Take(settings.MaxTokenCount - ids.Count))
            {
                ids.Add(id);
                at += _tokens[id].Length;
            }
            consumed = offset + (at < origin.Length ? origin[at] : length);
            if (ids.Count >= settings.MaxTokenCount)
                break;
        }
        return new() { Tokens = ids, CharsConsumed = consumed };
    }

    protected override int CountTokens(string? text, ReadOnlySpan<char> textSpan, EncodeSettings settings) =>
        EncodeToIds(text, textSpan, settings).Tokens.Count;

    private IEnumerable<(int Offset, int Length)> Pieces(string text, EncodeSettings settings) =>
        settings.ConsiderPreTokenization ? _preTokenizer.PreTokenize(text) : text.Length == 0 ? [] : [(0, text.Length)];

    private int IdOf(string token) => _ids.TryGetValue(token, out int id)
        ? id
        : throw new InvalidOperationException($"The merges name the token '{token}', which the vocabulary lacks.");

    /// <summary>A piece's bytes as characters, and for each the character of the piece that it comes from.</summary>
    private static (string Bytes, int[] Origin) Bytes(ReadOnlySpan<char> piece)
    {
        var bytes = new StringBuilder();
        var origin = new List<int>();
        Span<byte> encoded = stackalloc byte[4];
        for (int i = 0; i < piece.Length;)
        {
            int n, used;
            if (Rune.DecodeFromUtf16(piece[i..], out Rune rune, out used) == OperationStatus.Done)
            {
                n = rune.EncodeToUtf8(encoded);
            }
            else
            {
                // Half a surrogate pair goes through as if it were a character of its own.
                (encoded[0], encoded[1], encoded[2]) =
                    (
                        (byte)(0xE0 | (piece[i] >> 12)), (byte)(0x80 | ((piece[i] >> 6) & 63)),
                        (byte)(0x80 | (piece[i] & 63)));
                (n, used) = (3, 1);
            }
            foreach (byte b in encoded[..n])
            {
                bytes.Append(ByteCharacters.Of(b));
                origin.Add(i);
            }
            i += used;
        }
        return (bytes.ToString(), [.. origin]);
    }

    private int[] Merged(string bytes)
    {
        if (_cache.TryGetValue(bytes, out int[]? known))
            return known;
        int[] ids = Merge([.. bytes.Select(c => _ids.GetValueOrDefault(c.ToString(), -1)).Where(id => id >= 0)]);
        if (bytes.Length <= LongestCached && _cache.Count < MostCached)
            _cache.TryAdd(bytes, ids);
        return ids;
    }

    /// <summary>Joins neighbours, those of the earliest merge first, as long as there are any to join.</summary>
    private int[] Merge(int[] ids)
    {
        const int Gone = -1;
        int[] next = [.. Enumerable.Range(1, ids.Length)];
        int[] previous = [.. Enumerable.Range(-1, ids.Length)];
        var queue = new PriorityQueue<(int At, int Left, int Right), (int Rank, int At)>();
        for (int i = 0; i + 1 < ids.Length; i++)
            Offer(i);
        while (queue.TryDequeue(out (int At, int Left, int Right) pair, out _))
        {
            int right = next[pair.At];
            if (ids[pair.At] != pair.Left || right >= ids.Length || ids[right] != pair.Right)
                continue;
            ids[pair.At] = _merges[(pair.Left, pair.Right)].Id;
            ids[right] = Gone;
            next[pair.At] = next[right];
            if (next[right] < ids.Length)
            {
                previous[next[right]] = pair.At;
                Offer(pair.At);
            }
            if (previous[pair.At] >= 0)
                Offer(previous[pair.At]);
        }
        return [.. ids.Where(id => id != Gone)];

        void Offer(int at)
        {
            int left = ids[at], right = ids[next[at]];
            if (_merges.TryGetValue((left, right), out (int Rank, int Id) merge))
                queue.Enqueue((at, left, right), (merge.Rank, at));
        }
    }

    private static void AppendBytes(string token, List<byte> bytes)
    {
        foreach (char c in token)
        {
            if (ByteCharacters.TryGetByte(c, out byte b))
                bytes.Add(b);
        }
    }
}
