using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
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
    private readonly string[] _tokens;
    private readonly byte[][] _bytes;
    private readonly string[] _merges;

    private BytePairTokenizer(string[] tokens, string[] merges)
    {
        Check(tokens, merges);
        _tokens = tokens;
        _merges = merges;
        int end = Array.IndexOf(tokens, EndOfText);
        EndOfTextId = end >= 0 ? end : null;
        _bytes = [.. tokens.Select((token, id) => id == end ? [] : ByteCharacters.Read(token)!)];
        _library = BpeTokenizer.Create(new BpeOptions(tokens.Select((token, id) => KeyValuePair.Create(token, id)))
        {
            Merges = merges,
            ByteLevel = true,
            PreTokenizer = RobertaPreTokenizer.Instance,
        });
    }

    /// <inheritdoc/>
    public override int VocabularySize => _tokens.Length;

    /// <summary>The number of the token <c>&lt;|endoftext|&gt;</c>, if the vocabulary has it.</summary>
    public override int? EndOfTextId { get; }

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
        Dictionary<string, int> vocabulary;
        using (FileStream file = File.OpenRead(vocabularyPath))
        {
            try
            {
                vocabulary = JsonSerializer.Deserialize<Dictionary<string, int>>(file) ?? [];
            }
            catch (JsonException damaged)
            {
                throw new FormatException(
                    $"'{vocabularyPath}' is no JSON object of tokens and their numbers: {damaged.Message}");
            }
        }
        string[] merges = [.. File.ReadLines(mergesPath).Where((line, i) =>
            line.Length > 0 && !(i == 0 && line.StartsWith("#version", StringComparison.Ordinal)))];
        try
        {
            return Create(vocabulary, merges);
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
        List<string> tokens = [.. ByteCharacters.Order.Select(b => ByteCharacters.Of(b).ToString())];
        List<string> merges = [];
        foreach ((int left, int right) in pairs)
        {
            merges.Add($"{tokens[left]} {tokens[right]}");
            tokens.Add(tokens[left] + tokens[right]);
        }
        if (options.EndOfText)
            tokens.Add(EndOfText);
        return Create(tokens, merges);
    }

    /// <summary>Writes <c>vocab.json</c> and <c>merges.txt</c> as GPT-2's are.</summary>
    /// <param name="vocabularyPath">The file of the vocabulary.</param>
    /// <param name="mergesPath">The file of the merges.</param>
    public void Save(string vocabularyPath, string mergesPath)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(vocabularyPath);
        ArgumentException.ThrowIfNullOrWhiteSpace(mergesPath);
        AtomicFile.Write(vocabularyPath, stream =>
        {
            // Readable by people: the characters for bytes stand as themselves.
            using var writer = new Utf8JsonWriter(
                stream, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
            writer.WriteStartObject();
            for (int id = 0; id < _tokens.Length; id++)
                writer.WriteNumber(_tokens[id], id);
            writer.WriteEndObject();
        });
        AtomicFile.Write(mergesPath, stream =>
        {
            using var writer = new StreamWriter(stream, leaveOpen: true) { NewLine = "\n" };
            writer.WriteLine("#version: 0.2");
            foreach (string merge in _merges)
                writer.WriteLine(merge);
        });
    }

    /// <summary>A tokenizer of tokens in the order of their numbers.</summary>
    internal static BytePairTokenizer Create(IReadOnlyList<string> tokens, IReadOnlyList<string> merges) =>
        new([.. tokens], [.. merges]);

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

    /// <inheritdoc/>
    protected override int CountTokens(string? text, ReadOnlySpan<char> textSpan, EncodeSettings settings) =>
        EncodeToIds(text, textSpan, settings).Tokens.Count;

    private protected override ReadOnlySpan<byte> BytesOf(int id) => _bytes[id];

    internal override SavedTokenizer ToSaved() => new()
    {
        Kind = TokenizerKind.BytePairs,
        Tokens = _tokens,
        Merges = _merges,
    };

    /// <summary>
    /// The text without halves of surrogate pairs, which the library would make bytes of that are no UTF-8.
    /// </summary>
    private static string Whole(string? text, ReadOnlySpan<char> span)
    {
        text ??= span.ToString();
        return text.AsSpan().ContainsAnyInRange('\uD800', '\uDFFF')
            ? Encoding.Unicode.GetString(Encoding.Unicode.GetBytes(text))
            : text;
    }

    /// <summary>The library passes in silence over what its vocabulary lacks; here it is an error.</summary>
    private static void Check(string[] tokens, string[] merges)
    {
        var known = new HashSet<string>(StringComparer.Ordinal);
        foreach (string token in tokens)
        {
            if (string.IsNullOrEmpty(token) || ByteCharacters.Read(token) is null)
                throw new ArgumentException(
                    $"Token '{token}' does not consist of the characters that stand for bytes.");
            if (!known.Add(token))
                throw new ArgumentException($"Token '{token}' is there twice.");
        }
        string[] missing =
            [.. ByteCharacters.Order.Select(b => ByteCharacters.Of(b).ToString()).Where(t => !known.Contains(t))];
        if (missing.Length > 0)
            throw new ArgumentException(
                $"The vocabulary lacks {missing.Length} of the 256 single bytes, the first is '{missing[0]}'.");
        var made = new HashSet<string>(StringComparer.Ordinal);
        foreach (string merge in merges)
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
    [JsonIgnore]
    public IProgress<double>? Progress { get; init; }

    /// <summary>Stops the learning.</summary>
    [JsonIgnore]
    public CancellationToken CancellationToken { get; init; }

    internal void Validate()
    {
        OptionChecks.Within(VocabularySize, 257, 1_000_000);
        OptionChecks.AtLeast(MinFrequency, 1);
    }
}

