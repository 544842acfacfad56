namespace Microsoft.ML.Tokenizers;

/// <summary>How byte-level vocabularies write bytes: printable ones as themselves, the others from U+0100 on.</summary>
internal static class ByteCharacters
{
    private static readonly char[] s_characters = new char[256];
    private static readonly Dictionary<char, byte> s_bytes = [];

    static ByteCharacters()
    {
        int others = 0;
        for (int b = 0; b < 256; b++)
        {
            bool printable = b is >= '!' and <= '~' or >= 0xA1 and <= 0xAC or >= 0xAE;
            s_characters[b] = printable ? (char)b : (char)(256 + others++);
            s_bytes.Add(s_characters[b], (byte)b);
        }
    }

    public static char Of(byte value) => s_characters[value];

    public static bool TryGetByte(char character, out byte value) => s_bytes.TryGetValue(character, out value);
}
