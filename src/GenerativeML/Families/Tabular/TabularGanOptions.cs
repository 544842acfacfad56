
namespace GenerativeML;

/// <summary>
/// The options of a conditional GAN of tables (CTGAN, Xu 2019): a Wasserstein game with gradient penalty (Gulrajani
/// 2017) about rows with a category or a mode of one column given, chosen by log-frequency.
/// </summary>
public record TabularGanOptions : TabularOptions
{
    /// <summary>All defaults.</summary>
    /// <remarks>
    /// Gradients are not clipped by default: <see cref="TrainingOptions.GradientClipNorm"/> is 0. No loss of a GAN says
    /// which weights are better, so none are chosen by <see cref="TrainingOptions.ValidationFraction"/>.
    /// </remarks>
    public TabularGanOptions() => GradientClipNorm = 0;

    /// <summary>The number of slots of the noise. 1 to 65,536. Default 128.</summary>
    public int NoiseDimension { get; init; } = 128;

    /// <summary>
    /// The widths of the generator's hidden layers, each of which is added to what it is given, and of the
    /// discriminator's. 1 to 16 layers of 1 to 65,536 units. Default: 256, 256.
    /// </summary>
    public IReadOnlyList<int> HiddenLayers { get; init; } = [256, 256];

    /// <summary>
    /// Rows that the discriminator judges together, so that it sees how much they vary (PacGAN, Lin 2018). 1 to 100.
    /// Default 10.
    /// </summary>
    public int PackSize { get; init; } = 10;

    /// <summary>Updates of the discriminator for each one of the generator. 1 to 100. Default 1.</summary>
    public int DiscriminatorStepsPerGeneratorStep { get; init; } = 1;

    /// <summary>The weight of the gradient penalty. Zero or more. Default 10.</summary>
    public double GradientPenaltyWeight { get; init; } = 10;

    /// <summary>
    /// The temperature of the Gumbel-softmax (Jang 2017) by which generated categories have a gradient: lower ones come
    /// closer to categories. Positive. Default 0.2.
    /// </summary>
    public double Temperature { get; init; } = 0.2;

    /// <summary>The share of the discriminator's hidden units left out. In [0, 1). Default 0.5.</summary>
    public double Dropout { get; init; } = 0.5;

    /// <summary>
    /// How much of the running mean of the generator's weights an update keeps; the trained model has these mean
    /// weights. In [0, 1). Default 0.99.
    /// </summary>
    public double WeightAverageDecay { get; init; } = 0.99;

    /// <inheritdoc />
    public override void Validate()
    {
        base.Validate();
        OptionChecks.Within(NoiseDimension, 1, TableModelShape.MostWidth);
        OptionChecks.Within(HiddenLayers.Count, 1, TabularGanShape.MostLayers, "HiddenLayers.Count");
        foreach (int width in HiddenLayers)
            OptionChecks.Within(width, 1, TableModelShape.MostWidth, nameof(HiddenLayers));
        OptionChecks.Within(PackSize, 1, 100);
        OptionChecks.Within(DiscriminatorStepsPerGeneratorStep, 1, 100);
        OptionChecks.NonNegativeFinite(GradientPenaltyWeight);
        OptionChecks.PositiveFinite(Temperature);
        OptionChecks.WithinHalfOpen(Dropout, 0, 1);
        OptionChecks.WithinHalfOpen(WeightAverageDecay, 0, 1);
    }
}
