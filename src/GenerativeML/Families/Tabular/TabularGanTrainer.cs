using Microsoft.ML;
using Microsoft.ML.Runtime;

namespace GenerativeML;

/// <summary>
/// The options of a conditional GAN of tables (CTGAN, Xu 2019): a Wasserstein game with gradient penalty (Gulrajani
/// 2017) about rows with a category or a mode of one column given, chosen by log-frequency.
/// </summary>
public sealed record TabularGanOptions : TabularOptions
{
    private const int DefaultSteps = 6000;
    private const int MaxLayers = 16, MaxWidth = 1 << 16;

    /// <summary>All defaults.</summary>
    /// <remarks>
    /// Gradients are not clipped by default: <see cref="TrainingOptions.GradientClipNorm"/> is 0. No loss of a GAN says
    /// which weights are better, so none are chosen by <see cref="TrainingOptions.ValidationFraction"/>.
    /// </remarks>
    public TabularGanOptions()
    {
        GradientClipNorm = 0;
        WeightAverageDecay = 0.99;
    }

    /// <summary>The number of features of the noise. 1 to 65,536. Default 128.</summary>
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

    internal override bool UsesModes => true;

    internal override TableNetwork CreateNetwork(TokenTable tokens) => new TabularGanNetwork(this, tokens);

    internal override (TabularOptions Options, long? Steps) Resolve(long trainingRows, int columns) =>
        (With(trainingRows, 500, 2e-4, 1e-6, DefaultSteps), Epochs is null ? DefaultSteps : null);

    /// <inheritdoc />
    public override void Validate()
    {
        base.Validate();
        OptionChecks.Within(NoiseDimension, 1, MaxWidth);
        OptionChecks.Within(HiddenLayers.Count, 1, MaxLayers, "HiddenLayers.Count");
        foreach (int width in HiddenLayers)
            OptionChecks.Within(width, 1, MaxWidth, nameof(HiddenLayers));
        OptionChecks.Within(PackSize, 1, 100);
        OptionChecks.Within(DiscriminatorStepsPerGeneratorStep, 1, 100);
        OptionChecks.NonNegativeFinite(GradientPenaltyWeight);
        OptionChecks.PositiveFinite(Temperature);
        OptionChecks.WithinHalfOpen(Dropout, 0, 1);
    }
}

/// <summary>
/// Learns a table of mixed columns with conditional generative adversarial networks, to generate rows like its own.
/// </summary>
/// <remarks>
/// <para>
/// To create this trainer, use <see cref="GenerativeCatalog.TabularGan(string?, int?)"/> or
/// <see cref="GenerativeCatalog.TabularGan(TabularGanOptions)"/>.
/// </para>
/// <inheritdoc cref="TabularEstimator" path="/remarks"/>
/// </remarks>
public sealed class TabularGanTrainer : TabularEstimator
{
    internal TabularGanTrainer(IHostEnvironment environment, TabularGanOptions options)
        : base(environment, nameof(TabularGanTrainer), options)
    {
    }
}
