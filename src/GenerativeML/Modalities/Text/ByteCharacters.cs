namespace GenerativeML;

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
