using Microsoft.ML;
using Microsoft.ML.Runtime;
using TorchSharp;

namespace GenerativeML;

/// <summary>
/// The options of an autoencoder of images. As a detector it has the columns <c>Score</c> and <c>PredictedLabel</c>; with
/// these null, it encodes into <see cref="DetectorOptions.LatentColumnName"/> or denoises into
/// <see cref="VectorOptions.ReconstructionColumnName"/>.
/// </summary>
public sealed record ImageAutoencoderOptions : DetectorOptions
{
    /// <summary>
    /// All defaults: those of a detector, with the columns <c>Score</c> and <c>PredictedLabel</c>, which null leaves out.
    /// </summary>
    public ImageAutoencoderOptions() => (ScoreColumnName, PredictedLabelColumnName) = ("Score", "PredictedLabel");

    /// <inheritdoc cref="ImageVaeOptions.ImageShape"/>
    public ImageShape? ImageShape { get; init; }

    /// <inheritdoc cref="ImageVaeOptions.Resize"/>
    public ImageResize Resize { get; init; }

    /// <summary>
    /// The column for an image of where the input is strange, of one channel and the input's height and width: black, or
    /// zero, where it is no stranger than an ordinary image is on the average; white, or one, where it is as strange as in
    /// one of a hundred ordinary images at its strangest place. In a column of vectors numbers may be below zero and
    /// above one. Default: none is added.
    /// </summary>
    public string? AnomalyMapColumnName { get; init; }

    /// <summary>
    /// Channels after each halving of height and width, from the input inwards; the decoder mirrors them. One to eight
    /// of them, each from 1 to 1024; no more than two once a single pixel is left. Default: 32 and 64.
    /// </summary>
    public IReadOnlyList<int> Channels { get; init; } = [32, 64];

    /// <summary>Numbers of the innermost, dense layer. At most 65,536. Default 64.</summary>
    public int LatentDimension { get; init; } = 64;

    /// <summary>The non-linearity after each hidden layer. Default <see cref="Activation.Silu"/>.</summary>
    public Activation Activation { get; init; } = Activation.Silu;

    /// <summary>
    /// The largest standard deviation of the normal noise that is added to training images, each image having its own,
    /// so that the network learns to undo it (Vincent 2008); in units of what pixels deviate by. Zero: no noise.
    /// Default 0.5.
    /// </summary>
    public double InputNoise { get; init; } = 0.5;

    /// <summary>
    /// In every other training image a random share of the pixels is hidden from the network; this is the largest share,
    /// in [0, 1). Default 0.
    /// </summary>
    public double InputMasking { get; init; }

    /// <summary>
    /// In every other training image a square at a random place is hidden from the network, which has to tell it from
    /// what is around it; this is its longest side in shares of the image's shorter one, in [0, 1). Default 0.4.
    /// </summary>
    public double CutOut { get; init; } = 0.4;

    /// <summary>
    /// What score and map are made of. Default <see cref="ImageScore.Novelty"/>; another where a score, or what follows
    /// from it, or a map is asked for.
    /// </summary>
    public ImageScore Score { get; init; }

    /// <summary>
    /// Training images, drawn at random, that a detector keeps to compare images with: their structure, and for
    /// <see cref="ImageScore.Novelty"/> their pixels. A saved model holds them. Zero: the network's error alone. At most
    /// 10,000, and for <see cref="ImageScore.Structure"/> at least two. Default 2048.
    /// </summary>
    public int ReferenceRows { get; init; } = 2048;

    internal override ImageFormat Images => new(ImageShape, Resize);

    internal override VectorColumns Columns => base.Columns with { AnomalyMap = AnomalyMapColumnName };

    private protected override OptionalColumns Supported =>
        OptionalColumns.FeatureScore | OptionalColumns.Reconstruction;

    /// <summary>Whether anything is compared with ordinary images: for a score or for a map.</summary>
    internal bool Compares => Detects || AnomalyMapColumnName is not null;

