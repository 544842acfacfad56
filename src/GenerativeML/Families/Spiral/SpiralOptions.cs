namespace GenerativeML;

/// <summary>
/// The options of a SPIRAL agent: its columns, its brush, its networks and their training. In a step the agent paints
/// <see cref="TrainingOptions.BatchSize"/> pictures, the discriminator learns to tell them from as many images, and then the
/// agent learns from what its strokes earned.
/// </summary>
/// <remarks>
/// <see cref="TrainingOptions.LearningRate"/> and <see cref="TrainingOptions.WeightDecay"/> are AdamW's, by default 0.0007
/// and 0; the discriminator's has β₁ 0.5 and β₂ 0.9.
/// <see cref="TrainingOptions.ValidationFraction"/> counts with <see cref="ReconstructionShare"/> 1 alone: then the squared
/// error of held-back images, painted by the likeliest strokes, says which weights are best.
/// <see cref="TrainingOptions.Precision"/> has no meaning: all is computed in 32 bits.
/// </remarks>
public sealed record SpiralOptions : TrainingOptions
{
    /// <summary>The longest side of images, and the most strokes.</summary>
    internal const int MaxSide = 64, MaxStrokes = 100;

    private const int DefaultBatchSize = 64, DefaultSteps = 3000;

    /// <summary>Options with the defaults of actor and critic: gradients are clipped at 1.</summary>
    public SpiralOptions() => GradientClipNorm = 1;

    /// <summary>
    /// The input: a column of <see cref="Microsoft.ML.Data.MLImage"/>, or of vectors that are images; grey ones are painted.
    /// Default <c>Image</c>.
    /// </summary>
    public string ImageColumnName { get; init; } = "Image";

    /// <summary>
    /// The column for the painted image, of the input's type. Default <c>Painting</c>; null: none is added, nor with
    /// <see cref="ReconstructionShare"/> 0.
    /// </summary>
    public string? PaintingColumnName { get; init; } = "Painting";

    /// <summary>
    /// The column for its strokes, a text as <see cref="StrokePainting.Parse"/> reads it; generated rows have it, too. Default
    /// <c>Strokes</c>; null: none is added.
    /// </summary>
    public string? StrokesColumnName { get; init; } = "Strokes";

    /// <summary>
    /// The column for the score: the mean squared error of the painted image, black being 0 and white 1. The higher, the
    /// less the image is one that such strokes make. Default: none is added.
    /// </summary>
    public string? ScoreColumnName { get; init; }

    /// <summary>
    /// The shape of images as the agent sees them, of one channel; sides from 1 to 64. A column of images is resized to it,
    /// and read as grey; a vector has as many features. Default: the size of the column's type; of a vector its three
    /// dimensions, or else a square.
    /// </summary>
    public ImageShape? ImageShape { get; init; }

    /// <summary>How images of other sizes get this one. Default <see cref="ImageResize.Crop"/>.</summary>
    public ImageResize Resize { get; init; }

    /// <summary>
    /// Whether ink is dark on bright paper. Default: what is rarer in the training images, as far as brightness goes: dark
    /// where they are brighter than the middle of their range on average.
    /// </summary>
    public bool? DarkInk { get; init; }

    /// <summary>
    /// The most strokes of a painting; one without pressure, which only moves the brush, counts as well. From 1 to 100.
    /// Default 8.
    /// </summary>
    public int Strokes { get; init; } = 8;

    /// <summary>
    /// How strongly a stroke covers at most, in so many levels evenly spaced, the first of which is 0: the brush only moves.
    /// From 2 to 16. Default 3: 0, one half, 1.
    /// </summary>
    public int PressureLevels { get; init; } = 3;

    /// <summary>
    /// How wide the brush can be, in pixels; one to sixteen widths, each above 0 and at most 64. Default: 1, 1.75 and 2.5
    /// sixteenths of the image's shorter side.
    /// </summary>
    public IReadOnlyList<double>? BrushWidths { get; init; }

    /// <summary>
    /// The share of a step's paintings that are of a given image, the rest being free. From 0, an agent that only generates,
    /// to 1, one that only reconstructs. Default 0.5: it learns both.
    /// </summary>
    public double ReconstructionShare { get; init; } = 0.5;

    /// <summary>
    /// The discriminator's share of the reward for painting a given image; the rest of it is by how much the squared error
    /// falls, in shares of an empty canvas's. Free paintings are rewarded by the discriminator alone. From 0 to 1.
    /// Default 0.1.
    /// </summary>
    public double RewardBlend { get; init; } = 0.1;

