using System.Globalization;
using System.Text.RegularExpressions;

namespace GenerativeML;

/// <summary>
/// Gathers in one pass what it takes to make new values of an identifier, in memory that does not grow with the rows:
/// hashes of the first values, bits for the others, and of the values themselves only their pattern.
/// </summary>
internal sealed class IdentifierProfile(TableItem item)
{
    /// <summary>Parts of longer texts are not made longer still.</summary>
    public const int MaxLength = 1 << 20;

    private const int MaxDistinct = 1 << 16, Samples = 100;

    private static readonly string[] s_guids = ["D", "N", "B", "P"]; // as they are written

    private readonly List<string> _samples = [];
    private readonly TextPattern _pattern = new();
    private HashSet<ulong>? _distinct = [];
    private SeenTexts? _seen;
    private long _count, _missing;
    private double _min = double.PositiveInfinity, _max = double.NegativeInfinity;
    private string? _guid; // how all are written, or null

    /// <summary>Whether none of the first values came twice.</summary>
    public bool AreDistinct { get; private set; } = true;

    /// <summary>Whether the values tell rows apart, as far as that can be seen of them.</summary>
    public bool TellsRows => AreDistinct && (item.IsText
        ? Identifier.TellsRows(_count)
        : Identifier.TellsRows(item, _count, _min, _max)
            && Identifier.GreatestOf(item) - _max >= 1000.0 * _count); // there is room for others

    /// <summary>What personal data the values look like; null for none.</summary>
    public string? PersonalData(string column) => PersonalTexts.Recognize(column, _samples);

    /// <summary>Sees the value of a cell.</summary>
    public void Add(RowCells cells, int field)
    {
        ReadOnlySpan<char> text = cells.Texts[field].Span;
        double number = cells.Numbers[field];
        if (item.IsText ? text.IsEmpty : double.IsNaN(number))
        {
            _missing++;
            return;
        }
        if (_samples.Count < Samples)
            _samples.Add(item.IsText ? text.ToString() : number.ToString("F0", CultureInfo.InvariantCulture));
        ulong hash = item.IsText ? SeenTexts.Hash(text) : (ulong)BitConverter.DoubleToInt64Bits(number);
        if (_distinct is not null)
        {
            AreDistinct &= _distinct.Add(hash);
            if (_distinct.Count > MaxDistinct)
                ForgetDistinct();
        }
        else
        {
            _seen!.Add(hash);
        }
        (_min, _max) = (Math.Min(_min, number), Math.Max(_max, number));
        if (item.IsText)
        {
            if (_count == 0 || _guid is not null)
                _guid = s_guids.FirstOrDefault(form => Guid.TryParseExact(cells.Texts[field].Span, form, out _));
            _pattern.Add(text);
        }
        _count++;
    }

    /// <summary>What makes new values; of no particular kind, the one that the values have.</summary>
    public Identifier ToIdentifier(IdentifierKind? kind)
    {
        kind ??= !item.IsText ? IdentifierKind.Sequence : _guid is null ? IdentifierKind.Pattern : IdentifierKind.Guid;
        if (kind == IdentifierKind.Pattern && _distinct is not null)
            ForgetDistinct();
        Identifier made = kind switch
        {
            IdentifierKind.Sequence => new(IdentifierKind.Sequence) { Last = _count > 0 ? Math.Floor(_max) : 0 },
            IdentifierKind.Guid => new(IdentifierKind.Guid) { Format = _guid ?? "D" },
            _ => Identifier.OfPattern(_pattern.Parts(), _count, _seen!),
        };
        return made with { MissingShare = _missing / (double)Math.Max(1, _missing + _count) };
    }

    private void ForgetDistinct()
    {
        _seen = new SeenTexts();
        foreach (ulong hash in _distinct!)
            _seen.Add(hash);
        _distinct = null;
    }
}

/// <summary>
/// What texts have in common: if all are made of digits, letters and other characters in the same order, the length,
/// characters and sameness of each such part; otherwise what all begin and end with, and the characters between.
/// </summary>
internal sealed class TextPattern
{
    private const int MaxParts = 32;

    private readonly SortedSet<char> _between = [];
    private List<PartProfile>? _parts;
    private bool _areAlike = true;
    private string? _first;
    private int _shared = -1, _sharedEnd, _least = int.MaxValue, _most; // beginning and end; lengths

