using Microsoft.ML;
using Microsoft.ML.Runtime;

namespace GenerativeML;

/// <summary>Which way images are translated.</summary>
public enum TranslationDirection
{
    /// <summary>Each image into the domain that it is not of, as its row's domain column says. The default.</summary>
    ByDomain,

    /// <summary>All images are of the first domain, and no domain column is read.</summary>
    FirstToSecond,

    /// <summary>All images are of the second domain, and no domain column is read.</summary>
    SecondToFirst,
}

/// <summary>The options of a translator between two sets of images, of which none belongs to another.</summary>
/// <remarks>
/// Other than in the options of other trainers, <see cref="TrainingOptions.Schedule"/> is
/// <see cref="LearningRateSchedule.ConstantThenLinear"/>, <see cref="TrainingOptions.WeightAverageDecay"/> 0.995 of the
/// translators, <see cref="TrainingOptions.GradientClipNorm"/> and <see cref="TrainingOptions.WarmupFraction"/> are 0,
/// <see cref="TrainingOptions.BatchSize"/> is 32, half of them of each set, and <see cref="TrainingOptions.LearningRate"/>
/// 5e-4. An epoch is a pass over the larger set; <see cref="TrainingOptions.ValidationFraction"/> has to be 0, since no loss
/// says when to stop.
/// </remarks>
public sealed record CycleGanOptions : VectorOptions
{
    // The smallest side of the generator's innermost stage, and of the discriminator's, where options leave them open.
    private const int InnermostSide = 8, InnermostPatches = 4;

    /// <summary>All defaults.</summary>
    public CycleGanOptions()
    {
        Schedule = LearningRateSchedule.ConstantThenLinear;
        WeightAverageDecay = 0.995;
        GradientClipNorm = 0;
        WarmupFraction = 0;
    }

    /// <summary>
    /// Which of the two sets an image is from: a Boolean, a key, or a Single of two whole values. The first domain is that
    /// of <c>false</c>, of a key's first value, or of the smaller number. Rows of a missing key are refused, or with
    /// <see cref="NonFiniteValues.DropRow"/> left out; a trained model takes them for images of the first domain. Default
    /// <c>Domain</c>.
    /// </summary>
    public string DomainColumnName { get; init; } = "Domain";

    /// <summary>
    /// What an image shows, a key that only training reads, missing where it is not known, as in the set that is
    /// translated into: translations keep what a classifier tells (Hoffman 2018, CyCADA). Default: none.
    /// </summary>
    public string? LabelColumnName { get; init; }

    /// <summary>The column for the translation, an image or a vector, as the input is. Default <c>Translation</c>.</summary>
    /// <remarks><see cref="VectorOptions.ReconstructionColumnName"/> adds what the way back makes of it.</remarks>
    public string? TranslationColumnName { get; init; } = "Translation";

    /// <summary>Which way a trained model translates. Default <see cref="TranslationDirection.ByDomain"/>.</summary>
    public TranslationDirection Direction { get; init; }

    /// <inheritdoc cref="ImageVaeOptions.ImageShape"/>
    public ImageShape? ImageShape { get; init; }

    /// <inheritdoc cref="ImageVaeOptions.Resize"/>
    public ImageResize Resize { get; init; }

    /// <summary>
    /// Channels of a translator's stages, from the image inwards: the first at full size, and each further one at half the
    /// height and width of the one before. One to eight of them, each from 1 to 1024. Default: 64, or 32 where
    /// the longer side is below 128 and 16 where it is below 32, and twice as many after each halving, of which there are
    /// two, or fewer where the shorter side would fall below eight; the paper's are 64, 128 and 256.
    /// </summary>
    public IReadOnlyList<int>? Channels { get; init; }

    /// <summary>
    /// Residual blocks in the middle of a translator. At most 64. Default: 2 for images whose longer side is below 64, 6
    /// below 256, otherwise 9; the latter two are the paper's.
    /// </summary>
    public int? ResidualBlocks { get; init; }

