using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.ML;
using Microsoft.ML.Runtime;
using TorchSharp;

namespace GenerativeML;

/// <summary>
/// The options of a generator of tables, whatever it is made of. A trained model keeps them, with what training decided
/// in the place of what they left open.
/// </summary>
/// <remarks>
/// Its layers are too narrow for bfloat16 to gain anything: <see cref="TrainingOptions.Precision"/> is
/// <see cref="Precision.Auto"/> or <see cref="Precision.Float32"/>, which are the same here.
/// </remarks>
[JsonDerivedType(typeof(BayesianNetworkOptions), "bayesian network")]
[JsonDerivedType(typeof(TabularDiffusionOptions), "diffusion")]
[JsonDerivedType(typeof(TabularGanOptions), "gan")]
[JsonDerivedType(typeof(TabularVaeOptions), "vae")]
public abstract record TabularOptions : TrainingOptions
{
    /// <summary>Tables of more columns have narrower networks by default.</summary>
    private protected const int WideColumns = 200;

    // What the positions of a batch hold together, so that wide tables take no more memory.
    private const long BatchElements = 1 << 23;

    private const int DefaultBatch = 256, LeastPasses = 10;

    /// <summary>
    /// The columns to learn and to generate, by name. Default: all columns of the data that are not hidden.
    /// </summary>
    public IReadOnlyList<string>? ColumnNames { get; init; }

    /// <summary>
    /// The column that classifiers will be trained to predict: what decides its value is learned with more care. A
    /// scalar. Default: none.
    /// </summary>
    public string? LabelColumnName { get; init; }

    /// <summary>
    /// Columns of numbers that are names and not quantities, such as postal codes: each value in the data is a category
    /// of its own. Text, keys and Booleans always are, and so are numbers of at most 20 different values, each of which
    /// occurs five times on average. Default: no others.
    /// </summary>
    public IReadOnlyList<string>? CategoricalColumnNames { get; init; }

    /// <summary>
    /// Columns that tell rows apart, and how new values of each are made; see <see cref="IdentifierKind"/>. Where a
    /// column is not named, it counts as one if no value of it comes twice in 20 rows or more (of very many rows, in the
    /// first 65,536): text, and whole numbers of 32 and 64 bits that lie closely together; but not the label, nor what
    /// other options name. A warning says so, and <see cref="IdentifierKind.None"/> keeps a column from it. Default:
    /// none are named.
    /// </summary>
    /// <remarks><code>Identifiers = new() { ["Id"] = IdentifierKind.Sequence, ["Name"] = IdentifierKind.Pattern }</code></remarks>
    public Dictionary<string, IdentifierKind>? Identifiers { get; init; }

    /// <summary>What holds in every row, in the data and in generated rows. Default: nothing.</summary>
    public IReadOnlyList<TableConstraint>? Constraints { get; init; }

    /// <summary>Whether numbers are learned as modes and offsets; otherwise as intervals.</summary>
    internal abstract bool UsesModes { get; }

    /// <summary>Whether training needs libtorch, so that a missing device is found before rows are read.</summary>
    internal virtual bool TrainsInTorch => true;

    /// <summary>Makes the network of resolved options.</summary>
    internal abstract TableNetwork CreateNetwork(TokenTable tokens);

    /// <summary>
    /// The same options with everything decided that they left open, and the number of steps where not whole epochs
    /// decide.
    /// </summary>
    internal abstract (TabularOptions Options, long? Steps) Resolve(long trainingRows, int columns);

    /// <summary>Trains on a table.</summary>
    internal virtual ITableGenerator Fit(ITableSource source, TrainingContext context) =>
        TabularEstimator.Fit(source, this, context);

    /// <summary>Reads what a trained generator saved, for columns and options that were checked.</summary>
    internal virtual ITableGenerator Load(TableShape shape, Stream weights, ComputeDevice device, bool fallbackToCpu) =>
        TableGenerator.Load(shape, this, weights, device, fallbackToCpu);

    /// <summary>Makes the transformer of a trained generator.</summary>
    internal virtual TabularTransformer Wrap(
        ITableGenerator generator, TableSchema table, TableMapping mapping, TableDetection? detection) =>
        new(generator, table, mapping);

