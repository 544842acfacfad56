using Microsoft.ML;
using Microsoft.ML.Runtime;
using TorchSharp;

namespace GenerativeML;

/// <summary>Which windows say how strange a step is.</summary>
public enum SequenceScore
{
    /// <summary>The mean of the step's errors over all windows that hold it: steps after it count, too.</summary>
    MeanOverWindows,

    /// <summary>Its error in the window that ends with it: nothing after it counts, as where steps come one by one.</summary>
    LastOfWindow,
}

/// <summary>The options of an autoencoder of windows of series.</summary>
public sealed record SequenceAutoencoderOptions : SeriesOptions
{
    /// <summary>All defaults: those of a detector, with the columns <c>Score</c> and <c>PredictedLabel</c>.</summary>
    public SequenceAutoencoderOptions() => PredictedLabelColumnName = "PredictedLabel";

    /// <summary>Features of the latent vector of a window. Default: an eighth of its numbers, 2 to 32.</summary>
    public int? LatentDimension { get; init; }

    /// <summary>Which windows say how strange a step is. Default <see cref="SequenceScore.MeanOverWindows"/>.</summary>
    public SequenceScore Score { get; init; }

    internal override SeriesOptions Resolve(long windows, int stepWidth) => this with
    {
        WindowStride = WindowStride ?? 1,
        Layers = ResolvedLayers,
        LatentDimension = LatentDimension ?? (int)Math.Clamp((long)WindowLength * stepWidth / 8, 2, 32),
        BatchSize = BatchSize ?? 32,
        LearningRate = LearningRate ?? 3e-3,
        WeightDecay = WeightDecay ?? 1e-4,
        Epochs = Epochs ?? EpochsFor(400, windows, BatchSize ?? 32),
    };

    /// <inheritdoc />
    public override void Validate()
    {
        base.Validate();
        OptionChecks.Within(LatentDimension, 1, MaxWindow);
        OptionChecks.Defined(Score);
    }
}

