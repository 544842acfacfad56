using Microsoft.ML;
using Microsoft.ML.Data;
using TorchSharp;

namespace GenerativeML;

/// <summary>The options of a diffusion model, whatever its network is made of.</summary>
public abstract record DenoisingOptions : DetectorOptions
{
    private protected DenoisingOptions() => WeightAverageDecay = 0.999;

    /// <summary>The levels of noise. Default <see cref="NoiseSchedule.Karras"/>.</summary>
    public NoiseSchedule NoiseSchedule { get; init; }

    /// <summary>What the network learns to tell. Default <see cref="PredictionTarget.Velocity"/>.</summary>
    public PredictionTarget Target { get; init; }

    /// <summary>
    /// The share of training rows whose conditions are hidden from the network, so that generation can be guided by the
    /// difference that conditions make: <see cref="DiffusionSampling.GuidanceScale"/>. In [0, 1). Default 0.1.
    /// </summary>
    public double ConditionDropout { get; init; } = 0.1;

    /// <summary>How the trained model generates rows until it is told otherwise. Default: 30 steps of DPM-Solver++.</summary>
    public DiffusionSampling Sampling { get; init; } = new();

    internal override IRowSampling RowSampling => Sampling;

    /// <summary>
    /// The largest share of a row's features that are given to the network without noise in training, in every other row,
    /// so that it learns to tell the rest from them; zero where it is not to.
    /// </summary>
    internal virtual double LargestGivenShare => 0;

    /// <summary>Whether the model is to tell missing features from others, and nothing else: no step of training is for less noise.</summary>
    internal bool Imputes { get; init; }

    private protected override OptionalColumns Supported => OptionalColumns.Conditions | OptionalColumns.FeatureScore;

    /// <inheritdoc />
    public override void Validate()
    {
        base.Validate();
        OptionChecks.Defined(NoiseSchedule);
        OptionChecks.Defined(Target);
        OptionChecks.WithinHalfOpen(ConditionDropout, 0, 1);
        ArgumentNullException.ThrowIfNull(Sampling);
        Check(Sampling);
        if (LatentColumnName is not null)
            throw new ArgumentException($"Option {nameof(LatentColumnName)} is set, and {GetType().Name} has no such column.");
    }

    /// <summary>Checks how rows are to be generated.</summary>
    internal void Check(DiffusionSampling sampling) =>
        sampling.Validate(NoiseSchedule, ConditionColumnNames.Count > 0, ConditionDropout);
}

/// <summary>
/// What a denoiser sees of rows: values with noise, of unit variance, (B, D); the logarithm of the noise's level, (B, 1);
/// conditions, (B, C), zeros where they are not known, and whether they are, (B, 1), both null without conditions; and
/// which features are given without noise, (B, D), null for a network that does not learn that: one where they are, zero
/// where they are not, and minus one, in training, where they are missing.
/// </summary>
internal readonly record struct NoisyRows<T>(T Values, T LogLevel, T? Condition, T? IsKnown, T? IsGiven)
    where T : struct, ITensor<T>
{
    /// <summary>All but the level, side by side.</summary>
    public T Joined
    {
        get
        {
            var parts = new List<T> { Values };
            foreach (T? part in (T?[])[IsGiven, Condition, IsKnown])
            {
                if (part is { } some)
                    parts.Add(some);
            }
            return parts.Count == 1 ? Values : T.Concat(1, [.. parts]);
        }
    }
}

