namespace GenerativeML;

/// <summary>Which slots of a Single field hold nothing but zeros and ones in the training rows.</summary>
internal sealed class BinarySlots(int field, int width) : IRowObserver
{
    private readonly bool[] _other = new bool[width];

    /// <summary>Whether slot <paramref name="slot"/> has held nothing else.</summary>
    public bool this[int slot] => !_other[slot];

    /// <inheritdoc />
    public void Observe(RowBlock block, int start, int count)
    {
        for (int i = start; i < start + count; i++)
        {
            ReadOnlySpan<float> row = block.SingleRow(field, i);
            for (int j = 0; j < row.Length; j++)
                _other[j] |= row[j] is not (0 or 1);
        }
    }
}
