using Microsoft.ML;
using Microsoft.ML.Runtime;

namespace GenerativeML;

/// <summary>
/// The options of a diffusion model of vectors (Ho 2020; Karras 2022). <see cref="TrainingOptions.WeightAverageDecay"/> is
/// 0.999 by default. With <see cref="NonFiniteValues.Replace"/>, training learns nothing of the values that are missing,
/// NaN, but from all that is beside them.
/// </summary>
public sealed record DiffusionOptions : DenoisingOptions
{
    /// <summary>The width of the network. 1 to 65,536. Default: 128 to detect anomalies, otherwise 256.</summary>
    public int? HiddenWidth { get; init; }

    /// <summary>
    /// Residual blocks, each of two dense layers. 1 to 64. Default 2.
    /// </summary>
    public int Blocks { get; init; } = 2;

    /// <summary>
    /// Training rows, drawn at random, that a model that scores keeps to compare rows with: to the network's errors the
    /// score adds squared distances, to the nearest five of these rows and to the nearest fifth of the first 128; or that one
    /// that imputes keeps, to weigh what the network says of missing values with what rows alike have there. A saved model
    /// holds these rows. Zero, and of a model that scores with condition columns: none. At most 10,000. Default 2048.
    /// </summary>
    public int ReferenceRows { get; init; } = 2048;

    /// <summary>
    /// The levels of noise, in deviations of the features, that a score sums errors over. One to 16 of them, each above
    /// zero, at most 100. Default: 0.1, 0.2, 0.5 and 1.
    /// </summary>
    public IReadOnlyList<double> ScoreLevels { get; init; } = [0.1, 0.2, 0.5, 1];

    /// <summary>
    /// Pairs of opposite noise that are added to a row at each level to score it, the same for all rows, so that a row's
    /// score depends on nothing but the row and the model. 1 to 100. Default 2.
    /// </summary>
    public int ScoreNoise { get; init; } = 2;

    internal override double LargestGivenShare => Imputes ? 0.95 : 0.8;

    internal override bool MarksMissing => NonFiniteValues == NonFiniteValues.Replace;

    internal override VectorOptions Resolve(RowStatistics rows) => this with
    {
        ReferenceRows = Imputes || Detects && rows.Input.ConditionWidth == 0 ? Math.Min(ReferenceRows, rows.Samples[0].Count) : 0,
        HiddenWidth = HiddenWidth ?? (Detects ? 128 : 256),
        BatchSize = BatchSize ?? 128,
        LearningRate = LearningRate ?? 1e-3,
        WeightDecay = WeightDecay ?? 1e-4,
        // Some 1000 steps to score rows and 8000 to make them; a large table is read twice, or ten times, at least. An imputer
        // learns a few hundred rows by heart where it sees them more often than that.
        Epochs = Epochs ?? rows.EpochsFor(Detects ? 128_000 : Imputes ? 256_000 : 1_024_000, least: Detects ? 2 : 10, most: Imputes ? 100 : 1000),
    };

    /// <inheritdoc />
    public override void Validate()
    {
        base.Validate();
        OptionChecks.Within(HiddenWidth, 1, OptionChecks.MaxWidth);
        OptionChecks.Within(Blocks, 1, 64);
        OptionChecks.Within(ReferenceRows, 0, VectorFit.SampleRows);
        ArgumentNullException.ThrowIfNull(ScoreLevels);
        OptionChecks.Within(ScoreLevels.Count, 1, 16);
        OptionChecks.Within(ScoreNoise, 1, 100);
        foreach (double level in ScoreLevels)
            OptionChecks.AboveZero<double>(level, 100, nameof(ScoreLevels));
    }
}

/// <summary>
/// Trains a diffusion model: a network that takes noise of any level from rows, and so generates others from nothing but
/// noise (Ho 2020; Karras 2022).
/// </summary>
/// <remarks>
/// <para>
/// To create this trainer, use <see cref="GenerativeCatalog.Diffusion(DiffusionOptions)"/>, for a detector
/// <see cref="DensityCatalog.Diffusion(AnomalyDetectionCatalog.AnomalyDetectionTrainers, DiffusionOptions)"/>.
/// With <see cref="VectorOptions.ConditionColumnNames"/> it is conditional: generated rows have those columns too, with
/// the values that are asked for, and <see cref="DiffusionSampling.GuidanceScale"/> says how much they are to count.
/// Features can be given, too, exactly: <c>Generate(100, where: new RowCondition().Equal("Features.3", 1.5))</c>. What is
/// generated lies within the range of the training rows, but for what is given.
/// </para>
/// <inheritdoc cref="VectorTrainer{TTransformer}" path="/remarks/list"/>
/// <para>Added columns:</para>
/// <list type="table">
/// <listheader><term>Column</term><description>Type and meaning</description></listheader>
/// <item><term><c>Score</c></term><description>Of a detector, otherwise on request: <see cref="float"/>, zero or more. How
/// far a row lies from what the network makes of it under noise of several levels, and from the nearest of stored training
/// rows, each part in units of its usual size.</description></item>
/// <item><term><c>FeatureScore</c></term><description>On request: a vector as wide as the input; each feature's share of
/// the score.</description></item>
/// <item><term><c>PredictedLabel</c></term><description>Of a detector: <see cref="bool"/>, whether the score is above the
/// threshold, which <see cref="DetectorOptions.Contamination"/> decides.</description></item>
/// <item><term><c>PValue</c></term><description>On request: <see cref="float"/>, the share of ordinary rows that score as
/// high or higher.</description></item>
/// </list>
/// </remarks>
public sealed class DiffusionTrainer : VectorTrainer<DiffusionTransformer>
{
    internal static readonly VectorFamily Family = VectorFamily.Of<DiffusionOptions>(
        "diffusion", (options, input) => new DiffusionNetwork(options, input), state => new DiffusionTransformer(state));

