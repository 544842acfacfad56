using Microsoft.ML;
using Microsoft.ML.Runtime;
using TorchSharp;

namespace GenerativeML;

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

    private protected override IReadOnlyList<OutputColumn> PromisedColumns => [];

    private protected override void CheckInput(SchemaShape inputSchema, string parameter) =>
        TableBinding.Check(inputSchema, _options, parameter);

    private protected override TabularTransformer Train(IDataView input, string parameter, TrainingContext context)
    {
        var binding = new TableBinding(input.Schema, _options, parameter);
        TorchRuntime.Resolve(context.Device, context.FallbackToCpu); // a missing device is no reason to read all rows
        var table = new TrainingTable(input, binding, _options, context.Warning);
        return new TabularTransformer(Fit(table, _options, context), table.Schema, table.Mapping);
    }

    /// <summary>Trains on a table: chooses tokens, decides what options leave open, runs the loop.</summary>
    /// <exception cref="InvalidOperationException">There are too few rows, or the loss diverged.</exception>
    internal static TableGenerator Fit(ITableSource source, TabularOptions options, TrainingContext context)
    {
        torch.Device device = TorchRuntime.Resolve(context.Device, context.FallbackToCpu);
        TokenTable tokens = TokenTable.Learn(
            source,
            options.UsesModes
                ? (column, sample) => NumberModes.Learn(column, sample)
                : (column, sample) => NumberTokens.Learn(column, sample, TokenTable.MaxNumbers),
            context.Seed, options.CancellationToken);
        var rows = new TokenSource(source, tokens);
        using DisposeScope scope = torch.NewDisposeScope();
        using TrainingData data = TrainingData.Prepare(rows, options, context.Seed, device, [rows]);
        (options, long? steps) = options.Resolve(data.TrainingRows, tokens.Columns.Count);
        TableNetwork network = options.CreateNetwork(tokens with { Frequencies = rows.Frequencies });

        ulong seed = SplitMix64.Derive(context.Seed, RandomPurpose.Initialization);
        using var layers = new TorchLayers(network.Declare, device, seed);
        using var average = new TorchLayers(network.DeclareAverage, device, seed);
        HostWeights weights = layers.ToHost(TableNetwork.Specs(network.Declare));
        network.Initialize(weights, seed);
        layers.LoadStateDict(weights);
        average.LoadStateDict(weights);
        var objective = new TableObjective(network, layers, average, options.WeightAverageDecay);
        TrainingRun run = TrainingRun.Of(
            options, context, options.BatchSize!.Value, options.Epochs!.Value, options.LearningRate!.Value,
            options.WeightDecay!.Value, ("family", network.GetType().Name), ("tokens", tokens.Counts));
        TrainingLoop.Run(objective, data, run with { Steps = steps }, device);
        HostWeights trained = network.Trained(average.ToHost(TableNetwork.Specs(network.DeclareAverage)));
        return new TableGenerator(network, options, trained, context.Device, context.FallbackToCpu);
    }
}
