using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML;

/// <summary>What the items of all types do in the same way.</summary>
internal abstract class TypedItem<T>(string name, PrimitiveDataViewType type) : TableItem(name, type)
{
    /// <summary>Takes a value into the form in which it is learned.</summary>
    protected abstract void Take(T value, RowCells cells, int field);

    /// <summary>The values in the form in which they are learned.</summary>
    protected abstract TableValues Learned(IReadOnlyList<T> values);

    /// <summary>The values from that form.</summary>
    protected abstract T[] Restored(TableValues values);

    /// <summary>The values of a field that was generated, row by row.</summary>
    protected abstract Func<int, T> Decoded(DecodedField field);

    /// <inheritdoc/>
    public override Action Reader(
        DataViewRow row, DataViewSchema.Column column, RowCells cells, int first, int? width)
    {
        if (width is not int slots)
        {
            ValueGetter<T> scalar = row.GetGetter<T>(column);
            T value = default!;
            return () =>
            {
                scalar(ref value);
                Take(value, cells, first);
            };
        }
        ValueGetter<VBuffer<T>> vector = row.GetGetter<VBuffer<T>>(column);
        VBuffer<T> buffer = default;
        var values = new T[slots];
        return () =>
        {
            vector(ref buffer);
            if (buffer.Length != slots)
            {
                throw new InvalidOperationException(
                    $"Column '{column.Name}' promises {slots} values in each row, but a row has {buffer.Length}.");
            }
            buffer.CopyTo(values);
            for (int i = 0; i < slots; i++)
                Take(values[i], cells, first + i);
        };
    }

    /// <inheritdoc/>
    public override TableValues ReadAnnotation(
        DataViewSchema.Annotations annotations, DataViewSchema.Column annotation)
    {
        if (annotation.Type is VectorDataViewType)
        {
            VBuffer<T> buffer = default;
            annotations.GetValue(annotation.Name, ref buffer);
            return Learned([.. buffer.DenseValues()]);
        }
        T value = default!;
        annotations.GetValue(annotation.Name, ref value);
        return Learned([value]);
    }

    /// <inheritdoc/>
    public override void AddAnnotation(
        DataViewSchema.Annotations.Builder builder, string name, DataViewType annotationType, TableValues values)
    {
        T[] restored = Restored(values);
        if (annotationType is VectorDataViewType)
        {
            builder.Add(name, annotationType, (ValueGetter<VBuffer<T>>)((ref VBuffer<T> value) =>
                VBuffer<T>.Copy(restored, 0, ref value, restored.Length)));
        }
        else
        {
            builder.Add(name, annotationType, (ValueGetter<T>)((ref T value) => value = restored[0]));
        }
    }

    /// <inheritdoc/>
    public override Delegate Getter(IReadOnlyList<DecodedField> fields, bool vector, IBatchPosition at)
    {
        Func<int, T>[] slots = [.. fields.Select(CellsOf)];
        if (!vector)
        {
            Func<int, T> scalar = slots[0];
            return (ValueGetter<T>)((ref T value) => value = scalar(at.Row));
        }
        return (ValueGetter<VBuffer<T>>)((ref VBuffer<T> value) =>
        {
            int row = at.Row;
            VBufferEditor<T> editor = VBufferEditor.Create(ref value, slots.Length);
            for (int i = 0; i < slots.Length; i++)
                editor.Values[i] = slots[i](row);
            value = editor.Commit();
        });
    }

    private Func<int, T> CellsOf(DecodedField field)
    {
        if (field.Categories is not TableValues categories)
            return Decoded(field);
        T[] values = Restored(categories);
        int[] codes = field.Codes;
        return row => values[codes[row]];
    }
}

/// <summary>Values that are learned as numbers; NaN is a missing one, and so is the zero of a key.</summary>
internal sealed class NumberItem<T>(
    string name, PrimitiveDataViewType type, Func<T, double> read, Func<double, T> write) : TypedItem<T>(name, type)
{
    /// <inheritdoc/>
    protected override void Take(T value, RowCells cells, int field) => cells.Numbers[field] = read(value);

    /// <inheritdoc/>
    protected override TableValues Learned(IReadOnlyList<T> values) => new() { Numbers = [.. values.Select(read)] };

    /// <inheritdoc/>
    protected override T[] Restored(TableValues values) => [.. (values.Numbers ?? []).Select(write)];

    /// <inheritdoc/>
    protected override Func<int, T> Decoded(DecodedField field)
    {
        double[] numbers = field.Numbers;
        double unit = field.Unit;
        return row => write(numbers[row] * unit);
    }
}

/// <summary>Texts; the empty one is missing.</summary>
internal sealed class TextItem() : TypedItem<ReadOnlyMemory<char>>("Text", TextDataViewType.Instance)
{
    /// <inheritdoc/>
    protected override void Take(ReadOnlyMemory<char> value, RowCells cells, int field) => cells.Texts[field] = value;

    /// <inheritdoc/>
    protected override TableValues Learned(IReadOnlyList<ReadOnlyMemory<char>> values) =>
        new() { Texts = [.. values.Select(v => v.ToString())] };

    /// <inheritdoc/>
    protected override ReadOnlyMemory<char>[] Restored(TableValues values) =>
        [.. (values.Texts ?? []).Select(text => text.AsMemory())];

    /// <inheritdoc/>
    protected override Func<int, ReadOnlyMemory<char>> Decoded(DecodedField field) =>
        throw new InvalidOperationException("Texts are always categories.");
}
