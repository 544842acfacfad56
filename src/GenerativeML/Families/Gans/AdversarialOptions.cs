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
    /// of the distance (Schlegl 2017, AnoGAN): nine tenths of it the mean absolute difference of the standardised
    /// features, one tenth that of the discriminator's last hidden layer. Slow: it takes a training of its own for each
    /// row. Needs torch.
    /// </summary>
    LatentSearch,
}

/// <summary>
/// The options of a generative adversarial network (Goodfellow 2014), whatever its networks are made of.
/// </summary>
/// <remarks>
/// What is left open follows the objective: these settings are the ones that are recommended. With each of them, in runs
/// of one seed, all eight modes of a ring of Gaussians were found (<c>build/bench.sh ring</c>).
/// </remarks>
public abstract record AdversarialOptions : VectorOptions
{
    /// <summary>All defaults.</summary>
    /// <remarks>
    /// Other than in the options of other trainers, <see cref="TrainingOptions.ValidationFraction"/> is 0.1, for the
    /// report; <see cref="TrainingOptions.GradientClipNorm"/> and <see cref="TrainingOptions.WarmupFraction"/> are 0,
    /// and training never stops early, since no loss of a GAN says when to.
    /// </remarks>
    private protected AdversarialOptions()
    {
        ScoreColumnName = "Score";
        WeightAverageDecay = 0.999;
        ValidationFraction = 0.1;
        GradientClipNorm = 0;
        WarmupFraction = 0;
    }

    /// <summary>The game that is played. Default <see cref="GanObjective.WassersteinGradientPenalty"/>.</summary>
    public GanObjective Objective { get; init; } = GanObjective.WassersteinGradientPenalty;

    /// <summary>
    /// The number of random values that a generated row is made from. Default: twice the features of the input, but at
    /// least 8 and at most 128.
    /// </summary>
    public int? NoiseDimension { get; init; }

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
    /// The weight of the gradient penalty of <see cref="GanObjective.WassersteinGradientPenalty"/>, λ in its paper,
    /// which takes 10 for images and 0.1 for points in the plane. Default 0.1.
    /// </summary>
    public double GradientPenaltyWeight { get; init; } = 0.1;

    /// <summary>
    /// The weight of R1, half the mean square of the discriminator's gradient at real rows (Mescheder 2018), with any
    /// objective: γ in its paper. It keeps the discriminator from being steep where the generator already is right. Zero
    /// or more. Default 0; of the image architectures <see cref="ImageGanArchitecture.Progressive"/> and
    /// <see cref="ImageGanArchitecture.StyleGan"/> 0.5, but for a Wasserstein objective.
    /// </summary>
    public double? R1Weight { get; init; }

    /// <summary>
    /// Steps from one that R1 is computed in to the next, each of which counts as much more (Karras 2020, lazy
    /// regularisation). 1 to 1000. Default 1; 8 where <see cref="R1Weight"/> is decided by the architecture.
    /// </summary>
    public int? R1Interval { get; init; }

    /// <summary>
    /// The largest magnitude of the discriminator's weights with <see cref="GanObjective.Wasserstein"/>. Default 0.3;
    /// the paper's 0.01 is for deeper networks.
    /// </summary>
    public double WeightClip { get; init; } = 0.3;

    /// <summary>
    /// Whether each of the discriminator's weight matrices is divided by its largest singular value (Miyato 2018).
    /// Default: with <see cref="GanObjective.Hinge"/> only; of the image architectures, with
    /// <see cref="ImageGanArchitecture.Dcgan"/> and <see cref="ImageGanArchitecture.Residual"/> but for a Wasserstein objective,
    /// and never with <see cref="ImageGanArchitecture.Progressive"/> and <see cref="ImageGanArchitecture.StyleGan"/>. A
    /// discriminator of <see cref="ImageGanArchitecture.Dcgan"/> that has it has no batch normalisation.
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

    /// <summary>How the trained model generates rows until it is told otherwise. Default: by all of the noise.</summary>
    public GanSampling Sampling { get; init; } = new();

    internal override IRowSampling RowSampling => Sampling;

    /// <summary>Whether rows are made of styles, layer by layer.</summary>
    internal virtual bool HasStyles => false;

    /// <summary>Whether all noise is brought to one length, so that its size counts for nothing.</summary>
    internal virtual bool NormalizesNoise => false;

    // Little memory of the gradients' direction: the opponent keeps turning it.
    internal virtual AdamSettings Adam => Objective switch
    {
        GanObjective.Wasserstein => new(Beta1: 0, Beta2: 0.99), // RMSprop, with the correction of the first steps
        GanObjective.WassersteinGradientPenalty or GanObjective.Hinge => new(Beta1: 0, Beta2: 0.9),
        _ => new(Beta1: 0.5),
    };

    private protected override OptionalColumns Supported => OptionalColumns.Conditions | OptionalColumns.Reconstruction;

    // Whether the discriminator has labels to tell real rows from generated ones by.
    private bool Classifies =>
        Objective is GanObjective.Minimax or GanObjective.NonSaturating or GanObjective.LeastSquares;