/// <summary>
/// A network that learns to take noise of any level from rows, and so generates them: it begins with nothing but noise,
/// and takes it away step by step. What it is made of is up to the family.
/// </summary>
internal abstract class DenoisingNetwork(DenoisingOptions options, VectorInput input)
    : VectorNetwork(input), IDenoiser
{
    // A network that was not trained with features that are given sees them with noise, beside others that were made without
    // them: steps that are made again bring the two together (Lugmayr 2022, RePaint).
    private const int Rehearsals = 4;

    private readonly NoiseLevels _levels = new(options.NoiseSchedule);

    /// <summary>The lowest and the highest logarithm of a level.</summary>
    protected (float Least, float Most) LogLevels => (MathF.Log(_levels.Least), MathF.Log(_levels.Most));

    /// <summary>Whether some features may be given without noise.</summary>
    public bool TakesGiven => options.LargestGivenShare > 0;

    public virtual int GeneratedAtOnce => 1024;

    /// <summary>Which levels training is for, of a continuous schedule.</summary>
    protected virtual TrainingNoise TrainingNoise => options.Detects ? NoiseLevels.OfDetectors : NoiseLevels.Karras;

    /// <summary>The levels of so many steps of sampling, descending; a zero follows the last.</summary>
    public float[] LevelsOf(int steps) => _levels.Sampling(steps);

    /// <summary>What <see cref="DenoisingOptions.Target"/> says of noisy rows, (B, D).</summary>
    protected abstract T Predict<T>(Scope<T> w, NoisyRows<T> rows)
        where T : struct, ITensor<T>;

    /// <summary>
    /// What rows (B, D) with zeros where they are not given are, by what the network says they are and whatever else the
    /// family knows. Default: the former.
    /// </summary>
    protected virtual T Weigh<T>(Scope<T> w, T expected, T rows, T isGiven)
        where T : struct, ITensor<T> => expected;

    /// <summary>What the network says that rows (B, D) with zeros where they are not given are.</summary>
    protected T Expected<T>(Scope<T> w, T rows, T isGiven, T? condition, T? known)
        where T : struct, ITensor<T> =>
        Denoise(w, rows, rows.Slice(1, 0, 1) * 0f + _levels.Most, condition, known, isGiven);

    /// <summary>The network's layers.</summary>
    protected abstract void DeclareLayers(Layers layers);

    public sealed override void Declare(Layers layers)
    {
        // What is made of noise stays within the range of the training rows.
        layers.Buffer("least", Input.Width);
        layers.Buffer("most", Input.Width);
        DeclareLayers(layers);
    }

    public override void Initialize(HostWeights weights, RowStatistics rows)
    {
        VectorScaler scaler = FeatureScaler(weights);
        scaler.Apply(rows.Moments[0].Minimum, weights["least"]);
        scaler.Apply(rows.Moments[0].Maximum, weights["most"]);
    }

    public override IReadOnlyList<LossTerm> Loss(VectorStep step)
    {
        (SeededRandom random, TorchTensor x) = (step.Step.Random, step.Rows);
        long rows = step.Rows.shape[0];
        TorchTensor level = _levels.Draw(random, rows, TrainingNoise), noise = random.Normal(step.Rows.shape);
        TorchTensor? condition = step.Inputs.Condition, known = null, given = null;
        if (condition is not null)
            known = random.Bernoulli([rows, 1], 1 - options.ConditionDropout);
        TorchTensor noisy = x + noise * level;
        if (TakesGiven)
        {
            torch.Tensor gives = random.Bernoulli([rows, 1], options.Imputes ? 1 : 0.5);
            torch.Tensor share = random.Uniform([rows, 1], 0, options.LargestGivenShare).mul_(gives);
            TorchTensor isGiven = random.Uniform(step.Rows.shape, 0, 1).lt(share).to(torch.ScalarType.Float32);
            // In half of these rows all else is noise: what is given has to say what there is to be said. Scores ask for
            // less noise, and take all there is to learn of it.
            if (options.Imputes || !options.Detects)
                level += (_levels.Most - level) * (TorchTensor)gives.mul_(random.Bernoulli([rows, 1], options.Imputes ? 1 : 0.5));
            noisy = x + noise * level * (1 - isGiven);
            if (step.Missing is { } m)
            {
                TorchTensor there = 1 - new TorchTensor(m);
                (noisy, isGiven) = (noisy * there, (isGiven + 1) * there - 1);
            }
            given = isGiven;
        }
        TorchTensor made = PredictScaled(step.Weights, noisy, level, condition, known, given);
        TorchTensor signal = Signal(level);
        TorchTensor target = options.Target switch
        {
            PredictionTarget.Noise => noise,
            PredictionTarget.Sample => x,
            _ => (noise - x * level) * signal,
        };
        TorchTensor error = (made - target).Apply(Function.Square);
        if (given is { } mark) // neither what is given nor what is missing can be learned
            error *= 1 - mark.Apply(Function.Abs);
        return [new LossTerm("denoising", error.Value.mean())];
    }

    /// <summary>Rows with noise of a level, (B, D) and (B, 1) → what they are without, (B, D), within the range of training rows.</summary>
    public T Denoise<T>(Scope<T> w, T noisy, T level, T? condition, T? known, T? given)
        where T : struct, ITensor<T>
    {
        T made = PredictScaled(w, noisy, level, condition, known, given), signal = Signal(level);
        T clean = options.Target switch
        {
            PredictionTarget.Noise => noisy - made * level,
            PredictionTarget.Sample => made,
            _ => (noisy * signal - made * level) * signal,
        };
        return -T.Max(-T.Max(clean, w["least"]), -w["most"]);
    }

    public void Generate(
        Memory<float> rows, ReadOnlyMemory<float> condition, int count, float[]? given, ulong seed,
        DiffusionSampling sampling, PassRunner run, Action? show)
    {
        var random = new SplitMix64(seed);
        float[] level = new float[count], isKnown = new float[condition.IsEmpty ? 0 : count], mask = new float[TakesGiven ? rows.Length : 0];
        float[] other = new float[sampling.GuidanceScale is 0 or 1 ? 0 : rows.Length];
        float[] seen = new float[given is null ? 0 : mask.Length];
        for (int i = 0; i < seen.Length; i++)
            mask[i] = float.IsNaN(given![i % Input.Width]) ? 0 : 1;
        DiffusionSampler.Run(rows, _levels.Sampling(sampling.Steps), sampling, ref random, (noisy, at, clean) =>
        {
            Array.Fill(level, at);
            ReadOnlyMemory<float> visible = noisy;
            if (seen.Length > 0)
            {
                noisy.CopyTo(seen);
                TrainedVector.Replace(seen, given);
                visible = seen;
            }
            float scale = (float)sampling.GuidanceScale;
            Clean(scale != 0, visible, clean);
            if (other.Length > 0)
            {
                Clean(false, visible, other);
                Span<float> with = clean.Span;
                for (int i = 0; i < with.Length; i++)
                    with[i] = other[i] + scale * (with[i] - other[i]);
            }
            // Of a network that was not trained for it, too: what is given is known to the walk.
            if (given is not null)
                TrainedVector.Replace(clean.Span, given);
        }, given is null || TakesGiven ? 0 : Rehearsals, show);

        void Clean(bool known, ReadOnlyMemory<float> visible, Memory<float> clean)
        {
            Array.Fill(isKnown, known ? 1 : 0);
            Run(run, visible, level, condition, isKnown, mask, clean);
        }
    }

    public void Expect(
        Memory<float> rows, ReadOnlyMemory<float> isGiven, ReadOnlyMemory<float> condition, ReadOnlyMemory<float> isKnown,
        Memory<float> expected, PassRunner run)
    {
        bool conditional = Input.ConditionWidth > 0;
        run("expect", () => new ExpectPass(this, conditional), conditional ? [rows, isGiven, condition, isKnown] : [rows, isGiven], [expected]);
    }

    private void Run(
        PassRunner run, ReadOnlyMemory<float> rows, ReadOnlyMemory<float> level, ReadOnlyMemory<float> condition,
        ReadOnlyMemory<float> isKnown, ReadOnlyMemory<float> isGiven, Memory<float> clean) => run(
        "denoise", () => new DenoisePass(this, Input.ConditionWidth > 0),
        Array.FindAll([rows, level, condition, isKnown, isGiven], part => !part.IsEmpty), [clean]);

    // The share of signal, in rows of unit variance: one over their deviation with the noise.
    private static T Signal<T>(T level)
        where T : struct, ITensor<T>
    {
        T one = level * 0f + 1f;
        return one / (level.Apply(Function.Square) + 1f).Apply(Function.Sqrt);
    }

    private T PredictScaled<T>(Scope<T> w, T noisy, T level, T? condition, T? known, T? given)
        where T : struct, ITensor<T>
    {
        T scaled = noisy * Signal(level);
        if (given is { } some)
            scaled += (noisy - scaled) * some;
        if (condition is { } all && known is { } whether)
            condition = all * whether;
        return Predict(w, new NoisyRows<T>(scaled, level.Apply(Function.Log), condition, known, given));
    }

    /// <summary>The means of what is not given as a forward pass.</summary>
    internal sealed class ExpectPass(DenoisingNetwork network, bool conditional) : IForwardPass
    {
        public T[] Run<T>(Scope<T> w, T[] inputs)
            where T : struct, ITensor<T> =>
        [
            network.Weigh(
                w, network.Expected(w, inputs[0], inputs[1], conditional ? inputs[2] : null, conditional ? inputs[3] : null),
                inputs[0], inputs[1]),
        ];
    }

    /// <summary>The taking away of noise as a forward pass.</summary>
    internal sealed class DenoisePass(DenoisingNetwork network, bool conditional) : IForwardPass
    {
        public T[] Run<T>(Scope<T> w, T[] inputs)
            where T : struct, ITensor<T> =>
        [
            network.Denoise(
                w, inputs[0], inputs[1], conditional ? inputs[2] : null, conditional ? inputs[3] : null,
                network.TakesGiven ? inputs[^1] : null),
        ];
    }
}

