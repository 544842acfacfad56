using System.Text.Json.Serialization;
using Microsoft.ML;
using Microsoft.ML.Runtime;
using TorchSharp;

namespace GenerativeML;

/// <summary>
/// The options of PatchCore (Roth et al. 2022). The columns are <c>Score</c> and <c>PredictedLabel</c>, unless they are null.
/// </summary>
/// <remarks>
/// Nothing is learned by gradients: <see cref="TrainingOptions.LearningRate"/> and what goes with it have no effect. Patches
/// are remembered in the first pass over the rows; more <see cref="TrainingOptions.Epochs"/> than one, the default, add nothing.
/// <see cref="TrainingOptions.ValidationFraction"/> has to be 0: there is no loss to be told by rows that are held back.
/// </remarks>
public sealed record PatchCoreOptions : DetectorOptions
{
    internal const int Coordinates = 2; // of a place

    /// <summary>All defaults but for the network, which has to be set.</summary>
    public PatchCoreOptions() => (ScoreColumnName, PredictedLabelColumnName) = ("Score", "PredictedLabel");

    /// <summary>
    /// The file of a network of images that was trained elsewhere, such as ResNet on ImageNet: ONNX, of operators of version 7 or
    /// later, with one input of Singles, 1 × 3 × height × width, where sizes but the 3 may be open. It is read when the trainer
    /// is made, and has to hold all its weights itself. What is needed of it is part of a saved model, so that the file is not
    /// needed any more, and its licence holds for that, too. Images are stretched to the height and width that it takes, whatever
    /// theirs are. It has to be set.
    /// </summary>
    [JsonIgnore]
    public string? NetworkPath { get; init; }

    /// <summary>
    /// Values of the network's graph that are taken as features: names of what its operations give, of the shape (1, C, H, W).
    /// The first one's height and width are those of the grid of patches. At most 16. Default: the last one that is an eighth
    /// of the input as high and wide, and the last one that is a sixteenth, of those that all smaller ones behind them are made of,
    /// as what the second and third stage of a ResNet end with; or where there is none, the last one of that size.
    /// </summary>
    public IReadOnlyList<string> FeatureTensors { get; init; } = [];

    /// <summary>Height and width of what the network sees, where its file leaves them open. 16 to 1024. Default 224.</summary>
    public int? NetworkSide { get; init; }

    /// <summary>
    /// What the network was trained to see subtracted from red, green and blue, numbers from 0 to 1. Default: the means of
    /// ImageNet, 0.485, 0.456 and 0.406.
    /// </summary>
    public IReadOnlyList<float> ChannelMeans { get; init; } = [0.485f, 0.456f, 0.406f];

    /// <summary>
    /// What the rest is divided by, each above zero; a network that was trained on numbers up to 255 takes 1/255. Default: the
    /// deviations of ImageNet, 0.229, 0.224 and 0.225.
    /// </summary>
    public IReadOnlyList<float> ChannelDeviations { get; init; } = [0.229f, 0.224f, 0.225f];

    /// <summary>
    /// The patches of training images, drawn at random, among which those are chosen that are remembered. They are held in memory
    /// while training, and choosing takes time by the square of it. At most a million. Default 50,000.
    /// </summary>
    public int CandidatePatches { get; init; } = 50_000;

    /// <summary>
    /// The share of these that is remembered: each in turn the one farthest from all before (greedy k-centre, Sener and Savarese
    /// 2018). A saved model holds them, and the time to score goes by it. Above 0, at most 1. Default 0.1.
    /// </summary>
    public double MemoryShare { get; init; } = 0.1;

    /// <summary>
    /// The side, in places of a feature map, of the square whose mean is a patch. More where defects are large, and what they
    /// are found by is faint. Odd, 1 to 31. Default 3, as in the paper.
    /// </summary>
    public int PatchSide { get; init; } = 3;

