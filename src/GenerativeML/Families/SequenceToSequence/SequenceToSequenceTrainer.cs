using Microsoft.ML;
using Microsoft.ML.Runtime;
using TorchSharp;

namespace GenerativeML;

/// <summary>
/// Trains an encoder-decoder transformer (Vaswani 2017, https://arxiv.org/abs/1706.03762; norms first, Xiong 2020,
/// https://arxiv.org/abs/2002.04745) on pairs of texts: a model that makes the one of the other, as in translation,
/// normalisation of dates and names, or spelling.
/// </summary>
/// <remarks>
/// <para>To create this trainer, use
/// <see cref="Microsoft.ML.GenerativeCatalog.SequenceToSequence(SequenceToSequenceOptions)"/>.</para>
/// <list type="table">
/// <listheader><term>Characteristic</term><description>This trainer</description></listheader>
/// <item><term>Task</term><description>Text generation from text; anomaly detection of pairs.</description></item>
/// <item><term>Input</term><description>Two columns of text. Rows in which one of them is empty are no pairs, and are left
/// out.</description></item>
/// <item><term>Caching</term><description>The tokens are held in memory, four bytes each; the texts are read row by row,
/// several times.</description></item>
/// <item><term>Packages beside Microsoft.ML</term><description>Microsoft.ML.Tokenizers; for training, TorchSharp-cpu or
/// TorchSharp-cuda; a trained model computes with Microsoft.ML.OnnxRuntime on the CPU.</description></item>
/// </list>
/// <para>Added columns, as far as the options name them: <c>GeneratedText</c>, the text that is made of the source; its
/// log-probability; the beam's other texts; and the score of a given pair, by which strange ones can be found.</para>
/// </remarks>
public sealed class SequenceToSequenceTrainer : GenerativeEstimator<SequenceToSequenceTransformer>
{
    private readonly SequenceToSequenceOptions _options;

    internal SequenceToSequenceTrainer(IHostEnvironment environment, SequenceToSequenceOptions options)
        : base(environment, nameof(SequenceToSequenceTrainer), options) => _options = options;

    /// <summary>Trains on pairs by options that are decided.</summary>
    internal static TrainedSequenceToSequence Train(
        IReadOnlyList<TokenPair> pairs, SequenceToSequenceOptions options, TrainingContext context)
    {
        var network = new SequenceToSequenceNetwork(options);
        torch.Device device = TorchRuntime.Resolve(context.Device, context.FallbackToCpu);
        bool bfloat16 = PrecisionChoice.UseBFloat16(
            options.Precision, device, options.Width,
            options.AtOnce((long)(options.BatchSize!.Value * pairs.Average(p => p.Target.Length + 1.0))));
        using DisposeScope scope = torch.NewDisposeScope();
        using var data = new TextPairData(
            pairs, options.SourceTokenizer!.EndOfTextId!.Value, options.TargetTokenizer!.EndOfTextId!.Value, options, device);
        TrainingRun run = TrainingRun.OfSteps(
            data, options, context, options.Steps, ("family", SequenceToSequenceTransformer.SavedFamily.Name), ("bfloat16", bfloat16)) with { RateFloor = options.FinalRateShare };
        HostWeights weights = NetworkFit.Run(
            network, network.Tensors, all => network.Initialize(all, NetworkFit.InitialSeed(context)), data, run, device,
            bfloat16);
        return new(network, weights, context.Device, context.FallbackToCpu);
    }

    private protected override IReadOnlyList<OutputColumn> PromisedColumns(SchemaShape inputSchema) => _options.Outputs();

    private protected override void CheckInput(SchemaShape inputSchema, string parameter)
    {
        InputColumns.Check(inputSchema, _options.SourceColumnName, InputKind.Text, parameter);
        InputColumns.Check(inputSchema, _options.TargetColumnName, InputKind.Text, parameter);
    }

    private protected override SequenceToSequenceTransformer Train(
        IDataView input, string parameter, TrainingContext context)
    {
        var columns = new TextPairColumns(
            input, _options.SourceColumnName, _options.TargetColumnName, parameter, _options.CancellationToken);
        if (!columns.Texts().Any())
            throw new InvalidOperationException(
                $"There is no pair to train on: no row has a text in both columns '{_options.SourceColumnName}' and "
                + $"'{_options.TargetColumnName}'.");
        SequenceToSequenceOptions options = WithTokenizers(columns).Resolve(context.Seed);
        List<TokenPair> pairs = columns.Read(
            SequenceToSequenceModel.SourceWindow(options), SequenceToSequenceModel.TargetWindow(options), options.CacheBudgetBytes);
        options = options with
        {
            MaxSourceTokens = options.MaxSourceTokens ?? pairs.Max(p => p.Source.Length),
            MaxTargetTokens = options.MaxTargetTokens ?? pairs.Max(p => p.Target.Length),
        };
        if (_options.IsDataKnown)
        {
            var vocabulary = new Fingerprint(); // of the texts themselves: another alphabet can have the same tokens
            foreach ((string source, string target, long _) in columns.Texts())
            {
                vocabulary.Add(source);
                vocabulary.Add(target);
            }
            context = context with { Vocabulary = vocabulary.ToString() };
        }
        return new(new SequenceToSequenceModel(Train(pairs, options, context)));
    }

    private SequenceToSequenceOptions WithTokenizers(TextPairColumns columns)
    {
        if (_options.SharedVocabulary)
        {
            GptTokenizer both = _options.SourceTokenizer ?? _options.TargetTokenizer
                ?? Learn(columns.Side(isSource: true).Concat(columns.Side(isSource: false)));
            return _options with { SourceTokenizer = both, TargetTokenizer = both };
        }
        return _options with
        {
            SourceTokenizer = _options.SourceTokenizer ?? Learn(columns.Side(isSource: true)),
            TargetTokenizer = _options.TargetTokenizer ?? Learn(columns.Side(isSource: false)),
        };

        GptTokenizer Learn(IEnumerable<string> texts) => LearnedTokenizer.Of(
            texts, _options.BytePairVocabulary, words: null, _options.UnknownCharacters, endOfText: true, _options.CancellationToken);
    }
}
