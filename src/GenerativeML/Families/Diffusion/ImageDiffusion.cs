using Microsoft.ML.Runtime;

namespace GenerativeML;

/// <summary>
/// The options of a diffusion model of images (Ho 2020; Karras 2022), whose network is a U-Net of residual blocks with
/// attention where images are small. Defaults are for small images on a CPU; the papers' networks for CIFAR have
/// <see cref="PatchSize"/> 1, 128 <see cref="Channels"/>, <see cref="ChannelMultipliers"/> 1, 2, 2, 2,
/// <see cref="BlocksPerLevel"/> 2 and <see cref="AttentionResolutions"/> 16.
/// </summary>
public sealed record ImageDiffusionOptions : DenoisingOptions
{
    /// <inheritdoc cref="ImageVaeOptions.ImageShape"/>
    public ImageShape? ImageShape { get; init; }

    /// <inheritdoc cref="ImageVaeOptions.Resize"/>
    public ImageResize Resize { get; init; }

    /// <summary>
    /// Pixels each way that the first convolution makes one place of, and the last one of a place: with 2, a step takes a
    /// quarter of the time. 1, 2 or 4. Default: 2 where the shorter side has 24 pixels or more, otherwise 1.
    /// </summary>
    public int? PatchSize { get; init; }

    /// <summary>Channels of the first level. 1 to 1024. Default 64.</summary>
    public int Channels { get; init; } = 64;

    /// <summary>
    /// Channels of each level, as multiples of <see cref="Channels"/>, from the image inwards; each further level has half
    /// the height and width. One to eight of them, which make at most 1024 channels. Default: 1, and 2 for each further
    /// level while the shorter side is at least 7.
    /// </summary>
    public IReadOnlyList<int>? ChannelMultipliers { get; init; }

    /// <summary>Residual blocks of each level on the way in, and again on the way out. 1 to 16. Default 1.</summary>
    public int BlocksPerLevel { get; init; } = 1;

    /// <summary>
    /// Levels with attention after their blocks: those whose shorter side, in places, is one of these. Each is at least 1.
    /// The middle of the network always has it. Default: 7 and 8.
    /// </summary>
    public IReadOnlyList<int> AttentionResolutions { get; init; } = [7, 8];

    /// <summary>
    /// Heads of attention. The channels of levels that have it are a multiple of them. 1 to 64. Default: 4, or as many as
    /// divide the channels where these are fewer.
    /// </summary>
    public int? Heads { get; init; }

    /// <summary>The share of units that residual blocks leave out at random in training. In [0, 1). Default 0.</summary>
    public double Dropout { get; init; }

    internal override ImageFormat Images => new(ImageShape, Resize);

    internal override VectorOptions Resolve(RowStatistics rows)
    {
        ImageShape shape = rows.Input.Image!.Shape!;
        int side = Math.Min(shape.Height, shape.Width), patch = PatchSize ?? (side >= 24 ? 2 : 1);
        var multipliers = new List<int> { 1 };
        for (side = (side + patch - 1) / patch; (side + 1) / 2 >= 7 && multipliers.Count < ImageStages.MaxStages;)
        {
            side = (side + 1) / 2;
            multipliers.Add(2);
        }
        ImageDiffusionOptions resolved = this with
        {
            PatchSize = patch,
            ChannelMultipliers = ChannelMultipliers ?? multipliers,
            BatchSize = BatchSize ?? 64,
            LearningRate = LearningRate ?? 1e-3,
            WeightDecay = WeightDecay ?? 0,
            Epochs = Epochs ?? rows.EpochsFor(presented: 512_000, least: 2, most: 2000),
        };
        resolved.CheckHeads(resolved.Network(shape));
        return resolved with { Heads = resolved.Network(shape).Heads };
    }

    /// <inheritdoc />
    public override void Validate()
    {
        base.Validate();
        ImageShape?.Validate();
        OptionChecks.Defined(Resize);
        if (PatchSize is { } patch and not (1 or 2 or 4))
            throw new ArgumentOutOfRangeException(nameof(PatchSize), patch, $"Option PatchSize must be 1, 2 or 4, but is {patch}.");
        OptionChecks.Within(Channels, 1, ImageStages.MaxChannels);
        OptionChecks.Within(ChannelMultipliers?.Count ?? 1, 1, ImageStages.MaxStages, "ChannelMultipliers.Count");
        foreach (int each in ChannelMultipliers ?? [])
            OptionChecks.Within(each, 1, ImageStages.MaxChannels / Channels, nameof(ChannelMultipliers));
        OptionChecks.Within(BlocksPerLevel, 1, 16);
        ArgumentNullException.ThrowIfNull(AttentionResolutions);
        foreach (int each in AttentionResolutions)
            OptionChecks.AtLeast(each, 1, nameof(AttentionResolutions));
        OptionChecks.Within(Heads, 1, 64);
        OptionChecks.WithinHalfOpen(Dropout, 0, 1);
    }
}
