using System.Runtime.InteropServices;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Microsoft.ML.Tokenizers;

namespace GenerativeML;

/// <summary>
/// Byte-pair encoding as GPT-2's (Sennrich 2016, Radford 2019): a <see cref="BpeTokenizer"/> of bytes that knows its
/// merges, so that it can be saved, and that can be learned from a text.
/// </summary>
/// <remarks>
/// Any text can be encoded and comes back as it was; halves of surrogate pairs, which no text should have, become
/// U+FFFD.
/// </remarks>
public sealed class BytePairTokenizer : GptTokenizer
{
    /// <summary>How vocabularies call the token that stands between documents.</summary>
    private const string EndOfText = "<|endoftext|>";

    private readonly BpeTokenizer _library;
    private readonly string[] _tokens, _merges;

    /// <summary>A tokenizer of tokens in the order of their numbers.</summary>
    internal BytePairTokenizer(string[] tokens, string[] merges)
        : base(
            [.. tokens.Select(token => token == EndOfText ? [] : ByteCharacters.Read(token))],
            Array.IndexOf(tokens, EndOfText) is >= 0 and int end ? end : null)
    {
        (_tokens, _merges) = (tokens, merges);
        Check();
        _library = BpeTokenizer.Create(new BpeOptions(tokens.Select(KeyValuePair.Create))
        {
            Merges = merges,
            ByteLevel = true,
            PreTokenizer = RobertaPreTokenizer.Instance,
        });
    }

    /// <summary>
    /// The tokens in the order of their numbers, as GPT-2's vocabulary writes them: a character for each byte, <c>Ġ</c>
    /// for a space.
    /// </summary>
    public IReadOnlyList<string> Tokens => _tokens;

    /// <summary>Pairs of tokens that are joined, with a space between them, the first to be joined first.</summary>
    public IReadOnlyList<string> Merges => _merges;

