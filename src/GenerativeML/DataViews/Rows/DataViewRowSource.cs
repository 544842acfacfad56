using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML;

/// <summary>Whether a row is wanted that has these values in a field.</summary>
internal delegate bool RowPredicate(ReadOnlySpan<float> values);

/// <summary>
/// The rows of an <see cref="IDataView"/> as a training loop reads them: some of its columns, pass after pass. The
/// first pass counts what is not finite; an error is thrown at its end, so that it tells of all such rows.
/// </summary>
internal sealed class DataViewRowSource(
    IDataView data, IReadOnlyList<string> columns, NonFiniteValues policy, string parameter = "input",
    IReadOnlyList<string>? labels = null, ImageFormat? images = null, string? classColumn = null,
    bool marksMissing = false, bool captions = false, CancellationToken cancellation = default)
    : IRowSource
{
    private const int MaxCategories = 20;
    private const float MaxCategory = 1 << 24; // beyond it not every whole number is a Single

    private bool _judged;

    private bool MarksMissing => marksMissing;

    /// <summary>Whether the rows are those of two views, so that messages have to say which one's they speak of.</summary>
    public bool IsOfTwoViews => data is DomainView;

    private bool Drops => policy == NonFiniteValues.DropRow;

    /// <summary>
    /// What is read: the vectors before the labels, then a class; last, where they are marked, which features of the first
    /// vector are missing: one where a value is NaN, zero elsewhere.
    /// </summary>
    public IReadOnlyList<RowField> Fields { get; private set; } =
    [
        .. columns.Select(name => images is null
            ? InputColumns.Describe(data.Schema, name, InputKind.Vector, parameter)
            : InputColumns.Describe(data.Schema, name, images, parameter)),
        .. (labels ?? []).Select(name => InputColumns.Describe(
            data.Schema, name, captions ? InputKind.Condition : InputKind.Label, parameter)),
        .. classColumn is null ? (RowField[])[] : [InputColumns.Describe(data.Schema, classColumn, InputKind.Class, parameter)],
        .. marksMissing
            ? [new RowField(columns[0] + " missing", FieldKind.Single, InputColumns.Describe(data.Schema, columns[0], InputKind.Vector, parameter).Width)]
            : (RowField[])[],
    ];

    /// <summary>The columns that the fields are read from.</summary>
    public IReadOnlyList<DataViewSchema.Column> Columns { get; } =
        [.. columns.Concat(labels ?? []).Concat(classColumn is null ? [] : [classColumn]).Select(name => data.Schema[name])];

    /// <summary>What takes the place of NaN and infinity, known once rows have been opened; null: nothing.</summary>
    public NonFiniteReplacement? Replacement { get; private set; }

    /// <summary>Takes numeric labels for categories where few values, all of them whole, occur in all rows.</summary>
    public void FindCategories()
    {
        Dictionary<int, SortedSet<float>> values = Enumerable.Range(0, Fields.Count)
            .Where(f => Fields[f].IsCondition && Columns[f].Type is NumberDataViewType)
            .ToDictionary(f => f, _ => new SortedSet<float>());
        if (values.Count == 0)
            return;
        using (DataViewRowCursor cursor = data.GetRowCursor(values.Keys.Select(f => Columns[f])))
        {
            Dictionary<int, ValueGetter<float>> getters = values.Keys.ToDictionary(
                f => f, f => cursor.GetGetter<float>(Columns[f]));
            for (float value = 0; values.Count > 0 && MoveNext(cursor);)
            {
                foreach ((int f, SortedSet<float> seen) in values)
                {
                    getters[f](ref value);
                    if (!float.IsFinite(value) || seen.Contains(value))
                        continue;
                    seen.Add(value + 0f); // minus zero is zero
                    if (value % 1 != 0 || Math.Abs(value) > MaxCategory || seen.Count > MaxCategories)
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

    /// <summary>Learns how to read the conditions that are texts, from all of them.</summary>
    public void LearnCaptions(CaptionReading reading) => Fields =
    [
        .. Fields.Select((field, f) =>
        {
            if (!field.IsCondition || Columns[f].Type is not TextDataViewType)
                return field;
            var caption = CaptionFormat.Learn(Texts(Columns[f]), reading.VocabularySize, reading.Window, cancellation);
            return field with { Width = caption.Window, Caption = caption };
        }),
    ];

    private IEnumerable<string> Texts(DataViewSchema.Column column)
    {
        using DataViewRowCursor cursor = data.GetRowCursor([column]);
        ValueGetter<ReadOnlyMemory<char>> getter = cursor.GetGetter<ReadOnlyMemory<char>>(column);
        for (ReadOnlyMemory<char> text = default; MoveNext(cursor);)
        {
            getter(ref text);
            yield return text.ToString();
        }
    }

    /// <remarks>The first reader throws, at the end, where the rows cannot be trained on.</remarks>
    public IRowReader Open() => OpenOnly(null);

    /// <summary>
    /// Starts a pass over those rows whose field is as the predicate wants it; of others no more is read. Where they are all that
    /// one of two views has, messages count as it does.
    /// </summary>
    public IRowReader Open(int field, RowPredicate wanted, string? view) => OpenOnly((field, wanted), view);

    private Reader OpenOnly((int, RowPredicate)? only, string? view = null)
    {
        if (policy == NonFiniteValues.Replace && Replacement is null)
            Replacement = LearnReplacement();
        return new Reader(this, OpenCursor(out FieldReader[] readers), readers, only, view);
    }

    /// <summary>The slots of one field, row by row; no other column is read.</summary>
    public IEnumerable<float[]> Read(int field)
    {
        var block = new RowBlock(Fields, capacity: 1);
        using DataViewRowCursor cursor = data.GetRowCursor([Columns[field]]);
        FieldReader read = FieldReaders.Open(cursor, Columns[field], Fields[field]);
        while (MoveNext(cursor))
        {
            read(block, field, 0);
            yield return block.SingleRow(field, 0).ToArray();
        }
    }

    private NonFiniteReplacement LearnReplacement()
    {
        NonFiniteReplacement.Collector[] ranges = [.. Fields.Take(Columns.Count - (classColumn is null ? 0 : 1)).Select(f => new NonFiniteReplacement.Collector(f.Width))];
        var block = new RowBlock(Fields, capacity: 1);
        using DataViewRowCursor cursor = OpenCursor(out FieldReader[] readers);
        while (MoveNext(cursor))
        {
            for (int f = 0; f < ranges.Length; f++)
            {
                readers[f](block, f, 0);
                ranges[f].Add(block.SingleRow(f, 0));
            }
        }
        // A caption that cannot be read is one that is not known.
        return new([.. ranges.Select((r, f) => Fields[f].Caption is { Window: int none }
            ? new NonFiniteReplacement.SlotRange(new float[none], new float[none], new float[none])
            : r.Finish())]);
    }

    private bool MoveNext(DataViewRowCursor cursor)
    {
        if ((cursor.Position & 1023) == 0)
            cancellation.ThrowIfCancellationRequested();
        return cursor.MoveNext();
    }

    private DataViewRowCursor OpenCursor(out FieldReader[] readers)
    {
        DataViewRowCursor cursor = data.GetRowCursor(Columns);
        try
        {
            readers = [.. Columns.Zip(Fields, (c, field) => FieldReaders.Open(cursor, c, field))];
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
        if (scan.Rows == 0)
        {
            string names = string.Join(", ", Fields.Select(f => $"'{f.Name}'"));
            throw new InvalidOperationException($"There are no rows to train on: column {names} is empty.");
        }
        if (policy == NonFiniteValues.Error && scan.BadRows > 0)
        {
            throw new InvalidOperationException(scan.Describe()
                + (scan.BadRows == scan.Rows && scan.Rows > 1 ? " Every row has some: of a file, is the separator right?" : "")
                + $" Clean the data, or set the option {nameof(TrainingOptions.NonFiniteValues)} to"
                + $" {NonFiniteValues.Replace} or {NonFiniteValues.DropRow}.");
        }
        if (Drops && scan.BadRows == scan.Rows)
        {
            throw new InvalidOperationException(
                $"There are no rows to train on: every row holds NaN or infinity, or no image. {scan.Describe()}");
        }
        _judged = true;
    }

    private sealed class Reader(
        DataViewRowSource source, DataViewRowCursor cursor, FieldReader[] fields, (int Field, RowPredicate Wanted)? only,
        string? view)
        : IRowReader
    {
        private readonly RowScan? _scan = source._judged ? null : new RowScan(source.Fields, source.Columns, view);
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
                else if (IsWanted(block, start + read) && (ReadRow(block, start + read) || !source.Drops))
                {
                    read++;
                }
            }
            return read;
        }

        public void Dispose() => cursor.Dispose();

        private bool IsWanted(RowBlock block, int row)
        {
            if (only is not (int field, RowPredicate wanted))
                return true;
            fields[field](block, field, row);
            bool isWanted = wanted(block.SingleRow(field, row));
            if (!isWanted && view is null)
                _scan?.Rows += 1; // rows are counted as the data has them
            return isWanted;
        }

        private bool ReadRow(RowBlock block, int row)
        {
            bool allFinite = true;
            Span<float> missing = source.MarksMissing ? block.SingleRow(fields.Length, row) : default;
            missing.Clear();
            for (int f = 0; f < fields.Length; f++)
            {
                if (fields[f](block, f, row))
                    continue;
                Span<float> values = block.SingleRow(f, row);
                bool one = source.Fields[f] is { Categories: not null } or { Caption: not null } or { Image.IsPicture: true };
                _scan?.AddBad(f, one ? values[..1] : values, isFirst: allFinite);
                allFinite = false;
                for (int i = 0; f == 0 && i < missing.Length; i++)
                    missing[i] = float.IsNaN(values[i]) ? 1 : 0;
                source.Replacement?.Apply(f, values);
            }
            _scan?.Rows += 1;
            return allFinite;
        }
    }

    /// <summary>What one pass over the training rows finds that is not finite.</summary>
    private sealed class RowScan(IReadOnlyList<RowField> fields, IReadOnlyList<DataViewSchema.Column> columns, string? view)
    {
        private readonly string _of = view is null ? "rows" : $"rows of the {view} view";
        private readonly (long Rows, long Values, string First)[] _bad = new (long, long, string)[fields.Count];

        /// <summary>All rows seen.</summary>
        public long Rows { get; set; }

        /// <summary>Rows in which at least one value of one field is not finite.</summary>
        public long BadRows { get; private set; }

        /// <summary>Counts what is not finite in a field of the newest row, the first of that row or not.</summary>
        public void AddBad(int field, ReadOnlySpan<float> values, bool isFirst)
        {
            BadRows += isFirst ? 1 : 0;
            ref (long Rows, long Values, string First) bad = ref _bad[field];
            bad.Rows++;
            for (int slot = 0; slot < values.Length; slot++)
            {
                if (float.IsFinite(values[slot]))
                    continue;
                bad.Values++;
                bad.First ??= fields[field] is { Image.IsPicture: true } or { Caption: not null }
                    ? FormattableString.Invariant($"row {Rows}")
                    : FormattableString.Invariant(
                        $"{values[slot]} in {InputColumns.SlotText(columns[field], slot)} of row {Rows}");
            }
        }

        /// <summary>Says, column by column, how much is not finite and where the first of it is.</summary>
        public string Describe() => string.Join(' ', _bad.Zip(fields).Where(pair => pair.First.Rows > 0).Select(
            pair => pair.Second.Caption is { } caption
                ? $"Column '{pair.Second.Name}' holds an empty caption, or one of more than {caption.Window} tokens, in "
                    + $"{pair.First.Rows} of {Rows} {_of}; the first is {pair.First.First} (counted from 0)."
                : pair.Second.Image?.IsPicture == true
                ? $"Column '{pair.Second.Name}' holds no image, or one that cannot be read, in {pair.First.Rows} of "
                    + $"{Rows} {_of}; the first is {pair.First.First} (counted from 0)."
                : $"Column '{pair.Second.Name}' holds {pair.First.Values} values that are NaN or infinite, in "
                    + $"{pair.First.Rows} of {Rows} {_of}; the first is {pair.First.First} (both counted from 0)."));
    }
}

/// <summary>
/// For each field, the median, which takes the place of NaN and does not mind some wild values, and the smallest and largest finite value in training, which
/// take that of infinity. Zero for a slot without any.
/// </summary>
internal sealed record NonFiniteReplacement(IReadOnlyList<NonFiniteReplacement.SlotRange> Fields)
{
    /// <summary>Replaces in place what is not finite in one row of field <paramref name="field"/>.</summary>
    public void Apply(int field, Span<float> row)
    {
        SlotRange range = Fields[field];
        for (int i = 0; i < row.Length; i++)
        {
            row[i] = row[i] switch
            {
                float.NaN => range.Median[i],
                float.PositiveInfinity => range.Max[i],
                float.NegativeInfinity => range.Min[i],
                float finite => finite,
            };
        }
    }

    /// <summary>Whether this fits <paramref name="fields"/> and holds nothing but finite values.</summary>
    public bool Fits(IReadOnlyList<RowField> fields) => Fields.Count == fields.Count
        && Fields.Zip(fields).All(pair => new[] { pair.First.Median, pair.First.Min, pair.First.Max }.All(
            values => values?.Length == pair.Second.Width && values.All(float.IsFinite)));

    /// <summary>The finite values of each slot of a field, in three numbers.</summary>
    internal sealed record SlotRange(float[] Median, float[] Min, float[] Max);

    /// <summary>Gathers the ranges of one field, row by row.</summary>
    internal sealed class Collector(int width)
    {
        // The median is that of some rows, fewer where they are wide.
        private const int SampleRows = 1001, SampleValues = 1 << 22;

        private readonly List<float[]> _sample = [];
        private readonly int _most = Math.Clamp(SampleValues / Math.Max(1, width), 11, SampleRows);
        private SplitMix64 _random = new(0);
        private long _seen;
        private readonly long[] _count = new long[width];
        private readonly float[] _min = new float[width], _max = new float[width];

        public void Add(ReadOnlySpan<float> row)
        {
            for (int i = 0; i < row.Length; i++)
            {
                float x = row[i];
                if (!float.IsFinite(x))
                    continue;
                _min[i] = _count[i] == 0 ? x : Math.Min(_min[i], x);
                _max[i] = _count[i] == 0 ? x : Math.Max(_max[i], x);
                _count[i]++;
            }
            if (++_seen <= _most)
                _sample.Add(row.ToArray());
            else if (_random.Next() % (ulong)_seen is ulong at && at < (ulong)_most)
                row.CopyTo(_sample[(int)at]);
        }

        public SlotRange Finish() => new([.. Enumerable.Range(0, _min.Length).Select(Median)], _min, _max);

        private float Median(int slot)
        {
            float[] finite = [.. _sample.Select(row => row[slot]).Where(float.IsFinite).Order()];
            return finite.Length == 0 ? _min[slot] : finite[(finite.Length - 1) / 2];
        }
    }
}