    /// <summary>
    /// Whether a translator adds what it makes to its input, so that at first it changes little, and keeps what images show
    /// rather than to swap it for something as frequent. The paper's do not. Default: yes.
    /// </summary>
    public bool SkipConnection { get; init; } = true;

    /// <summary>
    /// Whether images are first brought into the other set's frame, as where one set's show the same larger, or elsewhere: by
    /// a fixed change of size and place of each axis, and back on the way back; where that shrinks, fine detail is lost. It is
    /// told by where pixels vary within each set, and nothing is changed where these places' edges differ by less than a tenth
    /// of the side, nor where a set has fewer than 32 images. So the networks need not learn it, which convolutions do badly,
    /// and things are not swapped on the way. The paper's do not. Default: yes.
    /// </summary>
    public bool AlignFraming { get; init; } = true;

    /// <summary>
    /// Channels after each halving of height and width by a discriminator, which judges places of the last stage, and so
    /// patches of the image. One to eight of them, each from 1 to 1024. Default: twice the first of a translator's
    /// default, and twice as many after each further halving, of which there are three, or fewer where the shorter side
    /// would fall below four; at least one.
    /// </summary>
    public IReadOnlyList<int>? DiscriminatorChannels { get; init; }

    /// <summary>
    /// The game: <see cref="GanObjective.LeastSquares"/>, the default and the paper's, <see cref="GanObjective.Minimax"/>,
    /// <see cref="GanObjective.NonSaturating"/> or <see cref="GanObjective.Hinge"/>, here without spectral normalisation.
    /// </summary>
    public GanObjective Objective { get; init; } = GanObjective.LeastSquares;

    /// <summary>
    /// What the mean absolute difference counts between an image and what comes back of its translation, λ. Default 10, as
    /// in the paper.
    /// </summary>
    public double CycleConsistencyWeight { get; init; } = 10;

    /// <summary>
    /// What the mean absolute difference counts between an image and what its own domain's translator makes of it. Zero:
    /// nothing, and a step takes two thirds of the time. Default 5, as in the paper's translation of paintings.
    /// </summary>
    public double IdentityWeight { get; init; } = 5;

    /// <summary>
    /// What the cross-entropy counts of labels that a classifier, trained beside on images as they are, reads off their
    /// translations, brought back into its images' frame, with <see cref="LabelColumnName"/>. Default 1.
    /// </summary>
    public double SemanticConsistencyWeight { get; init; } = 1;

    /// <summary>
    /// Translations of earlier steps that are kept of each domain: every other image that a discriminator sees is one of
    /// them (Shrivastava 2017). Zero: none is. At most 10,000. Default 50.
    /// </summary>
    public int PoolSize { get; init; } = 50;

    internal override ImageFormat Images => new(ImageShape, Resize);

    internal override VectorColumns Columns => base.Columns with
    {
        Conditions = Direction == TranslationDirection.ByDomain ? [DomainColumnName] : [],
        IfConditionMissing = $" Of images that are all of one set, {nameof(CycleGanTransformer)}.{nameof(CycleGanTransformer.To)}"
            + $"({nameof(TranslationDirection)}.{nameof(TranslationDirection.FirstToSecond)}), or {nameof(TranslationDirection.SecondToFirst)}, "
            + "makes a transformer that needs no such column.",
        Class = LabelColumnName,
        Translation = TranslationColumnName,
    };

    private protected override OptionalColumns Supported => OptionalColumns.Reconstruction;

    internal override VectorOptions Resolve(RowStatistics rows)
    {
        ImageShape shape = rows.Input.Image!.Shape!;
        var resolved = this with
        {
            Channels = Channels ?? Halvings(shape, InnermostSide, Outermost(shape), least: 1, most: 3),
            ResidualBlocks = ResidualBlocks ?? (Math.Max(shape.Height, shape.Width) switch { < 64 => 2, < 256 => 6, _ => 9 }),
            DiscriminatorChannels = DiscriminatorChannels
                ?? [.. Halvings(shape, InnermostPatches, 2 * Outermost(shape), least: 2, most: 4).SkipLast(1)],
            BatchSize = BatchSize ?? 32,
            LearningRate = LearningRate ?? 5e-4,
            WeightDecay = WeightDecay ?? 0,
            Epochs = Epochs ?? rows.EpochsFor(presented: 120_000, least: 1, most: 2000),
        };
        CycleGanNetwork.Check(resolved, shape);
        return resolved;
    }