/// <summary>A trained diffusion model as a step of a pipeline: adds scores to rows, and generates rows.</summary>
/// <remarks><inheritdoc cref="GenerativeTransformer" path="/remarks"/></remarks>
public class DiffusionTransformer : VectorGenerator
{
    internal DiffusionTransformer(VectorModelState state)
        : base(state)
    {
    }

    /// <summary>
    /// How rows are generated: the sampler, its steps, the guidance. Training sets it by the option of the same name; it
    /// can be changed at any time, is saved with the model, and counts for what <c>Generate</c> is called for from then on.
    /// </summary>
    /// <exception cref="ArgumentException">
    /// The value is out of its range; or asks for more steps than the schedule has, or for guidance where there are no
    /// conditions.
    /// </exception>
    public DiffusionSampling Sampling
    {
        get => Options.Sampling;
        set
        {
            ArgumentNullException.ThrowIfNull(value);
            Options.Check(value);
            State = State with { Options = Options with { Sampling = value } };
        }
    }

    /// <summary>
    /// Generates a few rows, and shows how they come about: what they are before the first step, noise, and after each step;
    /// the last are the rows that <see cref="VectorGenerator.Generate"/> begins with by the same seed.
    /// </summary>
    /// <param name="rows">How many; from 1 to what is made at once: 1024 vectors, or 64 images; of very wide rows fewer, but 16.</param>
    /// <param name="seed">Other seeds give other rows.</param>
    /// <param name="where">What every row meets. Default: as in the training rows.</param>
    /// <returns>
    /// One more than <see cref="DiffusionSampling.Steps"/> arrays, (rows × D), in the units of the training rows, beyond whose
    /// range noise goes far. All but the last show values more than five deviations out nearer than they are, as the network
    /// sees them.
    /// </returns>
    /// <exception cref="ArgumentOutOfRangeException">The number of rows is none of these.</exception>
    /// <exception cref="ArgumentException">No row can meet the condition.</exception>
    public IReadOnlyList<float[]> GenerateSteps(int rows, int seed = 0, RowCondition? where = null) =>
        new GeneratedVectors(State, GeneratedSchema, seed, where).Steps(rows);