    internal DiffusionTrainer(IHostEnvironment environment, DiffusionOptions options)
        : base(environment, Family, options)
    {
    }
}

/// <summary>
/// A denoiser of dense layers: what is seen of a row and the noise's level → hidden; residual blocks
/// h + W₂·silu(W₁·norm(h)); → D, and to that a linear function of what is seen.
/// </summary>
internal sealed class DiffusionNetwork : DenoisingNetwork, IScorer
{
    // Stored rows in which values are hidden to choose by, and the share of values.
    private const int CalibrationRows = 1000;
    private const double HiddenShare = 0.2;

    private readonly DiffusionOptions _options;
    private readonly NoiseEmbedding _level;
    private readonly NearestRows _nearest;
    private readonly NeighbourMeans? _neighbours; // of a model that imputes

    public DiffusionNetwork(DiffusionOptions options, VectorInput input)
        : base(options, input)
    {
        _options = options;
        _level = new("level", LogLevels.Least, LogLevels.Most, options.HiddenWidth!.Value);
        _nearest = new(options.ReferenceRows, input.Width);
        if (!options.Detects && options.ReferenceRows > 0)
            _neighbours = new(options.ReferenceRows, input.Width);
    }

    public override int WidestLayer => _options.HiddenWidth!.Value;

    public override void Initialize(HostWeights weights, RowStatistics rows)
    {
        base.Initialize(weights, rows);
        _level.Initialize(weights);
        VectorScaler scaler = FeatureScaler(weights);
        for (int j = 0; j < Input.Width; j++)
            weights["feature_mask"][j] = scaler.IsConstant(j) ? 0 : 1;
        if (_options.Detects)
        {
            var random = new SplitMix64(SplitMix64.Derive(Input.Seed, RandomPurpose.Scoring));
            NormalNumbers.Fill(ref random, weights["score_noise"]);
        }
        // It begins as if there were nothing to tell, whatever the level.
        Array.Clear(weights["output.weight"]);
        Array.Clear(weights["linear.weight"]);
        _neighbours?.Store(weights, scaler, rows.Samples[0], _options.MarksMissing ? rows.Samples[^1] : null, Input.Seed);
    }

    protected override void DeclareLayers(Layers layers)
    {
        int width = _options.HiddenWidth!.Value;
        int seen = 2 * Input.Width + (Input.ConditionWidth > 0 ? Input.ConditionWidth + 1 : 0);
        layers.Linear("input", seen, width);
        layers.Linear("linear", seen, Input.Width, bias: false);
        _level.Declare(layers);
        for (int i = 0; i < _options.Blocks; i++)
        {
            layers.LayerNorm($"block.{i}.norm", width);
            layers.Stack($"block.{i}.dense", [width, width, width]);
        }
        layers.LayerNorm("norm", width);
        layers.Linear("output", width, Input.Width);
        layers.Buffer("feature_mask", Input.Width); // zero where a feature is constant: what is made of it is no evidence
        if (_neighbours is not null)
        {
            _neighbours.Declare(layers);
            layers.Buffer("neighbour_share", 1); // of what rows alike have in what is filled in
        }
        if (!_options.Detects)
            return;
        layers.Buffer("score_noise", _options.ScoreNoise * _options.ScoreLevels.Count, Input.Width);
        layers.Buffer("part_weight", PartCount); // what each part counts in the score
        _nearest.Declare(layers);
    }

    private int PartCount => _options.ScoreLevels.Count + 2;

    public override IReadOnlyList<string> CalibratedTensors => _options.Detects ? ["part_weight"] : [];

    public override void Calibrate(VectorCalibration calibration)
    {
        if (_neighbours is not null)
            CalibrateShare(calibration);
        if (!_options.Detects)
            return;
        _nearest.Store(calibration, Input.Seed);
        calibration.SetPartWeights(calibration.Run(new PartsPass(this), [.. Enumerable.Repeat(1, PartCount)]));
        // All levels together count as much as each of the two distances.
        foreach (ref float weight in calibration.Weights["part_weight"].AsSpan(0, _options.ScoreLevels.Count))
            weight *= 1f / _options.ScoreLevels.Count;
    }

