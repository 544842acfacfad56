using System.Text;
using System.Text.RegularExpressions;

namespace GenerativeML.Tests.Hostile;

/// <summary>Damage to JSON that mostly leaves it readable, so that what lies behind the parser is reached.</summary>
internal static partial class JsonMutations
{
    private static readonly string[] Values =
    [
        "-1", "-0", "0", "1", "2", "1.0", "1.5", "1e0", "1e400", "-1e400", "1E-400", "00", "0x10", "NaN", "Infinity", "127",
        "128", "255", "256", "65536", "99999999", "2147483647", "2147483648", "4294967295", "4294967296", "9007199254740993",
        "9223372036854775807", "9223372036854775808", "18446744073709551615", "18446744073709551616",
        "100000000000000000000000000000000000000", "null", "true", "false", "[]", "{}", "[[]]", "\"\"", "\"1\"",
        "\"F32\"", "\"F64\"", "\"BOOL\"", "\"U8\"", "\"F4\"", "\"f32\"", "[0]", "[0,0]", "[1,1]", "[4294967296,4294967296]",
        "[0,9223372036854775807]", "[9223372036854775807,9223372036854775807]", "\"\\ud800\"", "\"\\u0000\"",
    ];

    private static readonly Encoding ByteByByte = Encoding.Latin1;

    public static IReadOnlyList<Mutation> All { get; } =
    [
        ReplaceValue, ReplaceValue, ReplaceValue, ReplaceNumber, RepeatMember, DropMember, Nest, BreakUtf8, RenameKey,
        Pad, SwapTokens,
    ];

    /// <summary>Another value in the place of a number or a text.</summary>
    public static byte[] ReplaceValue(byte[] json, Random random) =>
        Replace(ValuePattern(), json, random, _ => Values[random.Next(Values.Length)]);

    /// <summary>A number that is off by little, or by a lot.</summary>
    public static byte[] ReplaceNumber(byte[] json, Random random) => Replace(NumberPattern(), json, random, old =>
        random.Next(3) switch
        {
            0 => old + random.Next(10),
            1 => random.NextInt64(-16, 64).ToString(System.Globalization.CultureInfo.InvariantCulture),
            _ => random.NextInt64().ToString(System.Globalization.CultureInfo.InvariantCulture),
        });

    /// <summary>A member of an object once more.</summary>
    public static byte[] RepeatMember(byte[] json, Random random) =>
        Replace(MemberPattern(), json, random, old => old + "," + old);

    /// <summary>A member of an object no more.</summary>
    public static byte[] DropMember(byte[] json, Random random) => Replace(MemberPattern(), json, random, _ => "");

    /// <summary>A value deep inside arrays or objects, some of them never closed.</summary>
    public static byte[] Nest(byte[] json, Random random)
    {
        int depth = random.Next(2) == 0 ? random.Next(1, 8) : random.Next(1, 5000);
        (string open, string close) = random.Next(2) == 0 ? ("[", "]") : ("{\"a\":", "}");
        string closing = random.Next(4) == 0 ? "" : Times(close, depth);
        return Replace(ValuePattern(), json, random, old => Times(open, depth) + old + closing);
    }

    /// <summary>Bytes that are not UTF-8.</summary>
    public static byte[] BreakUtf8(byte[] json, Random random)
    {
        byte[][] broken = [[0xC3], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF5, 0x80, 0x80, 0x80], [0x80], [0xFF], [0]];
        int at = random.Next(json.Length + 1);
        return [.. json[..at], .. broken[random.Next(broken.Length)], .. json[at..]];
    }

    /// <summary>A key by another name, often one that is there already.</summary>
    public static byte[] RenameKey(byte[] json, Random random)
    {
        MatchCollection keys = KeyPattern().Matches(ByteByByte.GetString(json));
        string[] names =
            [.. keys.Select(k => k.Value), "\"\":", "\"__metadata__\":", "\"shape\":", "\"dtype\":", "\"a\\u0000\":"];
        return Replace(KeyPattern(), json, random, _ => names[random.Next(names.Length)]);
    }

    /// <summary>White space where there may be some, and where not.</summary>
    public static byte[] Pad(byte[] json, Random random)
    {
        string[] spaces = [" ", "\n", "\t", "\r", new string(' ', 500), "\0", "\u00a0", "/**/"];
        byte[] space = ByteByByte.GetBytes(spaces[random.Next(spaces.Length)]);
        int at = random.Next(3) == 0 ? json.Length : random.Next(json.Length + 1);
        return [.. json[..at], .. space, .. json[at..]];
    }

    /// <summary>One token in the place of another.</summary>
    public static byte[] SwapTokens(byte[] json, Random random)
    {
        MatchCollection tokens = TokenPattern().Matches(ByteByByte.GetString(json));
        return tokens.Count == 0
            ? json
            : Replace(TokenPattern(), json, random, _ => tokens[random.Next(tokens.Count)].Value);
    }

    private static byte[] Replace(Regex pattern, byte[] json, Random random, Func<string, string> with)
    {
        // One byte, one character: whatever the bytes are, they come back.
        string text = ByteByByte.GetString(json);
        MatchCollection found = pattern.Matches(text);
        if (found.Count == 0)
            return json;
        Match one = found[random.Next(found.Count)];
        ReadOnlySpan<char> rest = text.AsSpan(one.Index + one.Length);
        return ByteByByte.GetBytes(string.Concat(text.AsSpan(0, one.Index), with(one.Value), rest));
    }

    private static string Times(string text, int count) => string.Concat(Enumerable.Repeat(text, count));

    [GeneratedRegex("-?[0-9]+")]
    private static partial Regex NumberPattern();

    [GeneratedRegex("""-?[0-9]+|"[^"]*"(?!:)|\[[^\[\]]*\]|true|false|null""")]
    private static partial Regex ValuePattern();

    [GeneratedRegex("""
        "[^"]*":
        """)]
    private static partial Regex KeyPattern();

    [GeneratedRegex("""
        "[^"]*":(?:"[^"]*"|\[[^\[\]]*\]|\{[^{}]*\}|[^,{}\[\]"]+)
        """)]
    private static partial Regex MemberPattern();

    [GeneratedRegex("""-?[0-9]+|"[^"]*"|[\[\]{}:,]|true|false|null""")]
    private static partial Regex TokenPattern();
}