    /// <inheritdoc />
    /// <exception cref="ArgumentException">
    /// Condition columns are given, which it has none of beside the domain; or a column's name is empty or given twice.
    /// </exception>
    public override void Validate()
    {
        base.Validate();
        ImageShape?.Validate();
        OptionChecks.Defined(Resize);
        OptionChecks.Defined(Direction);
        if (Channels is not null)
            ImageStages.Validate(Channels);
        if (DiscriminatorChannels is not null)
            ImageStages.Validate(DiscriminatorChannels);
        OptionChecks.Within(ResidualBlocks, 0, 64);
        OptionChecks.Defined(Objective);
        if (Objective is GanObjective.Wasserstein or GanObjective.WassersteinGradientPenalty)
        {
            throw new ArgumentException(
                $"Option {nameof(Objective)} is {Objective}, whose constraint the discriminators of a CycleGAN do not have.");
        }
        OptionChecks.NonNegativeFinite(CycleConsistencyWeight);
        OptionChecks.NonNegativeFinite(IdentityWeight);
        OptionChecks.NonNegativeFinite(SemanticConsistencyWeight);
        OptionChecks.Within(PoolSize, 0, 10_000);
        if (ValidationFraction != 0)
            throw new ArgumentOutOfRangeException(nameof(ValidationFraction), ValidationFraction, $"Option {nameof(ValidationFraction)} is set, and no loss of a CycleGAN says when to stop: it holds no rows back.");
        OptionChecks.Within(BatchSize, 2, int.MaxValue);
    }

    private static int Outermost(ImageShape shape) => Math.Max(shape.Height, shape.Width) switch { < 32 => 16, < 128 => 32, _ => 64 };

    // Channels of stages, the first at full size, as long as the shorter side is not below the least.
    private static List<int> Halvings(ImageShape shape, int side, int outermost, int least, int most)
    {
        var channels = new List<int> { outermost };
        for (int next = Math.Min(shape.Height, shape.Width) / 2; next >= side || channels.Count < least; next /= 2)
        {
            if (channels.Count == most)
                break;
            channels.Add(2 * channels[^1]);
        }
        return channels;
    }
}

/// <summary>
/// Learns to translate images of one set into ones like those of another, and back, without knowing which belong together
/// (Zhu 2017, CycleGAN): such as photographs and paintings, or one scanner's digits and another's.
/// </summary>
/// <remarks>
/// <para>
/// To create this estimator, use <see cref="GenerativeCatalog.CycleGan(string, string, string)"/> or
/// <see cref="GenerativeCatalog.CycleGan(CycleGanOptions)"/>. Both sets are rows of one view, and a column says which set a
/// row is from; the sets may be of any two sizes, of which the smaller is seen more often.
/// </para>
/// <list type="table">
/// <listheader><term>Characteristic</term><description>This trainer</description></listheader>
/// <item><term>Input</term><description>A column of <see cref="Microsoft.ML.Data.MLImage"/>, or one of vectors of
/// <see cref="float"/> that are images, of any number of channels; a domain column; at will a label.</description></item>
/// <item><term>Normalization</term><description>Done inside: black is −1, white 1.</description></item>
/// <item><term>Caching</term><description>Done inside, within <see cref="TrainingOptions.CacheBudgetBytes"/>, the smaller
/// set as often as it takes to have as many images as the larger; each time it begins anew, the view is read
/// again.</description></item>
/// <item><term>Packages beside Microsoft.ML</term><description>To train, and to compute on a GPU, TorchSharp-cpu or
/// TorchSharp-cuda; to compute on the CPU, Microsoft.ML.OnnxRuntime.</description></item>
/// </list>
/// <para>Added columns:</para>
/// <list type="table">
/// <listheader><term>Column</term><description>Type and meaning</description></listheader>
/// <item><term><c>Translation</c></term><description>An image or a vector, as the input is: the image as one of the other
/// domain.</description></item>
/// <item><term><c>Reconstruction</c></term><description>On request: the same, what the way back makes of the
/// translation.</description></item>
/// </list>
/// </remarks>
public sealed class CycleGanTrainer : VectorTrainer<CycleGanTransformer>
{
    internal static readonly VectorFamily Family = VectorFamily.Of<CycleGanOptions>(
        "cycle gan", (options, input) => new CycleGanNetwork(options, input), state => new CycleGanTransformer(state));