    /// <summary>
    /// How much it counts where a patch lies. Above zero, a patch's features are brought to the length 1, and its place, from 0 to 1
    /// down and across, is appended, times this: patches of like places are compared then. At most 100. Default 2. 0 takes
    /// features as they are, wherever they lie, as in the paper: for surfaces that look alike all over.
    /// </summary>
    public double PositionWeight { get; init; } = 2;

    /// <summary>
    /// The share of an image's patches, the strangest ones, whose mean distance is the score. More where defects are large. From
    /// 0 to 1; rounded up to a patch. Default 0.1. 0 takes the strangest alone, weighted by how far apart those are that it is
    /// compared with, as in the paper.
    /// </summary>
    public double ScoreShare { get; init; } = 0.1;

    /// <summary>
    /// The deviation of the normal distribution that an anomaly map is smoothed by, in shares of the image's height and width. Above
    /// zero, at most 1. Default 4/224, as in the paper.
    /// </summary>
    public double MapSmoothing { get; init; } = 4.0 / 224;

    /// <inheritdoc cref="ImageVaeOptions.ImageShape"/>
    public ImageShape? ImageShape { get; init; }

    /// <inheritdoc cref="ImageVaeOptions.Resize"/>
    public ImageResize Resize { get; init; }

    /// <inheritdoc cref="ImageAutoencoderOptions.AnomalyMapColumnName"/>
    /// <remarks>
    /// Its scale is set by the rows that the threshold is calibrated by; where there is no threshold (see
    /// <see cref="DetectorOptions.Contamination"/>), by training images, each patch of which counts by its distance from the nearest
    /// remembered one that is another. That is less than what fresh images have.
    /// </remarks>
    public string? AnomalyMapColumnName { get; init; }

    /// <summary>The network, once it was read.</summary>
    [JsonInclude]
    internal OnnxBackbone? Backbone { get; init; }

    /// <summary>Numbers of a patch, C: its features, and its place where that counts.</summary>
    [JsonIgnore]
    internal long PatchWidth => Backbone!.Stages.Sum(stage => (long)stage.Channels) + (PositionWeight > 0 ? Coordinates : 0);

    /// <summary>Patches that are remembered, resolved.</summary>
    [JsonInclude]
    internal int MemoryRows { get; init; }

    /// <summary>The network's file, as far as it is needed, until it is among the weights.</summary>
    [JsonIgnore]
    internal byte[]? NetworkFile { get; init; }

    internal override VectorOptions Trained => this with { NetworkPath = null, NetworkFile = null };

    internal override ImageFormat Images => new(ImageShape, Resize);

    internal override VectorColumns Columns => base.Columns with { AnomalyMap = AnomalyMapColumnName };

    private protected override OptionalColumns Supported => OptionalColumns.None;

    /// <summary>The same with the network, which is read.</summary>
    internal PatchCoreOptions WithNetwork()
    {
        Validate();
        if (NetworkPath is null)
        {
            throw new ArgumentException(
                $"Option {nameof(NetworkPath)} is not set: the file of a network of images is expected, in the format ONNX.");
        }
        if (NativeParts.OnnxFailure is Exception missing)
        {
            throw new InvalidOperationException(
                "The network is computed by ONNX Runtime alone: reference the package Microsoft.ML.OnnxRuntime from the program that you "
                + $"run ({missing.GetType().Name}: {missing.Message}).");
        }
        (OnnxBackbone backbone, byte[] file) = OnnxBackbone.Read(NetworkPath, FeatureTensors, NetworkSide);
        return this with { Backbone = backbone, NetworkFile = file };
    }

    internal override VectorOptions Resolve(RowStatistics rows)
    {
        int channels = rows.Input.Image!.Shape!.Channels;
        if (channels > 4)
        {
            throw new InvalidOperationException(
                $"Column '{FeatureColumnName}' holds images of {channels} channels; one or three are expected, for grey or for red, "
                + "green and blue, and alpha behind them, which is left out.");
        }
        PatchCoreOptions resolved = this with
        {
            BatchSize = BatchSize ?? 16, Epochs = Epochs ?? 1,
            MemoryRows = (int)Math.Ceiling(MemoryShare * PatchCoreFit.Candidates(this, rows.TrainingRows)),
        };
        return resolved.Fitting(rows.TrainingRows, GC.GetGCMemoryInfo().TotalAvailableMemoryBytes);
    }

