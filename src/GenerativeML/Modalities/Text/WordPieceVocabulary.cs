using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Microsoft.ML.Tokenizers;

namespace GenerativeML;

/// <summary>
/// The word pieces (Wu 2016, arXiv:1609.08144) that BERT's weights were trained with, as its <c>vocab.txt</c> lists them:
/// words in parts, of which all but a word's first begin with <c>##</c>, and the special tokens <c>[PAD]</c>,
/// <c>[UNK]</c>, <c>[CLS]</c>, <c>[SEP]</c> and <c>[MASK]</c>. A model that was made with them carries them inside.
/// </summary>
public sealed class WordPieceVocabulary
{
    private const string Padding = "[PAD]", Unknown = "[UNK]", Class = "[CLS]", Separator = "[SEP]";
    private const int MaxTokens = 1 << 24;

    /// <summary>What stands for a token that is to be filled in.</summary>
    internal const string Mask = "[MASK]";

    /// <summary>How all parts of a word but the first begin.</summary>
    internal const string Continuation = "##";

    // As BERT's reference splits texts: what is no letter or digit of ASCII, and punctuation beyond it, stands alone; all
    // else, symbols such as currencies among it, is of words. The tokenizer's own way drops what is neither.
    private static readonly Regex s_words = new(@"[!-/:-@\[-`{-~\p{P}]|[^\s!-/:-@\[-`{-~\p{P}]+", RegexOptions.CultureInvariant);

    private readonly string[] _tokens;

    /// <summary>Creates a vocabulary.</summary>
    /// <param name="tokens">The tokens, in the order of their numbers, the special ones among them.</param>
    /// <param name="lowerCase">
    /// Whether text is lower-cased and its accents, those of Latin, Greek and Cyrillic letters, are taken away before, as
    /// the vocabularies that are called uncased need it.
    /// </param>
    /// <exception cref="ArgumentException">A special token is missing, or a token is there twice or empty.</exception>
    public WordPieceVocabulary(IEnumerable<string> tokens, bool lowerCase)
    {
        ArgumentNullException.ThrowIfNull(tokens);
        (_tokens, LowerCase) = ([.. tokens], lowerCase);
        if (_tokens.Length > MaxTokens)
            throw new ArgumentException($"The vocabulary has {_tokens.Length} tokens, and {MaxTokens} is the most.", nameof(tokens));
        var numbers = new Dictionary<string, int>(_tokens.Length, StringComparer.Ordinal);
        for (int i = 0; i < _tokens.Length; i++)
        {
            if (string.IsNullOrEmpty(_tokens[i]) || _tokens[i].AsSpan().ContainsAny('\n', '\r'))
                throw new ArgumentException($"Token {i} of the vocabulary is empty, or has a line's end in it.", nameof(tokens));
            if (!numbers.TryAdd(_tokens[i], i))
                throw new ArgumentException($"Token '{_tokens[i]}' of the vocabulary is there twice.", nameof(tokens));
        }
        string[] missing = [.. ((string[])[Padding, Unknown, Class, Separator, Mask]).Where(token => !numbers.ContainsKey(token))];
        if (missing.Length > 0)
            throw new ArgumentException(
                $"The vocabulary has no {string.Join(", ", missing)}: it is not one of BERT's word pieces.", nameof(tokens));
        (PaddingId, ClassId, SeparatorId, MaskId) = (numbers[Padding], numbers[Class], numbers[Separator], numbers[Mask]);
        Tokenizer = BertTokenizer.Create(
            new MemoryStream(Encoding.UTF8.GetBytes(string.Join('\n', _tokens))),
            new BertOptions
            {
                LowerCaseBeforeTokenization = lowerCase, Normalizer = new BasicNormalizer(lowerCase),
                PreTokenizer = new RegexPreTokenizer(s_words, null),
            });
    }

    /// <summary>The tokens, in the order of their numbers.</summary>
    public IReadOnlyList<string> Tokens => _tokens;

    /// <summary>Whether text is lower-cased and its accents are taken away before.</summary>
    public bool LowerCase { get; }

    /// <summary>What turns text into tokens, without special ones around them.</summary>
    public BertTokenizer Tokenizer { get; }

    internal int PaddingId { get; }

    internal int ClassId { get; }

    internal int SeparatorId { get; }

    internal int MaskId { get; }

