using System.Globalization;
using System.Numerics;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Rows;

/// <summary>
/// The cells of one column of the row that a cursor stands on: one for a scalar, one for each slot of a vector. Numbers
/// are read as <see cref="double"/>, NaN where one is missing; Booleans, text and keys as text, empty where one is
/// missing.
/// </summary>
internal abstract class TableCells
{
    private const string KeyValues = "KeyValues";

    private protected TableCells(int count) => Count = count;

    /// <summary>The number of cells.</summary>
    public int Count { get; }

    /// <summary>Whether a column of this type holds numbers, or else categories.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is of a type that no table can hold.</exception>
    public static bool AreNumbers(DataViewSchema.Column column, string parameter)
    {
        var vector = column.Type as VectorDataViewType;
        DataViewType item = vector is { IsKnownSize: true } ? vector.ItemType : column.Type;
        return item switch
        {
            NumberDataViewType => true,
            BooleanDataViewType or TextDataViewType or KeyDataViewType => false,
            _ => throw new ArgumentOutOfRangeException(
                parameter,
                $"Column '{column.Name}' is of the wrong type: expected numbers, Boolean, text, a key, or a vector of "
                + $"these of known size, found {column.Type}."),
        };
    }

    /// <summary>The names of a column's cells: its own name, or that and the slot's.</summary>
    public static string[] NamesOf(DataViewSchema.Column column)
    {
        if (column.Type is not VectorDataViewType vector)
            return [column.Name];
        VBuffer<ReadOnlyMemory<char>> slots = default;
        if (column.HasSlotNames())
            column.GetSlotNames(ref slots);
        ReadOnlyMemory<char>[] names = [.. slots.DenseValues()];
        return
        [
            .. Enumerable.Range(0, vector.Size).Select(i => i < names.Length && !names[i].IsEmpty
                ? $"{column.Name}.{names[i]}"
                : string.Create(CultureInfo.InvariantCulture, $"{column.Name}.{i}")),
        ];
    }

    /// <summary>A reader for one column of a row, which is active there.</summary>
    public static TableCells Of(DataViewRow row, DataViewSchema.Column column)
    {
        DataViewType item = (column.Type as VectorDataViewType)?.ItemType ?? column.Type;
        return item switch
        {
            KeyDataViewType when item.RawType == typeof(byte) => Keys<byte>(row, column),
            KeyDataViewType when item.RawType == typeof(ushort) => Keys<ushort>(row, column),
            KeyDataViewType when item.RawType == typeof(uint) => Keys<uint>(row, column),
            KeyDataViewType => Keys<ulong>(row, column),
            BooleanDataViewType => new Cells<bool>(row, column, text: value => value ? "true" : "false"),
            TextDataViewType => new Cells<ReadOnlyMemory<char>>(row, column, text: value => value.ToString()),
            _ when item.RawType == typeof(float) => Numbers<float>(row, column),
            _ when item.RawType == typeof(double) => Numbers<double>(row, column),
            _ when item.RawType == typeof(sbyte) => Numbers<sbyte>(row, column),
            _ when item.RawType == typeof(byte) => Numbers<byte>(row, column),
            _ when item.RawType == typeof(short) => Numbers<short>(row, column),
            _ when item.RawType == typeof(ushort) => Numbers<ushort>(row, column),
            _ when item.RawType == typeof(int) => Numbers<int>(row, column),
            _ when item.RawType == typeof(uint) => Numbers<uint>(row, column),
            _ when item.RawType == typeof(long) => Numbers<long>(row, column),
            _ => Numbers<ulong>(row, column),
        };
    }

    /// <summary>Reads the cells of the current row.</summary>
    public abstract void Read();

    /// <summary>A cell that was read, of a column of numbers.</summary>
    public abstract double Number(int cell);

    /// <summary>A cell that was read, of any column.</summary>
    public abstract string Text(int cell);

    private static Cells<T> Numbers<T>(DataViewRow row, DataViewSchema.Column column)
        where T : INumber<T> => new(
            row,
            column,
            text: value => value.ToString(null, CultureInfo.InvariantCulture),
            number: value => double.CreateChecked(value) is var x && double.IsFinite(x) ? x : double.NaN);

    /// <summary>Keys go by their values, where the column tells them, and by their number from one otherwise.</summary>
    private static Cells<T> Keys<T>(DataViewRow row, DataViewSchema.Column column)
        where T : IBinaryInteger<T>
    {
        string[] values = KeyTexts(column);
        return new(row, column, text: value =>
        {
            ulong key = ulong.CreateChecked(value);
            return key == 0 ? ""
                : key <= (ulong)values.Length ? values[key - 1]
                : key.ToString(CultureInfo.InvariantCulture);
        });
    }

    private static string[] KeyTexts(DataViewSchema.Column column)
    {
        if (column.Annotations.Schema.GetColumnOrNull(KeyValues) is not DataViewSchema.Column values
            || values.Type is not VectorDataViewType { IsKnownSize: true } vector
            || vector.ItemType is not (NumberDataViewType or BooleanDataViewType or TextDataViewType))
        {
            return [];
        }
        TableCells cells = Of(new AnnotationRow(column.Annotations), values);
        cells.Read();
        return [.. Enumerable.Range(0, cells.Count).Select(cells.Text)];
    }

    private sealed class Cells<T> : TableCells
    {
        private readonly ValueGetter<T>? _scalar;
        private readonly ValueGetter<VBuffer<T>>? _vector;
        private readonly Func<T, string> _text;
        private readonly Func<T, double>? _number;
        private readonly T[] _values;
        private readonly string _name;
        private VBuffer<T> _buffer;

        public Cells(
            DataViewRow row, DataViewSchema.Column column, Func<T, string> text, Func<T, double>? number = null)
            : base((column.Type as VectorDataViewType)?.Size ?? 1)
        {
            _name = column.Name;
            _text = text;
            _number = number;
            _values = new T[Count];
            if (column.Type is VectorDataViewType)
                _vector = row.GetGetter<VBuffer<T>>(column);
            else
                _scalar = row.GetGetter<T>(column);
        }

        public override void Read()
        {
            if (_scalar is not null)
            {
                _scalar(ref _values[0]);
                return;
            }
            _vector!(ref _buffer);
            if (_buffer.Length != Count)
            {
                throw new InvalidOperationException(
                    $"Column '{_name}' promises {Count} values in each row, but a row has {_buffer.Length}.");
            }
            _buffer.CopyTo(_values);
        }

        public override double Number(int cell) => _number!(_values[cell]);

        public override string Text(int cell) => _text(_values[cell]);
    }

    /// <summary>The annotations of a column, read as if they were a row.</summary>
    private sealed class AnnotationRow(DataViewSchema.Annotations annotations) : DataViewRow
    {
        public override DataViewSchema Schema => annotations.Schema;

        public override long Position => 0;

        public override long Batch => 0;

        public override bool IsColumnActive(DataViewSchema.Column column) => true;

        public override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column) =>
            annotations.GetGetter<TValue>(column);

        public override ValueGetter<DataViewRowId> GetIdGetter() => (ref DataViewRowId id) => id = default;
    }
}