    /// <summary>These resolved options, if what training and scoring hold at once fits into so much memory.</summary>
    /// <exception cref="InvalidOperationException">It does not.</exception>
    internal PatchCoreOptions Fitting(long trainingRows, long available)
    {
        BackboneStage grid = Backbone!.Stages[0];
        long candidates = PatchCoreFit.Candidates(this, trainingRows), width = PatchWidth;
        long places = (long)grid.Height * grid.Width, rows = Math.Min(BatchSize!.Value, trainingRows);
        double training = candidates * (double)width + rows * (Backbone.FeatureWidth + places * (double)width);
        double scoring = MemoryRows * (double)width + places * (double)MemoryRows;
        double bytes = sizeof(float) * Math.Max(training, scoring);
        if (bytes <= available && Math.Max(MemoryRows * width, rows * Backbone.FeatureWidth) <= Array.MaxLength)
            return this;
        throw new InvalidOperationException(FormattableString.Invariant(
            $"To choose {MemoryRows:N0} of {candidates:N0} patches of {width:N0} features, {rows:N0} images of {places:N0} patches at a time, takes {bytes / 1e9:N1} GB at least, and this process has {available / 1e9:N1} GB; an array can have {Array.MaxLength:N0} elements. Lower option {nameof(CandidatePatches)}, {nameof(MemoryShare)} or {nameof(BatchSize)}, or name smaller feature maps by {nameof(FeatureTensors)}."));
    }

    /// <inheritdoc />
    public override void Validate()
    {
        base.Validate();
        if (LatentColumnName is not null)
            throw new ArgumentException($"Option {nameof(LatentColumnName)} is set, and {GetType().Name} has no such column.");
        if (ValidationFraction != 0)
        {
            throw new ArgumentOutOfRangeException(
                nameof(ValidationFraction), ValidationFraction,
                $"Option {nameof(ValidationFraction)} is set, and PatchCore has no loss to be told by rows that are held back.");
        }
        ArgumentNullException.ThrowIfNull(FeatureTensors);
        ArgumentNullException.ThrowIfNull(ChannelMeans);
        ArgumentNullException.ThrowIfNull(ChannelDeviations);
        if (NetworkPath is not null && string.IsNullOrWhiteSpace(NetworkPath))
            throw new ArgumentException($"Option {nameof(NetworkPath)} is empty: the file of a network of images is expected.");
        OptionChecks.Within(FeatureTensors.Count, 0, 16, $"{nameof(FeatureTensors)}.Count");
        if (FeatureTensors.Any(string.IsNullOrWhiteSpace))
            throw new ArgumentException($"Option {nameof(FeatureTensors)} has a name that is null or empty.");
        if (FeatureTensors.GroupBy(name => name).FirstOrDefault(same => same.Count() > 1) is { } twice)
            throw new ArgumentException($"Option {nameof(FeatureTensors)} names '{twice.Key}' more than once.");
        OptionChecks.Within(NetworkSide, 16, 1024);
        OptionChecks.Within(ChannelMeans.Count, 3, 3, $"{nameof(ChannelMeans)}.Count");
        OptionChecks.Within(ChannelDeviations.Count, 3, 3, $"{nameof(ChannelDeviations)}.Count");
        foreach (float mean in ChannelMeans)
            OptionChecks.Within(mean, -1000, 1000, nameof(ChannelMeans));
        foreach (float deviation in ChannelDeviations)
            OptionChecks.Within(deviation, 1e-6f, 1e6f, nameof(ChannelDeviations));
        OptionChecks.Within(CandidatePatches, 1, 1_000_000);
        OptionChecks.AboveZero<double>(MemoryShare, 1);
        OptionChecks.Within(PatchSide, 1, 31);
        if (PatchSide % 2 == 0)
            throw new ArgumentOutOfRangeException(nameof(PatchSide), PatchSide, $"Option {nameof(PatchSide)} is {PatchSide}; an odd number is expected.");
        OptionChecks.Within(PositionWeight, 0, 100);
        OptionChecks.Within(ScoreShare, 0, 1);
        OptionChecks.AboveZero<double>(MapSmoothing, 1);
        ImageShape?.Validate();
        OptionChecks.Defined(Resize);
        OptionChecks.Within(MemoryRows, 0, CandidatePatches);
        Backbone?.Validate();
    }
}

