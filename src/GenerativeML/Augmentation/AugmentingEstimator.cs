using System.Globalization;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace GenerativeML;

/// <summary>
/// Trains another estimator on real and synthetic rows: a generator learns the training rows, and rows that it makes
/// are added to them.
/// </summary>
/// <remarks>
/// What <see cref="Fit"/> returns is the other estimator's own transformer, and nothing else: nothing synthetic is seen
/// when it is used, and the generator is gone. Rows are generated while the other estimator reads them, and are spread
/// evenly among the real ones. The other estimator sees the columns that the generator learned.
/// </remarks>
/// <typeparam name="TTransformer">What the other estimator makes.</typeparam>
public sealed class AugmentingEstimator<TTransformer> : IEstimator<TTransformer>
    where TTransformer : class, ITransformer
{
    private readonly IHost _host;
    private readonly IEstimator<TTransformer> _estimator;
    private readonly Func<IDataView, IDataGenerator> _learn;
    private readonly AugmentationOptions _options;

    internal AugmentingEstimator(
        IHostEnvironment environment,
        IEstimator<TTransformer> estimator,
        Func<IDataView, IDataGenerator> learn,
        AugmentationOptions options)
    {
        ArgumentNullException.ThrowIfNull(estimator);
        options.Validate();
        _host = environment.Register("Augmentation");
        _estimator = estimator;
        _learn = learn;
        _options = options;
    }

    /// <summary>Trains the generator, and the other estimator on real and synthetic rows.</summary>
    /// <param name="input">The real rows.</param>
    /// <returns>The other estimator's transformer.</returns>
    /// <exception cref="ArgumentOutOfRangeException">A column is missing or of the wrong type.</exception>
    /// <exception cref="InvalidOperationException">There are no rows, or they cannot be learned.</exception>
    public TTransformer Fit(IDataView input)
    {
        ArgumentNullException.ThrowIfNull(input);
        // What the shapes can tell, they tell before anything is trained.
        _estimator.GetOutputSchema(MLNetInternals.ShapeOf(input.Schema));
        AugmentationPlan plan = AugmentationPlan.Of(input, _options);
        if (plan.Parts.Count == 0)
            return _estimator.Fit(input);
        IDataGenerator generator = _learn(input);
        using var held = generator as IDisposable;
        using IChannel channel = _host.Start("Augmentation");
        long added = plan.Parts.Sum(part => part.Rows);
        channel.Info(
            MessageSensitivity.None,
            FormattableString.Invariant($"{added} synthetic rows are added to {plan.RealRows} real ones."));
        List<(IDataView, long)> views = [(input, plan.RealRows)];
        foreach ((long rows, RowCondition? where) in plan.Parts)
            views.Add((generator.Generate(rows, _options.Seed + views.Count, where), rows));
        return _estimator.Fit(new MixedDataView(generator.GeneratedSchema, views));
    }

    /// <summary>Says which columns the transformer will add: those of the other estimator.</summary>
    /// <param name="inputSchema">What is known of the columns that come in.</param>
    public SchemaShape GetOutputSchema(SchemaShape inputSchema) => _estimator.GetOutputSchema(inputSchema);
}

/// <summary>How many synthetic rows <see cref="AugmentingEstimator{TTransformer}"/> adds.</summary>
public sealed class AugmentationOptions
{
    /// <summary>
    /// Synthetic rows for each real one, above zero. Default 1, where <see cref="BalancedColumnName"/> names no column;
    /// only one of the two can be set.
    /// </summary>
    public double? Ratio { get; init; }

    /// <summary>
    /// A column of text, keys, Booleans or numbers, usually the label: each of its values gets as many synthetic rows
    /// as it takes to occur as often as the most frequent one. Missing values are left as they are. Default: none.
    /// </summary>
    public string? BalancedColumnName { get; init; }

    /// <summary>The seed of the synthetic rows; the same seed gives the same ones. Default 0.</summary>
    public int Seed { get; init; }

    internal void Validate()
    {
        if (Ratio is double ratio)
            OptionChecks.PositiveFinite(ratio, nameof(Ratio));
        if (BalancedColumnName is not null && string.IsNullOrWhiteSpace(BalancedColumnName))
            throw new ArgumentException($"Option {nameof(BalancedColumnName)} is empty.");
        if (Ratio is not null && BalancedColumnName is not null)
        {
            throw new ArgumentException(
                $"Options {nameof(Ratio)} ({Ratio}) and {nameof(BalancedColumnName)} ('{BalancedColumnName}') are both "
                + "set: the number of synthetic rows follows from one of them.");
        }
    }
}

/// <summary>How many synthetic rows, having what in common, are added to how many real ones.</summary>
internal sealed record AugmentationPlan(long RealRows, IReadOnlyList<(long Rows, RowCondition? Where)> Parts)
{
    private const int MaxValues = 1000;

    /// <summary>Reads the column that is to be balanced; where there is none, the rows are only counted.</summary>
    public static AugmentationPlan Of(IDataView data, AugmentationOptions options)
    {
        if (options.BalancedColumnName is string name)
            return Balanced(data, name);
        long rows = data.GetRowCount() ?? Count(data);
        long added = (long)Math.Round(rows * (options.Ratio ?? 1), MidpointRounding.AwayFromZero);
        return rows == 0 ? throw Empty() : new(rows, added == 0 ? [] : [(added, null)]);
    }

