using System.Buffers.Binary;

namespace GenerativeML.Tests.Hostile;

/// <summary>A way of damaging a file: gives a new file, leaves the old one as it is.</summary>
internal delegate byte[] Mutation(byte[] file, Random random);

/// <summary>Damage that needs no idea of what a file holds.</summary>
internal static class Mutations
{
    // Where code that counts with 8 to 64 bits goes wrong.
    private static readonly ulong[] Numbers =
    [
        0, 1, 2, 7, 8, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 99_999_999, 100_000_000, 100_000_001,
        int.MaxValue, 1UL << 31, uint.MaxValue, 1UL << 32, long.MaxValue, 1UL << 63, ulong.MaxValue - 7, ulong.MaxValue,
    ];

    /// <summary>All of them; those that join two files take the second from <paramref name="others"/>.</summary>
    public static IReadOnlyList<Mutation> Any(IReadOnlyList<byte[]> others) =>
    [
        FlipBits, Overwrite, OverwriteNumber, Truncate, Append, Cut, Repeat, Swap,
        (file, random) => Splice(file, others, random),
    ];

    public static byte[] FlipBits(byte[] file, Random random)
    {
        byte[] damaged = [.. file];
        for (int i = random.Next(1, 9); i > 0 && file.Length > 0; i--)
            damaged[random.Next(file.Length)] ^= (byte)(1 << random.Next(8));
        return damaged;
    }

    public static byte[] Overwrite(byte[] file, Random random)
    {
        byte[] damaged = [.. file];
        (int start, int length) = Piece(file, random, 32);
        random.NextBytes(damaged.AsSpan(start, length));
        return damaged;
    }

    public static byte[] OverwriteNumber(byte[] file, Random random)
    {
        byte[] damaged = [.. file];
        Span<byte> number = stackalloc byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(number, Numbers[random.Next(Numbers.Length)]);
        int size = 1 << random.Next(4);
        // The start of a file is where its counts are.
        int start = random.Next(random.Next(2) == 0 ? Math.Min(file.Length + 1, 16) : file.Length + 1);
        number[..Math.Min(size, file.Length - start)].CopyTo(damaged.AsSpan(start));
        return damaged;
    }

    public static byte[] Truncate(byte[] file, Random random) =>
        file[..^Math.Min(file.Length, random.Next(2) == 0 ? random.Next(1, 16) : random.Next(file.Length + 1))];

    public static byte[] Append(byte[] file, Random random)
    {
        var more = new byte[random.Next(1, 64)];
        random.NextBytes(more);
        return [.. file, .. more];
    }

    public static byte[] Cut(byte[] file, Random random)
    {
        (int start, int length) = Piece(file, random, 64);
        return [.. file[..start], .. file[(start + length)..]];
    }

    public static byte[] Repeat(byte[] file, Random random)
    {
        (int start, int length) = Piece(file, random, 64);
        return [.. file[..(start + length)], .. file[start..]];
    }

    public static byte[] Swap(byte[] file, Random random)
    {
        (int start, int length) = Piece(file, random, 64);
        int middle = start + random.Next(length + 1);
        int end = start + length;
        return [.. file[..start], .. file[middle..end], .. file[start..middle], .. file[end..]];
    }

    public static byte[] Splice(byte[] file, IReadOnlyList<byte[]> others, Random random)
    {
        byte[] other = others[random.Next(others.Count)];
        return [.. file[..random.Next(file.Length + 1)], .. other[random.Next(other.Length + 1)..]];
    }

    private static (int Start, int Length) Piece(byte[] file, Random random, int most)
    {
        int start = random.Next(file.Length + 1);
        return (start, Math.Min(random.Next(1, most + 1), file.Length - start));
    }
}
