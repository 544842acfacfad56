using System.Text.Json;
using Microsoft.ML;
using Microsoft.ML.Runtime;

namespace GenerativeML;

/// <summary>A trained generator of tables: makes rows with the columns of the table that it was trained on.</summary>
/// <remarks>
/// <para>
/// As a step of a pipeline it changes nothing: <see cref="GenerativeTransformer.Transform"/> gives rows as they are, so
/// that a chain can hold it and <c>mlContext.Model</c> saves it. What it is for is <see cref="Generate"/>.
/// </para>
/// <para>
/// It may be used from several threads at once. Disposing it frees the network's memory; data views made by it can no
/// longer compute then.
/// </para>
/// </remarks>
public sealed class TabularTransformer : GenerativeTransformer
{
    /// <summary>The name in saved models, and how one is loaded.</summary>
    internal static readonly ModelFamily SavedFamily = new("table", Load);

    private readonly TabularModel _model;
    private readonly TableSchema _table;
    private readonly TableMapping _mapping;

    internal TabularTransformer(ITableGenerator generator, TableSchema table, TableMapping mapping)
        : this(new TabularModel(generator), table, mapping)
    {
    }

    private TabularTransformer(TabularModel model, TableSchema table, TableMapping mapping)
        : base(model)
    {
        _model = model;
        _table = table;
        _mapping = mapping;
        GeneratedSchema = table.ToSchema();
    }

    /// <summary>
    /// The columns of generated rows: those that were learned, in the order of the training data, with their types and
    /// annotations.
    /// </summary>
    public DataViewSchema GeneratedSchema { get; }

    /// <summary>Generates rows. Nothing is computed before they are read.</summary>
    /// <remarks>
    /// Rows are made in batches as a cursor asks for them, and made again for each cursor, so that any number of them
    /// takes no memory: <c>mlContext.Data.Cache</c> keeps them. The same seed gives the same rows, by any cursor, set
    /// of cursors or number of threads, whatever columns are read; with more rows, the first are those of fewer. A
    /// shuffled cursor reads them in another order.
    /// </remarks>
    /// <param name="rows">How many; zero or more.</param>
    /// <param name="seed">Other seeds give other rows.</param>
    /// <param name="where">What rows are asked for: each of them meets it. Default: any.</param>
    /// <returns>The rows, with <see cref="GeneratedSchema"/>.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The number of rows is negative.</exception>
    /// <exception cref="ArgumentException">
    /// No row can meet the condition: a column is not there, a value was never seen, or conditions contradict each
    /// other; the message says which.
    /// </exception>
    /// <exception cref="InvalidOperationException">
    /// None of many rows that the model makes meets the condition, though each of its parts was seen: thrown here, and
    /// by cursors that come to such a place.
    /// </exception>
    /// <exception cref="ObjectDisposedException">The transformer has been disposed.</exception>
    public IDataView Generate(long rows, int seed = 0, RowCondition? where = null)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(rows);
        var table = new GeneratedTable(_model.Generator, _table, GeneratedSchema, _mapping, seed, where);
        if (rows > 0)
            table.CheckPossible();
        return new GeneratedDataView(table, rows);
    }

    private protected override string Family => SavedFamily.Name;

    private protected override void WriteOptions(Utf8JsonWriter writer) => _model.Generator.Use(
        generator => JsonSerializer.Serialize(
            writer,
            new Saved
            {
                Table = _table,
                Plan = _mapping.Plan,
                Label = _mapping.Data.Label,
                Generator = generator.ModelShape,
            },
            ModelJson.Options));

    private protected override void WriteWeights(Stream stream) =>
        _model.Generator.Use(generator => generator.Save(stream));

    private static TabularTransformer Load(IHostEnvironment environment, JsonElement options, Stream weights)
    {
        Saved saved = ModelJson.Read<Saved>(options);
        saved.Table.Check();
        var shape = new TableShape([.. saved.Table.Fields.Select(f => f.Column)], saved.Label);
        shape.Check();
        saved.Plan.Check(shape);
        var mapping = new TableMapping(shape, TrainingTable.Singles(saved.Table), saved.Plan);
        TorchSharp.torch.Device device = TorchRuntime.Resolve(
            HostDefaults.Device(environment), MLNetInternals.FallbackToCpuOf(environment));
        return new TabularTransformer(
            TrainedTable.Load(mapping.Model, saved.Generator, weights, device), saved.Table, mapping);
    }

    /// <summary>What <c>options.json</c> holds of a generator of tables.</summary>
    private sealed record Saved
    {
        public required TableSchema Table { get; init; }

        public required TablePlan Plan { get; init; }

        public int? Label { get; init; }

        public required TableModelShape Generator { get; init; }
    }
}