    /// <summary>Checks what options of the family alone say of columns.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A column is missing or of the wrong type.</exception>
    internal virtual void Check(TableBinding binding, string parameter)
    {
    }

    /// <inheritdoc />
    /// <exception cref="ArgumentException">
    /// A column's name is empty or given twice, constraints contradict each other, or the precision is not one that
    /// generators of tables train in.
    /// </exception>
    public override void Validate()
    {
        base.Validate();
        CheckNames(ColumnNames, nameof(ColumnNames));
        CheckNames(CategoricalColumnNames, nameof(CategoricalColumnNames));
        if (LabelColumnName is not null && string.IsNullOrWhiteSpace(LabelColumnName))
            throw new ArgumentException($"Option {nameof(LabelColumnName)} is empty.");
        if (Precision == Precision.BFloat16)
        {
            throw new ArgumentException(
                $"Generators of tables train in 32 bits: option {nameof(Precision)} is {Precision}.");
        }
        foreach ((string column, IdentifierKind kind) in Identifiers ?? [])
        {
            OptionChecks.Defined(kind, $"{nameof(Identifiers)}[\"{column}\"]");
            if (string.IsNullOrWhiteSpace(column))
                throw new ArgumentException($"Option {nameof(Identifiers)} names a column without a name.");
            string? other = kind == IdentifierKind.None ? null
                : column == LabelColumnName ? nameof(LabelColumnName)
                : CategoricalColumnNames?.Contains(column) == true ? nameof(CategoricalColumnNames)
                : Constraints?.Any(c => c.ColumnNames.Contains(column)) == true ? nameof(Constraints)
                : null;
            if (other is not null)
            {
                throw new ArgumentException(
                    $"Column '{column}' is an identifier by option {nameof(Identifiers)}, which is not learned, so option"
                    + $" {other} cannot name it.");
            }
        }
        TableConstraint.CheckTogether(Constraints ?? []);
    }

    /// <summary>
    /// The options with everything decided, for hidden layers so wide, by how often rows are presented: so many passes, of
    /// at least <paramref name="min"/> rows together and no more than <paramref name="many"/>; or ten passes, where they are
    /// more, of at most <paramref name="max"/>.
    /// </summary>
    private protected (TabularOptions Options, long? Steps) ByRows(
        long trainingRows, int columns, int hidden, int passes, long min, long many, long max, double rate, double decay)
    {
        int batch = (int)Math.Min(DefaultBatch, Math.Max(16, BatchElements / (columns * (long)hidden)));
        long most = Math.Clamp(LeastPasses * trainingRows, many, max);
        long steps = (Math.Clamp(passes * trainingRows, min, most) + DefaultBatch - 1) / DefaultBatch;
        return (With(trainingRows, batch, rate, decay, steps), Epochs is null ? steps : null);
    }

    /// <summary>The options with a batch size, learning rate and weight decay, and epochs for so many steps.</summary>
    private protected TabularOptions With(long trainingRows, int batchSize, double rate, double decay, long steps)
    {
        int batch = (int)Math.Min(BatchSize ?? batchSize, trainingRows);
        long perEpoch = (trainingRows + batch - 1) / batch;
        return this with
        {
            BatchSize = batch,
            LearningRate = LearningRate ?? rate,
            WeightDecay = WeightDecay ?? decay,
            Epochs = Epochs ?? (int)((steps + perEpoch - 1) / perEpoch),
        };
    }

    private static void CheckNames(IReadOnlyList<string>? names, string option)
    {
        if (names is null)
            return;
        if (names.Count == 0 || names.Any(string.IsNullOrWhiteSpace))
            throw new ArgumentException($"Option {option} names no column, or one without a name.");
        string? twice = names.GroupBy(name => name).FirstOrDefault(g => g.Count() > 1)?.Key;
        if (twice is not null)
            throw new ArgumentException($"Option {option} names column '{twice}' twice.");
    }
}

