using System.Globalization;
using Microsoft.ML;
using Microsoft.ML.Data;
using Parquet;
using Parquet.Schema;

namespace DataFiles;

/// <summary>
/// A Parquet file: columns that are asked for, one row group in memory at a time. Lists and maps have no place in a table and are
/// left out, fields of a structure are columns.
/// </summary>
internal sealed class ParquetFile : TableFile
{
    private Source[] _sources = [];

    /// <inheritdoc cref="TableFile.Open"/>
    public static new ParquetFile Open(string path, TableFileOptions options)
    {
        try
        {
            return Read(path, options);
        }
        catch (Exception e) when (IsDamage(e))
        {
            throw Damaged(path, e);
        }
    }

    /// <inheritdoc/>
    protected override IRows Read(bool[] active) => new Rows(Path, _sources, active);

    private static ParquetFile Read(string path, TableFileOptions options)
    {
        ParquetReader reader = Wait(ParquetReader.CreateAsync(path));
        try
        {
            List<Source> sources = [];
            List<string> notes = [];
            foreach ((int i, DataField field) in reader.Schema.DataFields.Index())
            {
                string name = string.Join('.', field.Path.ToList());
                Source? source = field.MaxRepetitionLevel > 0 ? null : SourceOf(field, name, i, HasGaps(reader, field));
                if (source is { Type.RawType: var raw } && raw == typeof(double) && IsBeyondDouble(reader, field))
                {
                    source = source with { Type = TextDataViewType.Instance, Open = source.OpenText };
                    notes.Add($"Column '{name}' has whole numbers that Double does not hold to the last digit: it was read as text.");
                }
                if (source is not null)
                    sources.Add(source);
                else
                    notes.Add($"Column '{name}' is left out: it holds {(field.MaxRepetitionLevel > 0 ? "lists" : "bytes")}.");
            }
            long rows = reader.Metadata!.NumRows;
            if (sources.Count == 0 || rows == 0)
                throw new InvalidDataException($"{path} has no {(rows == 0 ? "rows" : "columns that a table can hold")}. {string.Join(' ', notes)}");
            string[] names = [.. sources.Select(source => source.Name)];
            CheckNames(path, names);
            foreach (int column in options.AsText.Select(column => IndexOf(path, names, column)))
                sources[column] = sources[column] with { Type = TextDataViewType.Instance, Open = sources[column].OpenText };
            return new ParquetFile
            {
                Path = path, Columns = [.. sources.Select(source => new FileColumn(source.Name, source.Type))], RowCount = rows, Notes = notes,
                _sources = [.. sources],
            };
        }
        finally
        {
            reader.DisposeAsync().AsTask().GetAwaiter().GetResult();
        }
    }

    // What a damaged file ends in is anything: a wrong length, a header of no kind, a codec's own errors.
    private static bool IsDamage(Exception e) =>
        e is not (InvalidDataException or OutOfMemoryException or FileNotFoundException or UnauthorizedAccessException);

    // A failing disk and a lock are none of the file's: whoever reads its bytes alone meets them, too.
    private static InvalidDataException Damaged(string path, Exception e)
    {
        using (FileStream file = File.OpenRead(path))
            file.CopyTo(Stream.Null);
        return new($"{path} is no Parquet file, or a damaged one: {e.Message}", e);
    }

    // Most writers call every column one that may have gaps; counts say whether it has any.
    private static bool HasGaps(ParquetReader reader, DataField field) =>
        field.MaxDefinitionLevel > 0 && reader.RowGroups.Any(group => group.GetStatistics(field)?.NullCount is not 0);

    private static bool IsBeyondDouble(ParquetReader reader, DataField field) =>
        (field.ClrType == typeof(long) || field.ClrType == typeof(ulong)) && reader.RowGroups.Select(group => group.GetStatistics(field)).Any(known =>
            new[] { known?.MinValue, known?.MaxValue }.Any(value => Math.Abs(Convert.ToDouble(value, CultureInfo.InvariantCulture)) >= 1L << 53));