    /// <summary>Sees a text that is not empty.</summary>
    public void Add(ReadOnlySpan<char> text)
    {
        if (_areAlike)
            AddParts(text);
        (_least, _most) = (Math.Min(_least, text.Length), Math.Max(_most, text.Length));
        if (_first is null)
        {
            _first = text.ToString();
            return;
        }
        int shared = text.CommonPrefixLength(_first.AsSpan(0, _shared < 0 ? _first.Length : _shared));
        int end = 0, most = Math.Min(_least - shared, _shared < 0 ? int.MaxValue : _sharedEnd);
        while (end < most && text[^(end + 1)] == _first[^(end + 1)])
            end++;
        if (_shared < 0)
            AddBetween(_first.AsSpan(shared, _first.Length - end - shared));
        else
        {
            AddBetween(_first.AsSpan(shared, _shared - shared));
            AddBetween(_first.AsSpan(_first.Length - _sharedEnd, _sharedEnd - end));
        }
        AddBetween(text[shared..^end]);
        (_shared, _sharedEnd) = (shared, end);
    }

    /// <summary>The parts of all texts; none where there was no text.</summary>
    public IReadOnlyList<PatternPart> Parts()
    {
        if (_first is null || _areAlike)
            return [.. (_parts ?? []).Select(part => part.ToPart())];
        string chars = PartProfile.AtLeastTwo(_between, "abcdefghijklmnopqrstuvwxyz");
        int same = _shared + _sharedEnd;
        return
        [
            new PatternPart(_first[.._shared]),
            new PatternPart(null, chars, chars, _least - same, Math.Min(_most - same, IdentifierProfile.MaxLength)),
            new PatternPart(_first[^_sharedEnd..]),
        ];
    }

    private void AddParts(ReadOnlySpan<char> text)
    {
        bool isFirst = _parts is null;
        _parts ??= [];
        int part = 0;
        for (int start = 0, end; start < text.Length; start = end, part++)
        {
            CharClass kind = ClassOf(text[start]);
            for (end = start + 1; end < text.Length && ClassOf(text[end]) == kind; end++)
            {
            }
            if (isFirst && part < MaxParts)
                _parts.Add(new PartProfile(kind));
            if (part >= _parts.Count || _parts[part].Kind != kind)
            {
                _areAlike = false;
                return;
            }
            _parts[part].Add(text[start..end]);
        }
        _areAlike = part == _parts.Count;
    }

    // A character of two surrogates is not taken apart.
    private void AddBetween(ReadOnlySpan<char> text)
    {
        foreach (char c in text)
        {
            if (!char.IsSurrogate(c))
                _between.Add(c);
        }
    }

    private static CharClass ClassOf(char c) =>
        char.IsAsciiDigit(c) ? CharClass.Digit : char.IsLetter(c) ? CharClass.Letter : CharClass.Other;

    private enum CharClass
    {
        Digit,
        Letter,
        Other,
    }

    private sealed class PartProfile(CharClass kind)
    {
        private const int MaxNumber = 15; // digits that a double holds exactly

        private readonly SortedSet<char> _begin = [], _rest = [];
        private string? _text; // the one that all have
        private bool _differs;
        private int _least = int.MaxValue, _most;
        private double _lowest = double.PositiveInfinity, _last;

        public CharClass Kind => kind;

        public void Add(ReadOnlySpan<char> text)
        {
            _text ??= text.ToString();
            _differs |= !text.SequenceEqual(_text);
            (_least, _most) = (Math.Min(_least, text.Length), Math.Max(_most, text.Length));
            for (int i = 0; i < text.Length; i++)
            {
                if (!char.IsSurrogate(text[i]))
                    (i == 0 ? _begin : _rest).Add(text[i]);
            }
            if (kind == CharClass.Digit && text.Length <= MaxNumber)
            {
                double number = double.Parse(text, CultureInfo.InvariantCulture);
                (_lowest, _last) = (Math.Min(_lowest, number), Math.Max(_last, number));
            }
        }

