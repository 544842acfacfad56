using Microsoft.ML;
using Microsoft.ML.Runtime;

namespace GenerativeML;

/// <summary>
/// The options of an autoencoder. What it is trained for follows from the columns that are asked for: to detect
/// anomalies where there is a score or a label, otherwise to encode where there is a latent column, otherwise to denoise.
/// </summary>
public sealed record AutoencoderOptions : DetectorOptions
{
    /// <summary>
    /// All defaults: those of a detector, with the columns <c>Score</c> and <c>PredictedLabel</c>, which null leaves out.
    /// </summary>
    public AutoencoderOptions() => (ScoreColumnName, PredictedLabelColumnName) = ("Score", "PredictedLabel");

    /// <summary>
    /// Training rows, drawn at random, that a detector keeps to compare rows with: to the networks' error the score adds
    /// squared distances, to the nearest five of these rows and to the nearest fifth of the first 128, each part in
    /// units of its usual size. A saved model holds these rows. Zero: the networks' error alone. At most 10,000.
    /// Default 2048.
    /// </summary>
    public int ReferenceRows { get; init; } = 2048;

    /// <summary>
    /// The widths of the encoder's hidden layers, from the input inwards; the decoder mirrors them. At most 64 layers,
    /// each of 1 to 65,536 units. Default: one of 128.
    /// </summary>
    public IReadOnlyList<int>? HiddenLayers { get; init; }

    /// <summary>
    /// The width of the innermost layer. Default: as wide as the last hidden layer for detecting and denoising, where
    /// noise keeps the network from copying its input; a quarter of the input's width, 2 to 32, for encoding.
    /// </summary>
    public int? LatentDimension { get; init; }

    /// <summary>The non-linearity after each hidden layer. Default <see cref="Activation.Silu"/>.</summary>
    public Activation Activation { get; init; } = Activation.Silu;

    /// <summary>The share of hidden units left out at random in a training step, in [0, 1). Default 0.</summary>
    public double Dropout { get; init; }

    /// <summary>
    /// Whether each hidden layer is followed by batch normalisation (Ioffe and Szegedy 2015). Default: no.
    /// </summary>
    public bool BatchNormalization { get; init; }

    /// <summary>
    /// The standard deviation of the normal noise that is added to standardised inputs while training, so that the
    /// network learns to undo it (Vincent 2008). A detector learns all levels from a fifteenth of it up, and scores at
    /// two fifteenths of it; a denoiser and an encoder learn this one. Zero: no noise. Default: 1.5 for detecting, 0.5
    /// for denoising, 0.1 for encoding.
    /// </summary>
    public double? InputNoise { get; init; }

    /// <summary>
    /// In every other training row, a random share of the features is hidden from the network, which has to tell them
    /// from the others; this is the largest share, in [0, 1). Zero: none is hidden. Default: 0.8 for detecting,
    /// otherwise 0.
    /// </summary>
    public double? InputMasking { get; init; }

    /// <summary>
    /// Networks that are trained side by side from different initial weights; their errors are averaged. Default: 2 for
    /// detecting, otherwise 1.
    /// </summary>
    public int? EnsembleSize { get; init; }

    private protected override OptionalColumns Supported =>
        OptionalColumns.FeatureScore | OptionalColumns.Reconstruction;

    internal override double? AnomalyShare => Detects ? Contamination : null;

    internal override VectorOptions Resolve(RowStatistics rows)
    {
        IReadOnlyList<int> hidden = HiddenLayers ?? [128];
        int width = rows.Input.Width;
        bool encodes = !Detects && LatentColumnName is not null;
        int latent = encodes ? Math.Clamp((width + 3) / 4, 2, 32) : hidden.Count > 0 ? hidden[^1] : 128;
        return this with
        {
            HiddenLayers = hidden,
            LatentDimension = LatentDimension ?? latent,
            EnsembleSize = EnsembleSize ?? (Detects ? 2 : 1),
            InputNoise = InputNoise ?? (Detects ? 1.5 : encodes ? 0.1 : 0.5),
            InputMasking = InputMasking ?? (Detects ? 0.8 : 0),
            ReferenceRows = Detects ? Math.Min(ReferenceRows, rows.Samples[0].Count) : 0,
            BatchSize = BatchSize ?? 128,
            LearningRate = LearningRate ?? 2e-3,
            WeightDecay = WeightDecay ?? 1e-4,
            // Small networks on tables have learned what they can after some 1000 steps; a large table is read twice.
            Epochs = Epochs ?? rows.EpochsFor(presented: 128_000, least: 2, most: 1000),
        };
    }

    /// <inheritdoc />
    public override void Validate()
    {
        base.Validate();
        OptionChecks.Within(ReferenceRows, 0, VectorFit.SampleRows);
        OptionChecks.Layers(HiddenLayers);
        OptionChecks.Within(LatentDimension, 1, OptionChecks.MaxWidth);
        OptionChecks.Defined(Activation);
        OptionChecks.WithinHalfOpen(Dropout, 0, 1);
        OptionChecks.NonNegativeFinite(InputNoise);
        OptionChecks.WithinHalfOpen(InputMasking, 0, 1);
        OptionChecks.Within(EnsembleSize, 1, 64);
    }
}

/// <summary>
/// Detects anomalies by how badly they can be reconstructed: trains networks that undo noise on ordinary rows, and
/// gives each row a score that is the higher the stranger it is.
/// </summary>
/// <remarks>
/// <para>
/// To create this trainer, use
/// <see cref="AutoencoderCatalog.Autoencoder(AnomalyDetectionCatalog.AnomalyDetectionTrainers, string, double, int?, int?)"/>
/// or <see cref="AutoencoderCatalog.Autoencoder(AnomalyDetectionCatalog.AnomalyDetectionTrainers, AutoencoderOptions)"/>.
/// </para>
/// <inheritdoc cref="VectorTrainer{TTransformer}" path="/remarks/list"/>
/// <para>Added columns:</para>
/// <list type="table">
/// <listheader><term>Column</term><description>Type and meaning</description></listheader>
/// <item><term><c>PredictedLabel</c></term><description><see cref="bool"/>: whether the score is above the
/// threshold, which <see cref="DetectorOptions.Contamination"/> decides.</description></item>
/// <item><term><c>Score</c></term><description><see cref="float"/>, zero or more: how strange the row is.</description></item>
/// <item><term><c>PValue</c></term><description>On request: <see cref="float"/>, the share of ordinary rows that score as
/// high or higher.</description></item>
/// <item><term><c>FeatureScore</c></term><description>On request: a vector as wide as the input, each slot's share of the
/// score; its slot names are the input's.</description></item>
/// <item><term><c>Reconstruction</c></term><description>On request: a vector as wide as the input, what the networks make
/// of the row, in the input's units.</description></item>
/// <item><term><c>Latent</c></term><description>On request: the row's code, a vector.</description></item>
/// </list>
/// </remarks>
public sealed class AutoencoderTrainer : VectorTrainer<VectorTransformer>
{
    internal static readonly VectorFamily Family = VectorFamily.Of<AutoencoderOptions>(
        "autoencoder", (options, input) => new AutoencoderNetwork(options, input),
        state => new VectorTransformer(state));

    internal AutoencoderTrainer(IHostEnvironment environment, AutoencoderOptions options)
        : base(environment, Family, options)
    {
    }
}
