using System.Globalization;
using System.Numerics;

namespace GenerativeML;

/// <summary>
/// A hash of values in their order, by which data is known again. Quick rather than safe against somebody who wants two
/// texts with the same one.
/// </summary>
internal struct Fingerprint()
{
    private const ulong Factor = 0x9E3779B97F4A7C15;

    private ulong _state = Factor;

    public void Add(ulong value) => _state = BitOperations.RotateLeft((_state ^ value) * Factor, 29);

    public void Add(ReadOnlySpan<float> values)
    {
        foreach (float value in values)
            Add(BitConverter.SingleToUInt32Bits(value));
    }

    public void Add(ReadOnlySpan<long> values)
    {
        foreach (long value in values)
            Add((ulong)value);
    }

    public void Add(string text)
    {
        Add((ulong)text.Length);
        foreach (char c in text)
            Add(c);
    }

    /// <summary>16 hexadecimal digits.</summary>
    public override readonly string ToString() =>
        new SplitMix64(_state).Next().ToString("x16", CultureInfo.InvariantCulture);
}

/// <summary>The fingerprint of each field of rows, whatever the blocks in which they are read.</summary>
internal sealed class RowFingerprint(IReadOnlyList<RowField> fields)
{
    private readonly Fingerprint[] _fields = [.. fields.Select(_ => new Fingerprint())];

    /// <summary>Adds the first <paramref name="count"/> rows of a block.</summary>
    public void Add(RowBlock block, int count)
    {
        for (int f = 0; f < _fields.Length; f++)
        {
            int values = count * fields[f].Width;
            if (fields[f].Kind == FieldKind.Single)
                _fields[f].Add(block.Singles(f)[..values]);
            else if (fields[f].Kind == FieldKind.Int64)
                _fields[f].Add(block.Int64s(f)[..values]);
            else
                foreach (string text in block.Texts(f)[..values])
                    _fields[f].Add(text);
        }
    }

    /// <summary>One for each field.</summary>
    public IReadOnlyList<string> Values => [.. _fields.Select(f => f.ToString())];
}
