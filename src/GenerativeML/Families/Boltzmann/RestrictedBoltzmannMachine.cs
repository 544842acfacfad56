using Microsoft.ML.Runtime;
using TorchSharp;

namespace GenerativeML;

/// <summary>What the visible units of a Boltzmann machine are.</summary>
public enum VisibleUnits
{
    /// <summary>
    /// <see cref="Binary"/> where the training rows hold both 0 and 1 and nothing else, otherwise <see cref="Gaussian"/>:
    /// each feature by itself. The default.
    /// </summary>
    Auto,

    /// <summary>
    /// All are zero or one. A value in between, such as a grey, is the probability of a one, and is drawn anew whenever
    /// it is trained on. All training values must lie in [0, 1].
    /// </summary>
    Binary,

    /// <summary>All are normal given the hidden units, with a variance of each feature's own, which is learned.</summary>
    Gaussian,
}

/// <summary>The options that all Boltzmann machines have.</summary>
/// <remarks>
/// Gradients are those of the likelihood, estimated by Markov chains: there is no loss that could be validated, so that
/// <see cref="TrainingOptions.EarlyStoppingPatience"/> has no effect. They are not clipped by default.
/// </remarks>
public abstract record BoltzmannOptions : DetectorOptions
{
    private protected BoltzmannOptions()
    {
        GradientClipNorm = 0; // gradients are sums over features
        WeightAverageDecay = 0.999;
    }

    /// <summary>Steps of Gibbs sampling for each gradient, the k of CD-k. 1 to 1000. Default 1.</summary>
    public int GibbsSteps { get; init; } = 1;

    /// <summary>
    /// Whether the chains go on from where the last gradient left them (persistent contrastive divergence, Tieleman
    /// 2008), so that they come to be samples of the model; otherwise they begin at the rows of the batch (contrastive
    /// divergence, Hinton 2002). Default true.
    /// </summary>
    public bool PersistentChains { get; init; } = true;

    /// <summary>
    /// Chains, of which the model keeps the last states: what is generated begins at one of them. 1 to 10,000. Default:
    /// as many as a batch has rows.
    /// </summary>
    public int? Chains { get; init; }

    /// <summary>Steps of Gibbs sampling from a chain's last state to a generated row. 1 to 1000. Default 10.</summary>
    public int SampleSteps { get; init; } = 10;

    /// <inheritdoc />
    public override void Validate()
    {
        base.Validate();
        OptionChecks.Within(GibbsSteps, 1, 1000);
        OptionChecks.Within(Chains, 1, 10_000);
        OptionChecks.Within(SampleSteps, 1, 1000);
    }

    /// <summary>Which features are binary.</summary>
    /// <exception cref="InvalidOperationException">A feature that is to be binary has values outside [0, 1].</exception>
    internal static bool[] BinaryFeatures(VisibleUnits units, RowStatistics rows, string column)
    {
        ColumnMoments moments = rows.Moments[0];
        return [.. Enumerable.Range(0, rows.Input.Width).Select(j =>
        {
            (float least, float most) = (moments.Minimum[j], moments.Maximum[j]);
            if (units == VisibleUnits.Binary && (least < 0 || most > 1))
            {
                throw new InvalidOperationException(FormattableString.Invariant(
                    $"Feature {j} of column '{column}' cannot be a binary unit: values from 0 to 1 are expected, found {least} to {most}."));
            }
            return units == VisibleUnits.Binary || units == VisibleUnits.Auto && rows.Binary[j] && most > least;
        })];
    }

    /// <summary>For each generated row the last state of a chain, which the first of its uniform numbers chooses.</summary>
    internal static T ChainOf<T>(T states, int chains, T uniform)
        where T : struct, ITensor<T>
    {
        T place = (uniform.Slice(1, 0, 1) * chains).Clamp(0, chains - 0.5f);
        return states.Embed(place.ToIndices()).Squeeze(1);
    }

    /// <summary>Steps of chains by the final weights: more where they began at rows, and are no samples yet.</summary>
    internal int BurnIn => PersistentChains ? 20 : 200;

    /// <summary>What all features are alike; <see cref="VisibleUnits.Auto"/> where they differ.</summary>
    internal static VisibleUnits Alike(bool[] binary) => binary.All(b => b) ? VisibleUnits.Binary
        : binary.Any(b => b) ? VisibleUnits.Auto : VisibleUnits.Gaussian;
}

