using Microsoft.ML;
using Microsoft.ML.Runtime;

namespace GenerativeML;

/// <summary>What the networks of a GAN of images are made of.</summary>
public enum ImageGanArchitecture
{
    /// <summary>
    /// Convolutions with steps of two, batch normalisation and rectifiers (Radford 2016, DCGAN). The default.
    /// </summary>
    Dcgan,
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
/// <see cref="AdversarialOptions.InstanceNoise"/> 0, <see cref="TrainingOptions.BatchSize"/> 64.
/// </remarks>
public sealed record ImageGanOptions : AdversarialOptions
{
    /// <summary>All defaults.</summary>
    public ImageGanOptions()
    {
        Objective = GanObjective.NonSaturating;
        GradientPenaltyWeight = 10;
        WeightClip = 0.03;
    }

    /// <inheritdoc cref="ImageVaeOptions.ImageShape"/>
    public ImageShape? ImageShape { get; init; }

    /// <inheritdoc cref="ImageVaeOptions.Resize"/>
    public ImageResize Resize { get; init; }

    /// <summary>What the networks are made of. Default <see cref="ImageGanArchitecture.Dcgan"/>.</summary>
    public ImageGanArchitecture Architecture { get; init; }

    /// <summary>
    /// Channels after each halving of height and width by the discriminator, from the image inwards; the generator mirrors
    /// them. One to eight of them, each from 1 to 1024. Default: 32, and twice as many after each further halving, until
    /// the shorter side is below eight; at least one.
    /// </summary>
    public IReadOnlyList<int>? Channels { get; init; }

    /// <summary>
    /// Whether real and generated images are shifted, brightened and partly covered at random before the discriminator
    /// sees them, in a way that gradients pass through (Zhao 2020, DiffAugment), so that it cannot learn few images by
    /// heart. For some thousand images or fewer. Default: no.
    /// </summary>
    public bool Augmentation { get; init; }

    internal override ImageFormat Images => new(ImageShape, Resize);

    internal override VectorOptions Resolve(RowStatistics rows)
    {
        ImageShape shape = rows.Input.Image!.Shape!;
        var channels = new List<int> { 32 };
        for (int side = (Math.Min(shape.Height, shape.Width) + 1) / 2; side >= 8; side = (side + 1) / 2)
            channels.Add(Math.Min(2 * channels[^1], 512));
        long presented = DiscriminatorStepsPerGeneratorStep > 1
            || Objective is GanObjective.Wasserstein or GanObjective.WassersteinGradientPenalty ? 384_000 : 192_000;
        return (this with
        {
            Channels = Channels ?? channels,
            NoiseDimension = NoiseDimension ?? 64,
            InstanceNoise = InstanceNoise ?? 0,
            BatchSize = BatchSize ?? 64,
            LearningRate = LearningRate ?? 4e-4,
            Epochs = Epochs ?? rows.EpochsFor(presented, least: 2, most: 2000),
        }).ResolveGame(rows);
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
        "image gan", (options, input) => new ImageGanNetwork(options, input), state => new GanTransformer(state));

    internal ImageGanTrainer(IHostEnvironment environment, ImageGanOptions options)
        : base(environment, Family, options)
    {
    }
}
