using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML;

/// <summary>
/// The rows of an <see cref="IDataView"/> as a training loop reads them: some of its columns, pass after pass.
/// </summary>
/// <remarks>
/// The first pass, which the training loop makes before it trains, counts everything that is not finite. Where that is
/// an error, it is thrown at the end of this pass, so that it tells of all such rows and not only of the first.
/// </remarks>
internal sealed class DataViewRowSource : IRowSource
{
    private const int MaxCategories = 20;
    private const float MaxCategory = 1 << 24; // beyond it not every whole number is a Single

    private readonly IDataView _data;
    private readonly DataViewSchema.Column[] _columns;
    private readonly NonFiniteValues _policy;
    private readonly CancellationToken _cancellation;
    private bool _judged;

    /// <summary>
    /// Binds columns of <paramref name="data"/>, by name for the last time; errors call it <paramref name="parameter"/>.
    /// The <paramref name="labels"/> follow the vectors.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">
    /// A column is missing or is no vector of Single of known size, or none of the types that a label may have.
    /// </exception>
    public DataViewRowSource(
        IDataView data,
        IReadOnlyList<string> columns,
        NonFiniteValues policy,
        string parameter = "input",
        IReadOnlyList<string>? labels = null,
        CancellationToken cancellation = default)
    {
        _data = data;
        _policy = policy;
        _cancellation = cancellation;
        Fields =
        [
            .. columns.Select(name => InputColumns.Describe(data.Schema, name, parameter)),
            .. (labels ?? []).Select(name => InputColumns.DescribeLabel(data.Schema, name, parameter)),
        ];
        _columns = [.. Fields.Select(field => InputColumns.Find(data.Schema, field, parameter))];
        RowCount = policy == NonFiniteValues.DropRow ? null : data.GetRowCount();
    }

    /// <inheritdoc/>
    public IReadOnlyList<RowField> Fields { get; private set; }

    /// <summary>The columns that the fields are read from.</summary>
    public IReadOnlyList<DataViewSchema.Column> Columns => _columns;

    /// <inheritdoc/>
    /// <remarks>Always known after the first pass.</remarks>
    public long? RowCount { get; private set; }

    /// <summary>
    /// What takes the place of NaN and infinity; known once the rows have been opened, where
    /// <see cref="NonFiniteValues.Replace"/> asks for it.
    /// </summary>
    public NonFiniteReplacement? Replacement { get; private set; }

    /// <summary>
    /// Takes labels that are numbers for categories where few values, all of them whole, occur in all rows. It is a pass
    /// over these columns alone, which ends as soon as none of them can be one.
    /// </summary>
    public void FindCategories()
    {
        var values = new Dictionary<int, SortedSet<float>>();
        for (int f = 0; f < Fields.Count; f++)
        {
            if (Fields[f].IsLabel && _columns[f].Type is NumberDataViewType)
                values[f] = [];
        }
        if (values.Count == 0)
            return;
        using (DataViewRowCursor cursor = _data.GetRowCursor(values.Keys.Select(f => _columns[f])))
        {
            Dictionary<int, ValueGetter<float>> getters = values.Keys.ToDictionary(
                f => f, f => cursor.GetGetter<float>(_columns[f]));
            for (float value = 0; values.Count > 0 && cursor.MoveNext();)
            {
                if ((cursor.Position & 1023) == 0)
                    _cancellation.ThrowIfCancellationRequested();
                foreach ((int f, SortedSet<float> seen) in values)
                {
                    getters[f](ref value);
                    if (!float.IsFinite(value) || seen.Contains(value))
                        continue;
                    if (value % 1 != 0 || Math.Abs(value) > MaxCategory || !seen.Add(value + 0f) || seen.Count > MaxCategories)
                        values.Remove(f);
                }
            }
        }
        Fields =
        [
            .. Fields.Select((field, f) => values.TryGetValue(f, out SortedSet<float>? seen) && seen.Count > 0
                ? field with { Width = seen.Count, Categories = [.. seen] }
                : field),
        ];
    }