    public (T Score, T? ByFeature) Score<T>(Scope<T> w, VectorRows<T> rows, bool byFeature)
        where T : struct, ITensor<T> => WeightedSum(w, Parts(w, rows, byFeature), byFeature);

    // The squared error at each level, and what the stored rows say.
    private T[] Parts<T>(Scope<T> w, VectorRows<T> rows, bool byFeature)
        where T : struct, ITensor<T>
    {
        T x = rows.Features, none = x * 0f;
        T column = x.Slice(1, 0, 1) * 0f;
        var parts = new List<T>();
        for (int i = 0; i < _options.ScoreLevels.Count; i++)
        {
            float level = (float)_options.ScoreLevels[i];
            T sum = none;
            for (int k = 0; k < _options.ScoreNoise; k++)
            {
                T noise = w["score_noise"].Slice(0, i * _options.ScoreNoise + k, 1) * level;
                sum += Error(x + noise) + Error(x - noise);
            }
            sum *= w["feature_mask"];
            parts.Add(byFeature ? sum : sum.Reduce(Reduction.Sum, 1));

            T Error(T noisy) => (Denoise(
                w, noisy, column + level, rows.Condition, rows.Condition is null ? null : column + 1f, none) - x).Apply(Function.Square);
        }
        (T near, T far) = _options.ReferenceRows > 0
            ? _nearest.Differences(w, x, byFeature) : (parts[0] * 0f, parts[0] * 0f);
        return [.. parts, near, far];
    }

    /// <summary>The parts of the score before they are weighted.</summary>
    private sealed class PartsPass(DiffusionNetwork network) : IForwardPass
    {
        public T[] Run<T>(Scope<T> w, T[] inputs)
            where T : struct, ITensor<T> =>
            network.Parts(w, new VectorRows<T>(inputs[0], inputs.Length > 1 ? inputs[1] : null), byFeature: false);
    }

    protected override T Weigh<T>(Scope<T> w, T expected, T rows, T isGiven) => _neighbours is null
        ? expected
        : expected + (_neighbours.Mean(w, rows, isGiven, whole: null) - expected) * w["neighbour_share"];

    // The share that makes the least squared error of values that are hidden in stored rows. The network has seen them in
    // training, though not often, so that it gets a little more than its due.
    private void CalibrateShare(VectorCalibration calibration)
    {
        float[] memory = calibration.Weights["memory"], there = calibration.Weights["memory_there"];
        int count = Math.Min(_options.ReferenceRows, CalibrationRows), width = Input.Width;
        float[] isGiven = new float[count * width], both = new float[2 * isGiven.Length];
        var random = new SplitMix64(SplitMix64.Derive(Input.Seed, RandomPurpose.Scoring, 1));
        for (int i = 0; i < isGiven.Length; i++)
        {
            isGiven[i] = random.NextDouble() < HiddenShare ? 0 : there[i];
            int at = i / width * 2 * width + i % width;
            (both[at], both[at + width]) = (memory[i] * isGiven[i], memory[i]);
        }
        float[][] found = calibration.Run(new HiddenPass(this), both, isGiven, count, [width, width]);
        double product = 0, square = 0;
        for (int i = 0; i < isGiven.Length; i++)
        {
            double apart = found[1][i] - found[0][i];
            if (there[i] == isGiven[i])
                continue;
            product += apart * (memory[i] - found[0][i]);
            square += apart * apart;
        }
        calibration.Weights["neighbour_share"][0] = square > 0 ? (float)Math.Clamp(product / square, 0, 1) : 0;
    }

    /// <summary>What the network, and what rows alike, say of rows (B, 2 · D), with and without what is hidden.</summary>
    private sealed class HiddenPass(DiffusionNetwork network) : IForwardPass
    {
        public T[] Run<T>(Scope<T> w, T[] inputs)
            where T : struct, ITensor<T>
        {
            int width = network.Input.Width;
            T rows = inputs[0].Slice(1, 0, width), whole = inputs[0].Slice(1, width, width), isGiven = inputs[1];
            T? unknown = network.Input.ConditionWidth == 0 ? null : rows.Slice(1, 0, 1) * 0f;
            T? condition = unknown is { } zero ? zero + w.Constant(0) * w["condition_mean"] : null;
            return [network.Expected(w, rows, isGiven, condition, unknown), network._neighbours!.Mean(w, rows, isGiven, whole)];
        }
    }

    protected override T Predict<T>(Scope<T> w, NoisyRows<T> rows)
    {
        T seen = rows.Joined, hidden = w.Linear("input", seen) + _level.Embed(w, rows.LogLevel);
        for (int i = 0; i < _options.Blocks; i++)
        {
            Scope<T> block = w.Of($"block.{i}");
            hidden += block.Stack("dense", 2, block.LayerNorm("norm", hidden), Activation.Silu);
        }
        // A norm takes away how far out a row lies: what is linear goes past it.
        return w.Linear("output", w.LayerNorm("norm", hidden).Apply(Function.Silu)) + w.Linear("linear", seen);
    }
}
