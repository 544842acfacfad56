using Microsoft.ML;
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
    private const int EmbeddingOfChannels = 4; // as wide as the papers have it

    /// <inheritdoc cref="ImageVaeOptions.ImageShape"/>
    public ImageShape? ImageShape { get; init; }

    /// <inheritdoc cref="ImageVaeOptions.Resize"/>
    public ImageResize Resize { get; init; }

    /// <summary>
    /// Pixels each way that the first convolution makes one place of, and the last one of a place: with 2, a step takes a
    /// quarter of the time. 1, 2 or 4. Default: 2 where the shorter side has 24 pixels or more, otherwise 1.
    /// </summary>
    public int? PatchSize { get; init; }

    /// <summary>Channels of the first level. 1 to 1024. Default 32.</summary>
    public int Channels { get; init; } = 32;

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
    /// Heads of attention, which divide <see cref="Channels"/> and <see cref="CaptionWidth"/>. 1 to 64. Default: the most of
    /// 4, 2 and 1 that do.
    /// </summary>
    public int? Heads { get; init; }

    /// <summary>The share of units that residual blocks leave out at random in training. In [0, 1). Default 0.</summary>
    public double Dropout { get; init; }

    /// <summary>
    /// The most tokens of a caption, where a column of <see cref="VectorOptions.ConditionColumnNames"/> is a text: longer
    /// ones are errors, in training and where they are asked for. 1 to 512. Default: those of the longest training caption.
    /// </summary>
    public int? CaptionWindow { get; init; }

    /// <summary>
    /// The most tokens of the byte-pair vocabulary that is learned from the captions, the 256 of single bytes among them.
    /// 257 to 65,536. Default 1024.
    /// </summary>
    public int CaptionVocabularySize { get; init; } = 1024;

    /// <summary>
    /// Features of what the transformer that reads captions makes of a token, a multiple of <see cref="Heads"/>. 1 to 4096.
    /// Default 64.
    /// </summary>
    public int CaptionWidth { get; init; } = 64;

    /// <summary>Layers of that transformer. 1 to 64. Default 2.</summary>
    public int CaptionLayers { get; init; } = 2;

    internal override ImageFormat Images => new(ImageShape, Resize);

    internal override CaptionReading Captions => new(CaptionVocabularySize, CaptionWindow);

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
        return this with
        {
            PatchSize = patch,
            ChannelMultipliers = ChannelMultipliers ?? multipliers,
            Heads = Heads ?? Math.Min(4, Math.Min(Channels & -Channels, CaptionWidth & -CaptionWidth)), // powers of two
            BatchSize = BatchSize ?? 64,
            LearningRate = LearningRate ?? 1e-3,
            WeightDecay = WeightDecay ?? 0,
            Epochs = Epochs ?? rows.EpochsFor(presented: 512_000, least: 2, most: 2000),
        };
    }

    /// <summary>The network for images of a shape; everything is decided.</summary>
    internal UNetConfig Network(ImageShape shape) => new(
        shape, PatchSize!.Value, [.. ChannelMultipliers!.Select(multiplier => multiplier * Channels)], BlocksPerLevel,
        AttentionResolutions, Heads!.Value, EmbeddingOfChannels * Channels, Dropout);

    /// <inheritdoc />
    public override void Validate()
    {
        base.Validate();
        string?[] added = [ScoreColumnName, PredictedLabelColumnName, PValueColumnName, FeatureScoreColumnName, LatentColumnName];
        if (Array.Find(added, name => name is not null) is string column)
            throw new ArgumentException($"Column '{column}' is to be added, and {nameof(ImageDiffusionOptions)} has none: such models generate alone.");
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
        if (Channels % (Heads ?? 1) > 0)
            throw new ArgumentException($"Option Heads is {Heads}, and Channels is {Channels}: a multiple of the heads is expected.");
        OptionChecks.WithinHalfOpen(Dropout, 0, 1);
        OptionChecks.Within(CaptionWindow, 1, CaptionFormat.MaxWindow);
        OptionChecks.Within(CaptionVocabularySize, 257, 1 << 16);
        OptionChecks.Within(CaptionWidth, 1, 4096);
        OptionChecks.Within(CaptionLayers, 1, 64);
        if (CaptionWidth % (Heads ?? 1) > 0)
            throw new ArgumentException($"Option Heads is {Heads}, and CaptionWidth is {CaptionWidth}: a multiple of the heads is expected.");
    }
}

/// <summary>
/// A denoiser of images: a <see cref="UNet"/> that is told the level of the noise, and the conditions beside it.
/// </summary>
internal sealed class ImageDiffusionNetwork : DenoisingNetwork
{
    private readonly ImageShape _shape;
    private readonly UNetConfig _config;
    private readonly UNet _net;
    private readonly NoiseEmbedding _level;
    private readonly TextEncoder?[] _captions; // of each condition that is a text
    private readonly int _labels, _width; // numbers of the other conditions; features of a text's states

    /// <exception cref="FormatException">The input is none of images.</exception>
    public ImageDiffusionNetwork(ImageDiffusionOptions options, VectorInput input)
        : base(options, input)
    {
        _shape = input.Image?.Shape ?? throw new FormatException("The saved model's input is none of images.");
        _config = options.Network(_shape);
        _captions = [.. Enumerable.Range(0, input.ConditionWidths.Count)
            .Select(c => input.ConditionCaptions.ElementAtOrDefault(c) is { } caption
                ? new TextEncoder(caption.Values, caption.Window, options.CaptionWidth, options.CaptionLayers, options.Heads!.Value)
                : null)];
        _labels = input.ConditionWidths.Where((_, c) => _captions[c] is null).Sum();
        int read = input.ConditionCaptions.Sum(caption => caption?.Window ?? 0);
        if (read > 0)
            _config = _config with { Text = (read, _width = options.CaptionWidth) };
        _net = new UNet(_config);
        _level = new("level", LogLevels.Least, LogLevels.Most, _config.Embedding);
    }