    /// <summary>Reads a vocabulary: a token in each line, the first one being number 0.</summary>
    /// <param name="path">The file <c>vocab.txt</c>, in UTF-8.</param>
    /// <param name="lowerCase">
    /// Whether text is lower-cased and its accents are taken away before, as the vocabularies that are called uncased need
    /// it. Default: yes.
    /// </param>
    /// <exception cref="ArgumentException">The file is no vocabulary of BERT's; the message says why.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static WordPieceVocabulary Load(string path, bool lowerCase = true)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        return new(File.ReadLines(path), lowerCase);
    }

    /// <summary>
    /// BERT's basic cleaning: no control characters, blanks for all that is blank and around each ideograph, and on request
    /// lower case without accents. It has its own table of accents, of Latin, Greek and Cyrillic letters: without
    /// globalization data, .NET takes none apart. Hangul and the voiced marks of kana stay as they are.
    /// </summary>
    private sealed class BasicNormalizer(bool lowerCase) : Normalizer
    {
        // A letter, and behind it the same with accents; lower-cased, since that is done before.
        private const string Accents =
            "aàáâãäåāăąǎǟǡǻȁȃȧḁạảấầẩẫậắằẳẵặ cçćĉċčḉ eèéêëēĕėęěȅȇȩḕḗḙḛḝẹẻẽếềểễệ iìíîïĩīĭįǐȉȋḭḯỉị nñńņňǹṅṇṉṋ "
            + "oòóôõöōŏőơǒǫǭȍȏȫȭȯȱṍṏṑṓọỏốồổỗộớờởỡợ uùúûüũūŭůűųưǔǖǘǚǜȕȗṳṵṷṹṻụủứừửữự yýÿŷȳẏẙỳỵỷỹ dďḋḍḏḑḓ gĝğġģǧǵḡ "
            + "hĥȟḣḥḧḩḫẖ jĵǰ kķǩḱḳḵ lĺļľḷḹḻḽ rŕŗřȑȓṙṛṝṟ sśŝşšșṡṣṥṧṩ tţťțṫṭṯṱẗ wŵẁẃẅẇẉẘ zźżžẑẓẕ æǣǽ ʒǯ øǿ ¨΅῁῭΅ "
            + "ιΐίϊἰἱἲἳἴἵἶἷὶίῐῑῒΐῖῗ αάἀἁἂἃἄἅἆἇὰάᾀᾁᾂᾃᾄᾅᾆᾇᾰᾱᾲᾳᾴᾶᾷ εέἐἑἒἓἔἕὲέ ηήἠἡἢἣἤἥἦἧὴήᾐᾑᾒᾓᾔᾕᾖᾗῂῃῄῆῇ "
            + "υΰϋύὐὑὒὓὔὕὖὗὺύῠῡῢΰῦῧ οόὀὁὂὃὄὅὸό ωώὠὡὢὣὤὥὦὧὼώᾠᾡᾢᾣᾤᾥᾦᾧῲῳῴῶῷ ϒϓϔ ийѝӣӥ еѐёӗ гѓ ії кќ уўӯӱӳ ѵѷ жӂӝ аӑӓ әӛ "
            + "зӟ оӧ өӫ эӭ чӵ ыӹ bḃḅḇ fḟ mḿṁṃ pṕṗ vṽṿ xẋẍ ſẛ ᾿῍῎῏ ῾῝῞῟ ρῤῥ";

        private static readonly Dictionary<char, char> s_base = Accents.Split(' ')
            .SelectMany(letters => letters[1..].Select(accented => KeyValuePair.Create(accented, letters[0])))
            .ToDictionary();

        public override string Normalize(string original) => Normalize(original.AsSpan());

        public override string Normalize(ReadOnlySpan<char> original)
        {
            var text = new StringBuilder(original.Length);
            foreach (Rune rune in original.EnumerateRunes())
            {
                UnicodeCategory category = Rune.GetUnicodeCategory(rune);
                if (rune.Value is ' ' or '\t' or '\n' or '\r' || category == UnicodeCategory.SpaceSeparator)
                    text.Append(' ');
                else if (rune.Value is 0 or 0xFFFD || category is UnicodeCategory.Control or UnicodeCategory.Format
                    or UnicodeCategory.Surrogate or UnicodeCategory.PrivateUse)
                    continue;
                else if (IsIdeograph(rune.Value))
                    text.Append(' ').Append(rune.ToString()).Append(' ');
                else if (!lowerCase)
                    text.Append(rune.ToString());
                else if (category != UnicodeCategory.NonSpacingMark)
                    AppendPlain(text, Rune.ToLowerInvariant(rune));
            }
            return text.ToString();
        }

        private static void AppendPlain(StringBuilder text, Rune lower)
        {
            if (lower.IsBmp && s_base.TryGetValue((char)lower.Value, out char letter))
                text.Append(letter);
            else
                text.Append(lower.ToString());
        }

        // The blocks of CJK ideographs that BERT's reference takes apart.
        private static bool IsIdeograph(int c) => c is >= 0x4E00 and <= 0x9FFF or >= 0x3400 and <= 0x4DBF
            or >= 0x20000 and <= 0x2A6DF or >= 0x2A700 and <= 0x2B73F or >= 0x2B740 and <= 0x2B81F
            or >= 0x2B820 and <= 0x2CEAF or >= 0xF900 and <= 0xFAFF or >= 0x2F800 and <= 0x2FA1F;
    }
}