/// <summary>
/// What the trainers of generators of tables have in common: they learn any mixed columns, and what they train
/// generates rows with the same.
/// </summary>
/// <remarks>
/// <list type="table">
/// <listheader><term>In the data</term><description>How it is learned</description></listheader>
/// <item><term>Single, Double, integers</term><description>As numbers, within the range and with the decimals of the
/// data; where there are at most 20 different ones and each occurs five times on average, or where
/// <see cref="TabularOptions.CategoricalColumnNames"/> names the column, as categories.</description></item>
/// <item><term>Boolean, text, keys</term><description>As categories; up to 65,536 of them in a column, with a warning
/// above 1000.</description></item>
/// <item><term>DateTime, DateTimeOffset, TimeSpan</term><description>As numbers, in the coarsest unit from days to
/// ticks in which all of the column are whole; DateTimeOffset with one offset for all rows.</description></item>
/// <item><term>Text, and whole numbers close together, that are different in each row</term><description>Not learned:
/// new ones are made, see <see cref="TabularOptions.Identifiers"/>.</description></item>
/// <item><term>Vectors of known size of these</term><description>Feature by feature, like columns.</description></item>
/// <item><term>NaN, empty text, missing keys, the least DateTime</term><description>As missing, and generated so.
/// Infinite numbers are an error, or missing with <see cref="NonFiniteValues.Replace"/>.</description></item>
/// </list>
/// </remarks>
public abstract class TabularEstimator : GenerativeEstimator<TabularTransformer>
{
    private readonly TabularOptions _options;

    private protected TabularEstimator(IHostEnvironment environment, string name, TabularOptions options)
        : base(environment, name, options) => _options = options;

    private protected override IReadOnlyList<OutputColumn> PromisedColumns(SchemaShape inputSchema) => [];

    private protected override void CheckInput(SchemaShape inputSchema, string parameter) =>
        TableBinding.Check(inputSchema, _options, parameter);

    private protected override TabularTransformer Train(IDataView input, string parameter, TrainingContext context)
    {
        var binding = new TableBinding(input.Schema, _options, parameter);
        _options.Check(binding, parameter);
        if (_options.TrainsInTorch)
            TorchRuntime.Resolve(context.Device, context.FallbackToCpu); // a missing device is no reason to read all rows
        var table = new TrainingTable(input, binding, _options, context.Warning);
        if (_options.IsDataKnown)
        {
            var vocabulary = new Fingerprint();
            vocabulary.Add(JsonSerializer.Serialize(table.Schema, ModelJson.Options));
            vocabulary.Add(JsonSerializer.Serialize(table.Mapping.Plan, ModelJson.Options));
            context = context with { Vocabulary = vocabulary.ToString() };
        }
        return _options.Wrap(_options.Fit(table, context), table.Schema, table.Mapping, null);
    }

    /// <summary>Trains on a table: chooses tokens, decides what options leave open, runs the loop.</summary>
    /// <exception cref="InvalidOperationException">There are too few rows, or the loss diverged.</exception>
    internal static TableGenerator Fit(ITableSource source, TabularOptions options, TrainingContext context)
    {
        torch.Device device = TorchRuntime.Resolve(context.Device, context.FallbackToCpu);
        TokenTable tokens = TokenTable.Learn(source, options.UsesModes, context.Seed, options.CancellationToken);
        var rows = new TokenSource(source, tokens);
        using DisposeScope scope = torch.NewDisposeScope();
        using TrainingData data = TrainingData.Prepare(rows, options, context.Seed, device, [rows]);
        (options, long? steps) = options.Resolve(data.TrainingRows, tokens.Columns.Count);
        TableNetwork network = options.CreateNetwork(tokens with { Frequencies = rows.Frequencies });
        var values = new Fingerprint();
        foreach (double value in tokens.Columns.SelectMany(c => c.Save()))
            values.Add(BitConverter.DoubleToUInt64Bits(value));

        TrainingRun run = TrainingRun.Of(
            options, context, options.BatchSize!.Value, options.Epochs!.Value, options.LearningRate!.Value,
            options.WeightDecay!.Value, ("family", network.GetType().Name), ("tokens", tokens.Counts),
            ("values of the tokens", values.ToString()));
        HostWeights trained = NetworkFit.Run(
            network, network.Declared().Tensors,
            weights => network.Initialize(weights, NetworkFit.InitialSeed(context)), data, run with { Steps = steps },
            device);
        return new TableGenerator(
            network, options, network.Trained(trained), context.Device, context.FallbackToCpu);
    }
}
