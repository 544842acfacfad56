using System.Buffers.Binary;

namespace GenerativeML.Tests.Hostile;

/// <summary>Damage to a safetensors file that knows where its header is.</summary>
internal static class SafetensorsMutations
{
    private const int PrefixLength = 8;

    private static readonly ulong[] Lengths =
    [
        0, 1, 2, 8, 99_999_999, 100_000_000, 100_000_001, int.MaxValue, 1UL << 31, 1UL << 32, long.MaxValue, 1UL << 63,
        ulong.MaxValue,
    ];

    public static IReadOnlyList<Mutation> All { get; } = [DamageHeader, DamageHeader, DamageHeader, LieAboutLength, ResizeData];

    /// <summary>One or two damages to the header's JSON, with the header's length set right again.</summary>
    public static byte[] DamageHeader(byte[] file, Random random)
    {
        (byte[] header, byte[] data) = Split(file);
        for (int i = random.Next(1, 3); i > 0; i--)
            header = JsonMutations.All[random.Next(JsonMutations.All.Count)](header, random);
        return Join(header, data, (ulong)header.Length);
    }

    /// <summary>A header's length that is not the header's.</summary>
    public static byte[] LieAboutLength(byte[] file, Random random)
    {
        (byte[] header, byte[] data) = Split(file);
        ulong length = random.Next(2) == 0
            ? Lengths[random.Next(Lengths.Length)]
            : (ulong)(header.Length + random.Next(-9, 10));
        return Join(header, data, length);
    }

    /// <summary>More or less data than the header says.</summary>
    public static byte[] ResizeData(byte[] file, Random random)
    {
        (byte[] header, byte[] data) = Split(file);
        int length = random.Next(2) == 0 ? Math.Max(0, data.Length + random.Next(-9, 10)) : random.Next(4096);
        Array.Resize(ref data, length);
        return Join(header, data, (ulong)header.Length);
    }

    // A file that is damaged already is taken to have whatever header its length leaves room for.
    private static (byte[] Header, byte[] Data) Split(byte[] file)
    {
        if (file.Length < PrefixLength)
            return (file, []);
        ulong length = BinaryPrimitives.ReadUInt64LittleEndian(file);
        int end = PrefixLength + (int)Math.Min(length, (ulong)(file.Length - PrefixLength));
        return (file[PrefixLength..end], file[end..]);
    }

    private static byte[] Join(byte[] header, byte[] data, ulong length)
    {
        var prefix = new byte[PrefixLength];
        BinaryPrimitives.WriteUInt64LittleEndian(prefix, length);
        return [.. prefix, .. header, .. data];
    }
}