/// <summary>
/// Patches of training images, by features of a network that was trained elsewhere (PatchCore, Roth et al. 2022): an image is as
/// strange as those of its patches that are farthest from the nearest ones remembered.
/// </summary>
internal sealed class PatchCoreNetwork : VectorNetwork, IScorer, IAnomalyMapper
{
    private const int Around = 9; // remembered patches that say how far apart patches are there, as PatchCore takes them
    private const float Same = 1e-5f; // shares of a patch's length that rounding may be
    private const long AtOnce = 1 << 26; // numbers that are computed at once, where one image takes fewer
    private const int ImagesAtOnce = 16; // feature maps of more would take much memory, and gain nothing
    private const float Tiny = 1e-12f; // shorter patches have no direction

    private readonly ImageShape _shape;
    private readonly OnnxBackbone _backbone;
    private readonly int _memory;
    private PatchCoreOptions _options;

    /// <exception cref="FormatException">The input is none of images, or there is no network.</exception>
    public PatchCoreNetwork(PatchCoreOptions options, VectorInput input)
        : base(input)
    {
        (_options, _memory) = (options, options.MemoryRows);
        _shape = input.Image?.Shape ?? throw new FormatException("The saved model's input is none of images.");
        _backbone = options.Backbone ?? throw new FormatException("The saved model has no network.");
        if (_memory < 1)
            throw new FormatException("The saved model remembers no patch.");
    }

    public override BackbonePart Backbone => new(
        _backbone.FeatureWidth, (int)Math.Clamp(AtOnce / Math.Max(_backbone.FeatureWidth, (long)Places * _memory), 1, ImagesAtOnce),
        w => _backbone.Open(w, _shape, _options.ChannelMeans, _options.ChannelDeviations));

    /// <summary>Patches of an image.</summary>
    public int Places => Grid.Height * Grid.Width;

    /// <summary>Numbers of a patch, C.</summary>
    public int PatchWidth => (int)_options.PatchWidth;

    /// <summary>What the network is called in messages.</summary>
    public string BackboneName => _options.NetworkPath ?? OnnxBackbone.Tensor;

    private BackboneStage Grid => _backbone.Stages[0];

    public override IReadOnlyList<string> CalibratedTensors =>
        _options.AnomalyMapColumnName is null ? [] : AnomalyMapScale.Tensors;

    public override void Check(HostWeights weights) => _backbone.Check(weights);

    protected override VectorScaler ScalerOf(RowStatistics rows)
    {
        ImageRange range = ImageRange.Of(rows.Moments[0]);
        return VectorScaler.Of([.. Enumerable.Repeat(range.Low, Input.Width)], range.ScaleTo(1));
    }

    public override void Declare(Layers layers)
    {
        layers.Buffer(OnnxBackbone.Tensor, _backbone.Elements);
        layers.Buffer("memory", _memory, PatchWidth);
        foreach (PatchMap map in Maps())
            layers.Buffer(map.Name, map.Rows, map.Columns);
        AnomalyMapScale.Declare(layers);
    }