    internal override VectorOptions Resolve(RowStatistics rows)
    {
        ImageStages.Check(rows.Input.Image!.Shape!, Channels);
        int stored = Compares ? Math.Min(ReferenceRows, rows.Samples[0].Count) : 0;
        if (Score == ImageScore.Structure && stored < 2)
        {
            throw new InvalidOperationException(
                $"Option {nameof(Score)} is {Score}, which takes at least two images to compare with, and there are {stored}: "
                + $"option {nameof(ReferenceRows)} says how many are stored at most.");
        }
        return this with
        {
            ReferenceRows = stored,
            BatchSize = BatchSize ?? 64,
            LearningRate = LearningRate ?? 2e-3,
            WeightDecay = WeightDecay ?? 1e-4,
            // Larger images have more to learn from in each.
            Epochs = Epochs ?? rows.EpochsFor(
                presented: Math.Clamp(64_000L * 1024 / rows.Input.Width, 8_000, 64_000), least: 2, most: 500),
        };
    }

    /// <inheritdoc />
    public override void Validate()
    {
        base.Validate();
        ImageShape?.Validate();
        OptionChecks.Defined(Resize);
        ImageStages.Validate(Channels);
        OptionChecks.Within(LatentDimension, 1, OptionChecks.MaxWidth);
        OptionChecks.Defined(Activation);
        OptionChecks.NonNegativeFinite(InputNoise);
        OptionChecks.WithinHalfOpen(InputMasking, 0, 1);
        OptionChecks.WithinHalfOpen(CutOut, 0, 1);
        OptionChecks.Defined(Score);
        OptionChecks.Within(ReferenceRows, 0, VectorFit.SampleRows);
        if (Score != ImageScore.Novelty && !Compares)
        {
            throw new ArgumentException(
                $"Option {nameof(Score)} is {Score}, and no column is asked for that it would be shown in: option "
                + $"{nameof(ScoreColumnName)} or {nameof(AnomalyMapColumnName)}.");
        }
    }
}

/// <summary>What an autoencoder of images gives as an image's score, and shows in its map.</summary>
public enum ImageScore
{
    /// <summary>
    /// The sum of five parts, each in units of how much it differs among ordinary images: the squared error of all pixels,
    /// that of the worst place, squared distances of the pixels from those of the nearest five and of the nearest fifth of
    /// 128 stored training images, and the structure's differences. In a map, the error of each place, and its structure's.
    /// </summary>
    Novelty,

    /// <summary>
    /// How the image's structure differs, place by place, from that of the stored training images that are like it: local
    /// contrast, in units of how much it varies around there, and how much fine detail there is. Light, exposure and what
    /// is the same all over the image do not count: for photographs of things, taken in changing light. The network is not
    /// asked.
    /// </summary>
    Structure,
}

/// <summary>
/// Convolutions, a dense latent layer and their mirror, trained to undo noise and to fill in what is hidden. The score has
/// five parts, each in units of how much it differs among ordinary images: the squared error of all pixels, that of the
/// worst place, how far the image is from the nearest few and from many stored ones, and how its structure differs, place
/// by place, from that of the stored ones that are most like it. Or it is the last of these alone.
/// </summary>
internal sealed class ImageAutoencoderNetwork : VectorNetwork, IScorer, IReconstructor, IEncoder, IAnomalyMapper
{
    private const double MaxSmoothing = 4; // in pixels
    private const float Tiny = 1e-12f;

    private readonly ImageAutoencoderOptions _options;
    private readonly ImageShape _shape;
    private readonly ImageStages _stages;
    private readonly NearestRows _nearest;
    private readonly ImageStructure _structure;
    private readonly GaussianWindow _smoothing; // of a map
    private readonly bool _hides;

    /// <exception cref="FormatException">The input is none of images.</exception>
    public ImageAutoencoderNetwork(ImageAutoencoderOptions options, VectorInput input)
        : base(input)
    {
        _options = options;
        _shape = input.Image?.Shape ?? throw new FormatException("The saved model's input is none of images.");
        _stages = new ImageStages(_shape, options.Channels, options.Activation);
        _nearest = new NearestRows(options.ReferenceRows, input.Width);
        // Where structure is all there is, one thing seen before at a place is enough for it to be ordinary there.
        _structure = ByStructure
            ? new ImageStructure(_shape, options.ReferenceRows, alike: 100, near: 1)
            : new ImageStructure(_shape, options.ReferenceRows);
        if (ByStructure && !_structure.Compares)
            throw new FormatException("The saved model stores no images to compare structure with.");
        double deviation = Math.Clamp(Math.Min(_shape.Height, _shape.Width) / 32.0, 0.5, MaxSmoothing);
        _smoothing = new("smoothing", deviation, _shape.Height, _shape.Width);
        _hides = options.InputMasking > 0 || options.CutOut > 0;
    }

