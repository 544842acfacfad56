using System.Text.Json.Serialization;

namespace GenerativeML;

/// <summary>The options of a generative adversarial network (Goodfellow 2014).</summary>
/// <remarks>
/// What is left open follows the objective: these settings find all eight modes of a ring of Gaussians with each of them
/// (<c>build/bench.sh ring</c>), and are the ones that are recommended.
/// </remarks>
public record GanOptions : TrainingOptions
{
    /// <summary>All defaults.</summary>
    /// <remarks>
    /// Other than in the options of other trainers, <see cref="TrainingOptions.ValidationFraction"/> is 0.1, for the
    /// report; <see cref="TrainingOptions.GradientClipNorm"/> and <see cref="TrainingOptions.WarmupFraction"/> are 0, and
    /// training never stops early, since no loss of a GAN says when to.
    /// </remarks>
    public GanOptions()
    {
        ValidationFraction = 0.1;
        GradientClipNorm = 0;
        WarmupFraction = 0;
    }

    /// <summary>The game that is played. Default <see cref="GanObjective.WassersteinGradientPenalty"/>.</summary>
    public GanObjective Objective { get; init; } = GanObjective.WassersteinGradientPenalty;

    /// <summary>
    /// The number of random values that a generated row is made from. Default: twice the slots of the input, but at
    /// least 8 and at most 128.
    /// </summary>
    public int? NoiseDimension { get; init; }

    /// <summary>
    /// The widths of the generator's hidden layers, from the noise outwards. At most 64 layers, each of 1 to 65,536
    /// units. Default: two of 128.
    /// </summary>
    public IReadOnlyList<int> GeneratorLayers { get; init; } = [128, 128];

    /// <summary>The same of the discriminator, from the row inwards. Default: two of 128.</summary>
    public IReadOnlyList<int> DiscriminatorLayers { get; init; } = [128, 128];

    /// <summary>
    /// The non-linearity after each hidden layer of both networks. Default <see cref="Activation.Relu"/>.
    /// </summary>
    public Activation Activation { get; init; } = Activation.Relu;

    /// <summary>
    /// Updates of the discriminator for each one of the generator, every one on a batch of its own. Default: 5 for the
    /// Wasserstein objective with clipping, as in its paper, 3 for the one with a gradient penalty, otherwise 1.
    /// </summary>
    public int? DiscriminatorStepsPerGeneratorStep { get; init; }

    /// <summary>
    /// The generator's learning rate in shares of <see cref="TrainingOptions.LearningRate"/>, which is the
    /// discriminator's. Default 1.
    /// </summary>
    public double GeneratorRateScale { get; init; } = 1;

    /// <summary>
    /// The weight of the gradient penalty of <see cref="GanObjective.WassersteinGradientPenalty"/>, λ in its paper, which
    /// takes 10 for images and 0.1 for points in the plane. Default 0.1.
    /// </summary>
    public double GradientPenaltyWeight { get; init; } = 0.1;

    /// <summary>
    /// The largest magnitude of the discriminator's weights with <see cref="GanObjective.Wasserstein"/>. Default 0.3;
    /// the paper's 0.01 is for deeper networks.
    /// </summary>
    public double WeightClip { get; init; } = 0.3;

    /// <summary>
    /// Whether each of the discriminator's weight matrices is divided by its largest singular value (Miyato 2018).
    /// Default: with <see cref="GanObjective.Hinge"/> only.
    /// </summary>
    public bool? SpectralNormalization { get; init; }

    /// <summary>
    /// The standard deviation, at the first step, of normal noise that is added to all standardised rows that the
    /// discriminator sees; it falls to zero in a straight line until the last (Sønderby 2017). Zero: none. Default: 0.5
    /// with the objectives that classify, which are minimax, non-saturating and least squares; otherwise 0.
    /// </summary>
    public double? InstanceNoise { get; init; }

    /// <summary>
    /// How far the label of real rows is below one (Salimans 2016, one-sided), with the objectives that have labels:
    /// minimax, non-saturating and least squares. In [0, 0.5]. Default 0.
    /// </summary>
    public double LabelSmoothing { get; init; }

    /// <summary>
    /// Rows that the discriminator judges together, so that it sees a lack of variety (Lin 2018, PacGAN). With
    /// <see cref="GanScore.Discriminator"/> a row is then judged in a pack of its own copies. Default 1.
    /// </summary>
    public int PackSize { get; init; } = 1;

    /// <summary>
    /// How much of the generator's running mean an update keeps; the trained model has these mean weights (Yazıcı 2019).
    /// Zero: the last weights themselves. In [0, 1). Default 0.999.
    /// </summary>
    public double WeightAverageDecay { get; init; } = 0.999;

    /// <summary>What <c>Score</c> holds. Default <see cref="GanScore.Discriminator"/>.</summary>
    public GanScore Score { get; init; }

    /// <summary>Steps down the gradient for each row that is searched for. 1 to 10,000. Default 100.</summary>
    public int LatentSearchSteps { get; init; } = 100;

    /// <summary>
    /// Stages of training, evenly spread, at whose ends the generator is compared with held-back rows. Default 20.
    /// </summary>
    public int Stages { get; init; } = 20;

    /// <summary>Called at the end of each stage, on the thread that trains. Default: nobody is.</summary>
    [JsonIgnore]
    public Action<GanStage>? StageEnded { get; init; }

    /// <inheritdoc />
    public override void Validate()
    {
        base.Validate();
        OptionChecks.Defined(Objective);
        if (NoiseDimension is int noise)
            OptionChecks.Within(noise, 1, GanShape.MostWidth, nameof(NoiseDimension));
        CheckLayers(GeneratorLayers, nameof(GeneratorLayers));
        CheckLayers(DiscriminatorLayers, nameof(DiscriminatorLayers));
        OptionChecks.Defined(Activation);
        if (DiscriminatorStepsPerGeneratorStep is int steps)
            OptionChecks.Within(steps, 1, 1000, nameof(DiscriminatorStepsPerGeneratorStep));
        OptionChecks.PositiveFinite(GeneratorRateScale);
        OptionChecks.NonNegativeFinite(GradientPenaltyWeight);
        OptionChecks.PositiveFinite(WeightClip);
        if (InstanceNoise is double instanceNoise)
            OptionChecks.NonNegativeFinite(instanceNoise, nameof(InstanceNoise));
        OptionChecks.Within(LabelSmoothing, 0, GanDefaults.Classifies(Objective) ? 0.5 : 0);
        OptionChecks.Within(PackSize, 1, GanShape.MostPack);
        OptionChecks.WithinHalfOpen(WeightAverageDecay, 0, 1);
        OptionChecks.Defined(Score);
        OptionChecks.Within(LatentSearchSteps, 1, GanShape.MostSearchSteps);
        OptionChecks.Within(Stages, 1, 1000);

        static void CheckLayers(IReadOnlyList<int> layers, string option)
        {
            ArgumentNullException.ThrowIfNull(layers, option);
            OptionChecks.Within(layers.Count, 0, GanShape.MostLayers, option + ".Count");
            foreach (int width in layers)
                OptionChecks.Within(width, 1, GanShape.MostWidth, option);
        }
    }
}