    private readonly CycleGanOptions _options;

    internal CycleGanTrainer(IHostEnvironment environment, CycleGanOptions options)
        : base(environment, Family, options is null ? null! : options with { Direction = TranslationDirection.ByDomain }) =>
        _options = options!;

    /// <summary>Trains a model on two sets of images that are rows of two views, whatever their sizes are.</summary>
    /// <param name="first">The images of the first domain.</param>
    /// <param name="second">The images of the second domain, of the same type. Of a label one of the views is enough.</param>
    /// <returns>The same as of one view that has the rows of both, and a Boolean domain column.</returns>
    /// <inheritdoc cref="GenerativeEstimator{TTransformer}.Fit(IDataView)" path="/exception"/>
    public CycleGanTransformer Fit(IDataView first, IDataView second)
    {
        ArgumentNullException.ThrowIfNull(first);
        ArgumentNullException.ThrowIfNull(second);
        return Fit(new DomainView(
            [first, second], _options.FeatureColumnName, _options.LabelColumnName, _options.DomainColumnName));
    }

    private protected override IRowSource Arrange(DataViewRowSource rows) =>
        new AlternatingRows(rows, domain: 1, drops: _options.NonFiniteValues == NonFiniteValues.DropRow);

    private protected override CycleGanTransformer Train(IDataView input, string parameter, TrainingContext context) =>
        base.Train(input, parameter, context).To(_options.Direction);
}

/// <summary>Trained translators between two sets of images as a step of a pipeline: adds translations to rows.</summary>
/// <remarks><inheritdoc cref="GenerativeTransformer" path="/remarks"/></remarks>
public sealed class CycleGanTransformer : VectorTransformer
{
    internal CycleGanTransformer(VectorModelState state)
        : base(state)
    {
    }

    /// <summary>Which way it translates.</summary>
    public TranslationDirection Direction => ((CycleGanOptions)State.Options).Direction;

    /// <summary>The same model for images that are all of one domain, whose rows need no domain column.</summary>
    /// <param name="direction">Which way the new transformer translates.</param>
    /// <returns>A transformer, itself if it translates so already. It is disposed and saved on its own.</returns>
    /// <exception cref="InvalidOperationException">
    /// It is one for a single direction, and can no longer go by the domain column.
    /// </exception>
    public CycleGanTransformer To(TranslationDirection direction)
    {
        OptionChecks.Defined(direction);
        if (direction == Direction)
            return this;
        if (direction == TranslationDirection.ByDomain)
            throw new InvalidOperationException("A model for one direction does not know the domain column any more.");
        CycleGanOptions options = (CycleGanOptions)State.Options with { Direction = direction };
        VectorInput input = State.Model.Network.Input with { ConditionWidths = [], ConditionCategories = [], ConditionRows = 0 };
        var network = new CycleGanNetwork(options, input);
        HashSet<string> names = [.. network.Tensors().Select(t => t.Name)];
        var model = new TrainedVector(
            network, State.Model.Weights.Select(spec => names.Contains(spec.Name) ? spec : null), State.Model.Device,
            State.Model.FallbackToCpu);
        // Not a copy: what is read follows from the options.
        return new(new VectorModelState(
            State.Family, options, model, State.Threshold,
            State.Schema with { Columns = [State.Schema.Columns[0]], Order = [0] },
            State.Replacement is { } all ? new([all.Fields[0]]) : null));
    }
}