    public int LatentDimension => _options.LatentDimension;

    public override int WidestLayer => _stages.Innermost;

    private bool Detects => _options.Compares;

    private bool ByStructure => _options.Score == ImageScore.Structure;

    private int StructurePart => ByStructure ? 0 : 4; // the last of a score's parts, if not the only one

    protected override VectorScaler ScalerOf(RowStatistics rows) => ImageRange.Standardize(rows.Moments[0]);

    public override void Declare(Layers layers)
    {
        _stages.DeclareEncoder(layers, more: _hides ? 1 : 0);
        layers.Linear("latent", _stages.Innermost, LatentDimension);
        layers.Linear("innermost", LatentDimension, _stages.Innermost);
        _stages.DeclareDecoder(layers);
        if (!Detects)
            return;
        _smoothing.Declare(layers);
        AnomalyMapScale.Declare(layers);
        layers.Buffer("part_weight", StructurePart + 1);
        if (!ByStructure)
            _nearest.Declare(layers);
        _structure.Declare(layers);
    }

    public override void Initialize(HostWeights weights, RowStatistics rows)
    {
        if (!Detects)
            return;
        _smoothing.Initialize(weights);
        _structure.Initialize(weights, ScalerOf(rows));
    }

    public override IReadOnlyList<LossTerm> Loss(VectorStep step)
    {
        SeededRandom random = step.Step.Random;
        TorchTensor clean = Pictures<TorchTensor>(step.Rows);
        torch.Tensor seen = clean;
        long rows = step.Rows.shape[0];
        if (_options.InputNoise > 0)
        {
            torch.Tensor deviation = random.Uniform([rows, 1, 1, 1], 0, _options.InputNoise);
            seen = seen.Plus(random.Normal(seen.shape).mul(deviation));
        }
        if (_hides)
        {
            torch.Tensor hidden = Hidden(random, rows);
            seen = torch.cat([seen.mul(hidden.neg().Plus(1.0)), hidden], 1);
        }
        TorchTensor made = Decode(step.Weights, EncodeSeen<TorchTensor>(step.Weights, seen));
        return [new LossTerm("reconstruction", (made - clean).Value.Squared().mean())];
    }

    public override IReadOnlyList<string> CalibratedTensors => Detects ? ["part_weight", .. AnomalyMapScale.Tensors] : [];

    public override void Calibrate(VectorCalibration calibration)
    {
        if (!Detects)
            return;
        if (!ByStructure)
            _nearest.Store(calibration, Input.Seed);
        _structure.Store(calibration, Input.Seed);
        int[] widths = [.. Enumerable.Repeat(1, StructurePart + 1)];
        calibration.SetPartWeights(calibration.Run(new PartsPass(this), widths), bySpread: true);
        AnomalyMapScale.Calibrate(calibration, new MapPass(this));
    }

    public (T Score, T? ByFeature) Score<T>(Scope<T> w, VectorRows<T> rows, bool byFeature)
        where T : struct, ITensor<T>
    {
        T[] parts = Parts(w, rows.Features, byFeature);
        if (ByStructure)
            return WeightedSum(w, parts, byFeature);
        T peak = parts[1] * Weight(1);
        T sum = parts[0] * Weight(0) + parts[2] * Weight(2) + parts[3] * Weight(3)
            + parts[StructurePart] * Weight(StructurePart);
        if (!byFeature)
            return (sum + peak, null);
        // The worst place belongs to the pixels by their errors.
        T share = parts[0] + Tiny;
        T each = sum + share * (peak / share.Reduce(Reduction.Sum, 1));
        return (each.Reduce(Reduction.Sum, 1), each);

        T Weight(int part) => Part(w, part);
    }

    public T AnomalyMap<T>(Scope<T> w, VectorRows<T> rows)
        where T : struct, ITensor<T> => AnomalyMapScale.Apply(w, Map(w, rows.Features));

    public T Reconstruct<T>(Scope<T> w, VectorRows<T> rows)
        where T : struct, ITensor<T> => Reconstruct(w, rows.Features);

    public (T Mean, T? Deviation) Encode<T>(Scope<T> w, VectorRows<T> rows)
        where T : struct, ITensor<T> => (EncodeClean(w, rows.Features), null);

