using System.Numerics;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Rows;

/// <summary>Reads one column of the row that a cursor stands on into the slots of a field.</summary>
internal abstract class FieldReader
{
    /// <summary>Copies the current row's values, and says whether all of them are finite.</summary>
    public abstract bool Read(Span<float> row);

    /// <summary>A reader for a column that <see cref="InputColumns"/> has found.</summary>
    /// <param name="input">The rows.</param>
    /// <param name="column">The column.</param>
    /// <param name="getter">How its values are got, where not from <paramref name="input"/> itself.</param>
    public static FieldReader Open(DataViewRow input, DataViewSchema.Column column, Delegate? getter = null)
    {
        return column.Type switch
        {
            VectorDataViewType => new Vector(Getter<VBuffer<float>>(), column.Name),
            BooleanDataViewType => new Truth(Getter<bool>()),
            KeyDataViewType key when key.RawType == typeof(byte) => new Key<byte>(Getter<byte>()),
            KeyDataViewType key when key.RawType == typeof(ushort) => new Key<ushort>(Getter<ushort>()),
            KeyDataViewType key when key.RawType == typeof(uint) => new Key<uint>(Getter<uint>()),
            KeyDataViewType => new Key<ulong>(Getter<ulong>()),
            _ => new Number(Getter<float>()),
        };

        ValueGetter<T> Getter<T>() => (ValueGetter<T>?)getter ?? input.GetGetter<T>(column);
    }

    /// <summary>A vector of Single; sparse ones become dense.</summary>
    private sealed class Vector(ValueGetter<VBuffer<float>> getter, string column) : FieldReader
    {
        private VBuffer<float> _buffer;

        public override bool Read(Span<float> row)
        {
            getter(ref _buffer);
            if (_buffer.Length != row.Length)
            {
                throw new InvalidOperationException(
                    $"Column '{column}' promises {row.Length} values in each row, but a row has {_buffer.Length}.");
            }
            _buffer.CopyTo(row);
            foreach (float x in row)
            {
                if (!float.IsFinite(x))
                    return false;
            }
            return true;
        }
    }

    private sealed class Number(ValueGetter<float> getter) : FieldReader
    {
        public override bool Read(Span<float> row)
        {
            getter(ref row[0]);
            return float.IsFinite(row[0]);
        }
    }

    private sealed class Truth(ValueGetter<bool> getter) : FieldReader
    {
        public override bool Read(Span<float> row)
        {
            bool value = false;
            getter(ref value);
            row[0] = value ? 1 : 0;
            return true;
        }
    }

    /// <summary>One slot for each value of the key; keys count from one, and zero is a missing one.</summary>
    private sealed class Key<T>(ValueGetter<T> getter) : FieldReader
        where T : struct, IBinaryInteger<T>
    {
        public override bool Read(Span<float> row)
        {
            T value = T.Zero;
            getter(ref value);
            ulong key = ulong.CreateTruncating(value);
            row.Clear();
            if (key > 0 && key <= (ulong)row.Length)
                row[(int)key - 1] = 1;
            return true;
        }
    }
}
