
namespace GenerativeML;

/// <summary>
/// The options of a variational autoencoder of tables (Kingma and Welling 2014; Xu 2019) whose decoder is
/// autoregressive (Chen 2017).
/// </summary>
public record TabularVaeOptions : TabularOptions
{
    /// <summary>All defaults.</summary>
    /// <remarks>
    /// A tenth of the rows is held back by default, to keep the weights that suit new rows best, and training is not
    /// ended early: <see cref="TrainingOptions.ValidationFraction"/> is 0.1 and
    /// <see cref="TrainingOptions.EarlyStoppingPatience"/> 0.
    /// </remarks>
    public TabularVaeOptions()
    {
        ValidationFraction = 0.1;
        EarlyStoppingPatience = 0;
    }

    /// <summary>The number of slots of a row's code. 1 to 65,536. Default 16.</summary>
    public int LatentDimension { get; init; } = 16;

    /// <summary>
    /// Width of the hidden layers that each column has in the decoder, and of what the decoder remembers of the columns
    /// before; the encoder's layers are twice as wide. 1 to 32,768. Default: 128, and 64 for more than 200 columns.
    /// </summary>
    public int? HiddenWidth { get; init; }

    /// <summary>
    /// The weight β of the KL term (Higgins 2017): more presses codes towards the prior. Zero or more. Default 1.
    /// </summary>
    public double KlWeight { get; init; } = 1;

    /// <summary>
    /// Nats of each code slot's KL term, in the mean over the batch, that training leaves alone (Kingma 2016). Without
    /// them the decoder would do without the code, for it sees the columns themselves. Zero or more. Default 0.1.
    /// </summary>
    public double FreeBits { get; init; } = 0.1;

    /// <summary>The share of hidden units left out in a training step. In [0, 1). Default 0.2.</summary>
    public double Dropout { get; init; } = 0.2;

    /// <summary>
    /// How much of the weights' running mean an update keeps; the trained model has these mean weights. In [0, 1).
    /// Default 0.995.
    /// </summary>
    public double WeightAverageDecay { get; init; } = 0.995;

    /// <inheritdoc />
    public override void Validate()
    {
        base.Validate();
        OptionChecks.Within(LatentDimension, 1, TableModelShape.MostWidth);
        if (HiddenWidth is int width)
            OptionChecks.Within(width, 1, TableModelShape.MostWidth / 2, nameof(HiddenWidth));
        OptionChecks.NonNegativeFinite(KlWeight);
        OptionChecks.NonNegativeFinite(FreeBits);
        OptionChecks.WithinHalfOpen(Dropout, 0, 1);
        OptionChecks.WithinHalfOpen(WeightAverageDecay, 0, 1);
    }
}
