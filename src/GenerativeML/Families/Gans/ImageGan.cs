using Microsoft.ML;
using Microsoft.ML.Runtime;

namespace GenerativeML;

/// <summary>What the networks of a GAN of images are made of.</summary>
public enum ImageGanArchitecture
{
    /// <summary>
    /// Convolutions with steps of two, batch normalisation and rectifiers (Radford 2016, DCGAN); the discriminator has the norms of
    /// <see cref="AdversarialOptions.SpectralNormalization"/> in its place, where they are on. The default.
    /// </summary>
    Dcgan,

    /// <summary>
    /// Residual blocks; the generator's batch normalisation is told noise and condition, the discriminator's weights are
    /// divided by their norms, and there may be attention (Miyato 2018; Zhang 2019, SAGAN; Brock 2019, BigGAN).
    /// </summary>
    Residual,

    /// <summary>
    /// Networks that begin with small images and grow while they are trained, by levels of twice the size that are faded in
    /// (Karras 2018, progressive growing).
    /// </summary>
    Progressive,

    /// <summary>
    /// A generator whose convolutions are modulated by styles, which dense layers make of the noise (Karras 2019 and 2020,
    /// StyleGAN): styles of two images can be mixed (<see cref="GanTransformer.Mix"/>), and truncated
    /// (<see cref="GanSampling.StyleTruncation"/>).
    /// </summary>
    StyleGan,
}

/// <summary>
/// The options of a generative adversarial network of images: <see cref="Architecture"/> says what the networks are made
/// of, <see cref="AdversarialOptions.Objective"/> which game they play.
/// </summary>
/// <remarks>
/// Other than of <see cref="GanOptions"/>, defaults are those for images:
/// <see cref="AdversarialOptions.Objective"/> <see cref="GanObjective.NonSaturating"/>,
/// <see cref="AdversarialOptions.GradientPenaltyWeight"/> 10,
/// <see cref="AdversarialOptions.WeightClip"/> 0.03, <see cref="AdversarialOptions.NoiseDimension"/> 64,
/// <see cref="AdversarialOptions.InstanceNoise"/> 0, <see cref="TrainingOptions.BatchSize"/> 64,
/// <see cref="TrainingOptions.WeightAverageDecay"/> 0.99;
/// <see cref="TrainingOptions.LearningRate"/> 0.002, and 0.0004 of <see cref="ImageGanArchitecture.Residual"/>; Adam of the
/// architectures of equalised rates,
/// <see cref="ImageGanArchitecture.Progressive"/> and <see cref="ImageGanArchitecture.StyleGan"/>, has β₁ 0 and β₂ 0.99. Those of
/// <see cref="Channels"/> are for a CPU; the papers' networks for images of 32 × 32 have some 256 to 512 of each level.
/// </remarks>
public sealed record ImageGanOptions : AdversarialOptions
{
    /// <summary>All defaults.</summary>
    public ImageGanOptions()
    {
        Objective = GanObjective.NonSaturating;
        GradientPenaltyWeight = 10;
        WeightClip = 0.03;
        WeightAverageDecay = 0.99; // as the rate falls, steps become small by themselves
    }

    /// <inheritdoc cref="ImageVaeOptions.ImageShape"/>
    public ImageShape? ImageShape { get; init; }

    /// <inheritdoc cref="ImageVaeOptions.Resize"/>
    public ImageResize Resize { get; init; }

    /// <summary>What the networks are made of. Default <see cref="ImageGanArchitecture.Dcgan"/>.</summary>
    public ImageGanArchitecture Architecture { get; init; }

    /// <summary>
    /// Channels, from the image inwards, one to eight of them, each from 1 to 1024; the generator mirrors the discriminator.
    /// Of <see cref="ImageGanArchitecture.Dcgan"/> those after each halving of height and width; no more than two once a single
    /// pixel is left. Default: 32, and twice as many after each further halving, until the shorter side is below eight; at least
    /// one. Of the other architectures those of each level, the first of which is as large as the image, and each other half as
    /// large, rounded up, as the one before; no level comes after one of a single pixel. Default: 16, and twice as many in each
    /// further level, until the shorter side is below eight; at least two of images that are larger than a pixel.
    /// </summary>
    public IReadOnlyList<int>? Channels { get; init; }

    /// <summary>
    /// Of <see cref="ImageGanArchitecture.Residual"/>, the levels with attention: those whose shorter side is one of these, but
    /// for the generator's smallest and the discriminator's largest. Default: none.
    /// </summary>
    public IReadOnlyList<int>? AttentionResolutions { get; init; }

    /// <summary>
    /// Of <see cref="ImageGanArchitecture.Residual"/>, the weight of a penalty that keeps what the generator's outputs see
    /// apart (Brock 2019): the sum of the squared products of different rows of each weight, β in its paper. Zero or more.
    /// Default 0.0001.
    /// </summary>
    public double? OrthogonalRegularization { get; init; }

    /// <summary>
    /// Of <see cref="ImageGanArchitecture.Progressive"/>, the share of the run after which networks are fully grown; till then
    /// all levels take as long. Above 0 and at most 1. Default 0.5.
    /// </summary>
    public double? GrowthFraction { get; init; }

