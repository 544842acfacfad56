using Microsoft.ML.Runtime;

namespace GenerativeML;

/// <summary>What a step of a normalizing flow does to a feature that it moves.</summary>
public enum FlowCoupling
{
    /// <summary>It is scaled and shifted: RealNVP (Dinh 2017), or autoregressive MAF (Papamakarios 2017).</summary>
    Affine,

    /// <summary>
    /// It moves along a monotone curve, a rational-quadratic spline (Durkan 2019): few steps make densities of several
    /// modes and sharp edges. It takes some three to five times as long as <see cref="Affine"/>.
    /// </summary>
    RationalQuadraticSpline,
}

/// <summary>The options of a normalizing flow (Rezende and Mohamed 2015).</summary>
/// <remarks>
/// A flow learns densities of numbers that vary continuously, and <see cref="Dequantize"/> makes such of whole numbers.
/// Another column of few values has no density, and a likelihood that grows without bound: <see cref="InputNoise"/> bounds
/// it, and generated values lie near those of the training rows, not on them.
/// </remarks>
public sealed record NormalizingFlowOptions : DetectorOptions
{
    /// <summary>
    /// What a step does to features. Default: <see cref="FlowCoupling.Affine"/> to detect anomalies, otherwise
    /// <see cref="FlowCoupling.RationalQuadraticSpline"/>.
    /// </summary>
    public FlowCoupling? Coupling { get; init; }

    /// <summary>
    /// Whether each step moves all features, each by what those before it in an order say (MAF, Papamakarios 2017, with
    /// the masked networks of MADE, Germain 2015), rather than a half by what the other half says (coupling): densities
    /// become more exact; to generate takes as many times longer as there are features, and with more than 64 of them,
    /// or more than two and splines, torch. Default: false.
    /// </summary>
    public bool Autoregressive { get; init; }

    /// <summary>
    /// Steps. Two of them that couple make a round in which all features are moved, and each round divides them in its
    /// own way. 1 to 64. Default 8.
    /// </summary>
    public int Steps { get; init; } = 8;

    /// <summary>
    /// Whether each step first mixes all features by an invertible matrix that is learned, in the form L·U (Kingma and
    /// Dhariwal 2018; Hoogeboom 2019), rather than scale and shift them alone. A feature's share of a score is then that
    /// of what is in its place. Default: false.
    /// </summary>
    public bool LinearLayers { get; init; }

    /// <summary>
    /// The widths of the hidden layers of each step's network. At most 64 layers, each of 1 to 65,536 units. Default:
    /// two of 64.
    /// </summary>
    public IReadOnlyList<int> HiddenLayers { get; init; } = [64, 64];

    /// <summary>The non-linearity after each hidden layer. Default <see cref="Activation.Silu"/>.</summary>
    public Activation Activation { get; init; } = Activation.Silu;

    /// <summary>Of splines: pieces of a curve. 2 to 64. Default 8.</summary>
    public int Bins { get; init; } = 8;

    /// <summary>
    /// Of splines: how far from the mean, in deviations, curves reach; farther out features stay as they are. Above zero,
    /// at most 100. Default 4.
    /// </summary>
    public double TailBound { get; init; } = 4;

    /// <summary>
    /// The standard deviation of normal noise that is added to standardised rows in training: the density that is
    /// learned is as smooth as that. Less for many rows of continuous columns; zero for none. Default: 0.5 to detect
    /// anomalies, otherwise 0.05 with affine steps and 0.01 with splines.
    /// </summary>
    public double? InputNoise { get; init; }

    /// <summary>
    /// Whether features that hold whole numbers alone are taken for such: in training a number stands for all within half
    /// a unit of it (uniform dequantisation, Theis 2016), so that its density is its probability; generated ones are
    /// rounded, and lie between the least and the largest of training. Default: true; it is found from the data which
    /// features these are.
    /// </summary>
    public bool Dequantize { get; init; } = true;

    private protected override OptionalColumns Supported => OptionalColumns.Conditions | OptionalColumns.FeatureScore;

    internal override VectorOptions Resolve(RowStatistics rows)
    {
        bool detects = AnomalyShare is not null;
        FlowCoupling coupling = Coupling ?? (detects ? FlowCoupling.Affine : FlowCoupling.RationalQuadraticSpline);
        return this with
        {
            Coupling = coupling,
            InputNoise = InputNoise ?? (detects ? 0.5 : coupling == FlowCoupling.Affine ? 0.05 : 0.01),
            Dequantize = Dequantize && rows.Moments[0].IsWhole.Contains(true),
            BatchSize = BatchSize ?? 128,
            LearningRate = LearningRate ?? 2e-3,
            WeightDecay = WeightDecay ?? 0.1,
            // Some 2000 steps to detect, 4000 otherwise; fewer where so many would learn a few rows by heart.
            Epochs = Epochs ?? rows.EpochsFor(presented: detects ? 256_000 : 512_000, least: 10, most: 200),
        };
    }

    /// <inheritdoc />
    public override void Validate()
    {
        base.Validate();
        OptionChecks.Defined(Coupling ?? FlowCoupling.Affine, nameof(Coupling));
        OptionChecks.Within(Steps, 1, 64);
        OptionChecks.Layers(HiddenLayers);
        OptionChecks.Defined(Activation);
        OptionChecks.Within(Bins, 2, 64);
        OptionChecks.AboveZero<double>(TailBound, 100);
        OptionChecks.NonNegativeFinite(InputNoise);
    }
}

/// <summary>
/// Learns the density of rows by a normalizing flow: scores rows by their exact log-likelihood, encodes them as vectors
/// that are standard normal over the training rows, and generates others like them.
/// </summary>
/// <remarks>
/// <inheritdoc cref="VectorTrainer{TTransformer}" path="/remarks/list"/>
/// <para>Added columns:</para>
/// <list type="table">
/// <listheader><term>Column</term><description>Type and meaning</description></listheader>
/// <item><term><c>Score</c></term><description><see cref="float"/>: −log p(row), in nats, of the row in the units of its
/// data, so that scores of models of the same columns can be compared whatever the family. It is negative where the
/// density is above one, as with features whose values are small.</description></item>
/// <item><term><c>FeatureScore</c></term><description>On request, of the flow: a vector as wide as the input. Each
/// feature's share of the score, −log N(z) less the logarithm of its own scale; the shares sum to the score.
/// </description></item>
/// <item><term><c>PredictedLabel</c></term><description>Of a detector: <see cref="bool"/>, whether the score is above the
/// threshold, which <see cref="DetectorOptions.Contamination"/> decides.</description></item>
/// <item><term><c>PValue</c></term><description>On request: <see cref="float"/>, the share of ordinary rows that score as
/// high or higher.</description></item>
/// <item><term><c>Latent</c></term><description>On request, by <see cref="DetectorOptions.LatentColumnName"/>: a vector.
/// </description></item>
/// </list>
/// </remarks>
public sealed class NormalizingFlowTrainer : VectorTrainer<VectorGenerator>
{
    internal static readonly VectorFamily Family = VectorFamily.Of<NormalizingFlowOptions>(
        "normalizing flow", (options, input) => new NormalizingFlowNetwork(options, input));

    internal NormalizingFlowTrainer(IHostEnvironment environment, NormalizingFlowOptions options)
        : base(environment, Family, options)
    {
    }
}
