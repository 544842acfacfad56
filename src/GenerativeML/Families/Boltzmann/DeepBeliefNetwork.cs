using Microsoft.ML.Runtime;
using TorchSharp;

namespace GenerativeML;

/// <summary>The options of a deep belief network (Hinton 2006).</summary>
/// <remarks>
/// It is trained layer by layer: each is a restricted Boltzmann machine of the hidden units below. Each layer takes an
/// equal share of <see cref="TrainingOptions.Epochs"/>, and so does fine-tuning where there is a label; the learning rate
/// begins anew for each, and fine-tuning has a fifth of it.
/// </remarks>
public sealed record DeepBeliefNetworkOptions : BoltzmannOptions
{
    /// <summary>
    /// Hidden units of each layer, from the rows upwards. 1 to 64 layers, each of 1 to 65,536 units. Default: two, twice
    /// as wide as the input, but at least 32 and at most 512.
    /// </summary>
    public IReadOnlyList<int>? HiddenLayers { get; init; }

    /// <summary>What the visible units are. Default <see cref="VisibleUnits.Auto"/>.</summary>
    public VisibleUnits VisibleUnits { get; init; }

    /// <summary>
    /// A label, a key, that training reads: a copy of the layers is fine-tuned to predict it, <c>Score</c> holds the
    /// probability of each class and <c>PredictedLabel</c> the most probable one. Rows whose label is missing are trained
    /// on before. Default: none.
    /// </summary>
    public string? LabelColumnName { get; init; }

    /// <summary>The share of hidden units that fine-tuning leaves out at random. In [0, 1). Default 0.2.</summary>
    public double Dropout { get; init; } = 0.2;

    private protected override OptionalColumns Supported => OptionalColumns.None;

    internal override VectorColumns Columns => base.Columns with { Class = LabelColumnName };

    internal override double? AnomalyShare => LabelColumnName is null ? base.AnomalyShare : null;

    internal override VectorOptions Resolve(RowStatistics rows)
    {
        int batch = BatchSize ?? 128, width = Math.Clamp(2 * rows.Input.Width, 32, 512);
        IReadOnlyList<int> layers = HiddenLayers ?? [width, width];
        int phases = layers.Count + (LabelColumnName is null ? 0 : 1);
        return this with
        {
            HiddenLayers = layers,
            VisibleUnits = Alike(BinaryFeatures(VisibleUnits, rows, FeatureColumnName)),
            Chains = Chains ?? Math.Min(batch, 10_000),
            BatchSize = batch,
            LearningRate = LearningRate ?? 5e-3,
            WeightDecay = WeightDecay ?? 0.01,
            Epochs = Epochs ?? phases * rows.EpochsFor(presented: 256_000, least: 10, most: 200),
        };
    }

    /// <inheritdoc />
    /// <exception cref="ArgumentException">There is a label, and a column of p-values, which are those of anomalies.</exception>
    public override void Validate()
    {
        base.Validate();
        OptionChecks.Layers(HiddenLayers);
        OptionChecks.AtLeast(HiddenLayers?.Count ?? 1, 1, $"{nameof(HiddenLayers)}.Count");
        OptionChecks.Defined(VisibleUnits);
        OptionChecks.WithinHalfOpen(Dropout, 0, 1);
        if (LabelColumnName is not null && PValueColumnName is not null)
            throw new ArgumentException($"Option {nameof(PValueColumnName)} is set, and a classifier of a label has no p-values.");
    }
}

/// <summary>
/// Learns rows by a deep belief network: scores, encodes and generates them; or, with a label, classifies them.
/// </summary>
/// <remarks>
/// <inheritdoc cref="VectorTrainer{TTransformer}" path="/remarks/list"/>
/// <para>Added columns:</para>
/// <list type="table">
/// <listheader><term>Column</term><description>Type and meaning</description></listheader>
/// <item><term><c>Score</c></term><description>Without a label <see cref="float"/>: the negative variational bound on the
/// row's log-likelihood, with the hidden units at their probabilities, less the log Z of the top layer, in nats. With a
/// label a vector: the probability of each class.</description></item>
/// <item><term><c>PredictedLabel</c></term><description>Without a label, on request: <see cref="bool"/>, whether the score
/// is above the threshold. With one: a key, the most probable class, whose values are those of the label.
/// </description></item>
/// <item><term><c>PValue</c></term><description>On request, without a label: <see cref="float"/>, the share of ordinary rows
/// that score as high or higher.</description></item>
/// <item><term><c>Latent</c></term><description>On request: a vector, the probabilities of the top layer's hidden units; with
/// a label after fine-tuning.</description></item>
/// </list>
/// </remarks>
public sealed class DeepBeliefNetworkTrainer : VectorTrainer<BoltzmannTransformer>
{
    internal static readonly VectorFamily Family = VectorFamily.Of<DeepBeliefNetworkOptions>(
        "deep belief network", (options, input) => new DeepBeliefNetwork(options, input),
        state => new BoltzmannTransformer(state));