    // One call of the network takes long: no more rows than are worth to be computed together.
    public override int GeneratedAtOnce => 64;

    // Of a convolution as the product that it is.
    public override int WidestLayer => 3 * 3 * _config.Channels.Max();

    public override bool StaysInBFloat16 => true;

    public override int PositionsPerRow => _config.Sizes[0].Height * _config.Sizes[0].Width;

    // As measured on small networks: about thirty numbers for each channel of a block at each place.
    public override long NumbersPerRow => _config.Sizes.Zip(
        _config.Channels, (size, channels) => 30L * 2 * _config.Blocks * channels * size.Height * size.Width).Sum();

    protected override TrainingNoise TrainingNoise => _config.Text is null ? base.TrainingNoise : NoiseLevels.OfCaptions;

    // One scale for all pixels: a border that is black in all training images is no feature of its own.
    protected override VectorScaler ScalerOf(RowStatistics rows) => ImageRange.Standardize(rows.Moments[0]);

    public override void Initialize(HostWeights weights, RowStatistics rows)
    {
        base.Initialize(weights, rows);
        _level.Initialize(weights);
        _net.Initialize(weights);
        // It begins as if there were nothing to tell, whatever the level.
        Array.Clear(weights["net.last.weight"]);
    }

    protected override void DeclareLayers(Layers layers)
    {
        _level.Declare(layers);
        if (Input.ConditionWidth > 0)
            layers.Linear("condition", _labels + 1, _config.Embedding);
        for (int c = 0; c < _captions.Length; c++)
        {
            if (_captions[c] is not { } encoder)
                continue;
            encoder.Declare(layers, $"caption.{c}");
            layers.Linear($"caption.{c}.summary", _width, _config.Embedding);
        }
        _net.Declare(layers, "net");
    }

    protected override T Predict<T>(Scope<T> w, NoisyRows<T> rows)
    {
        T embedding = _level.Embed(w, rows.LogLevel);
        (T States, T Counts)? text = null;
        if (rows is { Condition: { } condition, IsKnown: { } isKnown })
        {
            var labels = new List<T>();
            for (int c = 0, at = 0; c < _captions.Length; at += Input.ConditionWidths[c++])
            {
                T values = condition.Slice(1, at, Input.ConditionWidths[c]);
                if (_captions[c] is not { } encoder)
                {
                    labels.Add(values);
                    continue;
                }
                (T states, T counts, T mean) = encoder.Read(w.Of($"caption.{c}"), values);
                embedding += w.Linear($"caption.{c}.summary", mean);
                text = text is { } others
                    ? (T.Concat(1, others.States, states), T.Concat(1, others.Counts, counts))
                    : (states, counts);
            }
            embedding += w.Linear("condition", T.Concat(1, [.. labels, isKnown]));
        }
        T images = rows.Values.Reshape(-1, _shape.Channels, _shape.Height, _shape.Width);
        return _net.Run(w.Of("net"), images, embedding, text).Reshape(-1, Input.Width);
    }
}

/// <summary>
/// Trains a diffusion model of images: a network that takes noise of any level from images, and so makes others from
/// nothing but noise (Ho 2020; Karras 2022).
/// </summary>
/// <remarks>
/// <para>
/// To create this trainer, use <see cref="GenerativeCatalog.ImageDiffusion(string, string[], int?)"/> or
/// <see cref="GenerativeCatalog.ImageDiffusion(ImageDiffusionOptions)"/>. With
/// <see cref="VectorOptions.ConditionColumnNames"/> it is conditional: generated rows have those columns too, with the
/// values that are asked for, and <see cref="DiffusionSampling.GuidanceScale"/> says how much images are to show them.
/// Columns of conditions may be texts, captions of the images: a small transformer reads them, at whose states attention in
/// the network looks (Rombach 2022). Captions can be asked for that no training row has.
/// </para>
/// <list type="table">
/// <listheader><term>Characteristic</term><description>This trainer</description></listheader>
/// <item><term>Input</term><description>A column of <see cref="Microsoft.ML.Data.MLImage"/>, or one of vectors of
/// <see cref="float"/> that are images. Columns of conditions may be read.</description></item>
/// <item><term>Normalization</term><description>Done inside: each pixel less its mean, in units of what all pixels deviate
/// by together.</description></item>
/// <item><term>Caching</term>
/// <description>Done inside, within <see cref="TrainingOptions.CacheBudgetBytes"/>.</description></item>
/// <item><term>Packages beside Microsoft.ML</term><description>To train, and to compute on a GPU, TorchSharp-cpu or
/// TorchSharp-cuda; to compute on the CPU, Microsoft.ML.OnnxRuntime.</description></item>
/// </list>
/// </remarks>
public sealed class ImageDiffusionTrainer : VectorTrainer<DiffusionTransformer>
{
    internal static readonly VectorFamily Family = VectorFamily.Of<ImageDiffusionOptions>(
        "image diffusion", (options, input) => new ImageDiffusionNetwork(options, input), state => new DiffusionTransformer(state));

    internal ImageDiffusionTrainer(IHostEnvironment environment, ImageDiffusionOptions options)
        : base(environment, Family, options)
    {
    }
}
