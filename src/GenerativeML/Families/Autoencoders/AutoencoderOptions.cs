
namespace GenerativeML;

/// <summary>The options of an autoencoder, whatever it is trained for.</summary>
public record AutoencoderOptions : TrainingOptions
{
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
    /// In every other training row, a random share of the slots is hidden from the network, which has to tell them from
    /// the others; this is the largest share, in [0, 1). Zero: none is hidden. Default: 0.8 for detecting, otherwise 0.
    /// </summary>
    public double? InputMasking { get; init; }

    /// <summary>
    /// Networks that are trained side by side from different initial weights; their errors are averaged. Default: 2 for
    /// detecting, otherwise 1.
    /// </summary>
    public int? Members { get; init; }

    /// <inheritdoc />
    public override void Validate()
    {
        base.Validate();
        OptionChecks.Within(HiddenLayers?.Count ?? 0, 0, AutoencoderShape.MostLayers, "HiddenLayers.Count");
        foreach (int width in HiddenLayers ?? [])
            OptionChecks.Within(width, 1, AutoencoderShape.MostWidth, nameof(HiddenLayers));
        if (LatentDimension is int latent)
            OptionChecks.Within(latent, 1, AutoencoderShape.MostWidth, nameof(LatentDimension));
        OptionChecks.Defined(Activation);
        OptionChecks.WithinHalfOpen(Dropout, 0, 1);
        if (InputNoise is double noise)
            OptionChecks.NonNegativeFinite(noise, nameof(InputNoise));
        if (InputMasking is double masked)
            OptionChecks.WithinHalfOpen(masked, 0, 1, nameof(InputMasking));
        if (Members is int members)
            OptionChecks.Within(members, 1, 64, nameof(Members));
    }
}

/// <summary>The options of an autoencoder that detects anomalies.</summary>
public record AutoencoderDetectorOptions : AutoencoderOptions
{
    /// <summary>
    /// The share of the training rows that are taken to be anomalies: the threshold of <c>PredictedLabel</c> is the
    /// score that this share of them exceeds. In (0, 0.5]. Default 0.1.
    /// </summary>
    public double Contamination { get; init; } = 0.1;

    /// <summary>
    /// Training rows, drawn at random, that the model keeps to compare rows with: to the networks' error the score adds
    /// squared distances, to the nearest five of these rows and to the nearest fifth of the first 128, each part in
    /// units of its usual size. Zero: the networks' error alone. At most 10,000. Default 2048.
    /// </summary>
    public int MemoryRows { get; init; } = 2048;

    /// <inheritdoc />
    public override void Validate()
    {
        base.Validate();
        OptionChecks.PositiveFinite(Contamination);
        OptionChecks.Within(Contamination, 0, 0.5);
        OptionChecks.Within(MemoryRows, 0, AutoencoderFit.CalibrationRows);
    }
}
