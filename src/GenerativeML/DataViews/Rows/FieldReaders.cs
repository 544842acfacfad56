using System.Numerics;
using System.Numerics.Tensors;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML;

/// <summary>
/// Copies a column's value in the row that a cursor stands on into row <paramref name="row"/> of a field, and says
/// whether all of it is finite.
/// </summary>
internal delegate bool FieldReader(RowBlock block, int field, int row);

/// <summary>Reads columns of the row that a cursor stands on into the slots of fields.</summary>
internal static class FieldReaders
{
    /// <summary>A reader for a column that <see cref="InputColumns"/> has found.</summary>
    /// <param name="input">The rows.</param>
    /// <param name="column">The column.</param>
    /// <param name="field">What it is to a model.</param>
    /// <param name="getter">How its values are got, where not from <paramref name="input"/> itself.</param>
    public static FieldReader Open(
        DataViewRow input, DataViewSchema.Column column, RowField field, Delegate? getter = null)
    {
        return column.Type switch
        {
            VectorDataViewType => Vector(Getter<VBuffer<float>>(), column.Name),
            TextDataViewType => Text(Getter<ReadOnlyMemory<char>>()),
            BooleanDataViewType => Number(Getter<bool>(), value => value ? 1 : 0),
            KeyDataViewType key when key.RawType == typeof(byte) => Key(Getter<byte>()),
            KeyDataViewType key when key.RawType == typeof(ushort) => Key(Getter<ushort>()),
            KeyDataViewType key when key.RawType == typeof(uint) => Key(Getter<uint>()),
            KeyDataViewType => Key(Getter<ulong>()),
            _ when field.Categories is { } categories => Category(Getter<float>(), [.. categories]),
            _ => Number(Getter<float>(), value => value),
        };

        ValueGetter<T> Getter<T>() => (ValueGetter<T>?)getter ?? input.GetGetter<T>(column);
    }

    /// <summary>A vector of Single; sparse ones become dense.</summary>
    private static FieldReader Vector(ValueGetter<VBuffer<float>> getter, string column)
    {
        VBuffer<float> buffer = default;
        return (block, field, row) =>
        {
            Span<float> values = block.SingleRow(field, row);
            getter(ref buffer);
            if (buffer.Length != values.Length)
            {
                throw new InvalidOperationException(
                    $"Column '{column}' promises {values.Length} values in each row, but a row has {buffer.Length}.");
            }
            buffer.CopyTo(values);
            return float.IsFinite(TensorPrimitives.MaxMagnitude<float>(values)); // NaN if there is one
        };
    }

    private static FieldReader Number<T>(ValueGetter<T> getter, Func<T, float> convert) => (block, field, row) =>
    {
        T value = default!;
        getter(ref value);
        float number = block.SingleRow(field, row)[0] = convert(value);
        return float.IsFinite(number);
    };

    /// <summary>One slot for each value that is known; none is set for others.</summary>
    private static FieldReader Category(ValueGetter<float> getter, float[] categories) => (block, field, row) =>
    {
        float value = 0;
        getter(ref value);
        // NaN, so that a replacement, which is each slot's mean, is each category's share.
        block.SingleRow(field, row).Fill(float.IsFinite(value) ? 0 : float.NaN);
        if (Array.IndexOf(categories, value) is >= 0 and int category)
            block.SingleRow(field, row)[category] = 1;
        return float.IsFinite(value);
    };

    private static FieldReader Text(ValueGetter<ReadOnlyMemory<char>> getter)
    {
        ReadOnlyMemory<char> value = default;
        return (block, field, row) =>
        {
            getter(ref value);
            block.Texts(field)[row] = value.ToString();
            return true;
        };
    }

    /// <summary>One slot for each value of the key; keys count from one, and zero is a missing one.</summary>
    private static FieldReader Key<T>(ValueGetter<T> getter)
        where T : struct, IBinaryInteger<T> => (block, field, row) =>
        {
            Span<float> slots = block.SingleRow(field, row);
            T value = T.Zero;
            getter(ref value);
            ulong key = ulong.CreateTruncating(value);
            slots.Clear();
            if (key > 0 && key <= (ulong)slots.Length)
                slots[(int)key - 1] = 1;
            return true;
        };
}