    private static AugmentationPlan Balanced(IDataView data, string name)
    {
        const string expected = "a scalar to be balanced";
        if (data.Schema.GetColumnOrNull(name) is not DataViewSchema.Column column)
            throw InputColumns.Missing(name, expected, data.Schema, nameof(data));
        if (column.Type is VectorDataViewType)
            throw InputColumns.Mismatch(name, expected, $"{column.Type}", unknownSize: false, nameof(data));
        TableCells.AreNumbers(column, nameof(data));
        Dictionary<object, long> counts = [];
        long rows = 0;
        using DataViewRowCursor cursor = data.GetRowCursor([column]);
        TableCells cells = new(cursor, column);
        for (; cursor.MoveNext(); rows++)
        {
            cells.Read();
            if (cells.Value(0) is not object value)
                continue;
            counts[value] = counts.GetValueOrDefault(value) + 1;
            if (counts.Count > MaxValues)
            {
                throw new InvalidOperationException(
                    $"Column '{name}' has more than {MaxValues} different values: too many to balance.");
            }
        }
        if (rows == 0)
            throw Empty();
        long most = counts.Values.DefaultIfEmpty(0).Max();
        return new(
            rows,
            [
                .. counts.Where(pair => pair.Value < most)
                    .OrderBy(pair => Convert.ToString(pair.Key, CultureInfo.InvariantCulture), StringComparer.Ordinal)
                    .Select(pair => (most - pair.Value, (RowCondition?)Equal(pair.Key))),
            ]);

        RowCondition Equal(object value) => value switch
        {
            double number => new RowCondition().Equal(name, number),
            bool flag => new RowCondition().Equal(name, flag),
            _ => new RowCondition().Equal(name, (string)value), // a key goes by its text, too
        };
    }

    private static long Count(IDataView data)
    {
        using DataViewRowCursor cursor = data.GetRowCursor([]);
        long rows = 0;
        while (cursor.MoveNext())
            rows++;
        return rows;
    }

    private static InvalidOperationException Empty() => new("There are no rows to learn from.");
}

/// <summary>
/// The rows of several data views, spread evenly among each other: at any point as large a share of each.
/// </summary>
internal sealed class MixedDataView : IDataView
{
    private readonly (IDataView Data, long Rows)[] _parts;
    private readonly DataViewSchema.Column[][] _columns;

    /// <summary>Views that have these columns, and their numbers of rows; the first gives the annotations.</summary>
    public MixedDataView(DataViewSchema schema, IReadOnlyList<(IDataView Data, long Rows)> parts)
    {
        _parts = [.. parts];
        _columns = [.. _parts.Select(part => Find(part.Data.Schema, schema))];
        DataViewSchema.Builder builder = new();
        builder.AddColumns(_columns[0]);
        Schema = builder.ToSchema();
    }

    public bool CanShuffle => false;

    public DataViewSchema Schema { get; }

    public long? GetRowCount() => _parts.Sum(part => part.Rows);

    public DataViewRowCursor GetRowCursor(IEnumerable<DataViewSchema.Column> columnsNeeded, Random? rand = null)
    {
        bool[] active = ActiveColumns.Of(Schema, columnsNeeded);
        List<DataViewRowCursor> cursors = [];
        try
        {
            for (int p = 0; p < _parts.Length; p++)
                cursors.Add(_parts[p].Data.GetRowCursor(_columns[p].Where((_, c) => active[c])));
            return new Cursor(this, active, [.. cursors]);
        }
        catch
        {
            foreach (DataViewRowCursor cursor in cursors)
                cursor.Dispose();
            throw;
        }
    }

    public DataViewRowCursor[] GetRowCursorSet(
        IEnumerable<DataViewSchema.Column> columnsNeeded, int n, Random? rand = null) =>
        [GetRowCursor(columnsNeeded, rand)];

    private static DataViewSchema.Column[] Find(DataViewSchema data, DataViewSchema wanted) =>
    [
        .. wanted.Select(w => data.GetColumnOrNull(w.Name) is DataViewSchema.Column column && column.Type.Equals(w.Type)
            ? column
            : throw new ArgumentOutOfRangeException(
                nameof(data), $"Column '{w.Name}' is missing or of another type than {w.Type}.")),
    ];

    private sealed class Cursor(MixedDataView view, bool[] active, DataViewRowCursor[] parts)
        : RowCursor(view.Schema, active)
    {
        private readonly long[] _taken = new long[parts.Length];
        private readonly bool[] _ended = new bool[parts.Length];
        private int _current = -1;

        public override long Batch => 0;

        public override ValueGetter<DataViewRowId> GetIdGetter() =>
            (ref DataViewRowId id) => id = new DataViewRowId((ulong)Position, 0);

        /// <summary>Takes the next row of the view that is furthest behind.</summary>
        protected override bool Advance()
        {
            while (Behind() is int part and >= 0)
            {
                if (parts[part].MoveNext())
                {
                    _taken[part]++;
                    _current = part;
                    return true;
                }
                _ended[part] = true;
            }
            return false;
        }

        protected override Delegate Getter<TValue>(int column)
        {
            ValueGetter<TValue>[] getters =
                [.. parts.Select((part, p) => part.GetGetter<TValue>(view._columns[p][column]))];
            return (ValueGetter<TValue>)((ref TValue value) =>
                (Position >= 0 ? getters[_current] : throw NoRow)(ref value));
        }

        protected override void Dispose(bool disposing)
        {
            if (disposing)
            {
                foreach (DataViewRowCursor part in parts)
                    part.Dispose();
            }
            base.Dispose(disposing);
        }

        private int Behind()
        {
            int behind = -1;
            double least = double.PositiveInfinity;
            for (int p = 0; p < parts.Length; p++)
            {
                double share = (_taken[p] + 0.5) / view._parts[p].Rows;
                if (_ended[p] || share >= least)
                    continue;
                (behind, least) = (p, share);
            }
            return behind;
        }
    }
}