/// <summary>
/// The characters by which byte-level vocabularies write bytes (Radford 2019): a printable one for each, so that a
/// token never holds a space or a control character. Those of Latin-1 that can be seen stand for themselves; the others
/// are U+0100 and following.
/// </summary>
internal static class ByteCharacters
{
    private static readonly char[] s_character = new char[256];
    private static readonly Dictionary<char, byte> s_byte = [];

    static ByteCharacters()
    {
        // GPT-2 numbers the 256 tokens of single bytes in this order too: those that can be seen first.
        byte[] all = [.. Enumerable.Range(0, 256).Select(b => (byte)b)];
        Order = [.. all.Where(IsVisible), .. all.Where(b => !IsVisible(b))];
        int visible = all.Count(IsVisible);
        for (int i = 0; i < Order.Count; i++)
        {
            byte value = Order[i];
            s_character[value] = i < visible ? (char)value : (char)(256 + i - visible);
            s_byte.Add(s_character[value], value);
        }
    }

    /// <summary>All bytes, in the order of their characters.</summary>
    public static IReadOnlyList<byte> Order { get; }

    /// <summary>A byte's character.</summary>
    public static char Of(byte value) => s_character[value];

    /// <summary>Bytes as characters.</summary>
    public static string Write(ReadOnlySpan<byte> bytes)
    {
        Span<char> characters = stackalloc char[bytes.Length];
        for (int i = 0; i < bytes.Length; i++)
            characters[i] = s_character[bytes[i]];
        return characters.ToString();
    }

    /// <summary>The bytes that characters stand for, or null where one of them stands for none.</summary>
    public static byte[]? Read(string characters)
    {
        var bytes = new byte[characters.Length];
        for (int i = 0; i < bytes.Length; i++)
        {
            if (!s_byte.TryGetValue(characters[i], out bytes[i]))
                return null;
        }
        return bytes;
    }

    private static bool IsVisible(byte value) => value is >= 0x21 and <= 0x7E or >= 0xA1 and not 0xAD;
}