    /// <summary>Reads a vocabulary as GPT-2's come: <c>vocab.json</c> and <c>merges.txt</c>.</summary>
    /// <param name="vocabularyPath">A JSON object: the number of each token.</param>
    /// <param name="mergesPath">
    /// A text file: one merge a line; a first line that begins with <c>#version</c> is passed over.
    /// </param>
    /// <exception cref="FormatException">They are no such files, or do not fit each other.</exception>
    public static BytePairTokenizer Load(string vocabularyPath, string mergesPath)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(vocabularyPath);
        ArgumentException.ThrowIfNullOrWhiteSpace(mergesPath);
        try
        {
            using FileStream file = File.OpenRead(vocabularyPath);
            return Create(
                JsonSerializer.Deserialize<Dictionary<string, int>>(file) ?? [],
                File.ReadLines(mergesPath).Where((line, i) =>
                    line.Length > 0 && !(i == 0 && line.StartsWith("#version", StringComparison.Ordinal))));
        }
        catch (JsonException damaged)
        {
            throw new FormatException(
                $"'{vocabularyPath}' is no JSON object of tokens and their numbers: {damaged.Message}");
        }
        catch (ArgumentException wrong)
        {
            throw new FormatException($"'{vocabularyPath}' and '{mergesPath}' are no vocabulary: {wrong.Message}");
        }
    }

    /// <summary>Creates a tokenizer of a vocabulary and its merges.</summary>
    /// <param name="vocabulary">
    /// The number of each token; each number from 0 on is given once. All 256 single bytes are among the tokens.
    /// </param>
    /// <param name="merges">Pairs of tokens with a space between, the first to be joined first.</param>
    /// <exception cref="ArgumentException">They are not so, or do not fit each other.</exception>
    public static BytePairTokenizer Create(IReadOnlyDictionary<string, int> vocabulary, IEnumerable<string> merges)
    {
        ArgumentNullException.ThrowIfNull(vocabulary);
        ArgumentNullException.ThrowIfNull(merges);
        var tokens = new string[vocabulary.Count];
        foreach ((string token, int id) in vocabulary)
        {
            if (id < 0 || id >= tokens.Length || tokens[id] is not null)
                throw new ArgumentException(
                    $"The {tokens.Length} tokens must have the numbers 0 to {tokens.Length - 1}, each once, but "
                    + $"'{token}' has {id}.", nameof(vocabulary));
            tokens[id] = token;
        }
        return new(tokens, [.. merges]);
    }

    /// <summary>Learns a vocabulary from texts.</summary>
    /// <param name="texts">The texts; read once, and not kept.</param>
    /// <param name="options">How many tokens, and what else. Default: all defaults.</param>
    /// <exception cref="OperationCanceledException">The options' token was cancelled.</exception>
    public static BytePairTokenizer Train(IEnumerable<string> texts, BytePairOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(texts);
        options ??= new();
        options.Validate();
        List<(int Left, int Right)> pairs = new BytePairTraining(options).Run(texts);
        List<string> tokens = [.. ByteCharacters.InOrder.Select(c => c.ToString())];
        List<string> merges = [];
        foreach ((int left, int right) in pairs)
        {
            merges.Add($"{tokens[left]} {tokens[right]}");
            tokens.Add(tokens[left] + tokens[right]);
        }
        if (options.EndOfText)
            tokens.Add(EndOfText);
        return new([.. tokens], [.. merges]);
    }

    /// <summary>Writes <c>vocab.json</c> and <c>merges.txt</c> as GPT-2's are.</summary>
    /// <param name="vocabularyPath">The file of the vocabulary.</param>
    /// <param name="mergesPath">The file of the merges.</param>
    public void Save(string vocabularyPath, string mergesPath)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(vocabularyPath);
        ArgumentException.ThrowIfNullOrWhiteSpace(mergesPath);
        // Readable by people: the characters for bytes stand as themselves.
        var format = new JsonSerializerOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
        var vocabulary = new OrderedDictionary<string, int>(_tokens.Select(KeyValuePair.Create));
        AtomicFile.Write(vocabularyPath, stream => JsonSerializer.Serialize(stream, vocabulary, format));
        string merges = string.Join('\n', ["#version: 0.2", .. _merges, ""]);
        AtomicFile.Write(mergesPath, stream => stream.Write(Encoding.UTF8.GetBytes(merges)));
    }

    /// <inheritdoc/>
    protected override EncodeResults<EncodedToken> EncodeToTokens(
        string? text, ReadOnlySpan<char> textSpan, EncodeSettings settings)
    {
        string whole = Whole(text, textSpan);
        IReadOnlyList<EncodedToken> tokens =
            _library.EncodeToTokens(whole, out _, settings.ConsiderPreTokenization, settings.ConsiderNormalization);
        if (tokens.Count <= settings.MaxTokenCount)
            return new() { Tokens = tokens, CharsConsumed = whole.Length };
        return new()
        {
            Tokens = [.. tokens.Take(settings.MaxTokenCount)],
            CharsConsumed = tokens[settings.MaxTokenCount].Offset.Start.Value,
        };
    }

    /// <inheritdoc/>
    protected override EncodeResults<int> EncodeToIds(
        string? text, ReadOnlySpan<char> textSpan, EncodeSettings settings)
    {
        IReadOnlyList<int> ids = _library.EncodeToIds(
            Whole(text, textSpan), settings.MaxTokenCount, out _, out int consumed, settings.ConsiderPreTokenization,
            settings.ConsiderNormalization);
        return new() { Tokens = ids, CharsConsumed = consumed };
    }

    internal override SavedTokenizer ToSaved() =>
        new() { Kind = TokenizerKind.BytePairs, Tokens = _tokens, Merges = _merges };

    // The text without halves of surrogate pairs, which the library would make bytes of that are no UTF-8.
    private static string Whole(string? text, ReadOnlySpan<char> span) =>
        Encoding.Unicode.GetString(MemoryMarshal.AsBytes(text is null ? span : text));

    // The library passes in silence over what its vocabulary lacks; here it is an error.
    private void Check()
    {
        HashSet<string> known = [], made = [];
        if (Array.Find(_tokens, token => !known.Add(token)) is string twice)
            throw new ArgumentException($"Token '{twice}' is there twice.");
        string[] missing = [.. ByteCharacters.InOrder.Select(c => c.ToString()).Except(known)];
        if (missing.Length > 0)
            throw new ArgumentException(
                $"The vocabulary lacks {missing.Length} of the 256 single bytes, the first is '{missing[0]}'.");
        foreach (string merge in _merges)
        {
            string[] pair = merge?.Split(' ') ?? [];
            if (pair.Length != 2 || !known.IsSupersetOf([pair[0], pair[1], pair[0] + pair[1]]))
                throw new ArgumentException(
                    $"The merge '{merge}' is no pair of the vocabulary's tokens that makes one of them.");
            if (!made.Add(merge!))
                throw new ArgumentException($"The merge '{merge}' is there twice.");
        }
    }
}

/// <summary>
/// The characters by which byte-level vocabularies write bytes (Radford 2019): a printable one for each, so that a
/// token never holds a space or a control character. Those of Latin-1 that can be seen stand for themselves; the others
/// are U+0100 and following. GPT-2 numbers the tokens of single bytes in the order of their characters.
/// </summary>
internal static class ByteCharacters
{
    private static readonly byte[] s_bytes =
        [.. Enumerable.Range(0, 256).Select(b => (byte)b).OrderBy(b => !IsVisible(b))];

    /// <summary>The characters, ascending.</summary>
    public static string InOrder { get; } =
        string.Concat(s_bytes.Where(IsVisible).Select(b => (char)b))
        + string.Concat(Enumerable.Range(256, s_bytes.Count(b => !IsVisible(b))).Select(c => (char)c));

    /// <summary>The byte of each of <see cref="InOrder"/>.</summary>
    public static ReadOnlySpan<byte> Bytes => s_bytes;

    /// <summary>The bytes that a token's characters stand for.</summary>
    /// <exception cref="ArgumentException">One of them stands for none, or there are none.</exception>
    public static byte[] Read(string token)
    {
        int[] places = [.. (token ?? "").Select(c => InOrder.IndexOf(c))];
        return places.Length > 0 && places.All(place => place >= 0)
            ? [.. places.Select(place => s_bytes[place])]
            : throw new ArgumentException($"Token '{token}' does not consist of the characters that stand for bytes.");
    }

    private static bool IsVisible(byte value) => value is >= 0x21 and <= 0x7E or >= 0xA1 and not 0xAD;
}