    // Pixels that are hidden, (B, 1, H, W): one where they are.
    private torch.Tensor Hidden(SeededRandom random, long rows)
    {
        (int height, int width) = (_shape.Height, _shape.Width);
        torch.Tensor hidden = torch.zeros([rows, 1, height, width], device: random.Device);
        if (_options.InputMasking > 0)
        {
            torch.Tensor share = Every(random.Uniform([rows, 1, 1, 1], 0, _options.InputMasking));
            hidden = random.Uniform(hidden.shape, 0, 1).lt(share).to(torch.ScalarType.Float32);
        }
        if (_options.CutOut > 0)
        {
            double longest = _options.CutOut * Math.Min(height, width);
            torch.Tensor side = Every(random.Uniform([rows, 1, 1, 1], Math.Min(1, longest), longest));
            torch.Tensor down = Within(height).view(rows, 1, height, 1), across = Within(width).view(rows, 1, 1, width);
            hidden = hidden.maximum(down.mul(across));

            // One for the places of an axis that the square has; it lies within the image.
            torch.Tensor Within(int length)
            {
                float[] centers = [.. Enumerable.Range(0, length).Select(i => i + 0.5f)];
                torch.Tensor places = HostTensors.FromRows(centers, 1, length, random.Device);
                torch.Tensor begin = random.Uniform([rows, 1], 0, 1).mul(side.view(rows, 1).neg().Plus(length));
                torch.Tensor offset = places.Minus(begin);
                return offset.gt(torch.zeros_like(offset)).logical_and(offset.lt(side.view(rows, 1)))
                    .to(torch.ScalarType.Float32);
            }
        }
        return hidden;

        torch.Tensor Every(torch.Tensor values) => values.mul(random.Bernoulli([rows, 1, 1, 1], 0.5));
    }

    // Squared errors (B, D) or their sum (B, 1), the worst place (B, 1), and what stored rows and their structure say; or
    // what structure says alone: nothing that could be infinite is beside it.
    private T[] Parts<T>(Scope<T> w, T z, bool byFeature)
        where T : struct, ITensor<T>
    {
        if (ByStructure)
            return [Sum(StructureShares(w, z))];
        T error = Error(w, z), peak = Smooth(w, error).Reduce(Reduction.Max, 1), none = error * 0f;
        (T near, T far) = _options.ReferenceRows > 0 ? _nearest.Differences(w, z, byFeature) : (Sum(none), Sum(none));
        return [Sum(error), peak, near, far, Sum(_structure.Compares ? StructureShares(w, z) : none)];

        T Sum(T values) => byFeature ? values : values.Reduce(Reduction.Sum, 1);
    }

    private static T Part<T>(Scope<T> w, int part)
        where T : struct, ITensor<T> => w["part_weight"].Slice(0, part, 1);

    // Both in units of how much they differ among ordinary images: the error of a pixel and its neighbours, and how its
    // structure differs, (B, H·W).
    private T Map<T>(Scope<T> w, T z)
        where T : struct, ITensor<T>
    {
        if (ByStructure)
            return Structure(w, z) * Part(w, StructurePart);
        T error = Smooth(w, Error(w, z)) * Part(w, 0) * (float)Input.Width;
        return _structure.Compares ? error + Structure(w, z) * Part(w, StructurePart) : error;
    }

    // The mean over the places, shared out to all numbers, (B, D).
    private T StructureShares<T>(Scope<T> w, T z)
        where T : struct, ITensor<T>
    {
        T share = Structure(w, z) * (1f / Input.Width);
        return T.Concat(1, [.. Enumerable.Repeat(share, _shape.Channels)]);
    }

    private T Structure<T>(Scope<T> w, T z)
        where T : struct, ITensor<T> =>
        _smoothing.Mean(w, _structure.Differences(w, Pictures(z))).Reshape(-1, _shape.Height * _shape.Width);

    private T Error<T>(Scope<T> w, T z)
        where T : struct, ITensor<T> => (Reconstruct(w, z) - z).Apply(Function.Square);

    // The squared errors of a pixel and its neighbours, by how near they are, (B, D) → (B, H·W).
    private T Smooth<T>(Scope<T> w, T error)
        where T : struct, ITensor<T> =>
        _smoothing.Sum(w, Pictures(error).Reduce(Reduction.Mean, 1)).Reshape(-1, _shape.Height * _shape.Width);