/// <summary>
/// Windows, (W, C) with a mark of what was observed → layers → latent vector → layers → windows. A window ends with each
/// step of a series; steps before the first one were not observed.
/// </summary>
internal sealed class SequenceAutoencoderNetwork(SequenceAutoencoderOptions options, SeriesInput input)
    : SeriesNetwork(options, input)
{
    private int Latent => options.LatentDimension!.Value;

    // What the encoder ends in, and the decoder begins with: the last state, or all steps.
    private int Innermost => options.Layer == SequenceLayer.Lstm ? options.Width : Window * options.Width;

    public override void Declare(Layers layers)
    {
        DeclareLayers(layers, "encoder", StepWidth + 1);
        layers.Linear("latent", Innermost, Latent);
        layers.Linear("innermost", Latent, Innermost);
        DeclareLayers(layers, "decoder", options.Width);
        layers.Linear("output", options.Width, StepWidth);
    }

    public override IEnumerable<int> Starts(int length)
    {
        int stride = options.WindowStride!.Value;
        for (int end = (length - 1) % stride; end < length; end += stride) // the last step ends one
            yield return end - Window + 1;
    }

    public override IReadOnlyList<LossTerm> Loss(Scope<TorchTensor> w, Batch batch, int update, StepContext step)
    {
        torch.Tensor errors = Errors<TorchTensor>(w, batch[0], batch[1]).Errors;
        return [new LossTerm("reconstruction", errors.sum().div(step.Divisor(batch[1])))];
    }

    public override SeriesResult Compute(TrainedSeries model, SeriesSteps steps, bool expected)
    {
        int length = steps.Length, width = StepWidth;
        bool last = options.Score == SequenceScore.LastOfWindow;
        double[] sums = new double[length], made = new double[expected ? length * width : 0];
        int[] counts = new int[length];
        model.ForWindows(
            expected ? "all" : "errors", () => new Pass(this, expected), steps,
            [.. Enumerable.Range(1 - Window, length)], expected ? [Window, Window * width] : [Window],
            (first, count, results) =>
            {
                for (int i = 0; i < count; i++)
                {
                    for (int place = last ? Window - 1 : Math.Max(0, Window - 1 - first - i); place < Window; place++)
                    {
                        int t = first + i - Window + 1 + place;
                        sums[t] += results[0][i * Window + place];
                        counts[t]++;
                        for (int j = 0; expected && j < width; j++)
                            made[t * width + j] += results[1][(i * Window + place) * width + j];
                    }
                }
            });
        return new(
            [.. sums.Select((sum, t) => steps.Observed[t] > 0 ? (float)(sum / counts[t]) : float.NaN)],
            expected ? [.. made.Select((sum, i) => (float)(sum / counts[i / width]))] : null);
    }

    /// <summary>
    /// Windows (B, W·C) and which steps were observed (B, W) → the mean squared error of each step, zero where it was not,
    /// (B, W), and the windows as they are made, (B, W, C).
    /// </summary>
    public (T Errors, T Made) Errors<T>(Scope<T> w, T steps, T observed)
        where T : struct, ITensor<T>
    {
        T x = Marked(steps, observed), inner = Run(w, "encoder", x, causal: false);
        bool recurrent = options.Layer == SequenceLayer.Lstm;
        T latent = w.Linear("latent", recurrent ? inner.Slice(1, -1, 1).Reshape(-1, options.Width) : inner.Reshape(-1, Innermost));
        T outwards = w.Linear("innermost", latent);
        T first = recurrent
            ? x.Slice(2, 0, 1) * 0f + outwards.Reshape(-1, 1, options.Width) // the same at each step
            : outwards.Reshape(-1, Window, options.Width);
        T made = w.Linear("output", Run(w, "decoder", first, causal: false));
        T error = (made - x.Slice(2, 0, StepWidth)).Apply(Function.Square).Reduce(Reduction.Mean, 2).Reshape(-1, Window);
        return (error * observed, made);
    }

    public override (IForwardPass Pass, string Said) Windows() => (new WindowPass(this), "expected");

    // Windows in the units of the data → errors of steps, and what is made of them, in these units.
    private sealed class WindowPass(SequenceAutoencoderNetwork network) : IForwardPass
    {
        public T[] Run<T>(Scope<T> w, T[] inputs)
            where T : struct, ITensor<T>
        {
            (T steps, T observed, T unknown) = network.Read(w, inputs[0]);
            (T errors, T made) = network.Errors(w, steps, observed);
            T expected = ScalerPart<T>.OfFeatures(w).Undo(made.Reshape(-1, network.Window, network.StepWidth));
            return [errors + unknown, expected.Reshape(-1, (long)network.Window * network.StepWidth)];
        }
    }

    private sealed class Pass(SequenceAutoencoderNetwork network, bool expected) : IForwardPass
    {
        public T[] Run<T>(Scope<T> w, T[] inputs)
            where T : struct, ITensor<T>
        {
            (T errors, T made) = network.Errors(w, inputs[0], inputs[1]);
            return expected ? [errors, made.Reshape(-1, network.Window * network.StepWidth)] : [errors];
        }
    }
}

/// <summary>
/// Detects steps of series that do not fit those around them: trains an autoencoder, of dilated convolutions or LSTM
/// cells, on windows, and scores each step by how badly it is reconstructed (Malhotra 2016).
/// </summary>
/// <remarks>
/// <para>To create this trainer, use
/// <see cref="SequenceAutoencoderCatalog.SequenceAutoencoder(AnomalyDetectionCatalog.AnomalyDetectionTrainers, SequenceAutoencoderOptions)"/>.
/// </para>
/// <inheritdoc cref="SeriesTrainer{TTransformer}" path="/remarks/list"/>
/// <para>
/// The score is the squared difference, in deviations of the training steps, between a step and what the network makes of
/// it, the mean of its features, and of the windows that <see cref="SequenceAutoencoderOptions.Score"/> says.
/// </para>
/// </remarks>
public sealed class SequenceAutoencoderTrainer : SeriesTrainer<SeriesTransformer>
{
    internal static readonly SeriesFamily Family = SeriesFamily.Of<SequenceAutoencoderOptions>(
        "sequence autoencoder", (options, input) => new SequenceAutoencoderNetwork(options, input),
        state => new SeriesTransformer(state));

    internal SequenceAutoencoderTrainer(IHostEnvironment environment, SequenceAutoencoderOptions options)
        : base(environment, Family, options)
    {
    }
}
