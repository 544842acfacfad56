using System.Text.Json;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace GenerativeML;

/// <summary>The options of windows of series.</summary>
public sealed record SeriesWindowsOptions
{
    /// <summary>
    /// The input: in each row a step of a series, a Single or a vector of <see cref="float"/> of known size. Default
    /// <c>Value</c>.
    /// </summary>
    public string InputColumnName { get; init; } = "Value";

    /// <summary>
    /// The column for the window that ends with the row: a vector of its steps, the earliest first. Default
    /// <c>Features</c>.
    /// </summary>
    public string OutputColumnName { get; init; } = "Features";

    /// <summary>The column for the steps that follow on the window, where there is a horizon. Default <c>Target</c>.</summary>
    public string TargetColumnName { get; init; } = "Target";

    /// <summary>
    /// The column, a text, key or number, that tells series apart: rows of one series have the same value and stand next
    /// to each other, in the order of time. Default: all rows are one series.
    /// </summary>
    public string? GroupColumnName { get; init; }

    /// <summary>Steps of a window. From 1 to 65,536. Default 32.</summary>
    public int WindowLength { get; init; } = 32;

    /// <summary>From one window to the next of a series, in steps. From 1 to 65,536. Default 1.</summary>
    public int Stride { get; init; } = 1;

    /// <summary>Steps behind the window that are its target. Zero: there is none. Up to 65,536. Default 0.</summary>
    public int Horizon { get; init; }

    /// <summary>The columns that are added, for steps of so many features.</summary>
    internal IReadOnlyList<OutputColumn> Outputs(int width) => Horizon == 0
        ? [new(OutputColumnName, OutputKind.Single, WindowLength * width)]
        :
        [
            new(OutputColumnName, OutputKind.Single, WindowLength * width),
            new(TargetColumnName, OutputKind.Single, Horizon * width),
        ];

    internal void Validate()
    {
        OptionChecks.Within(WindowLength, 1, OptionChecks.MaxWidth);
        OptionChecks.Within(Stride, 1, OptionChecks.MaxWidth);
        OptionChecks.Within(Horizon, 0, OptionChecks.MaxWidth);
        ColumnNames.Check(
            GroupColumnName is null ? [InputColumnName] : [InputColumnName, GroupColumnName], Outputs(1).Select(c => c.Name));
    }

    /// <exception cref="InvalidOperationException">There would be more numbers than a model can learn.</exception>
    internal void CheckWidth(int width)
    {
        if ((long)Math.Max(WindowLength, Horizon) * width > VectorInput.MaxWidth)
        {
            throw new InvalidOperationException(
                $"Windows of column '{InputColumnName}' would have {(long)Math.Max(WindowLength, Horizon) * width} numbers, and at "
                + $"most {VectorInput.MaxWidth} are possible.");
        }
    }
}

/// <summary>
/// Turns steps of series into windows, which every family of vectors and sequences can read, and on request into what
/// follows on them.
/// </summary>
/// <remarks>
/// <para>To create this estimator, use
/// <see cref="SeriesCatalog.SeriesWindows(TransformsCatalog, SeriesWindowsOptions)"/>. Nothing is learned.</para>
/// <para>
/// A row stays where a window ends with it, the first one of each series with its first whole window, then every so-many-th
/// as <see cref="SeriesWindowsOptions.Stride"/> says, and where all steps of its target are there; all its other columns
/// stay as they are. A series shorter than a window and its target has no row. Steps are taken to be at equal distances:
/// what is missing in between is to be there as NaN, which stays in the windows that hold it, for the trainer's option
/// <see cref="TrainingOptions.NonFiniteValues"/> to decide.
/// </para>
/// </remarks>
public sealed class SeriesWindowsEstimator : IEstimator<SeriesWindowsTransformer>
{
    private readonly SeriesWindowsOptions _options;

    internal SeriesWindowsEstimator(IHostEnvironment environment, SeriesWindowsOptions options)
    {
        ArgumentNullException.ThrowIfNull(environment);
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        _options = options;
    }

