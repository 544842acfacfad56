using System.Globalization;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace DataFiles;

/// <summary>A column of a file.</summary>
/// <param name="Name">Its name; without a header, its number from zero.</param>
/// <param name="Type">Text, Boolean, DateTime, or a number that holds every value.</param>
internal record FileColumn(string Name, PrimitiveDataViewType Type)
{
    /// <summary>Whether it holds numbers.</summary>
    public bool IsNumeric => Type is NumberDataViewType;
}

/// <summary>
/// A table as people have it, delimited text or Parquet, as a view: types are known once it is open, and rows are read from the
/// file by whoever wants them, never all into memory.
/// </summary>
/// <remarks>
/// Types that cannot hold a gap are given to columns without any: whole numbers with gaps become Single or Double with NaN,
/// Booleans with gaps text. A time that is missing is <see cref="DateTime.MinValue"/>, as the package has it.
/// </remarks>
internal abstract class TableFile : IDataView
{
    private readonly Lazy<DataViewSchema> _schema;

    /// <summary>A file whose schema is built once, whoever asks.</summary>
    protected TableFile() => _schema = new(Build);

    /// <summary>What the file is called.</summary>
    public required string Path { get; init; }

    /// <summary>The columns that are read.</summary>
    public required IReadOnlyList<FileColumn> Columns { get; init; }

    /// <summary>The number of rows; null where only the first part was looked at.</summary>
    public required long? RowCount { get; init; }

    /// <summary>What a reader should know: columns that are not read, and why; dates that could be read in two ways.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];

    /// <summary>The columns' names.</summary>
    public string[] Names => [.. Columns.Select(column => column.Name)];

    DataViewSchema IDataView.Schema => Schema;

    bool IDataView.CanShuffle => false;

    /// <summary>Name and type of each column.</summary>
    public DataViewSchema Schema => _schema.Value;

    /// <summary>Opens a file; what it is, is told by its content.</summary>
    /// <param name="path">Parquet, or text: comma, semicolon, tab, bar or blank between values, packed by gzip or not.</param>
    /// <param name="options">What is not to be inferred. Default: everything is.</param>
    /// <exception cref="InvalidDataException">It is not a table: empty, ragged, without rows, a name twice, a quote left open…</exception>
    /// <exception cref="IOException">It is not there, a folder, or cannot be read.</exception>
    public static TableFile Open(string path, TableFileOptions? options = null)
    {
        if (Directory.Exists(path))
            throw new IOException($"{path} is a folder; a file with a table is expected.");
        byte[] magic = new byte[4];
        using (FileStream file = File.OpenRead(path))
        {
            if (file.ReadAtLeast(magic, magic.Length, throwOnEndOfStream: false) == 0)
                throw new InvalidDataException($"{path} is empty.");
        }
        return magic.AsSpan().SequenceEqual("PAR1"u8) || path.EndsWith(".parquet", StringComparison.OrdinalIgnoreCase)
            ? ParquetFile.Open(path, options ?? new())
            : DelimitedFile.Open(path, options ?? new());
    }

    /// <summary>The number of a column, by its name or its number from zero.</summary>
    /// <exception cref="InvalidDataException">There is no such column.</exception>
    public int ColumnOf(string nameOrNumber) => IndexOf(Path, Names, nameOrNumber);

    /// <summary>Writes rows as delimited text like this file: separator, header, decimal sign; any number of rows.</summary>
    public virtual void Save(IDataView rows, string path) => DelimitedFile.Write(rows, path, ',', hasHeader: true, Names, _ => '.');

    /// <inheritdoc/>
    public long? GetRowCount() => RowCount;

    /// <inheritdoc/>
    public DataViewRowCursor GetRowCursor(IEnumerable<DataViewSchema.Column> columnsNeeded, Random? rand = null)
    {
        bool[] active = new bool[Columns.Count];
        foreach (DataViewSchema.Column column in columnsNeeded)
            active[column.Index] = true;
        return new Cursor(Schema, active, Read(active));
    }