    internal DeepBeliefNetworkTrainer(IHostEnvironment environment, DeepBeliefNetworkOptions options)
        : base(environment, Family, options)
    {
    }
}

/// <summary>
/// A stack of <see cref="BinaryLayer"/>: the top one is a joint distribution, from which the others lead down to rows.
/// The copy that is fine-tuned for a label, <c>classifier</c>, begins as they are when all have been trained.
/// </summary>
internal sealed class DeepBeliefNetwork : VectorNetwork, IBoltzmannMachine, IScorer, IEncoder, ISampler, IClassifier
{
    private const double FineTuningRate = 0.2;

    private readonly DeepBeliefNetworkOptions _options;
    private readonly BinaryLayer[] _layers;
    private readonly int[] _widths;

    public DeepBeliefNetwork(DeepBeliefNetworkOptions options, VectorInput input)
        : base(input)
    {
        _options = options;
        _widths = [input.Width, .. options.HiddenLayers!];
        _layers = [.. options.HiddenLayers!.Select((hidden, k) => new BinaryLayer(
            $"dbn.{k}", _widths[k], hidden, k == 0 ? options.VisibleUnits : VisibleUnits.Binary, seesRows: k == 0))];
    }

    public bool IsLogLikelihood => true; // but for log Z
    public int LatentDimension => _widths[^1];
    public int NormalWidth => _layers[0].NormalWidth * (_layers.Length == 1 ? _options.SampleSteps : 1);
    public int UniformWidth => 1 + _options.SampleSteps * Top.UniformWidth
        + _layers.SkipLast(1).Sum(layer => layer.UniformWidth - layer.Hidden);
    public int EnumeratedUnits => Top.Hidden;
    public override int WidestLayer => _widths.Max();
    public override bool UsesValidationLoss => false;
    public override string AveragedPart => "dbn";

    public override IReadOnlyList<double> Phases =>
        [.. _layers.Select(_ => 1.0), .. Input.Classes > 0 ? (double[])[FineTuningRate] : []];

    private BinaryLayer Top => _layers[^1];

    public override void Declare(Layers layers)
    {
        for (int k = 0; k < _layers.Length; k++)
        {
            _layers[k].Declare(layers);
            layers.Buffer(Chains(k), _options.Chains!.Value, _widths[k]);
        }
        if (Input.Classes > 0)
            layers.Stack("classifier", [.. _widths, Input.Classes]);
    }

    protected override VectorScaler ScalerOf(RowStatistics rows) => VectorScaler.Of(
        rows.Moments[0], rows.Samples[0],
        BoltzmannOptions.BinaryFeatures(_options.VisibleUnits, rows, _options.FeatureColumnName));

    public override void Initialize(HostWeights weights, RowStatistics rows)
    {
        bool[] binary = BoltzmannOptions.BinaryFeatures(_options.VisibleUnits, rows, _options.FeatureColumnName);
        _layers[0].Initialize(weights, FeatureScaler(weights), binary, rows.Binary);
        _layers[0].DrawIndependent(weights, weights[Chains(0)], Input.Seed);
        var random = new SplitMix64(SplitMix64.Derive(Input.Seed, RandomPurpose.Initialization, 2));
        for (int k = 1; k < _layers.Length; k++)
        {
            foreach (ref float unit in weights[Chains(k)].AsSpan())
                unit = random.Next(2);
        }
    }

    public override bool IsComputedInParts => !_options.PersistentChains;

    public override IReadOnlyList<LossTerm> Loss(VectorStep step)
    {
        Scope<TorchTensor> w = step.Weights;
        int k = step.Step.PhaseOf(Phases.Count);
        if (k == _layers.Length)
            return [new("loss", CrossEntropy(w, step))];
        BinaryLayer layer = _layers[k];
        torch.Tensor chains = w[Chains(k)].Value;
        TorchTensor data = step.Rows, model;
        using (torch.no_grad())
        {
            for (int i = 0; i < k; i++)
                data = Up(w, i, _layers[i].Draw(w, data, step.Step.Random));
            data = layer.Draw(w, data, step.Step.Random);
            model = layer.Gibbs(w, _options.PersistentChains ? chains : data, _options.GibbsSteps, step.Step.Random,
                _options.PersistentChains ? SeededRandom.ForAll : 0);
            long kept = Math.Min(model.Value.shape[0], chains.shape[0]);
            chains.narrow(0, 0, kept).copy_(model.Value.narrow(0, 0, kept));
        }
        return [new("loss", layer.FreeEnergy(w, data).Value.mean().Minus(layer.FreeEnergy(w, model).Value.mean()))];
    }