    /// <inheritdoc/>
    /// <remarks>The reader of the first pass throws <see cref="InvalidOperationException"/> at the end of rows that
    /// cannot be trained on: none at all, or with NaN and infinity that the policy does not allow.</remarks>
    public IRowReader Open()
    {
        if (_policy == NonFiniteValues.Replace && Replacement is null)
            Replacement = LearnReplacement();
        DataViewRowCursor cursor = OpenCursor(out FieldReader[] readers);
        return new Reader(this, cursor, readers);
    }

    private NonFiniteReplacement LearnReplacement()
    {
        NonFiniteReplacement.Collector[] ranges =
            [.. Fields.Select(f => new NonFiniteReplacement.Collector(f.Width))];
        var block = new RowBlock(Fields, capacity: 1);
        using DataViewRowCursor cursor = OpenCursor(out FieldReader[] readers);
        for (long row = 0; cursor.MoveNext(); row++)
        {
            if ((row & 1023) == 0)
                _cancellation.ThrowIfCancellationRequested();
            for (int f = 0; f < readers.Length; f++)
            {
                readers[f].Read(block, f, 0);
                ranges[f].Add(block.SingleRow(f, 0));
            }
        }
        return new([.. ranges.Select(r => r.Finish())]);
    }

    private DataViewRowCursor OpenCursor(out FieldReader[] readers)
    {
        DataViewRowCursor cursor = _data.GetRowCursor(_columns);
        try
        {
            readers = [.. _columns.Zip(Fields, (c, field) => FieldReader.Open(cursor, c, field))];
            return cursor;
        }
        catch
        {
            cursor.Dispose();
            throw;
        }
    }

    private void Judge(RowScan scan)
    {
        string columns = string.Join(", ", Fields.Select(f => $"'{f.Name}'"));
        if (scan.Rows == 0)
            throw new InvalidOperationException($"There are no rows to train on: column {columns} is empty.");
        if (_policy == NonFiniteValues.Error && scan.BadRows > 0)
        {
            throw new InvalidOperationException(scan.Describe()
                + $" Clean the data, or set the option {nameof(TrainingOptions.NonFiniteValues)} to"
                + $" {NonFiniteValues.Replace} or {NonFiniteValues.DropRow}.");
        }
        if (_policy == NonFiniteValues.DropRow && scan.BadRows == scan.Rows)
        {
            throw new InvalidOperationException(
                $"There are no rows to train on: every row holds NaN or infinity. {scan.Describe()}");
        }
        RowCount = _policy == NonFiniteValues.DropRow ? scan.Rows - scan.BadRows : scan.Rows;
        _judged = true;
    }

    private sealed class Reader(DataViewRowSource source, DataViewRowCursor cursor, FieldReader[] fields) : IRowReader
    {
        private readonly RowScan? _scan = source._judged ? null : new RowScan(source.Fields);
        private readonly bool _drop = source._policy == NonFiniteValues.DropRow;
        private bool _ended;

        public int Read(RowBlock block, int start, int count)
        {
            int read = 0;
            while (read < count && !_ended)
            {
                if (!cursor.MoveNext())
                {
                    _ended = true;
                    if (_scan is not null)
                        source.Judge(_scan);
                }
                else if (ReadRow(block, start + read) || !_drop)
                {
                    read++;
                }
            }
            return read;
        }

        private bool ReadRow(RowBlock block, int row)
        {
            bool allFinite = true;
            _scan?.NextRow();
            for (int f = 0; f < fields.Length; f++)
            {
                if (fields[f].Read(block, f, row))
                    continue;
                Span<float> values = block.SingleRow(f, row);
                allFinite = false;
                _scan?.AddBad(f, source.Fields[f].Categories is null ? values : values[..1]);
                source.Replacement?.Apply(f, values);
            }
            return allFinite;
        }

        public void Dispose() => cursor.Dispose();
    }
}