    /// <summary>What <see cref="DiscriminatorStepsPerGeneratorStep"/> is, decided or not.</summary>
    internal int DiscriminatorSteps => DiscriminatorStepsPerGeneratorStep ?? Objective switch
    {
        GanObjective.Wasserstein => 5, // with fewer, clipped weights do not keep up, and modes are lost
        GanObjective.WassersteinGradientPenalty => 3,
        _ => 1,
    };

    // Rows that the discriminator judges together.
    internal virtual int Pack => 1;

    /// <remarks>
    /// Some 8000 steps for a small table, twice as many where the generator moves in some of them only; a large one is
    /// read ten times at least.
    /// </remarks>
    internal override VectorOptions Resolve(RowStatistics rows)
    {
        long presented = DiscriminatorSteps > 1 ? 2_048_000 : 1_024_000;
        return this with
        {
            NoiseDimension = NoiseDimension ?? Math.Clamp(2 * rows.Input.Width, 8, 128),
            DiscriminatorStepsPerGeneratorStep = DiscriminatorSteps,
            SpectralNormalization = SpectralNormalization ?? Objective == GanObjective.Hinge,
            InstanceNoise = InstanceNoise ?? (Classifies ? 0.5 : 0),
            R1Weight = R1Weight ?? 0,
            R1Interval = R1Interval ?? 1,
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
        OptionChecks.Within(NoiseDimension, 1, OptionChecks.MaxWidth);
        OptionChecks.Within(DiscriminatorStepsPerGeneratorStep, 1, 1000);
        OptionChecks.PositiveFinite(GeneratorRateScale);
        OptionChecks.NonNegativeFinite(GradientPenaltyWeight);
        OptionChecks.NonNegativeFinite(R1Weight);
        OptionChecks.Within(R1Interval, 1, 1000);
        OptionChecks.PositiveFinite(WeightClip);
        OptionChecks.NonNegativeFinite(InstanceNoise);
        OptionChecks.Within(LabelSmoothing, 0, Classifies ? 0.5 : 0);
        OptionChecks.Defined(Score);
        OptionChecks.Within(LatentSearchSteps, 1, 10_000);
        OptionChecks.Within(Stages, 1, 1000);
        ArgumentNullException.ThrowIfNull(Sampling);
        Sampling.Validate(this);
        if (R1Interval > 1 && R1Weight == 0)
            throw new ArgumentException($"Option {nameof(R1Interval)} is {R1Interval}, and with option {nameof(R1Weight)} 0 there is no R1.");
    }
}

/// <summary>How rows are generated by a GAN: chosen after training, and saved with the model.</summary>
/// <remarks>Both ways of truncation give rows that are more like what is usual, and less varied (Brock 2019; Karras 2019).</remarks>
public sealed record GanSampling : IRowSampling
{
    /// <summary>
    /// The largest magnitude of the noise that rows are made from: numbers beyond are drawn again (Brock 2019, the truncation
    /// trick). Above 0 and at most 10. Image architectures <see cref="ImageGanArchitecture.Progressive"/> and
    /// <see cref="ImageGanArchitecture.StyleGan"/> bring all noise to one length, and have none. Default: none.
    /// </summary>
    public double? NoiseTruncation { get; init; }

    /// <summary>
    /// For <see cref="ImageGanArchitecture.StyleGan"/>, how much of what a style differs from the mean style is left: ψ in
    /// its paper. 0 for the mean alone, 1 for all. Default 1.
    /// </summary>
    public double StyleTruncation { get; init; } = 1;

    /// <summary>
    /// Seeds of other rows, and how much each layer has of their style, (layers); null where rows are by themselves.
    /// </summary>
    internal (ulong Seed, float[] Shares)? Mix { get; init; }

    /// <summary>Checks the values against what a model is made of.</summary>
    /// <exception cref="ArgumentException">One is out of its range, or the model has no styles.</exception>
    internal void Validate(AdversarialOptions options)
    {
        OptionChecks.AboveZero(NoiseTruncation, 10);
        OptionChecks.Within(StyleTruncation, 0, 1);
        if (NoiseTruncation is not null && options.NormalizesNoise)
        {
            throw new ArgumentException(
                $"Option {nameof(NoiseTruncation)} is set, and architectures {nameof(ImageGanArchitecture.Progressive)} and {nameof(ImageGanArchitecture.StyleGan)} bring all noise to one length: its size says nothing. {nameof(StyleTruncation)} is for the latter.");
        }
        if (StyleTruncation != 1 && !options.HasStyles)
        {
            throw new ArgumentException(FormattableString.Invariant(
                $"Option {nameof(StyleTruncation)} is {StyleTruncation}, and the model has no styles: an ImageGan of architecture {nameof(ImageGanArchitecture.StyleGan)} has; {nameof(NoiseTruncation)} is for those but {nameof(ImageGanArchitecture.Progressive)}."));
        }
    }
}
