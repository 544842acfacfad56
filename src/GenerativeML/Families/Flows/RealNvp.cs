using Microsoft.ML.Runtime;

namespace GenerativeML;

/// <summary>The options of a normalizing flow of affine coupling layers (Dinh 2017, RealNVP).</summary>
/// <remarks>
/// A flow learns densities of numbers that vary continuously. A column of few values has no density, and a likelihood
/// that grows without bound: <see cref="InputNoise"/> bounds it, and generated values lie near those of the training
/// rows, not on them. Of a single feature it learns a normal distribution; it takes two to bend each other.
/// </remarks>
public sealed record RealNvpOptions : DetectorOptions
{
    /// <summary>
    /// Coupling layers. Each moves a half of the features by amounts that the others decide; two make a round in which
    /// all are moved, and each round divides them in its own way. 1 to 64. Default 8.
    /// </summary>
    public int Couplings { get; init; } = 8;

    /// <summary>
    /// The widths of the hidden layers of each coupling's network. At most 64 layers, each of 1 to 65,536 units. Default:
    /// two of 64.
    /// </summary>
    public IReadOnlyList<int> HiddenLayers { get; init; } = [64, 64];

    /// <summary>The non-linearity after each hidden layer. Default <see cref="Activation.Silu"/>.</summary>
    public Activation Activation { get; init; } = Activation.Silu;

    /// <summary>
    /// The standard deviation of normal noise that is added to standardised rows in training: the density that is
    /// learned is as smooth as that. Less for many rows of continuous columns; zero for none. Default: 0.5 to detect
    /// anomalies, otherwise 0.05.
    /// </summary>
    public double? InputNoise { get; init; }

    private protected override OptionalColumns Supported => OptionalColumns.Conditions | OptionalColumns.FeatureScore;

    internal override VectorOptions Resolve(RowStatistics rows) => this with
    {
        InputNoise = InputNoise ?? (AnomalyShare is null ? 0.05 : 0.5),
        BatchSize = BatchSize ?? 128,
        LearningRate = LearningRate ?? 2e-3,
        WeightDecay = WeightDecay ?? 0.1,
        // Some 2000 steps; fewer where so many would learn a few rows by heart.
        Epochs = Epochs ?? rows.EpochsFor(presented: 256_000, least: 10, most: 200),
    };

    /// <inheritdoc />
    public override void Validate()
    {
        base.Validate();
        OptionChecks.Within(Couplings, 1, 64);
        OptionChecks.Layers(HiddenLayers);
        OptionChecks.Defined(Activation);
        OptionChecks.NonNegativeFinite(InputNoise);
    }
}

/// <summary>
/// Learns the density of rows by a normalizing flow, RealNVP (Dinh 2017): scores rows by their exact log-likelihood,
/// encodes them as vectors that are standard normal over the training rows, and generates others like them.
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
public sealed class RealNvpTrainer : VectorTrainer<VectorGenerator>
{
    internal static readonly VectorFamily Family = VectorFamily.Of<RealNvpOptions>(
        "realnvp", (options, input) => new RealNvpNetwork(options, input));

    internal RealNvpTrainer(IHostEnvironment environment, RealNvpOptions options)
        : base(environment, Family, options)
    {
    }
}