    /// <summary>
    /// Whether each stroke is rewarded for what it changes of the reward (Mellor 2019, temporal credit assignment), instead
    /// of the last one for the whole painting. Default: yes.
    /// </summary>
    public bool TemporalCreditAssignment { get; init; } = true;

    /// <summary>
    /// Whether of paintings of a given image the discriminator sees one half alone, beside the other half of the image itself
    /// (after the complement discriminator of Mellor 2019): what it says is then about that image and no other. The half,
    /// above, below, left or right, is drawn at random for each. Default: yes.
    /// </summary>
    public bool ComplementDiscriminator { get; init; } = true;

    /// <summary>
    /// What a reward is worth a stroke later, γ. In [0, 1]. Default 0.95.
    /// </summary>
    public double Discount { get; init; } = 0.95;

    /// <summary>
    /// How far back a reward is credited by itself rather than by what the critic expected, λ of generalised advantages
    /// (Schulman 2016): 1 is the return of whole episodes, 0 that of one stroke. In [0, 1]. Default 0.9.
    /// </summary>
    public double TraceDecay { get; init; } = 0.9;

    /// <summary>
    /// The weight of the entropy of strokes, in nats, beside advantages, whose deviation is one: the more, the longer
    /// the agent tries others. It falls in a straight line to a tenth at the end of training. Zero or more. Default 0.06.
    /// </summary>
    public double EntropyWeight { get; init; } = 0.06;

    /// <summary>The weight of the critic's half squared error. Zero or more. Default 0.5.</summary>
    public double ValueWeight { get; init; } = 0.5;

    /// <summary>
    /// The discriminator's objective; its output is the reward, whatever the objective is. With
    /// <see cref="GanObjective.WassersteinGradientPenalty"/>, the default, its gradient is held at one; with
    /// <see cref="GanObjective.NonSaturating"/> and <see cref="GanObjective.LeastSquares"/> at real images near zero (R1,
    /// Mescheder 2018). No others.
    /// </summary>
    public GanObjective DiscriminatorObjective { get; init; } = GanObjective.WassersteinGradientPenalty;

    /// <summary>The weight of that penalty. Zero or more. Default 10.</summary>
    public double GradientPenaltyWeight { get; init; } = 10;

    /// <summary>Channels of the agent's convolutions at full size; twice as many at half of it, and again. From 1 to 512. Default 8.</summary>
    public int Channels { get; init; } = 8;

    /// <summary>Features of the agent's dense layer. From 1 to 8192. Default 128.</summary>
    public int HiddenWidth { get; init; } = 128;

    /// <summary>Channels of the discriminator's first convolution; twice as many in the next, and again. From 1 to 512. Default 16.</summary>
    public int DiscriminatorChannels { get; init; } = 16;

    /// <summary>
    /// What logits are divided by where strokes of free paintings are drawn; given images are painted by the likeliest
    /// strokes. It can be changed afterwards: <see cref="SpiralTransformer.Temperature"/>. Above 0 and at most 10. Default 1.
    /// </summary>
    public double Temperature { get; init; } = 1;

    /// <summary>
    /// Optimizer steps. Default: as many as <see cref="TrainingOptions.Epochs"/> asks for; where that is not set either,
    /// 3000. Not both.
    /// </summary>
    public int? Steps { get; init; }

    /// <summary>Whether there are paintings of given images, and whether there are free ones.</summary>
    internal bool Reconstructs => ReconstructionShare > 0;

    internal bool Generates => ReconstructionShare < 1;

    /// <summary>Whether a discriminator has any part in it.</summary>
    internal bool HasDiscriminator => Generates || RewardBlend > 0;

    /// <summary>All that is left open, decided.</summary>
    internal SpiralOptions Resolve(int seed, ImageShape shape) => this with
    {
        Seed = seed,
        BatchSize = BatchSize ?? DefaultBatchSize,
        Steps = Steps ?? (Epochs is null ? DefaultSteps : null),
        LearningRate = LearningRate ?? 7e-4,
        WeightDecay = WeightDecay ?? 0,
        BrushWidths = BrushWidths ?? [.. new[] { 1, 1.75, 2.5 }.Select(width => width * Math.Min(shape.Height, shape.Width) / 16)],
    };