    /// <summary>Finds the columns; no row is read.</summary>
    /// <param name="input">Rows with the columns.</param>
    /// <returns>The transformer.</returns>
    /// <exception cref="ArgumentOutOfRangeException">A column is missing or of the wrong type.</exception>
    /// <exception cref="InvalidOperationException">Windows would have more than 1,048,576 numbers.</exception>
    public SeriesWindowsTransformer Fit(IDataView input)
    {
        ArgumentNullException.ThrowIfNull(input);
        int width = InputColumns.Describe(input.Schema, _options.InputColumnName, InputKind.Series, nameof(input)).Width;
        if (_options.GroupColumnName is string group)
            SequenceRows.FindGroup(input.Schema, group, nameof(input));
        _options.CheckWidth(width);
        return new(new WindowColumns(_options, width));
    }

    /// <inheritdoc/>
    public SchemaShape GetOutputSchema(SchemaShape inputSchema)
    {
        ArgumentNullException.ThrowIfNull(inputSchema);
        InputColumns.Check(inputSchema, _options.InputColumnName, InputKind.Series, nameof(inputSchema));
        if (_options.GroupColumnName is string group)
            SequenceRows.CheckGroup(inputSchema, group, nameof(inputSchema));
        SchemaShape added = OutputAnnotations.Promise(_options.Outputs(1));
        return new SchemaShape(inputSchema.Where(c => added.All(a => a.Name != c.Name)).Concat(added));
    }
}

/// <summary>Turns steps of series into windows.</summary>
/// <remarks><inheritdoc cref="SeriesWindowsEstimator" path="/remarks/para[2]"/></remarks>
public sealed class SeriesWindowsTransformer : GenerativeTransformer
{
    /// <summary>The name in saved models, and how one is loaded.</summary>
    internal static readonly ModelFamily SavedFamily = new("series windows", (_, json, weights) =>
    {
        Saved saved = ModelJson.Read<Saved>(json);
        HostWeights.Load(weights, []);
        ModelJson.Check(() =>
        {
            saved.Options.Validate();
            OptionChecks.Within(saved.StepWidth, 1, VectorInput.MaxWidth);
            saved.Options.CheckWidth(saved.StepWidth);
        });
        return new SeriesWindowsTransformer(new WindowColumns(saved.Options, saved.StepWidth));
    });

    private readonly WindowColumns _columns;

    internal SeriesWindowsTransformer(WindowColumns columns)
        : base(columns) => _columns = columns;

    private protected override bool MapsRows => false;

    private protected override string Family => SavedFamily.Name;

    private protected override IDataView View(BatchRowMapper mapper, IDataView input) => new WindowDataView(mapper, _columns, input);

    private protected override void WriteOptions(Utf8JsonWriter writer) =>
        JsonSerializer.Serialize(writer, new Saved(_columns.Options, _columns.StepWidth), ModelJson.Options);

    private protected override void WriteWeights(Stream stream) => new HostWeights([]).Save(stream);

    private sealed record Saved(SeriesWindowsOptions Options, int StepWidth);
}

/// <summary>The columns of windows; rows are read by their own cursor.</summary>
internal sealed class WindowColumns(SeriesWindowsOptions options, int stepWidth) : IBatchModel
{
    public SeriesWindowsOptions Options => options;

    public int StepWidth => stepWidth;

    public IReadOnlyList<RowField> Inputs { get; } =
        [new(options.InputColumnName, FieldKind.Single, stepWidth) { IsSeries = true }];

    public IReadOnlyList<OutputColumn> Outputs { get; } = options.Outputs(stepWidth);

    public int BatchSize => 1;

    public NonFiniteReplacement? Replacement => null;

    public void Run(RowBlock inputs, int rows, OutputBlock outputs) =>
        throw new NotSupportedException("Windows are of several rows.");

    public void Dispose()
    {
        // There is nothing but managed memory.
    }
}

/// <summary>The rows that windows end with. Read in their own order, by one cursor.</summary>
internal sealed class WindowDataView(BatchRowMapper mapper, WindowColumns columns, IDataView source) : IDataView
{
    private readonly DataViewSchema.Column? _group = columns.Options.GroupColumnName is string name
        ? SequenceRows.FindGroup(source.Schema, name, "input") : null;

    public bool CanShuffle => false;

    public DataViewSchema Schema => mapper.OutputSchema;

    public long? GetRowCount() => null;

