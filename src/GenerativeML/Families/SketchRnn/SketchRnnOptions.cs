namespace GenerativeML;

/// <summary>
/// The options of a Sketch-RNN: its columns, its networks and their training. A step trains on
/// <see cref="TrainingOptions.BatchSize"/> drawings of about the same length; each point is predicted from the drawing's
/// latent vector and the right points before it (teacher forcing).
/// </summary>
/// <remarks>
/// <see cref="TrainingOptions.LearningRate"/> and <see cref="TrainingOptions.WeightDecay"/> are AdamW's; by default 0.004
/// and 0.01. <see cref="TrainingOptions.ValidationFraction"/> holds back drawings;
/// <see cref="TrainingOptions.CacheBudgetBytes"/> is the most memory that the drawings may take.
/// <see cref="TrainingOptions.NonFiniteValues"/> and <see cref="TrainingOptions.ShuffleBufferRows"/> have no meaning for
/// drawings, and <see cref="TrainingOptions.Precision"/> none for recurrent layers, which compute in 32 bits.
/// </remarks>
public sealed record SketchRnnOptions : TrainingOptions
{
    private const int DefaultBatchSize = 100, DefaultSteps = 2000, MaxWidth = 8192;

    /// <summary>Options with the default of recurrent layers: gradients are clipped at 1.</summary>
    public SketchRnnOptions() => GradientClipNorm = 1;

    /// <summary>
    /// The input: a column of text, each row a drawing as <see cref="StrokeDrawing.Parse"/> reads it. Default
    /// <c>Drawing</c>.
    /// </summary>
    public string DrawingColumnName { get; init; } = "Drawing";

    /// <summary>
    /// The column for the mean of the drawing's latent distribution, a vector of <see cref="LatentDimension"/>. Default
    /// <c>Latent</c>; null: none is added.
    /// </summary>
    public string? LatentColumnName { get; init; } = "Latent";

    /// <summary>
    /// The column for the score: the negative evidence lower bound at the mean of the latent distribution, in nats, divided
    /// by the number of points, the drawing's end among them. The higher, the stranger the drawing. One with more points than
    /// <see cref="MaxPoints"/> is scored without its end. Default: none is added.
    /// </summary>
    public string? ScoreColumnName { get; init; }

    /// <summary>
    /// The column for what the model draws of the mean of the latent distribution, a text as the input. Default: none is
    /// added.
    /// </summary>
    public string? ReconstructionColumnName { get; init; }

    /// <summary>
    /// The most points of a drawing. From 1 to 10,000. Default: as many as the longest of the training rows has, at most
    /// 250. Longer drawings are left out of training; they are read up to there afterwards.
    /// </summary>
    public int? MaxPoints { get; init; }

    /// <summary>Features of each direction of the encoder's state. From 1 to 8192. Default 128.</summary>
    public int EncoderWidth { get; init; } = 128;

    /// <summary>Features of the decoder's state. From 1 to 8192. Default 256.</summary>
    public int DecoderWidth { get; init; } = 256;

    /// <summary>Features of a latent vector. From 1 to 8192. Default 64.</summary>
    public int LatentDimension { get; init; } = 64;

    /// <summary>Normal distributions in the mixture that an offset is drawn from. From 1 to 1000. Default 20.</summary>
    public int Mixtures { get; init; } = 20;

    /// <summary>
    /// The share of the decoder's features that are left out at random in a training step, of what it reads of the latent
    /// vector and of what it gives. In [0, 1). Default 0.
    /// </summary>
    public double Dropout { get; init; }

    /// <summary>
    /// The weight of the KL term beside the reconstruction: more presses the latent distributions towards the prior, so
    /// that generated drawings are sounder, and reconstructions less true. Zero or more. Default 0.5.
    /// </summary>
    public double KlWeight { get; init; } = 0.5;

    /// <summary>
    /// The share of all steps over which the weight of the KL term rises in a straight line from a hundredth, so that the
    /// latent vector comes into use before it is pressed towards the prior. In [0, 1). Default 0.5.
    /// </summary>
    public double KlWarmupFraction { get; init; } = 0.5;

    /// <summary>
    /// Nats of a latent feature's KL term, in the mean over features and batch, below which training leaves it alone. Zero
    /// or more. Default 0.2.
    /// </summary>
    public double KlTolerance { get; init; } = 0.2;

    /// <summary>
    /// In training, each drawing is stretched across and down by factors up to so far from 1. In [0, 1). Default 0.15.
    /// </summary>
    public double ScaleAugmentation { get; init; } = 0.15;

    /// <summary>
    /// The chance that a point within a line is left out of a drawing in training, and the line goes on straight to the
    /// next. In [0, 1). Default 0.1.
    /// </summary>
    public double PointDropout { get; init; } = 0.1;

    /// <summary>
    /// How far what is drawn may stray from what is likeliest: logits are divided by it, and variances multiplied. It can
    /// be changed afterwards: <see cref="SketchRnnTransformer.Temperature"/>. Above 0 and at most 10. Default 0.4.
    /// </summary>
    public double Temperature { get; init; } = 0.4;

    /// <summary>
    /// Optimizer steps. Default: as many as <see cref="TrainingOptions.Epochs"/> asks for; where that is not set either,
    /// 2000. Not both.
    /// </summary>
    public int? Steps { get; init; }

    /// <summary>The unit of offsets in a trained model: the standard deviation of those of all training rows. Null before.</summary>
    internal float? Scale { get; init; }

    /// <summary>All that is left open, decided.</summary>
    internal SketchRnnOptions Resolve(int seed) => this with
    {
        Seed = seed,
        BatchSize = BatchSize ?? DefaultBatchSize,
        Steps = Steps ?? (Epochs is null ? DefaultSteps : null),
        LearningRate = LearningRate ?? 4e-3,
        WeightDecay = WeightDecay ?? 0.01,
    };

    /// <summary>The added columns, in the order of the schema.</summary>
    internal IReadOnlyList<OutputColumn> Outputs()
    {
        OutputColumn?[] columns =
        [
            ScoreColumnName is string score
                ? new(score, OutputKind.Single) { Score = ScoreAnnotation.AnomalyScore } : null,
            LatentColumnName is string latent ? new(latent, OutputKind.Single, LatentDimension) : null,
            ReconstructionColumnName is string drawn ? new(drawn, OutputKind.Text) : null,
        ];
        return [.. columns.OfType<OutputColumn>()];
    }

    /// <inheritdoc />
    public override void Validate()
    {
        base.Validate();
        ColumnNames.Check([DrawingColumnName], [ScoreColumnName, LatentColumnName, ReconstructionColumnName]);
        OptionChecks.Within(MaxPoints, 1, 10_000);
        OptionChecks.Within(EncoderWidth, 1, MaxWidth);
        OptionChecks.Within(DecoderWidth, 1, MaxWidth);
        OptionChecks.Within(LatentDimension, 1, MaxWidth);
        OptionChecks.Within(Mixtures, 1, 1000);
        OptionChecks.WithinHalfOpen(Dropout, 0, 1);
        OptionChecks.NonNegativeFinite(KlWeight);
        OptionChecks.WithinHalfOpen(KlWarmupFraction, 0, 1);
        OptionChecks.NonNegativeFinite(KlTolerance);
        OptionChecks.WithinHalfOpen(ScaleAugmentation, 0, 1);
        OptionChecks.WithinHalfOpen(PointDropout, 0, 1);
        OptionChecks.Temperature(Temperature);
        OptionChecks.StepsOrEpochs(Steps, Epochs);
    }
}