    /// <summary>Of <see cref="ImageGanArchitecture.StyleGan"/>, numbers of a style. 1 to 65,536. Default 64.</summary>
    public int? StyleDimension { get; init; }

    /// <summary>
    /// Of <see cref="ImageGanArchitecture.StyleGan"/>, dense layers that make a style of the noise. 1 to 64. Default 4; the
    /// paper has 8.
    /// </summary>
    public int? MappingLayers { get; init; }

    /// <summary>
    /// Of <see cref="ImageGanArchitecture.StyleGan"/>, the share of generated rows that have, in training, another style from
    /// some layer on. In [0, 1]. Default 0.9.
    /// </summary>
    public double? StyleMixing { get; init; }

    /// <summary>
    /// Whether real and generated images are shifted, brightened and partly covered at random before the discriminator
    /// sees them, in a way that gradients pass through (Zhao 2020, DiffAugment), so that it cannot learn few images by
    /// heart. For some thousand images or fewer. Default: no.
    /// </summary>
    public bool Augmentation { get; init; }

    internal override ImageFormat Images => new(ImageShape, Resize);

    internal override bool HasStyles => Architecture == ImageGanArchitecture.StyleGan;

    internal override bool NormalizesNoise => IsEqualized;

    // Layers of equalised rates, as their papers train them.
    internal override AdamSettings Adam => IsEqualized ? new(Beta1: 0, Beta2: 0.99) : base.Adam;

    private bool IsEqualized => Architecture is ImageGanArchitecture.Progressive or ImageGanArchitecture.StyleGan;

    internal override VectorOptions Resolve(RowStatistics rows)
    {
        ImageShape shape = rows.Input.Image!.Shape!;
        bool isWasserstein = Objective is GanObjective.Wasserstein or GanObjective.WassersteinGradientPenalty;
        bool isDcgan = Architecture == ImageGanArchitecture.Dcgan, isResidual = Architecture == ImageGanArchitecture.Residual;
        long presented = DiscriminatorStepsPerGeneratorStep > 1 || isWasserstein ? 384_000 : 192_000;
        var resolved = this with
        {
            Channels = Channels ?? (isDcgan ? DefaultChannels(shape, 32, least: 1, (Math.Min(shape.Height, shape.Width) + 1) / 2)
                : DefaultChannels(shape, 16, least: 2, Math.Min(shape.Height, shape.Width))),
            AttentionResolutions = isResidual ? AttentionResolutions ?? [] : null,
            OrthogonalRegularization = isResidual ? OrthogonalRegularization ?? 1e-4 : null,
            GrowthFraction = Architecture == ImageGanArchitecture.Progressive ? GrowthFraction ?? 0.5 : null,
            StyleDimension = HasStyles ? StyleDimension ?? 64 : null,
            MappingLayers = HasStyles ? MappingLayers ?? 4 : null,
            StyleMixing = HasStyles ? StyleMixing ?? 0.9 : null,
            NoiseDimension = NoiseDimension ?? 64,
            InstanceNoise = InstanceNoise ?? 0,
            R1Weight = R1Weight ?? (IsEqualized && !isWasserstein ? 0.5 : 0),
            R1Interval = R1Interval ?? (IsEqualized && !isWasserstein && R1Weight is null ? 8 : 1),
            SpectralNormalization = SpectralNormalization ?? (!IsEqualized && !isWasserstein),
            BatchSize = BatchSize ?? 64,
            LearningRate = LearningRate ?? (isResidual ? 4e-4 : 2e-3),
            Epochs = Epochs ?? rows.EpochsFor(presented, least: 2, most: 2000),
        };
        resolved.CheckLevels(shape);
        return resolved.ResolveGame(rows);
    }

    /// <inheritdoc />
    public override void Validate()
    {
        base.Validate();
        ImageShape?.Validate();
        OptionChecks.Defined(Resize);
        OptionChecks.Defined(Architecture);
        if (Channels is not null)
            ImageStages.Validate(Channels);
        Only(ImageGanArchitecture.Residual, AttentionResolutions is not null, nameof(AttentionResolutions));
        Only(ImageGanArchitecture.Residual, OrthogonalRegularization is not null, nameof(OrthogonalRegularization));
        Only(ImageGanArchitecture.Progressive, GrowthFraction is not null, nameof(GrowthFraction));
        Only(ImageGanArchitecture.StyleGan, StyleDimension is not null, nameof(StyleDimension));
        Only(ImageGanArchitecture.StyleGan, MappingLayers is not null, nameof(MappingLayers));
        Only(ImageGanArchitecture.StyleGan, StyleMixing is not null, nameof(StyleMixing));
        foreach (int each in AttentionResolutions ?? [])
            OptionChecks.AtLeast(each, 1, nameof(AttentionResolutions));
        OptionChecks.NonNegativeFinite(OrthogonalRegularization);
        OptionChecks.AboveZero(GrowthFraction, 1);
        OptionChecks.Within(StyleDimension, 1, OptionChecks.MaxWidth);
        OptionChecks.Within(MappingLayers, 1, 64);
        OptionChecks.Within(StyleMixing ?? 0, 0, 1, nameof(StyleMixing));
        if (!IsEqualized)
            return;
        string equalized = $"architecture {Architecture} has weights that are scaled when they are used";
        if (SpectralNormalization == true)
            throw new ArgumentException($"Option {nameof(SpectralNormalization)} is set, and {equalized}: their norms are no others'.");
        if (Objective == GanObjective.Wasserstein)
        {
            throw new ArgumentException(
                $"Objective {Objective} clips weights, and {equalized}; {nameof(GanObjective.WassersteinGradientPenalty)} does not.");
        }

        void Only(ImageGanArchitecture architecture, bool isSet, string option)
        {
            if (isSet && Architecture != architecture)
                throw new ArgumentException($"Option {option} is set, and architecture {Architecture} has no such thing; {architecture} has.");
        }
    }