    private static Source? SourceOf(DataField field, string name, int index, bool gaps)
    {
        return field.ClrType switch
        {
            Type t when t == typeof(ReadOnlyMemory<char>) || t == typeof(string) => new(name, TextDataViewType.Instance, f => new TextColumn(f), f => new TextColumn(f), index),
            Type t when t == typeof(bool) => gaps ? Texts<bool>() : Values<bool, bool>(BooleanDataViewType.Instance, v => v!.Value),
            Type t when t == typeof(float) => Values<float, float>(NumberDataViewType.Single, v => v ?? float.NaN),
            Type t when t == typeof(double) => Values<double, double>(NumberDataViewType.Double, v => v ?? double.NaN),
            Type t when t == typeof(decimal) => Values<decimal, double>(NumberDataViewType.Double, v => (double?)v ?? double.NaN),
            Type t when t == typeof(sbyte) => Whole<sbyte>(v => v),
            Type t when t == typeof(byte) => Whole<byte>(v => v),
            Type t when t == typeof(short) => Whole<short>(v => v),
            Type t when t == typeof(ushort) => Whole<ushort>(v => v),
            Type t when t == typeof(int) => Whole<int>(v => v),
            Type t when t == typeof(uint) => Whole<uint>(v => v),
            Type t when t == typeof(long) => Whole<long>(v => v),
            Type t when t == typeof(ulong) => Values<ulong, double>(NumberDataViewType.Double, v => v ?? double.NaN),
            Type t when t == typeof(DateTime) => Values<DateTime, DateTime>(DateTimeDataViewType.Instance, v => v ?? DateTime.MinValue),
            Type t when t == typeof(DateOnly) => Values<DateOnly, DateTime>(
                DateTimeDataViewType.Instance, v => v?.ToDateTime(TimeOnly.MinValue) ?? DateTime.MinValue),
            Type t when t == typeof(TimeOnly) => Texts<TimeOnly>(),
            Type t when t == typeof(TimeSpan) => Texts<TimeSpan>(),
            Type t when t == typeof(Guid) => Texts<Guid>(),
            _ => null,
        };

        Source Values<T, TValue>(PrimitiveDataViewType type, Func<T?, TValue> convert) where T : struct =>
            new(name, type, f => new Column<T, TValue>(f, convert), f => new Column<T, ReadOnlyMemory<char>>(f, Text), index);

        Source Texts<T>() where T : struct => Values<T, ReadOnlyMemory<char>>(TextDataViewType.Instance, Text);

        // A whole number that may be missing is one with room for NaN.
        Source Whole<T>(Func<T?, long?> convert) where T : struct =>
            gaps ? Values<T, double>(NumberDataViewType.Double, v => convert(v) ?? double.NaN)
            : typeof(T) == typeof(long) || typeof(T) == typeof(uint) ? Values<T, long>(NumberDataViewType.Int64, v => convert(v)!.Value)
            : Values<T, int>(NumberDataViewType.Int32, v => (int)convert(v)!.Value);

        static ReadOnlyMemory<char> Text<T>(T? value) where T : struct =>
            (Convert.ToString(value, CultureInfo.InvariantCulture) ?? "").AsMemory();
    }

    // The samples read in one go; Parquet.Net reads in none but this way.
    private static T Wait<T>(Task<T> task) => task.GetAwaiter().GetResult();

    /// <summary>Where a column comes from, and what reads it as what it is and as text.</summary>
    private sealed record Source(
        string Name, PrimitiveDataViewType Type, Func<DataField, IGroupColumn> Open, Func<DataField, IGroupColumn> OpenText, int Index);

    /// <summary>A column's values in a row group.</summary>
    private interface IGroupColumn
    {
        Task LoadAsync(ParquetRowGroupReader group);

        Delegate Getter(Rows rows);
    }

    private sealed class Column<T, TValue>(DataField field, Func<T?, TValue> convert) : IGroupColumn where T : struct
    {
        private T?[] _values = [];

        public async Task LoadAsync(ParquetRowGroupReader group)
        {
            _values = new T?[group.RowCount];
            if (field.MaxDefinitionLevel > 0)
            {
                await group.ReadAsync<T>(field, _values.AsMemory()).ConfigureAwait(false);
                return;
            }
            T[] all = new T[group.RowCount];
            await group.ReadAsync<T>(field, all.AsMemory()).ConfigureAwait(false);
            for (int i = 0; i < all.Length; i++)
                _values[i] = all[i];
        }

        public Delegate Getter(Rows rows) => (ValueGetter<TValue>)((ref TValue value) => value = convert(_values[rows.At]));
    }

    private sealed class TextColumn(DataField field) : IGroupColumn
    {
        private string?[] _values = [];

        public async Task LoadAsync(ParquetRowGroupReader group)
        {
            _values = new string?[group.RowCount];
            await group.ReadAsync(field, _values.AsMemory()!).ConfigureAwait(false);
        }

        public Delegate Getter(Rows rows) =>
            (ValueGetter<ReadOnlyMemory<char>>)((ref ReadOnlyMemory<char> value) => value = _values[rows.At].AsMemory());
    }

    private sealed class Rows : IRows
    {
        private readonly string _path;
        private readonly ParquetReader _reader;
        private readonly IGroupColumn?[] _columns;
        private int _group = -1;
        private long _count;

        public Rows(string path, Source[] sources, bool[] active)
        {
            _path = path;
            _reader = Wait(ParquetReader.CreateAsync(path));
            DataField[] fields = _reader.Schema.DataFields;
            _columns = [.. sources.Select((source, i) => active[i] ? source.Open(fields[source.Index]) : null)];
        }

        /// <summary>The row within its group.</summary>
        public int At { get; private set; } = -1;

        public bool MoveNext()
        {
            while (++At >= _count)
            {
                if (++_group >= _reader.RowGroupCount)
                    return false;
                try
                {
                    using ParquetRowGroupReader group = _reader.OpenRowGroupReader(_group);
                    foreach (IGroupColumn? column in _columns)
                        column?.LoadAsync(group).GetAwaiter().GetResult();
                    (_count, At) = (group.RowCount, -1);
                }
                catch (Exception e) when (IsDamage(e))
                {
                    throw Damaged(_path, e);
                }
            }
            return true;
        }

        public Delegate Getter(int column) => _columns[column]!.Getter(this);

        public void Dispose() => _reader.DisposeAsync().AsTask().GetAwaiter().GetResult();
    }
}
