using System.Buffers.Binary;
using System.Globalization;
using System.Text.Json.Serialization;

namespace GenerativeML;

/// <summary>
/// How the values of a column that tells rows apart are made: anew, none twice in a generated view, and none that is in
/// the training rows.
/// </summary>
public enum IdentifierKind
{
    /// <summary>The column is no identifier, whatever it looks like: it is learned by its type.</summary>
    None,

    /// <summary>Of numbers: the whole numbers after the greatest in the training rows.</summary>
    Sequence,

    /// <summary>Of text: random globally unique identifiers (RFC 9562, version 4), written as in the training rows.</summary>
    Guid,

    /// <summary>
    /// Of text: what is the same in all training rows, with digits where those have digits and letters where they have
    /// letters. Where this leaves too few new values, numbers go on after the greatest, or texts become longer.
    /// </summary>
    Pattern,
}

/// <summary>
/// What makes the values of an identifier. Each follows from the seed and the row's number alone, so that rows can be
/// made in any order: the number is written, permuted, into parts of the value, and makes it unique.
/// </summary>
internal sealed record Identifier(IdentifierKind Kind)
{
    private const int Tries = 16; // values of each row that are held against the training rows'
    private const int Drawn = 32; // characters of a part, unless all training rows have more
    private const ulong ManyValues = 1UL << 40; // more need not be told apart
    private const int MinRows = 20;
    private const double MinCollisions = 20; // expected by chance among as many numbers of their range

    /// <summary>The greatest number of a sequence in the training rows.</summary>
    public double Last { get; init; }

    /// <summary>The share of training rows without a value.</summary>
    public double MissingShare { get; init; }

    /// <summary>How a Guid is written.</summary>
    public string Format { get; init; } = "D";

    /// <summary>The parts of a pattern.</summary>
    public IReadOnlyList<PatternPart> Parts { get; init; } = [];

    /// <summary>The parts that tell values apart, of a length that each has always.</summary>
    public IReadOnlyList<int> Telling { get; init; } = [];

    /// <summary>
    /// The training rows' values, among which a few more may seem to be; null where no values are drawn among theirs.
    /// </summary>
    public SeenTexts? Seen { get; init; }

    /// <summary>The part that goes on after the training rows' where no values are drawn.</summary>
    public int Counter { get; init; }

    /// <summary>Whether so many texts or keys, none of which comes twice, tell rows apart.</summary>
    public static bool TellsRows(long count) => count >= MinRows;

    /// <summary>
    /// Whether so many numbers do, none of which comes twice: whole ones of a type for them, if by chance many would be
    /// equal among as many of their range, as they are not where they were given one after the other.
    /// </summary>
    public static bool TellsRows(TableItem item, long count, double min, double max) =>
        TellsRows(count) && item.Name is "Int32" or "UInt32" or "Int64" or "UInt64" && AreClose(count, min, max);

    // As many numbers drawn from the range would have had so many equal pairs that none is no chance.
    private static bool AreClose(long count, double min, double max) =>
        count <= max - min + 1 && (double)count * count / 2 >= MinCollisions * (max - min + 1);

    /// <summary>The greatest whole number up to which a type holds all.</summary>
    public static double GreatestOf(TableItem item) => item.Name switch
    {
        "SByte" => sbyte.MaxValue,
        "Byte" => byte.MaxValue,
        "Int16" => short.MaxValue,
        "UInt16" => ushort.MaxValue,
        "Int32" => int.MaxValue,
        "UInt32" => uint.MaxValue,
        "Single" => 1 << 24,
        _ => 1L << 53,
    };

    /// <summary>A row's number in a sequence.</summary>
    public double Number(int seed, long row) => IsMissing(seed, row) ? double.NaN : Last + 1 + row;

    /// <summary>A row's text.</summary>
    public string Text(int seed, long row) => IsMissing(seed, row) ? ""
        : Kind == IdentifierKind.Guid ? NewGuid(seed, row).ToString(Format, CultureInfo.InvariantCulture)
        : NewText(seed, row);

    /// <summary>Checks what came from a file, or throws a <see cref="FormatException"/>.</summary>
    public void Check(TableItem item)
    {
        bool sound = MissingShare is >= 0 and <= 1 && Kind switch
        {
            IdentifierKind.Sequence => !item.IsText && Math.Abs(Last) <= GreatestOf(item) && Last % 1 == 0,
            IdentifierKind.Guid => item.IsText && Format is "D" or "N" or "B" or "P",
            IdentifierKind.Pattern => item.IsText && Parts.All(part => part?.IsSound == true)
                && Telling.Distinct().Count() == Telling.Count
                && Telling.Append(Counter).All(i => i >= 0 && i < Parts.Count && Parts[i].Text is null)
                && Seen?.IsSound != false,
            _ => false,
        };
        TableType.Require(sound, "an identifier is none");
    }