    /// <summary>
    /// What fills in missing values of rows by this model, which stays as it is. The two share what they compute with:
    /// disposing one frees it for both, until it is needed again.
    /// </summary>
    /// <exception cref="NotSupportedException">The model is one of images, which is not trained to tell some features from others.</exception>
    public ImputingTransformer ToImputer() => Options.LargestGivenShare > 0
        ? new(State)
        : throw new NotSupportedException("A diffusion model of images fills in no missing values.");

    /// <summary>Generates images that are as one is given outside a mask, to the bit, and made anew within it.</summary>
    /// <remarks>
    /// The network is not trained for it: at each level of noise it sees what is given with that noise, and each step is made
    /// five times, so that what is made agrees with what is given (Lugmayr 2022, RePaint); that takes five times as long as
    /// <see cref="VectorGenerator.Generate"/>. Images of another size are brought to the model's, as in training, and then come
    /// back in that. ML.NET disposes images that a view gives, as by <c>GetColumn&lt;MLImage&gt;</c>, when its cursor moves on:
    /// give images of your own, such as <see cref="MLImage.CreateFromFile"/> makes.
    /// </remarks>
    /// <param name="image">What is given.</param>
    /// <param name="mask">Of the same size: white where the image is to be made, black where it stays; grey counts as the nearer.</param>
    /// <param name="rows">How many; zero or more. Default 1.</param>
    /// <param name="seed">Other seeds give other images.</param>
    /// <param name="where">Conditions of all rows, such as a caption. Default: as in the training rows.</param>
    /// <returns>The rows, with <see cref="VectorGenerator.GeneratedSchema"/>.</returns>
    /// <exception cref="ArgumentException">The mask is of another size than the image, or no row can meet the condition.</exception>
    /// <exception cref="NotSupportedException">The model is not one of a column of images.</exception>
    public IDataView Inpaint(MLImage image, MLImage mask, long rows = 1, int seed = 0, RowCondition? where = null)
    {
        ArgumentNullException.ThrowIfNull(image);
        ArgumentNullException.ThrowIfNull(mask);
        ImageFormat format = Pictures;
        if ((mask.Width, mask.Height) != (image.Width, image.Height))
            throw new ArgumentException($"The mask has {mask.Width} × {mask.Height} pixels, and the image {image.Width} × {image.Height}: the same are expected.", nameof(mask));
        float[] features = new float[State.Fields[0].Width], made = new float[format.Shape!.Height * format.Shape.Width];
        ImagePixels.Read(image, format, features);
        ImagePixels.Read(mask, format with { Shape = new(1, format.Shape.Height, format.Shape.Width) }, made);
        for (int i = 0; i < features.Length; i++)
            features[i] = made[i % made.Length] >= 0.5f ? float.NaN : features[i];
        return Inpaint(features, rows, seed, where);
    }

    /// <summary>Generates rows of which some features are given, to the bit.</summary>
    /// <remarks>
    /// Of a vector the same as <see cref="VectorGenerator.Generate"/> under conditions on these features. Of images it is
    /// the other overload's, for a model of images that are vectors.
    /// </remarks>
    /// <param name="features">The vector, (D), or the image, (C, H, W), in the units of the training rows; NaN where it is to be made.</param>
    /// <param name="rows">How many; zero or more. Default 1.</param>
    /// <param name="seed">Other seeds give other rows.</param>
    /// <param name="where">Conditions of all rows. Default: as in the training rows.</param>
    /// <returns>The rows, with <see cref="VectorGenerator.GeneratedSchema"/>.</returns>
    /// <exception cref="ArgumentException">The features are not as many as the model's, some are infinite, or no row can meet the condition.</exception>
    public IDataView Inpaint(ReadOnlySpan<float> features, long rows = 1, int seed = 0, RowCondition? where = null)
    {
        CheckGiven(features, nameof(features), isOpen: true);
        return new GeneratedDataView(new GeneratedVectors(State, GeneratedSchema, seed, where, features.ToArray()), rows);
    }

    private DenoisingOptions Options => (DenoisingOptions)State.Options;
}