    private static List<int> DefaultChannels(ImageShape shape, int first, int least, int side)
    {
        var channels = new List<int> { first };
        for (; side >= 8 && channels.Count < ImageStages.MaxStages; side = (side + 1) / 2)
            channels.Add(Math.Min(2 * channels[^1], 512));
        // Of one level, there is nothing to grow, and but one style.
        if (channels.Count < least && shape.Height * shape.Width > 1)
            channels.Add(2 * first);
        return channels;
    }

    // Every size can be halved, but not for ever.
    private void CheckLevels(ImageShape shape)
    {
        if (Architecture == ImageGanArchitecture.Dcgan)
        {
            ImageStages.Check(shape, Channels!);
            return;
        }
        (int, int Height, int Width)[] levels = ImageStages.Levels(shape, Channels!);
        int most = 1 + ImageStages.Halvings(Math.Max(shape.Height, shape.Width));
        if (levels.Length > most)
        {
            throw new InvalidOperationException(
                $"Option {nameof(Channels)} has {levels.Length} levels, and an image of {shape.Height} × {shape.Width} has {most} at most "
                + $"in architecture {Architecture}: after them comes a single pixel.");
        }
        if (levels.Length == 1 && AttentionResolutions is { Count: > 0 })
            throw new InvalidOperationException($"Option {nameof(AttentionResolutions)} is set, and option {nameof(Channels)} has but one level: attention is between levels.");
        foreach (int side in AttentionResolutions ?? [])
        {
            if (levels.All(level => Math.Min(level.Height, level.Width) != side))
            {
                throw new InvalidOperationException(
                    $"Option {nameof(AttentionResolutions)} has {side}, and no level's shorter side is that: they are "
                    + $"{string.Join(", ", levels.Select(level => Math.Min(level.Height, level.Width)))}.");
            }
        }
    }

    private VectorOptions ResolveGame(RowStatistics rows) => base.Resolve(rows);
}

/// <summary>
/// Trains a generative adversarial network of convolutions to generate images like those that it was trained on.
/// </summary>
/// <remarks>
/// <para>
/// To create this estimator, use <see cref="GenerativeCatalog.ImageGan(string, GanObjective, int?)"/> or
/// <see cref="GenerativeCatalog.ImageGan(ImageGanOptions)"/>. <see cref="GanTransformer.Report"/> says how training went.
/// </para>
/// <list type="table">
/// <listheader><term>Characteristic</term><description>This trainer</description></listheader>
/// <item><term>Input</term><description>A column of <see cref="Microsoft.ML.Data.MLImage"/>, or one of vectors of
/// <see cref="float"/> that are images. Columns of conditions may be read.</description></item>
/// <item><term>Normalization</term><description>Done inside: black is −1, white 1.</description></item>
/// <item><term>Caching</term>
/// <description>Done inside, within <see cref="TrainingOptions.CacheBudgetBytes"/>.</description></item>
/// <item><term>Packages beside Microsoft.ML</term><description>To train, and to compute on a GPU, TorchSharp-cpu or
/// TorchSharp-cuda; to compute on the CPU, Microsoft.ML.OnnxRuntime.</description></item>
/// </list>
/// <para>
/// With <see cref="VectorOptions.ConditionColumnNames"/> it is conditional: the generator sees the conditions, and the
/// discriminator adds to its judgement a projection of its features on them (Miyato and Koyama 2018). Generated rows have
/// those columns, too, with the values that are asked for, as those of <see cref="GanTrainer"/> have.
/// </para>
/// <para>It adds the same columns as <see cref="GanTrainer"/>; a reconstruction is an image or a vector, as the input is.
/// </para>
/// </remarks>
public sealed class ImageGanTrainer : VectorTrainer<GanTransformer>
{
    internal static readonly VectorFamily Family = VectorFamily.Of<ImageGanOptions>(
        "image gan", (options, input) => ImageGanNetwork.Of(options, input), state => new GanTransformer(state));

    internal ImageGanTrainer(IHostEnvironment environment, ImageGanOptions options)
        : base(environment, Family, options)
    {
    }
}
