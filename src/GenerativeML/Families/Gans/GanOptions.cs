using System.Text.Json.Serialization;

namespace GenerativeML;

/// <summary>What a GAN's two networks try to make of each other.</summary>
public enum GanObjective
{
    /// <summary>
    /// The discriminator is a classifier, and the generator lowers log(1 − D(G(z))), the game of the first paper
    /// (Goodfellow 2014). Its gradient fades while the discriminator wins; for comparison rather than for use.
    /// </summary>
    Minimax,

    /// <summary>
    /// The discriminator is a classifier, and the generator raises log D(G(z)) (Goodfellow 2014, section 3).
    /// </summary>
    NonSaturating,

    /// <summary>Squared distances from the labels 1 and 0 in the place of logarithms (Mao 2017).</summary>
    LeastSquares,

    /// <summary>
    /// The discriminator estimates the Wasserstein distance; its weights are clipped to keep it from being steep, and
    /// both networks are trained by RMSprop (Arjovsky 2017).
    /// </summary>
    Wasserstein,

    /// <summary>
    /// The same, with a penalty on the discriminator's gradient between real and generated rows instead of clipping
    /// (Gulrajani 2017).
    /// </summary>
    WassersteinGradientPenalty,

    /// <summary>A hinge loss with spectrally normalised weights of the discriminator (Miyato 2018).</summary>
    Hinge,
}

/// <summary>What a GAN gives as a row's score.</summary>
public enum GanScore
{
    /// <summary>How much the discriminator takes the row for a generated one: −D(x). The default.</summary>
    Discriminator,

    /// <summary>
    /// How far the row is from the nearest row that the generator can make, found by moving the noise down the gradient
    /// of the distance (Schlegl 2017, AnoGAN): nine tenths of it the mean absolute difference of the standardised features,
    /// one tenth that of the discriminator's last hidden layer. Slow: it takes a training of its own for each row.
    /// </summary>
    LatentSearch,
}

/// <summary>The options of a generative adversarial network (Goodfellow 2014).</summary>
/// <remarks>
/// What is left open follows the objective: these settings find all eight modes of a ring of Gaussians with each of them
/// (<c>build/bench.sh ring</c>), and are the ones that are recommended.
/// </remarks>
public sealed record GanOptions : VectorOptions
{
    private const int MaxWidth = 1 << 16;

    // RMSprop is Adam without a mean of the gradients; it keeps the correction of the first steps.
    private static readonly AdamSettings s_rmsProp = new(Beta1: 0, Beta2: 0.99);

    // Little memory of the gradients' direction: the opponent keeps turning it.
    private static readonly AdamSettings s_game = new(Beta1: 0.5), s_critic = new(Beta1: 0, Beta2: 0.9);

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

    /// <summary>
    /// Label columns that rows depend on. Each is a Single, a Boolean or a key; a Single that has few values, all whole,
    /// is taken for a category. Default: none.
    /// </summary>
    public IReadOnlyList<string> ConditionColumnNames { get; init; } = [];

    /// <summary>
    /// The column for the score, see <see cref="Score"/>. Default <c>Score</c>; null: none is added.
    /// </summary>
    public string? ScoreColumnName { get; init; } = "Score";

    /// <summary>
    /// The column for the nearest row that the generator can make, found by latent search. Default: none is added.
    /// </summary>
    public string? ReconstructionColumnName { get; init; }

    /// <summary>The game that is played. Default <see cref="GanObjective.WassersteinGradientPenalty"/>.</summary>
    public GanObjective Objective { get; init; } = GanObjective.WassersteinGradientPenalty;

    /// <summary>
    /// The number of random values that a generated row is made from. Default: twice the features of the input, but at
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

    /// <summary>AdamW's constants for both networks.</summary>
    internal AdamSettings Adam => Objective switch
    {
        GanObjective.Wasserstein => s_rmsProp,
        GanObjective.WassersteinGradientPenalty or GanObjective.Hinge => s_critic,
        _ => s_game,
    };

    internal override VectorColumns Columns => new()
    {
        Features = FeatureColumnName,
        Conditions = ConditionColumnNames,
        Score = ScoreColumnName,
        Reconstruction = ReconstructionColumnName,
    };

    internal override double AverageDecay => WeightAverageDecay;

    // Whether the discriminator has labels to tell real rows from generated ones by.
    private bool Classifies =>
        Objective is GanObjective.Minimax or GanObjective.NonSaturating or GanObjective.LeastSquares;

    /// <remarks>
    /// Some 8000 steps for a small table, twice as many where the generator moves in some of them only; a large one is
    /// read ten times at least.
    /// </remarks>
    internal override VectorOptions Resolve(RowStatistics rows)
    {
        int discriminatorSteps = DiscriminatorStepsPerGeneratorStep ?? Objective switch
        {
            GanObjective.Wasserstein => 5, // with fewer, clipped weights do not keep up, and modes are lost
            GanObjective.WassersteinGradientPenalty => 3,
            _ => 1,
        };
        long presented = discriminatorSteps > 1 ? 2_048_000 : 1_024_000;
        return this with
        {
            NoiseDimension = NoiseDimension ?? Math.Clamp(2 * rows.Input.Width, 8, 128),
            DiscriminatorStepsPerGeneratorStep = discriminatorSteps,
            SpectralNormalization = SpectralNormalization ?? Objective == GanObjective.Hinge,
            InstanceNoise = InstanceNoise ?? (Classifies ? 0.5 : 0),
            BatchSize = BatchSize ?? 128,
            LearningRate = LearningRate ?? (Objective == GanObjective.Hinge ? 5e-4 : 1e-3),
            WeightDecay = WeightDecay ?? 0,
            Epochs = Epochs ?? rows.EpochsFor(presented, least: 10, most: 10_000),
        };
    }

    /// <inheritdoc />
    public override void Validate()
    {
        base.Validate();
        OptionChecks.Defined(Objective);
        if (NoiseDimension is int noise)
            OptionChecks.Within(noise, 1, MaxWidth, nameof(NoiseDimension));
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
        OptionChecks.Within(LabelSmoothing, 0, Classifies ? 0.5 : 0);
        OptionChecks.Within(PackSize, 1, 64);
        OptionChecks.WithinHalfOpen(WeightAverageDecay, 0, 1);
        OptionChecks.Defined(Score);
        OptionChecks.Within(LatentSearchSteps, 1, 10_000);
        OptionChecks.Within(Stages, 1, 1000);

        static void CheckLayers(IReadOnlyList<int> layers, string option)
        {
            ArgumentNullException.ThrowIfNull(layers, option);
            OptionChecks.Within(layers.Count, 0, 64, option + ".Count");
            foreach (int width in layers)
                OptionChecks.Within(width, 1, MaxWidth, option);
        }
    }
}