    // The copy begins as the layers are when the last of them has been trained.
    public override void AfterUpdate(TorchLayers layers, int update, StepContext step)
    {
        if (Input.Classes == 0 || step.PhaseOf(Phases.Count) != _layers.Length - 1
            || (step with { Step = step.Step + 1 }).PhaseOf(Phases.Count) != _layers.Length)
            return;
        for (int k = 0; k < _layers.Length; k++)
        {
            foreach ((string name, torch.Tensor trained) in layers.Tensors)
            {
                if (name.StartsWith($"dbn.{k}.hidden.", StringComparison.Ordinal))
                    layers.Tensors[name.Replace($"dbn.{k}.hidden.", $"classifier.{k}.", StringComparison.Ordinal)].copy_(trained);
            }
        }
    }

    public override void Calibrate(VectorCalibration calibration)
    {
        var random = new SeededRandom(torch.CPU, SplitMix64.Derive(Input.Seed, RandomPurpose.Calibration));
        using var engine = new BoltzmannEngine(calibration.Weights, torch.CPU);
        string chains = Chains(_layers.Length - 1);
        engine.Run(w => HostTensors.CopyTo(Top.Gibbs(w, w[chains], _options.BurnIn, random), calibration.Weights[chains]));
    }

    public (T Score, T? ByFeature) Score<T>(Scope<T> w, VectorRows<T> rows, bool byFeature)
        where T : struct, ITensor<T>
    {
        T x = rows.Features, bound = x.Slice(1, 0, 1) * 0f;
        for (int k = 0; k < _layers.Length - 1; k++)
        {
            // −log p(x | h) − H(q), at the probabilities of h: of a logit a the entropy is softplus(a) − a·σ(a).
            T logits = _layers[k].HiddenLogits(w, x), units = logits.Apply(Function.Sigmoid);
            T entropy = (logits.Apply(Function.Softplus) - logits * units).Reduce(Reduction.Sum, 1);
            bound += _layers[k].LossGiven(w, x, units) - entropy;
            x = units;
        }
        return (bound + Top.FreeEnergy(w, x), null);
    }

    public (T Mean, T? Deviation) Encode<T>(Scope<T> w, VectorRows<T> rows)
        where T : struct, ITensor<T>
    {
        if (Input.Classes > 0)
            return (w.Stack("classifier", _layers.Length, Seen(w, rows.Features), Activation.Sigmoid, activateLast: true), null);
        T x = rows.Features;
        for (int k = 0; k < _layers.Length; k++)
            x = Up(w, k, x);
        return (x, null);
    }

    public T Classify<T>(Scope<T> w, VectorRows<T> rows)
        where T : struct, ITensor<T> => w.Linear($"classifier.{_layers.Length}", Encode(w, rows).Mean).Softmax();

    public T Sample<T>(Scope<T> w, T normal, T? uniform, T? condition)
        where T : struct, ITensor<T>
    {
        T numbers = uniform!.Value;
        int steps = _options.SampleSteps, at = 1 + steps * Top.UniformWidth;
        T x = BoltzmannOptions.ChainOf(w[Chains(_layers.Length - 1)], _options.Chains!.Value, numbers);
        x = Top.Sample(w, x, steps, normal, numbers.Slice(1, 1, at - 1));
        for (int k = _layers.Length - 2; k >= 0; k--)
        {
            int width = _layers[k].UniformWidth - _layers[k].Hidden;
            x = _layers[k].Down(w, x, normal, width > 0 ? numbers.Slice(1, at, width) : null, last: k == 0);
            at += width;
        }
        return x;
    }

    public double LogPartition(Scope<TorchTensor> w) => Top.LogPartition(w);

    public LogPartition LogPartition(Scope<TorchTensor> w, int chains, int temperatures, SeededRandom random) =>
        Top.LogPartition(w, chains, temperatures, random);

    private static string Chains(int layer) => $"chains_{layer}";

    private T Up<T>(Scope<T> w, int k, T x)
        where T : struct, ITensor<T> => _layers[k].HiddenLogits(w, x).Apply(Function.Sigmoid);

    // Rows as the first layer of the copy takes them, whose variances stay.
    private T Seen<T>(Scope<T> w, T rows)
        where T : struct, ITensor<T> => rows * _layers[0].Precision(w);

    private torch.Tensor CrossEntropy(Scope<TorchTensor> w, VectorStep step)
    {
        TorchTensor x = Seen<TorchTensor>(w, step.Rows).Value.detach(), known = step.Class!;
        for (int k = 0; k < _layers.Length; k++)
            x = w.Dropout(w.Linear($"classifier.{k}", x).Apply(Function.Sigmoid), _options.Dropout);
        TorchTensor logits = w.Linear($"classifier.{_layers.Length}", x);
        // Rows of no known class count nothing.
        return (known * (logits.LogSumExp(1) - logits)).Reduce(Reduction.Sum, 1).Value.mean();
    }
}