    /// <summary>
    /// Draws values of a pattern, and tells them apart by the parts that have most values; or, where training rows hold
    /// much of what the pattern allows or number it through, lets a part go on after theirs.
    /// </summary>
    public static Identifier OfPattern(IReadOnlyList<PatternPart> parts, long count, SeenTexts seen)
    {
        if (parts.All(part => part.Text is not null))
            parts = [.. parts, new PatternPart(null, "123456789", "0123456789") { Last = 0 }];
        int[] variable =
        [
            .. Enumerable.Range(0, parts.Count).Where(i => parts[i].Text is null)
                .OrderByDescending(i => parts[i].Space(LengthOf(parts[i]))),
        ];
        int telling = 1;
        while (telling < variable.Length && SpaceOf(parts, variable[..telling]) < ManyValues)
            telling++;
        int number = Array.FindIndex(variable, i => parts[i].Last is not null);
        bool goesOn = seen.IsFull || 4.0 * count > SpaceOf(parts, variable[..telling])
            || variable.Length == 1 && parts[variable[0]] is { Least: var least, Last: double last }
                && AreClose(count, least, last);
        return new(IdentifierKind.Pattern)
        {
            Parts = parts,
            Telling = variable[..telling],
            Counter = variable[goesOn ? Math.Max(number, 0) : 0],
            Seen = goesOn ? null : seen.Folded(),
        };
    }

    // How many values some parts tell apart, at most 2^60.
    private static ulong SpaceOf(IReadOnlyList<PatternPart> parts, IReadOnlyList<int> telling) =>
        (ulong)telling.Aggregate((UInt128)1, (space, i) => UInt128.Min(
            space * parts[i].Space(LengthOf(parts[i])), PatternPart.MaxSpace));

    private static int LengthOf(PatternPart part) => Math.Min(part.Max, Math.Max(part.Min, Drawn));

    private static SplitMix64 Random(int seed, long row, int number) =>
        new(SplitMix64.Derive(seed, RandomPurpose.Identifier, row * (Tries + 1) + number));

    private bool IsMissing(int seed, long row) =>
        MissingShare > 0 && Random(seed, row, Tries).NextDouble() < MissingShare;

    // Of the 122 random bits, 64 are different for each row: those that the version displaces come last.
    private static Guid NewGuid(int seed, long row)
    {
        ulong own = SplitMix64.Derive(seed, RandomPurpose.Identifier, row), rest = new SplitMix64(~own).Next();
        Span<byte> bytes = stackalloc byte[16];
        BinaryPrimitives.WriteUInt64BigEndian(bytes, (own & ~0xF000UL) | 0x4000);
        BinaryPrimitives.WriteUInt64BigEndian(bytes[8..], (rest >> 2 & ~0xFUL) | 1UL << 63 | (own >> 12 & 0xF));
        return new Guid(bytes, bigEndian: true);
    }

    private string NewText(int seed, long row)
    {
        ulong space = SpaceOf(Parts, Telling);
        string?[] texts = [.. Parts.Select(part => part.Text)];
        for (int t = 0; t < Tries && Seen is not null && (ulong)row < space / Tries; t++)
        {
            ulong place = GeneratedOrder.Permuted((ulong)row * Tries + (ulong)t, space, seed);
            SplitMix64 random = Random(seed, row, t);
            foreach (int i in Telling)
            {
                int length = LengthOf(Parts[i]);
                (place, ulong own) = Math.DivRem(place, Parts[i].Space(length));
                texts[i] = Parts[i].Write(length, own, ref random);
            }
            string text = Join(texts, ref random);
            if (!Seen.MayContain(text))
                return text;
        }
        SplitMix64 others = Random(seed, row, 0);
        texts = [.. Parts.Select(part => part.Text)];
        PatternPart counter = Parts[Counter];
        texts[Counter] = Seen is null && counter.Last is double last
            ? ((long)last + 1 + row).ToString($"D{counter.Min}", CultureInfo.InvariantCulture)
            : counter.WriteLonger((ulong)row, ref others);
        return Join(texts, ref others);
    }

    private string Join(string?[] texts, ref SplitMix64 random)
    {
        string[] all = new string[texts.Length];
        for (int i = 0; i < all.Length; i++)
            all[i] = texts[i] ?? Parts[i].Draw(Drawn, ref random);
        return string.Concat(all);
    }
}

/// <summary>A part of a pattern: a text, or characters of which the first and the others are chosen apart.</summary>
internal sealed record PatternPart(string? Text, string First = "", string Rest = "", int Min = 0, int Max = 0)
{
    /// <summary>The most values that are told apart.</summary>
    public const ulong MaxSpace = 1UL << 60;

