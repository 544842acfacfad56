namespace GenerativeML;

/// <summary>The options of an autoencoder, whatever it is trained for.</summary>
public class AutoencoderOptions : TrainingOptions
{
    /// <summary>
    /// The widths of the encoder's hidden layers, from the input inwards; the decoder mirrors them. Default: by the
    /// input's width.
    /// </summary>
    public IReadOnlyList<int>? HiddenLayers { get; init; }

    /// <summary>The width of the innermost layer. Default: by the input's width.</summary>
    public int? LatentDimension { get; init; }

    /// <summary>The non-linearity after each hidden layer. Default <see cref="Activation.Relu"/>.</summary>
    public Activation Activation { get; init; } = Activation.Relu;

    /// <summary>The share of hidden units left out at random in a training step, in [0, 1). Default 0.</summary>
    public double Dropout { get; init; }

    /// <summary>Whether each hidden layer is followed by batch normalisation (Ioffe and Szegedy 2015). Default: no.</summary>
    public bool BatchNormalization { get; init; }

    /// <summary>
    /// The standard deviation of the normal noise added to the standardised input while training, so that the network
    /// learns to undo it (Vincent 2008). Default: the family's own.
    /// </summary>
    public double? InputNoise { get; init; }

    /// <summary>
    /// The share of the training rows that are taken to be anomalies: the threshold of <c>PredictedLabel</c> is the score
    /// that this share of them exceeds. In (0, 0.5]. Default 0.1.
    /// </summary>
    public double Contamination { get; init; } = 0.1;

    /// <inheritdoc />
    public override void Validate()
    {
        base.Validate();
        foreach (int width in HiddenLayers ?? [])
            OptionChecks.Within(width, 1, 1 << 16, nameof(HiddenLayers));
        if (LatentDimension is int latent)
            OptionChecks.Within(latent, 1, 1 << 16, nameof(LatentDimension));
        OptionChecks.Defined(Activation);
        OptionChecks.WithinHalfOpen(Dropout, 0, 1);
        if (InputNoise is double noise)
            OptionChecks.NonNegativeFinite(noise, nameof(InputNoise));
        OptionChecks.PositiveFinite(Contamination);
        OptionChecks.Within(Contamination, 0, 0.5);
    }
}