    public DataViewRowCursor GetRowCursor(IEnumerable<DataViewSchema.Column> columnsNeeded, Random? rand = null)
    {
        bool[] active = ActiveColumns.Of(Schema, columnsNeeded);
        IEnumerable<DataViewSchema.Column> needed = mapper.Required(active);
        DataViewRowCursor input = source.GetRowCursor(
            _group is DataViewSchema.Column group ? needed.Append(group).DistinctBy(c => c.Index) : needed);
        try
        {
            return new WindowCursor(mapper, columns, input, _group, active);
        }
        catch
        {
            input.Dispose();
            throw;
        }
    }

    public DataViewRowCursor[] GetRowCursorSet(
        IEnumerable<DataViewSchema.Column> columnsNeeded, int n, Random? rand = null) => [GetRowCursor(columnsNeeded, rand)];
}

/// <summary>Reads steps into a ring, as many as a window and its target have; stands on the row that the window ends with.</summary>
internal sealed class WindowCursor : RowCursor, IBatchPosition
{
    private readonly DataViewRowCursor _input;
    private readonly SeriesWindowsOptions _options;
    private readonly int _width, _columns;
    private readonly Action<List<float>>? _read;
    private readonly GroupReader? _groups;
    private readonly ColumnBuffer?[] _passThrough;
    private readonly ValueGetter<DataViewRowId> _idGetter;
    private readonly (DataViewRowId Id, long Batch)[] _ids; // of the last rows, as many as a target has, and one
    private readonly float[] _steps; // ring, ((W + H) × C)
    private readonly List<float> _step = [];
    private long _count; // steps of this series so far
    private int _row = -1;

    public WindowCursor(
        BatchRowMapper mapper, WindowColumns columns, DataViewRowCursor input, DataViewSchema.Column? group, bool[] active)
        : base(mapper.OutputSchema, active)
    {
        (_input, _options, _width, _columns) = (input, columns.Options, columns.StepWidth, mapper.InputSchema.Count);
        _read = mapper.NeedsModel(active) ? SequenceRows.Numbers(input, mapper.ModelInputs[0], _width) : null;
        _groups = group is DataViewSchema.Column column ? GroupReader.Open(input, column) : null;
        int kept = _options.Horizon + 1;
        _passThrough = [.. mapper.InputSchema.Select(c => active.Has(c) ? ColumnBuffer.Create(input, c, kept) : null)];
        _idGetter = input.GetIdGetter();
        _ids = new (DataViewRowId, long)[kept];
        _steps = new float[Length * _width];
    }

    public override long Batch => _row < 0 ? 0 : _ids[_row].Batch;

    public int Row => _row >= 0 ? _row : throw NoRow;

    private int Length => _options.WindowLength + _options.Horizon;

    public override ValueGetter<DataViewRowId> GetIdGetter() => (ref DataViewRowId value) => value = _ids[Row].Id;

    protected override bool Advance()
    {
        _row = -1;
        while (_input.MoveNext())
        {
            if (_groups?.StartsSequence() == true)
                _count = 0;
            int slot = (int)(_count % _ids.Length);
            foreach (ColumnBuffer? buffer in _passThrough)
                buffer?.Fill(slot);
            _idGetter(ref _ids[slot].Id);
            _ids[slot].Batch = _input.Batch;
            if (_read is not null)
            {
                _step.Clear();
                _read(_step);
                _step.CopyTo(_steps, (int)(_count % Length) * _width);
            }
            _count++;
            if (_count < Length || (_count - Length) % _options.Stride != 0)
                continue;
            _row = (int)((_count - 1 - _options.Horizon) % _ids.Length);
            return true;
        }
        return false;
    }

    protected override Delegate Getter<TValue>(int column)
    {
        if (column < _columns)
            return _passThrough[column]!.Getter(this);
        bool isTarget = column > _columns;
        return (ValueGetter<VBuffer<float>>)((ref VBuffer<float> value) =>
        {
            _ = Row;
            (long first, int steps) = isTarget
                ? (_count - _options.Horizon, _options.Horizon) : (_count - Length, _options.WindowLength);
            VBufferEditor<float> editor = VBufferEditor.Create(ref value, steps * _width);
            for (int i = 0; i < steps; i++)
                _steps.AsSpan((int)((first + i) % Length) * _width, _width).CopyTo(editor.Values[(i * _width)..]);
            value = editor.Commit();
        });
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _row = -1;
            _input.Dispose();
        }
        base.Dispose(disposing);
    }
}
