using System.Collections;

namespace Microsoft.ML.Data;

/// <summary>A vector, dense (no indices) or sparse (ascending indices); its arrays may be longer.</summary>
public readonly struct VBuffer<T> : IEnumerable
{
    public readonly int Length;

    internal readonly int Count;
    internal readonly T[] Values;
    internal readonly int[] Indices;

    public VBuffer(int length, T[] values, int[] indices = null)
        : this(length, length, values, indices)
    {
    }

    public VBuffer(int length, int count, T[] values, int[] indices)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        if (count < 0 || count > length)
            throw new ArgumentOutOfRangeException(nameof(count));
        if ((values?.Length ?? 0) < count)
            throw new ArgumentOutOfRangeException(nameof(values));
        if (count < length && (indices?.Length ?? 0) < count)
            throw new ArgumentOutOfRangeException(nameof(indices));
        Length = length;
        Count = count;
        Values = values;
        Indices = indices;
    }

    public bool IsDense => Count == Length;

    public ReadOnlySpan<T> GetValues() => Values.AsSpan(0, Count);

    public ReadOnlySpan<int> GetIndices() => IsDense ? default : Indices.AsSpan(0, Count);

    public void CopyTo(ref VBuffer<T> destination)
    {
        VBufferEditor<T> editor = VBufferEditor.Create(ref destination, Length, Count);
        GetValues().CopyTo(editor.Values);
        if (!IsDense)
            GetIndices().CopyTo(editor.Indices);
        destination = editor.Commit();
    }

    public void CopyTo(Span<T> destination) => CopyTo(destination, 0);

    public void CopyTo(Span<T> destination, int destinationIndex, T defaultValue = default)
    {
        if (destinationIndex < 0 || destinationIndex > destination.Length - Length)
            throw new ArgumentOutOfRangeException(nameof(destinationIndex));
        destination = destination.Slice(destinationIndex, Length);
        if (IsDense)
        {
            GetValues().CopyTo(destination);
            return;
        }

        destination.Fill(defaultValue);
        for (int i = 0; i < Count; i++)
            destination[Indices[i]] = Values[i];
    }

    public static void Copy(T[] source, int sourceIndex, ref VBuffer<T> destination, int length)
    {
        VBufferEditor<T> editor = VBufferEditor.Create(ref destination, length);
        source.AsSpan(sourceIndex, length).CopyTo(editor.Values);
        destination = editor.Commit();
    }

    public IEnumerable<KeyValuePair<int, T>> Items(bool all = false)
    {
        if (all && !IsDense)
        {
            for (int i = 0; i < Length; i++)
                yield return new(i, GetItemOrDefault(i));
            yield break;
        }

        for (int i = 0; i < Count; i++)
            yield return new(IsDense ? i : Indices[i], Values[i]);
    }

    public IEnumerable<T> DenseValues() => Items(all: true).Select(item => item.Value);

    public T GetItemOrDefault(int index)
    {
        if (index < 0 || index >= Length)
            throw new ArgumentOutOfRangeException(nameof(index));
        int at = IsDense ? index : GetIndices().BinarySearch(index);
        return at >= 0 ? Values[at] : default;
    }

    public override string ToString()
        => IsDense ? $"{Length} values" : $"{Count} of {Length} values";

    public IEnumerator GetEnumerator() => DenseValues().GetEnumerator();
}