    /// <summary>Sets what follows from the options: the network's file, and how maps are smoothed and resized.</summary>
    public void SetFixed(HostWeights weights)
    {
        OnnxBackbone.Store(_options.NetworkFile!, weights);
        _options = (PatchCoreOptions)_options.Trained; // the file would be held twice
        foreach (PatchMap map in Maps())
            map.Values().CopyTo(weights[map.Name], 0);
    }

    /// <summary>What computes feature maps while there are no weights yet.</summary>
    public BackboneSession OpenBackbone() =>
        _backbone.Open(_options.NetworkFile!, _shape, _options.ChannelMeans, _options.ChannelDeviations);

    public override IClosedFormFit BeginClosedForm(RowStatistics rows, torch.Device device) => new PatchCoreFit(_options, this, rows);

    public override void Calibrate(VectorCalibration calibration)
    {
        // Without a threshold there are no rows but those that are remembered, whose patches are no distance from themselves.
        if (_options.AnomalyMapColumnName is not null)
            AnomalyMapScale.Calibrate(calibration, new MapPass(this, leavesOutItself: _options.AnomalyShare is null && _memory > 1));
    }

    public (T Score, T? ByFeature) Score<T>(Scope<T> w, VectorRows<T> rows, bool byFeature)
        where T : struct, ITensor<T>
    {
        T patches = Patches(w, rows.Features), memory = w["memory"];
        (T distances, T nearest) = Nearest(w, patches);
        if (_options.ScoreShare > 0)
        {
            (T strangestFirst, _) = (-distances).Smallest((int)Math.Ceiling(_options.ScoreShare * Places));
            return (-strangestFirst.Reduce(Reduction.Mean, 1), null);
        }
        T most = distances.Reduce(Reduction.Max, 1);
        if (_memory == 1)
            return (most, null);
        (_, T place) = (-distances).Smallest(1);
        T remembered = memory.Embed(nearest.Gather(place)).Reshape(-1, PatchWidth); // the one nearest to the strangest patch
        T isStrangest = 1f - T.OneIfLess(distances, most);
        isStrangest /= isStrangest.Reduce(Reduction.Sum, 1); // several may be alike
        T strangest = isStrangest.Unsqueeze(1).MatMul(patches); // (B, 1, C)
        int around = Math.Min(Around, _memory);
        (_, T others) = remembered.Linear(memory * -2f, Squares(memory)).Smallest(around);
        T away = Lengths((strangest - memory.Embed(others)).Reshape(-1, PatchWidth)).Reshape(-1, around);
        // One less the share of the nearest in the sum of e to the distances.
        T weight = 1f - (most - away.LogSumExp(1)).Apply(Function.Exp);
        return (most * weight, null);
    }

    public T AnomalyMap<T>(Scope<T> w, VectorRows<T> rows)
        where T : struct, ITensor<T> => AnomalyMapScale.Apply(w, Map(Nearest(w, Patches(w, rows.Features)).Distances, w));

    /// <summary>
    /// Feature maps (B, F) → patches, (B, places, C): means of squares, zero being beyond the border, all in the first one's
    /// grid; and behind them where they are, if that counts.
    /// </summary>
    public T Patches<T>(Scope<T> w, T features)
        where T : struct, ITensor<T>
    {
        var parts = new List<T>();
        long at = 0;
        for (int s = 0; s < _backbone.Stages.Count; s++)
        {
            BackboneStage stage = _backbone.Stages[s];
            T maps = features.Slice(1, at, stage.Length).Reshape(-1, stage.Channels, stage.Height, stage.Width);
            parts.Add(w[$"stage_{s}_down"].MatMul(maps).MatMul(w[$"stage_{s}_across"]));
            at += stage.Length;
        }
        int channels = _backbone.Stages.Sum(stage => stage.Channels);
        T patches = T.Concat(1, [.. parts]).Reshape(-1, channels, Places).Transpose(0, 2, 1);
        if (_options.PositionWeight == 0)
            return patches;
        patches /= (patches.Apply(Function.Square).Reduce(Reduction.Sum, 2) + Tiny).Apply(Function.Sqrt);
        return T.Concat(2, patches, patches.Reduce(Reduction.Max, 2) * 0f + w["positions"]);
    }