    /// <inheritdoc/>
    public DataViewRowCursor[] GetRowCursorSet(IEnumerable<DataViewSchema.Column> columnsNeeded, int n, Random? rand = null) =>
        [GetRowCursor(columnsNeeded, rand)];

    /// <summary>Starts at the first row.</summary>
    protected abstract IRows Read(bool[] active);

    /// <summary>See <see cref="ColumnOf"/>.</summary>
    protected static int IndexOf(string path, string[] names, string nameOrNumber)
    {
        int column = Array.IndexOf(names, nameOrNumber);
        if (column < 0 && int.TryParse(nameOrNumber, NumberStyles.None, CultureInfo.InvariantCulture, out int number))
            column = number < names.Length ? number : -1;
        return column >= 0
            ? column
            : throw new InvalidDataException($"{path} has no column '{nameOrNumber}'; it has: {string.Join(", ", names)}.");
    }

    /// <summary>Refuses names that come twice: of two columns of one name ML.NET hides the first.</summary>
    protected static void CheckNames(string path, string[] names)
    {
        if (names.CountBy(name => name).FirstOrDefault(name => name.Value > 1).Key is string twice)
            throw new InvalidDataException($"{path} has two columns of the name '{twice}'.");
    }

    private DataViewSchema Build()
    {
        var builder = new DataViewSchema.Builder();
        foreach (FileColumn column in Columns)
            builder.AddColumn(column.Name, column.Type);
        return builder.ToSchema();
    }

    /// <summary>A way through the rows of a file.</summary>
    protected interface IRows : IDisposable
    {
        /// <summary>Goes on to the next row.</summary>
        bool MoveNext();

        /// <summary>What gives a column's value in the row: a <see cref="ValueGetter{TValue}"/> of the column's type.</summary>
        Delegate Getter(int column);
    }

    private sealed class Cursor(DataViewSchema schema, bool[] active, IRows rows) : DataViewRowCursor
    {
        private readonly Delegate?[] _getters = new Delegate?[active.Length];
        private long _position = -1;

        public override long Position => _position;

        public override long Batch => 0;

        public override DataViewSchema Schema => schema;

        public override bool IsColumnActive(DataViewSchema.Column column) => active[column.Index];

        public override bool MoveNext()
        {
            if (!rows.MoveNext())
                return false;
            _position++;
            return true;
        }

        public override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column) =>
            !active[column.Index] ? throw new InvalidOperationException($"Column '{column.Name}' was not asked for.")
            : (_getters[column.Index] ??= rows.Getter(column.Index)) as ValueGetter<TValue>
                ?? throw new InvalidOperationException($"Column '{column.Name}' holds {column.Type}, not {typeof(TValue).Name}.");

        public override ValueGetter<DataViewRowId> GetIdGetter() =>
            (ref DataViewRowId id) => id = new DataViewRowId((ulong)_position, 0);

        protected override void Dispose(bool disposing)
        {
            if (disposing)
                rows.Dispose();
            base.Dispose(disposing);
        }
    }
}

/// <summary>What a reader of tables is told, instead of inferring it.</summary>
internal sealed record TableFileOptions
{
    /// <summary>Columns that are text whatever they hold, such as labels and post codes: names, or numbers from zero.</summary>
    public IReadOnlyCollection<string> AsText { get; init; } = [];

    /// <summary>Whether the first line of a text names the columns. Default: told by the types of what follows.</summary>
    public bool? HasHeader { get; init; }

    /// <summary>
    /// Types of a text are inferred from so many rows. In files of more, whole numbers are Double, which has room for gaps and
    /// fractions further down, and Booleans text; a value that does not fit its column's type, as a whole number of which Double
    /// would lose digits, is an error with its line. Default 1,000,000.
    /// </summary>
    public long InferredRows { get; init; } = 1_000_000;
}
