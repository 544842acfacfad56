using System.Globalization;
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
/// Its saved model holds the categories of the training table, texts among them, and those numbers that are frequent,
/// least or greatest. Of identifiers it holds a pattern, and bits by which new ones are told from those.
/// </para>
/// <para>
/// It may be used from several threads at once. Disposing it frees native memory; what is needed again is made again.
/// </para>
/// </remarks>
public class TabularTransformer : GenerativeTransformer, IDataGenerator
{
    /// <summary>The name in saved models, and how one is loaded.</summary>
    internal static readonly ModelFamily SavedFamily = new("table", Load);

    private readonly ITableGenerator _generator;
    private readonly TableSchema _table;
    private readonly TableMapping _mapping;

    internal TabularTransformer(
        ITableGenerator generator, TableSchema table, TableMapping mapping, IBatchModel? rows = null)
        : base(rows ?? new NoColumns(generator))
    {
        _generator = generator;
        _table = table;
        _mapping = mapping;
        GeneratedSchema = table.ToSchema();
    }

    /// <inheritdoc/>
    public DataViewSchema GeneratedSchema { get; }

    /// <inheritdoc/>
    /// <exception cref="ArgumentOutOfRangeException">
    /// <paramref name="rows"/> is negative, or there are more than a column's type has room for new identifiers.
    /// </exception>
    /// <exception cref="InvalidOperationException">
    /// None of many rows that the model makes meets the condition, though each of its parts was seen: thrown here, and
    /// by cursors that come to such a place. The message says how many did.
    /// </exception>
    public IDataView Generate(long rows, int seed = 0, RowCondition? where = null)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(rows);
        foreach (TableSchemaColumn column in _table.Columns)
        {
            if (column.Fields[0].Identifier is not { Kind: IdentifierKind.Sequence, Last: double last })
                continue;
            double room = Identifier.GreatestOf(TableItem.Named(column.Type.Item)) - last;
            if (rows > room)
            {
                throw new ArgumentOutOfRangeException(nameof(rows), rows, string.Create(CultureInfo.InvariantCulture,
                    $"Column '{column.Name}' is of type {column.Type.Item}: after {last} it has room for {room} new")
                    + " identifiers.");
            }
        }
        var table = new GeneratedTable(_generator, _table, GeneratedSchema, _mapping, seed, where);
        if (rows > 0)
            table.CheckPossible();
        return new GeneratedDataView(table, rows);
    }

    internal override OnnxPass? PassOf(OnnxContent content)
    {
        if (_generator.PassOf(content) is not var (pass, tokens))
            return null;
        var names = new TokenNames(tokens, _mapping, new ConditionResolver(_table, _mapping));
        // How often tokens occur is said where the caller has to draw one of them.
        bool draws = pass.Inputs.Any(input => input.Name == "given");
        var columns = tokens.Order.Select((column, position) => new
        {
            column = tokens.Shape.Columns[column].Name,
            above = names.AboveOf(position),
            tokens = names.Of(position),
            others = names.RareOf(position),
            rows = draws ? tokens.Frequencies[position] : null,
        });
        return pass with { Said = [.. pass.Said, ("columns", JsonSerializer.Serialize(columns, ModelJson.Readable))] };
    }

    /// <summary>What is saved of a detector; null for what detects nothing.</summary>
    private protected virtual TableDetection? Detection => null;

    private protected override string Family => SavedFamily.Name;

    private protected override void WriteOptions(Utf8JsonWriter writer) => JsonSerializer.Serialize(
        writer,
        new Saved(_table, _mapping.Plan, _mapping.Data.Label, _generator.Options, Detection),
        ModelJson.Options);

    private protected override void WriteWeights(Stream stream) => _generator.Save(stream);

    private static TabularTransformer Load(IHostEnvironment environment, JsonElement options, Stream weights)
    {
        Saved saved;
        try
        {
            saved = ModelJson.Read<Saved>(options);
            saved.Options.Validate();
        }
        catch (ArgumentException invalid)
        {
            throw new FormatException($"The saved table generator's options are wrong: {invalid.Message}");
        }
        saved.Table.Check();
        var shape = new TableShape([.. saved.Table.Fields.Select(f => f.Column)], saved.Label);
        shape.Check();
        saved.Plan.Check(shape);
        var mapping = new TableMapping(shape, saved.Plan);
        mapping.Model.Check();
        ITableGenerator generator = saved.Options.Load(
            mapping.Model, weights, HostDefaults.LoadingDevice(environment), MLNetInternals.FallbackToCpuOf(environment));
        return saved.Options.Wrap(generator, saved.Table, mapping, saved.Detection);
    }

    /// <summary>What <c>options.json</c> holds of a generator of tables.</summary>
    private sealed record Saved(
        TableSchema Table, TablePlan Plan, int? Label, TabularOptions Options, TableDetection? Detection = null);

    /// <summary>A generator of tables in a pipeline: it reads no column and adds none.</summary>
    private sealed class NoColumns(ITableGenerator generator) : IBatchModel
    {
        public IReadOnlyList<RowField> Inputs => [];

        public IReadOnlyList<OutputColumn> Outputs => [];

        public int BatchSize => 1;

        public NonFiniteReplacement? Replacement => null;

        public void Run(RowBlock inputs, int rows, OutputBlock outputs) =>
            throw new InvalidOperationException("There is nothing to compute.");

        public void Dispose() => generator.Dispose();
    }
}

/// <summary>What is saved of a detector of rows of a table: threshold, null for infinity, and what p-values are told by.</summary>
internal sealed record TableDetection(float? Threshold, IReadOnlyList<float>? Calibration);
