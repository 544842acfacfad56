using System.Numerics;
using System.Runtime.InteropServices;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML;

/// <summary>Reads one column of the row that a cursor stands on into the slots of a field.</summary>
internal abstract class FieldReader
{
    /// <summary>
    /// Copies the current row's values into row <paramref name="row"/> of a field, and says whether all of them are
    /// finite.
    /// </summary>
    public abstract bool Read(RowBlock block, int field, int row);

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
            VectorDataViewType => new Vector(Getter<VBuffer<float>>(), column.Name),
            TextDataViewType => new Text(Getter<ReadOnlyMemory<char>>()),
            BooleanDataViewType => new Truth(Getter<bool>()),
            KeyDataViewType key when key.RawType == typeof(byte) => new Key<byte>(Getter<byte>()),
            KeyDataViewType key when key.RawType == typeof(ushort) => new Key<ushort>(Getter<ushort>()),
            KeyDataViewType key when key.RawType == typeof(uint) => new Key<uint>(Getter<uint>()),
            KeyDataViewType => new Key<ulong>(Getter<ulong>()),
            _ when field.Categories is { } categories => new Category(Getter<float>(), [.. categories]),
            _ => new Number(Getter<float>()),
        };

        ValueGetter<T> Getter<T>() => (ValueGetter<T>?)getter ?? input.GetGetter<T>(column);
    }

    /// <summary>A vector of Single; sparse ones become dense.</summary>
    private sealed class Vector(ValueGetter<VBuffer<float>> getter, string column) : FieldReader
    {
        private VBuffer<float> _buffer;

        public override bool Read(RowBlock block, int field, int row)
        {
            Span<float> values = block.SingleRow(field, row);
            getter(ref _buffer);
            if (_buffer.Length != values.Length)
            {
                throw new InvalidOperationException(
                    $"Column '{column}' promises {values.Length} values in each row, but a row has {_buffer.Length}.");
            }
            if (_buffer.IsDense)
                return CopyFinite(_buffer.GetValues(), values);
            _buffer.CopyTo(values);
            return CopyFinite(values, values);
        }

        /// <summary>Copies values, and says whether all are finite.</summary>
        private static bool CopyFinite(ReadOnlySpan<float> values, Span<float> target)
        {
            ref float from = ref MemoryMarshal.GetReference(values);
            ref float to = ref MemoryMarshal.GetReference(target[..values.Length]);
            Vector<int> finite = Vector<int>.AllBitsSet;
            int i = 0;
            for (; i <= values.Length - Vector<float>.Count; i += Vector<float>.Count)
            {
                Vector<float> some = System.Numerics.Vector.LoadUnsafe(ref from, (nuint)i);
                some.StoreUnsafe(ref to, (nuint)i);
                // Neither infinity nor NaN is below infinity.
                finite &= System.Numerics.Vector.LessThan(
                    System.Numerics.Vector.Abs(some), new Vector<float>(float.PositiveInfinity));
            }
            bool all = System.Numerics.Vector.EqualsAll(finite, Vector<int>.AllBitsSet);
            for (; i < values.Length; i++)
            {
                target[i] = values[i];
                all &= float.IsFinite(values[i]);
            }
            return all;
        }
    }

    private sealed class Number(ValueGetter<float> getter) : FieldReader
    {
        public override bool Read(RowBlock block, int field, int row)
        {
            ref float value = ref block.SingleRow(field, row)[0];
            getter(ref value);
            return float.IsFinite(value);
        }
    }

    /// <summary>One slot for each value that is known; none is set for others.</summary>
    private sealed class Category(ValueGetter<float> getter, float[] categories) : FieldReader
    {
        public override bool Read(RowBlock block, int field, int row)
        {
            Span<float> slots = block.SingleRow(field, row);
            float value = 0;
            getter(ref value);
            // So that a replacement, which is each slot's mean, is each category's share.
            slots.Fill(float.IsFinite(value) ? 0 : float.NaN);
            int category = Array.IndexOf(categories, value);
            if (category >= 0)
                slots[category] = 1;
            return float.IsFinite(value);
        }
    }

    private sealed class Truth(ValueGetter<bool> getter) : FieldReader
    {
        public override bool Read(RowBlock block, int field, int row)
        {
            bool value = false;
            getter(ref value);
            block.SingleRow(field, row)[0] = value ? 1 : 0;
            return true;
        }
    }

    private sealed class Text(ValueGetter<ReadOnlyMemory<char>> getter) : FieldReader
    {
        private ReadOnlyMemory<char> _value;

        public override bool Read(RowBlock block, int field, int row)
        {
            getter(ref _value);
            block.Texts(field)[row] = _value.ToString();
            return true;
        }
    }

    /// <summary>One slot for each value of the key; keys count from one, and zero is a missing one.</summary>
    private sealed class Key<T>(ValueGetter<T> getter) : FieldReader
        where T : struct, IBinaryInteger<T>
    {
        public override bool Read(RowBlock block, int field, int row)
        {
            Span<float> slots = block.SingleRow(field, row);
            T value = T.Zero;
            getter(ref value);
            ulong key = ulong.CreateTruncating(value);
            slots.Clear();
            if (key > 0 && key <= (ulong)slots.Length)
                slots[(int)key - 1] = 1;
            return true;
        }
    }
}