/// <summary>The options of a restricted Boltzmann machine (Smolensky 1986; Hinton 2002).</summary>
/// <inheritdoc cref="BoltzmannOptions" path="/remarks"/>
public sealed record RestrictedBoltzmannMachineOptions : BoltzmannOptions
{
    /// <summary>
    /// Hidden units, which are zero or one. 1 to 65,536. Default: twice as many as features, but at least 16 and at most
    /// 512.
    /// </summary>
    public int? HiddenUnits { get; init; }

    /// <summary>What the visible units are. Default <see cref="VisibleUnits.Auto"/>.</summary>
    public VisibleUnits VisibleUnits { get; init; }

    private protected override OptionalColumns Supported => OptionalColumns.Reconstruction;

    internal override VectorOptions Resolve(RowStatistics rows)
    {
        int batch = BatchSize ?? 128;
        return this with
        {
            VisibleUnits = Alike(BinaryFeatures(VisibleUnits, rows, FeatureColumnName)),
            HiddenUnits = HiddenUnits ?? Math.Clamp(2 * rows.Input.Width, 16, 512),
            Chains = Chains ?? Math.Min(batch, 10_000),
            BatchSize = batch,
            LearningRate = LearningRate ?? 0.01,
            WeightDecay = WeightDecay ?? 0.01,
            Epochs = Epochs ?? rows.EpochsFor(presented: 256_000, least: 10, most: 200),
        };
    }

    /// <inheritdoc />
    public override void Validate()
    {
        base.Validate();
        OptionChecks.Within(HiddenUnits, 1, OptionChecks.MaxWidth);
        OptionChecks.Defined(VisibleUnits);
    }
}

/// <summary>
/// Learns rows by a restricted Boltzmann machine: scores them by their free energy, encodes them as the probabilities of
/// the hidden units, and generates others like them.
/// </summary>
/// <remarks>
/// <inheritdoc cref="VectorTrainer{TTransformer}" path="/remarks/list"/>
/// <para>Added columns:</para>
/// <list type="table">
/// <listheader><term>Column</term><description>Type and meaning</description></listheader>
/// <item><term><c>Score</c></term><description><see cref="float"/>: the free energy in nats, −log p(row) − log Z, of the row
/// in the units of its data: the higher, the stranger the row. <see cref="BoltzmannTransformer.EstimateLogPartition"/>
/// gives log Z.</description></item>
/// <item><term><c>PredictedLabel</c></term><description>Of a detector: <see cref="bool"/>, whether the score is above the
/// threshold, which <see cref="DetectorOptions.Contamination"/> decides.</description></item>
/// <item><term><c>PValue</c></term><description>On request: <see cref="float"/>, the share of ordinary rows that score as
/// high or higher.</description></item>
/// <item><term><c>Reconstruction</c></term><description>On request: a vector as wide as the input, what is expected given
/// the probabilities of the hidden units.</description></item>
/// <item><term><c>Latent</c></term><description>On request, by <see cref="DetectorOptions.LatentColumnName"/>: a vector,
/// the probability of each hidden unit.</description></item>
/// </list>
/// </remarks>
public sealed class RestrictedBoltzmannMachineTrainer : VectorTrainer<BoltzmannTransformer>
{
    internal static readonly VectorFamily Family = VectorFamily.Of<RestrictedBoltzmannMachineOptions>(
        "restricted boltzmann machine", (options, input) => new RestrictedBoltzmannMachineNetwork(options, input),
        state => new BoltzmannTransformer(state));

    internal RestrictedBoltzmannMachineTrainer(IHostEnvironment environment, RestrictedBoltzmannMachineOptions options)
        : base(environment, Family, options)
    {
    }
}