    private T Reconstruct<T>(Scope<T> w, T z)
        where T : struct, ITensor<T> => Decode(w, EncodeClean(w, z)).Reshape(-1, Input.Width);

    private T EncodeClean<T>(Scope<T> w, T z)
        where T : struct, ITensor<T>
    {
        T pictures = Pictures(z);
        return EncodeSeen(w, _hides ? T.Concat(1, pictures, pictures.Slice(1, 0, 1) * 0f) : pictures);
    }

    private T EncodeSeen<T>(Scope<T> w, T pictures)
        where T : struct, ITensor<T> => w.Linear("latent", _stages.Encode(w, pictures));

    private T Decode<T>(Scope<T> w, T latent)
        where T : struct, ITensor<T> =>
        _stages.Decode(w, w.Linear("innermost", latent.Apply(_options.Activation)).Apply(_options.Activation));

    private T Pictures<T>(T rows)
        where T : struct, ITensor<T> => rows.Reshape(-1, _shape.Channels, _shape.Height, _shape.Width);

    private sealed class PartsPass(ImageAutoencoderNetwork network) : IForwardPass
    {
        public T[] Run<T>(Scope<T> w, T[] inputs)
            where T : struct, ITensor<T> => network.Parts(w, inputs[0], byFeature: false);
    }

    private sealed class MapPass(ImageAutoencoderNetwork network) : IForwardPass
    {
        public T[] Run<T>(Scope<T> w, T[] inputs)
            where T : struct, ITensor<T> => [network.Map(w, inputs[0])];
    }
}

/// <summary>
/// Detects images that are unlike those that it was trained on, and says where: a convolutional autoencoder is trained to
/// undo noise and to fill in squares that are cut out, and what it does not expect is strange. So is what training images
/// that are alike do not show at the same place: contrasts and fine detail are compared, whatever the light.
/// </summary>
/// <remarks>
/// <para>
/// To create this trainer, use
/// <see cref="ImageCatalog.ImageAutoencoder(AnomalyDetectionCatalog.AnomalyDetectionTrainers, ImageAutoencoderOptions)"/>.
/// </para>
/// <list type="table">
/// <listheader><term>Characteristic</term><description>This trainer</description></listheader>
/// <item><term>Input</term><description>A column of <see cref="Microsoft.ML.Data.MLImage"/>, or one of vectors of
/// <see cref="float"/> that are images; no label.</description></item>
/// <item><term>Normalization</term><description>Done inside, by one scale for all pixels.</description></item>
/// <item><term>Caching</term>
/// <description>Done inside, within <see cref="TrainingOptions.CacheBudgetBytes"/>.</description></item>
/// <item><term>Packages beside Microsoft.ML</term><description>To train, and to compute on a GPU, TorchSharp-cpu or
/// TorchSharp-cuda; to compute on the CPU, Microsoft.ML.OnnxRuntime.</description></item>
/// </list>
/// <para>Added columns:</para>
/// <list type="table">
/// <listheader><term>Column</term><description>Type and meaning</description></listheader>
/// <item><term><c>PredictedLabel</c></term><description><see cref="bool"/>: whether the score is above the
/// threshold, which <see cref="DetectorOptions.Contamination"/> decides.</description></item>
/// <item><term><c>Score</c></term><description><see cref="float"/>, zero or more: how strange the image is.</description></item>
/// <item><term><c>AnomalyMap</c></term><description>On request: an image or a vector, as the input is, of where.</description></item>
/// <item><term><c>FeatureScore</c></term><description>On request: a vector, each number's share of the score.</description></item>
/// <item><term><c>Reconstruction</c></term><description>On request: an image or a vector, as the input is.</description></item>
/// <item><term><c>Latent</c></term><description>On request: the image's code, a vector.</description></item>
/// </list>
/// </remarks>
public sealed class ImageAutoencoderTrainer : VectorTrainer<VectorTransformer>
{
    internal static readonly VectorFamily Family = VectorFamily.Of<ImageAutoencoderOptions>(
        "image autoencoder", (options, input) => new ImageAutoencoderNetwork(options, input),
        state => new VectorTransformer(state));

    internal ImageAutoencoderTrainer(IHostEnvironment environment, ImageAutoencoderOptions options)
        : base(environment, Family, options)
    {
    }
}