    /// <summary>How maps of features are smoothed and brought to the grid, and the map of patches to the image: by name.</summary>
    public IEnumerable<PatchMap> Maps()
    {
        foreach (PatchMap map in StageMaps())
            yield return map;
        yield return new("map_down", _shape.Height, Grid.Height, () => Smoothed(_shape.Height, Grid.Height).Values);
        yield return new("map_across", Grid.Width, _shape.Width, () => Smoothed(_shape.Width, Grid.Width).Transpose().Values);

        Resampling Smoothed(int to, int from)
        {
            double deviation = _options.MapSmoothing * to;
            return Resampling.Mean(to, away => Math.Exp(-away * away / (2 * deviation * deviation))).After(Resampling.Resize(to, from));
        }
    }

    /// <summary>Those of <see cref="Maps"/> that patches take.</summary>
    public IEnumerable<PatchMap> StageMaps()
    {
        for (int s = 0; s < _backbone.Stages.Count; s++)
        {
            BackboneStage stage = _backbone.Stages[s];
            yield return new($"stage_{s}_down", Grid.Height, stage.Height, () => Averaged(Grid.Height, stage.Height).Values);
            yield return new($"stage_{s}_across", stage.Width, Grid.Width, () => Averaged(Grid.Width, stage.Width).Transpose().Values);
        }

        if (_options.PositionWeight > 0)
            yield return new("positions", Places, PatchCoreOptions.Coordinates, Positions);

        Resampling Averaged(int to, int from) => Resampling.Resize(to, from)
            .After(Resampling.Mean(from, away => away <= _options.PatchSide / 2 ? 1 : 0, whole: _options.PatchSide));

        float[] Positions() =>
        [
            .. Enumerable.Range(0, Places).SelectMany(place => new[]
            {
                (float)(_options.PositionWeight * (place / Grid.Width + 0.5) / Grid.Height),
                (float)(_options.PositionWeight * (place % Grid.Width + 0.5) / Grid.Width),
            }),
        ];
    }

    // Of patches (B, places) → of pixels (B, H·W).
    private T Map<T>(T distances, Scope<T> w)
        where T : struct, ITensor<T>
    {
        T grid = distances.Reshape(-1, 1, Grid.Height, Grid.Width);
        return w["map_down"].MatMul(grid).MatMul(w["map_across"]).Reshape(-1, _shape.Height * _shape.Width);
    }

    // The distance of each patch, (B, places, C), from the nearest one remembered, and which that is, (B, places).
    private (T Distances, T Indices) Nearest<T>(Scope<T> w, T patches)
        where T : struct, ITensor<T>
    {
        T memory = w["memory"];
        // Less the square of the patch itself: good enough to choose by; then exactly.
        (_, T nearest) = patches.Linear(memory * -2f, Squares(memory)).Smallest(1); // (B, places, 1)
        T difference = (patches - memory.Embed(nearest).Reshape(-1, Places, PatchWidth)).Reshape(-1, PatchWidth);
        return (Lengths(difference).Reshape(-1, Places), nearest.Reshape(-1, Places));
    }

    // The same to the nearest that is not the patch itself.
    private T NearestOther<T>(Scope<T> w, T patches)
        where T : struct, ITensor<T>
    {
        T memory = w["memory"];
        (_, T two) = patches.Linear(memory * -2f, Squares(memory)).Smallest(2); // (B, places, 2)
        T difference = patches.Reshape(-1, 1, PatchWidth) - memory.Embed(two).Reshape(-1, 2, PatchWidth);
        T lengths = Lengths(difference.Reshape(-1, PatchWidth)).Reshape(-1, 2);
        T near = -(-lengths).Reduce(Reduction.Max, 1), far = lengths.Reduce(Reduction.Max, 1);
        T isItself = T.OneIfLess(near, Lengths(patches.Reshape(-1, PatchWidth)) * Same + float.Epsilon);
        return (near + isItself * (far - near)).Reshape(-1, Places);
    }