/// <summary>One <see cref="BinaryLayer"/>, and the chains that sample it.</summary>
internal sealed class RestrictedBoltzmannMachineNetwork(RestrictedBoltzmannMachineOptions options, VectorInput input)
    : VectorNetwork(input), IBoltzmannMachine, IScorer, IReconstructor, IEncoder, ISampler
{
    private readonly int _chains = options.Chains!.Value;

    public BinaryLayer Layer { get; } = new("rbm", input.Width, options.HiddenUnits!.Value, options.VisibleUnits);

    public bool IsLogLikelihood => true; // but for log Z
    public int LatentDimension => Layer.Hidden;
    public int NormalWidth => options.SampleSteps * Layer.NormalWidth;
    public int UniformWidth => 1 + options.SampleSteps * Layer.UniformWidth;
    public override int WidestLayer => Math.Min(Layer.Visible, Layer.Hidden);
    public override bool UsesValidationLoss => false;
    public override string AveragedPart => Layer.Name;

    public override void Declare(Layers layers)
    {
        Layer.Declare(layers);
        layers.Buffer("chains", _chains, Layer.Visible);
    }

    protected override VectorScaler ScalerOf(RowStatistics rows) => VectorScaler.Of(
        rows.Moments[0], rows.Samples[0],
        BoltzmannOptions.BinaryFeatures(options.VisibleUnits, rows, options.FeatureColumnName));

    public override void Initialize(HostWeights weights, RowStatistics rows)
    {
        bool[] binary = BoltzmannOptions.BinaryFeatures(options.VisibleUnits, rows, options.FeatureColumnName);
        Layer.Initialize(weights, FeatureScaler(weights), binary, rows.Binary);
        Layer.DrawIndependent(weights, weights["chains"], Input.Seed);
    }

    public override bool IsComputedInParts => !options.PersistentChains;

    public override IReadOnlyList<LossTerm> Loss(VectorStep step)
    {
        Scope<TorchTensor> w = step.Weights;
        torch.Tensor chains = w["chains"].Value, data, model;
        using (torch.no_grad())
        {
            data = Layer.Draw(w, step.Rows, step.Step.Random);
            model = Layer.Gibbs(
                w, options.PersistentChains ? chains : data, options.GibbsSteps, step.Step.Random,
                options.PersistentChains ? SeededRandom.ForAll : 0);
            long kept = Math.Min(model.shape[0], chains.shape[0]);
            chains.narrow(0, 0, kept).copy_(model.narrow(0, 0, kept));
        }
        // Its gradient is that of −log p(data), with the chains in the place of the model's own rows.
        torch.Tensor both = Layer.FreeEnergy<TorchTensor>(w, torch.cat([data, model])).Value;
        torch.Tensor ofData = both.narrow(0, 0, data.shape[0]), ofModel = both.narrow(0, data.shape[0], model.shape[0]);
        return [new("free_energy_gap", ofData.mean().Minus(ofModel.mean()))];
    }

    public override void Calibrate(VectorCalibration calibration)
    {
        var random = new SeededRandom(torch.CPU, SplitMix64.Derive(Input.Seed, RandomPurpose.Calibration));
        using var engine = new BoltzmannEngine(calibration.Weights, torch.CPU);
        engine.Run(w => HostTensors.CopyTo(
            Layer.Gibbs(w, w["chains"], options.BurnIn, random), calibration.Weights["chains"]));
    }

    public (T Score, T? ByFeature) Score<T>(Scope<T> w, VectorRows<T> rows, bool byFeature)
        where T : struct, ITensor<T> => (Layer.FreeEnergy(w, rows.Features), null);

    public T Reconstruct<T>(Scope<T> w, VectorRows<T> rows)
        where T : struct, ITensor<T> =>
        Layer.Expected(w, Layer.Field(w, Layer.HiddenLogits(w, rows.Features).Apply(Function.Sigmoid)));

    public (T Mean, T? Deviation) Encode<T>(Scope<T> w, VectorRows<T> rows)
        where T : struct, ITensor<T> => (Layer.HiddenLogits(w, rows.Features).Apply(Function.Sigmoid), null);

    public T Sample<T>(Scope<T> w, T normal, T? uniform, T? condition)
        where T : struct, ITensor<T>
    {
        T rows = BoltzmannOptions.ChainOf(w["chains"], _chains, uniform!.Value);
        return Layer.Sample(w, rows, options.SampleSteps, normal, uniform.Value.Slice(1, 1, UniformWidth - 1));
    }

    public double LogPartition(Scope<TorchTensor> w) => Layer.LogPartition(w);

    public LogPartition LogPartition(Scope<TorchTensor> w, int chains, int temperatures, SeededRandom random) =>
        Layer.LogPartition(w, chains, temperatures, random);

    public int EnumeratedUnits => Layer.Hidden;
}
