namespace Microsoft.ML.Data;

public static class VBufferEditor
{
    /// <summary>Arrays of the destination are used again where they are large enough.</summary>
    public static VBufferEditor<T> Create<T>(
        ref VBuffer<T> destination,
        int newLogicalLength,
        int? valuesCount = null,
        int? maxValuesCapacity = null,
        bool keepOldOnResize = false,
        bool requireIndicesOnDense = false)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(newLogicalLength);
        int count = valuesCount ?? newLogicalLength;
        if (count < 0 || count > newLogicalLength)
            throw new ArgumentOutOfRangeException(nameof(valuesCount));

        T[] values = destination.Values;
        Ensure(ref values, count, keepOldOnResize);
        int[] indices = destination.Indices;
        if (count < newLogicalLength || requireIndicesOnDense)
            Ensure(ref indices, count, keepOldOnResize);
        return new VBufferEditor<T>(newLogicalLength, count, values, indices);
    }

    private static void Ensure<TItem>(ref TItem[] array, int count, bool keepOld)
    {
        if (array is not null && array.Length >= count)
            return;
        if (keepOld)
            Array.Resize(ref array, count);
        else
            array = count == 0 ? [] : new TItem[count];
    }
}

public readonly ref struct VBufferEditor<T>
{
    private readonly int _length;
    private readonly T[] _values;
    private readonly int[] _indices;

    public readonly Span<T> Values;
    public readonly Span<int> Indices;

    internal VBufferEditor(int length, int count, T[] values, int[] indices)
    {
        _length = length;
        _values = values;
        _indices = indices;
        Values = values.AsSpan(0, count);
        Indices = indices is null ? default : indices.AsSpan(0, Math.Min(count, indices.Length));
    }

    public VBuffer<T> Commit() => new(_length, Values.Length, _values, _indices);
}