    /// <summary>The added columns, in the order of the schema; images are of this format, vectors where there is none.</summary>
    internal IReadOnlyList<OutputColumn> Outputs(ImageFormat? image, int pixels)
    {
        OutputColumn?[] columns =
        [
            ScoreColumnName is string score ? new(score, OutputKind.Single) { Score = ScoreAnnotation.AnomalyScore } : null,
            PaintingColumnName is not string painting ? null
                : image is { IsPicture: true } ? new(painting, OutputKind.Image, pixels) { Image = image }
                : new(painting, OutputKind.Single, pixels) { SlotNamesFrom = ImageColumnName },
            StrokesColumnName is string strokes ? new(strokes, OutputKind.Text) : null,
        ];
        return Reconstructs ? [.. columns.OfType<OutputColumn>()] : [];
    }

    /// <inheritdoc />
    public override void Validate()
    {
        base.Validate();
        ColumnNames.Check([ImageColumnName], [ScoreColumnName, PaintingColumnName, StrokesColumnName]);
        if (StrokesColumnName == ImageColumnName)
            throw new ArgumentException($"Options StrokesColumnName and ImageColumnName are both '{ImageColumnName}': generated rows have both columns.");
        if (ScoreColumnName is not null && !Reconstructs)
            throw new ArgumentException("Option ScoreColumnName is set, but with option ReconstructionShare 0 no given image is painted.");
        if (ImageShape is not null)
            CheckShape(ImageShape, what => new ArgumentOutOfRangeException(nameof(ImageShape), $"Option ImageShape is {what}."));
        OptionChecks.Defined(Resize);
        OptionChecks.Within(Strokes, 1, MaxStrokes);
        OptionChecks.Within(PressureLevels, 2, 16);
        if (BrushWidths is not null)
        {
            OptionChecks.Within(BrushWidths.Count, 1, 16, "BrushWidths.Count");
            foreach (double width in BrushWidths)
                OptionChecks.AboveZero((float)width, 64f, nameof(BrushWidths));
        }
        OptionChecks.Within<double>(ReconstructionShare, 0, 1);
        OptionChecks.Within<double>(RewardBlend, 0, 1);
        OptionChecks.Within<double>(Discount, 0, 1);
        OptionChecks.Within<double>(TraceDecay, 0, 1);
        OptionChecks.NonNegativeFinite(EntropyWeight);
        OptionChecks.NonNegativeFinite(ValueWeight);
        if (DiscriminatorObjective is not (GanObjective.WassersteinGradientPenalty or GanObjective.NonSaturating or GanObjective.LeastSquares))
            throw new ArgumentOutOfRangeException(
                nameof(DiscriminatorObjective), DiscriminatorObjective,
                $"Option DiscriminatorObjective is {DiscriminatorObjective}; WassersteinGradientPenalty, NonSaturating or LeastSquares is expected.");
        OptionChecks.NonNegativeFinite(GradientPenaltyWeight);
        OptionChecks.Within(Channels, 1, 512);
        OptionChecks.Within(HiddenWidth, 1, 8192);
        OptionChecks.Within(DiscriminatorChannels, 1, 512);
        OptionChecks.Temperature(Temperature);
        OptionChecks.StepsOrEpochs(Steps, Epochs);
    }

    /// <summary>Checks that an agent can take images of a shape.</summary>
    internal static void CheckShape(ImageShape shape, Func<string, Exception> wrong)
    {
        string what = $"{shape.Channels} × {shape.Height} × {shape.Width}";
        if (shape.Channels != 1)
            throw wrong($"{what}, and this agent paints grey images: of one channel");
        if (shape.Height > MaxSide || shape.Width > MaxSide)
            throw wrong($"{what}, and this agent takes sides of up to {MaxSide} pixels: a column of MLImage is resized to the option ImageShape");
    }
}

/// <summary>
/// What a SPIRAL agent knows of its images, as saved: their format, of one channel; what black and white are in the data's
/// units; whether ink is dark; and the mean over images of an empty canvas's squared error, all pixels together.
/// </summary>
internal sealed record SpiralInput(ImageFormat Image, float Low, float High, bool DarkInk, float Energy)
{
    /// <summary>Pixels of an image.</summary>
    [System.Text.Json.Serialization.JsonIgnore]
    public int Pixels => (int)Image.Shape!.Length;

    /// <summary>Numbers of the data → ink, from 0, bare, to 1, in place.</summary>
    public void ToInk(Span<float> values)
    {
        float scale = High > Low ? 1 / (High - Low) : 0;
        foreach (ref float value in values)
        {
            float bright = Math.Clamp((value - Low) * scale, 0, 1);
            value = DarkInk ? 1 - bright : bright;
        }
    }

    /// <summary>The way back.</summary>
    public void FromInk(Span<float> values)
    {
        foreach (ref float value in values)
            value = Low + (DarkInk ? 1 - value : value) * (High - Low);
    }
}