    /// <summary>The greatest number that it is in the training rows; null where it is something else.</summary>
    public double? Last { get; init; }

    /// <summary>The least.</summary>
    [JsonIgnore]
    public double Least { get; init; }

    [JsonIgnore]
    public bool IsSound => Text is not null || First.Length > 0 && Rest.Length > 1 && Min >= 0 && Min <= Max
        && Max <= IdentifierProfile.MaxLength && !(Last < 0) && !(Last > 1e15);

    /// <summary>How many values the last characters of this length tell apart, at most 2^60.</summary>
    public ulong Space(int length)
    {
        ulong space = length > 0 ? 1UL : 0;
        for (int i = length - 1; i >= 0 && space <= MaxSpace / (ulong)From(i).Length; i--)
            space *= (ulong)From(i).Length;
        return space;
    }

    /// <summary>A value of a length: its place among all tells its last characters, others are random.</summary>
    public string Write(int length, ulong place, ref SplitMix64 random)
    {
        char[] text = new char[length];
        ulong told = 1;
        for (int i = length - 1; i >= 0; i--)
        {
            ulong count = (ulong)From(i).Length;
            bool tells = told <= MaxSpace / count;
            text[i] = From(i)[(int)((tells ? place : random.Next()) % count)];
            (place, told) = tells ? (place / count, told * count) : (0, ulong.MaxValue);
        }
        return new(text);
    }

    /// <summary>A value that is longer than all in the training rows.</summary>
    public string WriteLonger(ulong place, ref SplitMix64 random)
    {
        int length = Max + 1;
        for (ulong space; place >= (space = Space(length)); length++)
            place -= space;
        return Write(length, place, ref random);
    }

    /// <summary>A random value, of at most so many characters unless all training rows have more.</summary>
    public string Draw(int most, ref SplitMix64 random)
    {
        char[] text = new char[Min + random.Next(Math.Max(Math.Min(Max, most) - Min, 0) + 1)];
        for (int i = 0; i < text.Length; i++)
            text[i] = From(i)[random.Next(From(i).Length)];
        return new(text);
    }

    private string From(int place) => place == 0 ? First : Rest;
}

/// <summary>
/// A Bloom filter (1970) of texts: it says of each that was added that it may be there, and of few others, without
/// holding any. It is as large for a million texts as for ten.
/// </summary>
internal sealed record SeenTexts(byte[] Bits)
{
    private const int Bytes = 1 << 20, MinBytes = 1 << 6;
    private const int Probes = 4;
    private const double MaxFill = 0.8; // four tenths of other texts seem to be there

    /// <summary>No text yet.</summary>
    public SeenTexts()
        : this(new byte[Bytes])
    {
    }

    [JsonIgnore]
    public bool IsSound => Bits.Length is >= MinBytes and <= Bytes && (Bits.Length & (Bits.Length - 1)) == 0;

    /// <summary>Whether too many other texts seem to be there.</summary>
    [JsonIgnore]
    public bool IsFull => Set(Bits) > MaxFill * 8 * Bits.Length;

    /// <summary>64 bits that two texts have in common only by chance.</summary>
    public static ulong Hash(ReadOnlySpan<char> text)
    {
        ulong hash = 14695981039346656037; // FNV-1a
        foreach (char c in text)
            hash = (hash ^ c) * 1099511628211;
        return new SplitMix64(hash).Next();
    }

    /// <summary>Adds the text of a hash.</summary>
    public void Add(ulong hash)
    {
        for (int probe = 0; probe < Probes; probe++)
            Bits[Place(hash, probe)] |= Bit(hash, probe);
    }

    /// <summary>Whether a text may be there.</summary>
    public bool MayContain(string text)
    {
        ulong hash = Hash(text);
        return Enumerable.Range(0, Probes).All(probe => (Bits[Place(hash, probe)] & Bit(hash, probe)) != 0);
    }

    /// <summary>The same in as little memory as leaves it mostly empty: halves are laid on one another.</summary>
    public SeenTexts Folded()
    {
        byte[] bits = Bits;
        while (bits.Length > MinBytes)
        {
            byte[] half = [.. bits.Take(bits.Length / 2).Zip(bits.Skip(bits.Length / 2), (a, b) => (byte)(a | b))];
            if (Set(half) > 2 * half.Length) // a quarter of its bits
                break;
            bits = half;
        }
        return new(bits);
    }

    private static long Set(byte[] bits) => bits.Sum(b => (long)byte.PopCount(b));

    private static byte Bit(ulong hash, int probe) => (byte)(1 << (int)(At(hash, probe) & 7));

    private static ulong At(ulong hash, int probe) => hash + (ulong)probe * (hash >> 32 | 1);

    private int Place(ulong hash, int probe) => (int)(At(hash, probe) >> 3 & (ulong)(Bits.Length - 1));
}