        public PatternPart ToPart()
        {
            const string digits = "0123456789";
            int most = Math.Min(_most, IdentifierProfile.MaxLength), least = Math.Min(_least, most);
            if (!_differs)
                return new PatternPart(_text);
            if (kind == CharClass.Digit)
            {
                bool zero = _begin.Contains('0') && most > 1;
                return new PatternPart(null, zero ? digits : digits[1..], digits, least, most)
                {
                    Least = _lowest,
                    Last = most <= MaxNumber ? _last : null,
                };
            }
            if (_rest.Count < 2)
                _rest.UnionWith(_begin);
            string more = kind == CharClass.Other ? "-_"
                : _rest.Any(char.IsLower) ? "abcdefghijklmnopqrstuvwxyz" : "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
            return new PatternPart(
                null, _begin.Count > 0 ? string.Concat(_begin) : more, AtLeastTwo(_rest, more), least, most);
        }

        public static string AtLeastTwo(SortedSet<char> chars, string more) =>
            chars.Count > 1 ? string.Concat(chars) : string.Concat(chars.Union(more));
    }
}

/// <summary>Recognizes texts that name a person or lead to one.</summary>
internal static partial class PersonalTexts
{
    private const int MinSamples = 5;

    /// <summary>What at least half of some texts of a column look like; null for nothing personal.</summary>
    public static string? Recognize(string column, IReadOnlyCollection<string> samples)
    {
        HashSet<string> words = [.. Words().Matches(column).Select(word => word.Value.ToLowerInvariant())];
        return samples.Count < MinSamples ? null
            : Most(text => Mail().IsMatch(text)) ? "mail addresses"
            : Most(IsIban) ? "bank account numbers (IBAN)"
            : Most(IsCard) ? "payment card numbers"
            : Most(text => Phone().IsMatch(text) && (text[0] == '+' || Has("phone", "telephone", "tel", "mobile", "fax")))
                ? "phone numbers"
            : Has("address", "street") && Most(text => text.Contains(' ')) || Most(text => Street().IsMatch(text)) ? "addresses"
            : Has("name", "firstname", "lastname", "surname", "fullname", "forename") && Most(text => Name().IsMatch(text))
                ? "names"
            : null;

        bool Most(Func<string, bool> holds) => 2 * samples.Count(holds) >= samples.Count;

        bool Has(params string[] any) => words.Overlaps(any);
    }

    // ISO 13616: the first four characters go to the end, letters count from ten, and the remainder by 97 is one.
    private static bool IsIban(string text)
    {
        string plain = text.Replace(" ", "", StringComparison.Ordinal);
        return Iban().IsMatch(plain) && (plain[4..] + plain[..4]).Aggregate(0, (rest, c) =>
            char.IsAsciiDigit(c) ? (10 * rest + c - '0') % 97 : (100 * rest + c - 'A' + 10) % 97) == 1;
    }

    // ISO 7812, by Luhn: every second digit from the right counts twice, and the digits' sum is a multiple of ten.
    private static bool IsCard(string text) => Card().IsMatch(text)
        && text.Where(char.IsAsciiDigit).Reverse().Select((c, i) => i % 2 == 0 ? c - '0' : (c - '0') * 2)
            .Sum(digit => digit > 9 ? digit - 9 : digit) % 10 == 0;

    [GeneratedRegex(@"\p{Lu}?\p{Ll}+|\p{Lu}+")]
    private static partial Regex Words();

    [GeneratedRegex(@"^[^@\s]+@[^@\s]+\.[^@\s.]+$")]
    private static partial Regex Mail();

    [GeneratedRegex(@"^[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}$")]
    private static partial Regex Iban();

    [GeneratedRegex(@"^[0-9]([ -]?[0-9]){12,18}$")]
    private static partial Regex Card();

    [GeneratedRegex(@"^[+(0-9]([ ()/.-]*[0-9]){5,15}$")]
    private static partial Regex Phone();

    // A house number before or after a name that ends as streets do in English, German, French, Italian or Spanish.
    [GeneratedRegex(
        @"^(\d+\w? .*\b(street|st|road|rd|avenue|ave|lane|ln|drive|dr|boulevard|blvd|court|ct|square|place|way)\b"
        + @"|[\p{L} .-]*(straße|strasse|str\.|weg|allee|platz|gasse) \d"
        + @"|(\d+\w?,? )?(rue|avenue|boulevard|place|via|viale|piazza|calle|avenida|plaza) \p{L}.*)", RegexOptions.IgnoreCase)]
    private static partial Regex Street();

    [GeneratedRegex(@"^\p{Lu}[\p{L}.'-]*( [\p{L}\p{Nd}.'-]+){0,3}$")]
    private static partial Regex Name();
}