    private T Squares<T>(T memory)
        where T : struct, ITensor<T> => memory.Apply(Function.Square).Reduce(Reduction.Sum, 1).Reshape(_memory);

    // (N, C) → (N, 1).
    private static T Lengths<T>(T rows)
        where T : struct, ITensor<T> => rows.Apply(Function.Square).Reduce(Reduction.Sum, 1).Apply(Function.Sqrt);

    private sealed class MapPass(PatchCoreNetwork network, bool leavesOutItself) : IForwardPass
    {
        public T[] Run<T>(Scope<T> w, T[] inputs)
            where T : struct, ITensor<T>
        {
            T patches = network.Patches(w, inputs[0]);
            return [network.Map(leavesOutItself ? network.NearestOther(w, patches) : network.Nearest(w, patches).Distances, w)];
        }
    }
}

/// <summary>A linear map of lines as a tensor of the network: its name, its sizes, and what makes its values.</summary>
internal sealed record PatchMap(string Name, int Rows, int Columns, Func<float[]> Values);

/// <summary>
/// Detects images that have places unlike those of the training images, by default thereabouts, and says where (PatchCore, Roth et al.
/// 2022): places are compared by features of a network of images that was trained elsewhere and is given as an ONNX file.
/// </summary>
/// <remarks>
/// <para>
/// To create this trainer, use
/// <see cref="ImageCatalog.PatchCore(AnomalyDetectionCatalog.AnomalyDetectionTrainers, PatchCoreOptions)"/>.
/// </para>
/// <para>
/// ONNX Runtime computes the network, on the CPU, while training, too: each image takes as long as the network does. A threshold
/// of fewer than 2000 images takes ten more models, each of nine tenths of them (see <see cref="DetectorOptions.Contamination"/>),
/// and so eleven times as long as a score alone, which is had with the options <c>PredictedLabelColumnName</c> and
/// <c>PValueColumnName</c> null.
/// </para>
/// <list type="table">
/// <listheader><term>Characteristic</term><description>This trainer</description></listheader>
/// <item><term>Input</term><description>A column of <see cref="Microsoft.ML.Data.MLImage"/>, or one of vectors of
/// <see cref="float"/> that are images, grey or of red, green and blue; no label.</description></item>
/// <item><term>Normalization</term><description>Done inside: black and white become 0 and 1, then as the network was trained,
/// which options say.</description></item>
/// </list>
/// <list type="table">
/// <listheader><term>Column</term><description>Type and meaning</description></listheader>
/// <item><term><c>PredictedLabel</c></term><description><see cref="bool"/>: whether the score is above the
/// threshold, which <see cref="DetectorOptions.Contamination"/> decides.</description></item>
/// <item><term><c>Score</c></term><description><see cref="float"/>, zero or more: how far the strangest places, a tenth of all, are
/// from the nearest that are remembered, in the mean, where a place's features have the length 1 and where it is, from 0 to 1, counts
/// twice. Otherwise by
/// <see cref="PatchCoreOptions.ScoreShare"/> and <see cref="PatchCoreOptions.PositionWeight"/>.</description></item>
/// <item><term><c>AnomalyMap</c></term><description>On request: an image or a vector, as the input is, of where.</description></item>
/// </list>
/// </remarks>
public sealed class PatchCoreTrainer : VectorTrainer<VectorTransformer>
{
    internal static readonly VectorFamily Family = VectorFamily.Of<PatchCoreOptions>(
        "patch core", (options, input) => new PatchCoreNetwork(options, input), state => new VectorTransformer(state));

    internal PatchCoreTrainer(IHostEnvironment environment, PatchCoreOptions options)
        : base(environment, Family, options)
    {
    }
}
