using TorchSharp;

namespace GenerativeML;

/// <summary>What a network of vectors must know of its input before there are weights; saved with the model.</summary>
internal sealed record VectorInput
{
    /// <summary>The widest input, conditions included.</summary>
    public const int MaxWidth = 1 << 20;

    /// <summary>Features of the vector that is modelled, D.</summary>
    public required int Width { get; init; }

    /// <summary>What images it holds; null where it is a vector of numbers.</summary>
    public ImageFormat? Image { get; init; }

    /// <summary>Features of each condition; empty for none. Their sum is C.</summary>
    public IReadOnlyList<int> ConditionWidths { get; init; } = [];

    /// <summary>Of each condition that is a number taken for a category its values, ascending; else null.</summary>
    public IReadOnlyList<IReadOnlyList<float>?> ConditionCategories { get; init; } = [];

    /// <summary>Of each condition that is a text how it is read; null for others. Empty where there is none.</summary>
    public IReadOnlyList<CaptionFormat?> ConditionCaptions { get; init; } = [];

    /// <summary>Classes of a label that training reads, K; zero without one.</summary>
    public int Classes { get; init; }

    /// <summary>Training rows whose conditions are stored, to draw from; zero without conditions.</summary>
    public int ConditionRows { get; init; }

    /// <summary>The seed that the model was trained by, for what it draws when it scores.</summary>
    public int Seed { get; init; }

    /// <summary>Features of all conditions together, C.</summary>
    public int ConditionWidth => ConditionWidths.Sum();

    /// <summary>Checks what came from a file.</summary>
    /// <exception cref="FormatException">A size is out of every sensible range.</exception>
    public void Check()
    {
        bool sound = (Image is null || Image.Shape?.Length == Width && (!Image.IsPicture || Image.Shape.Channels <= 4))
            && Width is >= 1 and <= MaxWidth
            && ConditionWidths.Count <= MaxWidth && ConditionWidths.All(w => w is >= 1 and <= MaxWidth)
            && Width + ConditionWidths.Sum(w => (long)w) <= MaxWidth
            && Classes is >= 0 and <= MaxWidth
            && ConditionRows is >= 0 and <= VectorFit.SampleRows
            && ConditionWidths.Count > 0 == ConditionRows > 0
            && (ConditionCategories.Count == 0 || ConditionCategories.Count == ConditionWidths.Count)
            && ConditionCategories.Zip(ConditionWidths).All(condition => Fits(condition.First, condition.Second));
        sound = sound && (ConditionCaptions.Count == 0 || ConditionCaptions.Count == ConditionWidths.Count)
            && ConditionCaptions.Zip(ConditionWidths).All(condition => condition.First is not { } text || text.Window == condition.Second);
        if (!sound)
            throw new FormatException("The saved model's input is out of range.");
        foreach (CaptionFormat? caption in ConditionCaptions)
            caption?.Check();

        static bool Fits(IReadOnlyList<float>? categories, int width) => categories is null
            || categories.Count == width && categories.All(float.IsFinite) && categories.Distinct().Count() == width;
    }
}

/// <summary>Rows as networks see them: standardised features (B, D), scaled conditions side by side (B, C).</summary>
internal readonly record struct VectorRows<T>(T Features, T? Condition)
    where T : struct, ITensor<T>
{
    /// <summary>What the network makes of the rows, where that has been computed already.</summary>
    public T? Reconstruction { get; init; }

    /// <summary>The features with the conditions behind them, (B, D + C).</summary>
    public T WithCondition => Join(Features);

    /// <summary>Anything of these rows with the conditions behind it, (B, …) → (B, … + C).</summary>
    public T Join(T values) => Condition is { } condition ? T.Concat(1, values, condition) : values;
}

/// <summary>A network whose output says how strange a row is.</summary>
internal interface IScorer
{
    /// <summary>Whether scores are −log p(standardised row), to be turned into the units of the data.</summary>
    bool IsLogLikelihood => false;

    /// <summary>
    /// The score of each row, (B, 1), and if <paramref name="byFeature"/> each feature's part in it, (B, D), which sum
    /// to the score. It is asked for only where the family's options name a column for it.
    /// </summary>
    (T Score, T? ByFeature) Score<T>(Scope<T> w, VectorRows<T> rows, bool byFeature)
        where T : struct, ITensor<T>;
}

/// <summary>A network that gives what it makes of a row.</summary>
internal interface IReconstructor
{
    /// <summary>Standardised rows → standardised rows, (B, D).</summary>
    T Reconstruct<T>(Scope<T> w, VectorRows<T> rows)
        where T : struct, ITensor<T>;
}

/// <summary>A network that makes of a row one of another domain.</summary>
internal interface ITranslator
{
    /// <summary>Standardised rows → standardised rows of the other domain, (B, D).</summary>
    T Translate<T>(Scope<T> w, VectorRows<T> rows)
        where T : struct, ITensor<T>;
}

/// <summary>A network that says where in an image it is strange.</summary>
internal interface IAnomalyMapper
{
    /// <summary>
    /// Images (B, D) → (B, H·W): zero or less where it is no stranger than ordinary images are on the average, one where it
    /// is as strange as hardly any of them is at its strangest place.
    /// </summary>
    T AnomalyMap<T>(Scope<T> w, VectorRows<T> rows)
        where T : struct, ITensor<T>;
}

/// <summary>A network that gives rows latent vectors.</summary>
internal interface IEncoder
{
    /// <summary>Features of a latent vector, Z.</summary>
    int LatentDimension { get; }

    /// <summary>(B, D) → the latent vector, (B, Z), and its standard deviation, (B, Z), where there is one.</summary>
    (T Mean, T? Deviation) Encode<T>(Scope<T> w, VectorRows<T> rows)
        where T : struct, ITensor<T>;
}

/// <summary>A network that says which class rows are of.</summary>
internal interface IClassifier
{
    /// <summary>Rows (B, D) → the probability of each class, (B, K).</summary>
    T Classify<T>(Scope<T> w, VectorRows<T> rows)
        where T : struct, ITensor<T>;
}

/// <summary>A network that makes rows.</summary>
internal interface ISampler
{
    /// <summary>Standard normal numbers that a row is made of; where there are none, what is given in their place counts for nothing.</summary>
    int NormalWidth { get; }

    /// <summary>The first of them, which decide what a row is; the others are for its details.</summary>
    int LatentWidth => NormalWidth;

    /// <summary>Uniform numbers in [0, 1) that a row is made of.</summary>
    int UniformWidth => 0;

    /// <summary>Whether torch alone can make rows, as where a graph of it would be too large.</summary>
    bool SamplesByTorch => false;

    /// <summary>
    /// The tensors, (D), that hold the least and the largest of features of which generated rows have whole numbers
    /// alone; the least is above the largest for others. Null: there are none.
    /// </summary>
    (string Lowest, string Highest)? WholeNumbers => null;

    /// <summary>Normal (B, N) and uniform numbers (B, U), scaled conditions (B, C) → rows (B, D).</summary>
    T Sample<T>(Scope<T> w, T normal, T? uniform, T? condition)
        where T : struct, ITensor<T>;
}

/// <summary>A network whose latent vectors are the first normal numbers that it makes rows of, so that they lead back to rows.</summary>
internal interface ILatentSampler : IEncoder, ISampler;

/// <summary>How rows are generated, as far as that is chosen after training.</summary>
internal interface IRowSampling;

/// <summary>
/// A network that makes rows of styles, one for each of its layers, and so of two rows one that has the styles of either in
/// some layers.
/// </summary>
internal interface IStyleSampler : ISampler
{
    /// <summary>Layers that a style acts on, from the coarsest to the finest, L.</summary>
    int StyleLayers { get; }

    /// <summary>
    /// Normal numbers (B, N) of rows and of others, how much of the others' style each layer has, (B, L), and how much is
    /// left of what styles differ from their mean, (B, 1) → rows (B, D).
    /// </summary>
    T Sample<T>(Scope<T> w, T normal, T other, T share, T truncation, T? condition)
        where T : struct, ITensor<T>;
}

/// <summary>A network that makes rows step by step, each a pass of its own.</summary>
internal interface IDenoiser
{
    /// <summary>How many rows are worth making at once at most.</summary>
    int GeneratedAtOnce { get; }

    /// <summary>
    /// Makes rows, (count × D), of scaled conditions, (count × C), the same for the same seed. Features that
    /// all rows have, (D), are standardised, and NaN where they are free; null where all are. Rows are shown before the first
    /// step and after each.
    /// </summary>
    void Generate(
        Memory<float> rows, ReadOnlyMemory<float> condition, int count, float[]? given, ulong seed,
        DiffusionSampling sampling, PassRunner run, Action? show);

    /// <summary>
    /// The mean of what rows are, (count × D), given some of their features: rows with zeros where they are free, and ones
    /// where they are given; scaled conditions, zeros where they are not known, and ones where they are, (count × 1).
    /// </summary>
    void Expect(
        Memory<float> rows, ReadOnlyMemory<float> isGiven, ReadOnlyMemory<float> condition, ReadOnlyMemory<float> isKnown,
        Memory<float> expected, PassRunner run);
}

/// <summary>Computes a pass, known by its key, over rows: (rows × width) of each input and output.</summary>
internal delegate void PassRunner(
    string key, Func<IForwardPass> pass, ReadOnlyMemory<float>[] inputs, Memory<float>[] outputs);

/// <summary>A network that makes rows of which some features are given.</summary>
internal interface IConditionalSampler
{
    /// <summary>
    /// What fills standardised rows, (any × D), by a seed, given standardised features, (D), NaN where they are free.
    /// </summary>
    FeatureSampler Given(HostWeights weights, float[] features);
}

/// <summary>Fills rows, (any × D), by a seed.</summary>
internal delegate void FeatureSampler(Span<float> rows, ulong seed);

/// <summary>
/// What a loss is computed of: tensors, in training mode unless this is validation; standardised rows (B, D) and scaled
/// conditions (B, C); which update it is for, and where in the run this is.
/// </summary>
internal sealed record VectorStep(
    Scope<TorchTensor> Weights, torch.Tensor Rows, torch.Tensor? Condition, int Update, StepContext Step)
{
    /// <summary>The class of each row, (B, K): one where it is, zeros where it is not known; null without a label.</summary>
    public torch.Tensor? Class { get; init; }

    /// <summary>Which features were missing, (B, D): one where they were, and something stands in their place; null if none is said to be.</summary>
    public torch.Tensor? Missing { get; init; }

    /// <summary>The rows as forward passes take them.</summary>
    public VectorRows<TorchTensor> Inputs => new(Rows, Condition is { } condition ? new TorchTensor(condition) : default(TorchTensor?));
}

/// <summary>
/// A fit without gradients, by passes over the rows: a pass adds up what they say of the model, and its end sets the
/// model by these sums. The training loop reads the rows, reports, stops, and writes checkpoints of the state, as it
/// does where gradients move weights.
/// </summary>
internal interface IClosedFormFit : ITrainable, IDisposable
{
    /// <summary>Adds standardised rows, (B, D), to the sums of this pass; their mean loss so far, a scalar.</summary>
    torch.Tensor Observe(torch.Tensor rows);

    /// <summary>The mean loss of rows, (B, D), that are only looked at, a scalar.</summary>
    torch.Tensor Loss(torch.Tensor rows);

    /// <summary>Sets the model by the sums, which begin anew.</summary>
    void EndPass();

    /// <summary>What the user should know of the model though it was fitted; null: nothing.</summary>
    string? Warning => null;

    /// <summary>Sets the network's own tensors.</summary>
    void CopyTo(HostWeights weights);

    IReadOnlyList<UpdateRule> ITrainable.Updates => [];

    bool ITrainable.LossAddsGradients => true;

    IReadOnlyList<LossTerm> ITrainable.Loss(Batch batch, int update, StepContext step) =>
        [new LossTerm("loss", Observe(batch[0]))];

    IReadOnlyList<LossTerm> ITrainable.ValidationLoss(Batch batch, StepContext step) =>
        [new LossTerm("loss", Loss(batch[0]))];

    void ITrainable.EndEpoch() => EndPass();
}

/// <summary>
/// A family's model of vectors, without weights; what it can do beside training is said by <see cref="IScorer"/>,
/// <see cref="IReconstructor"/>, <see cref="IEncoder"/> and <see cref="ISampler"/>.
/// </summary>
internal abstract class VectorNetwork(VectorInput input) : Network
{
    private const string InputMean = "input_mean", InputScale = "input_scale", InputLimit = "input_limit";
    private const string ConditionMean = "condition_mean", ConditionScale = "condition_scale";

    /// <summary>The name of the tensor that holds the conditions of some training rows, (rows, C), unscaled.</summary>
    public const string ConditionRows = "condition_rows";

    /// <summary>The tensors of the scaler of features: means, scales and limits.</summary>
    public static (string Mean, string Scale, string Limit) FeatureScalerNames => (InputMean, InputScale, InputLimit);

    /// <summary>The tensors of the scaler of conditions, whose limit is the same for all.</summary>
    public static (string Mean, string Scale) ConditionScalerNames => (ConditionMean, ConditionScale);

    /// <summary>
    /// A score that is the sum of its parts, each weighed by <c>part_weight</c>: parts are by feature, (B, D), or sums, (B, 1).
    /// </summary>
    protected static (T Score, T? ByFeature) WeightedSum<T>(Scope<T> w, T[] parts, bool byFeature)
        where T : struct, ITensor<T>
    {
        T sum = parts[0] * w["part_weight"].Slice(0, 0, 1);
        for (int p = 1; p < parts.Length; p++)
            sum += parts[p] * w["part_weight"].Slice(0, p, 1);
        return byFeature ? (sum.Reduce(Reduction.Sum, 1), sum) : (sum, null);
    }

    /// <summary>
    /// Parts of a run, as long as each other, whose learning rate begins anew and reaches such a share of the option's.
    /// </summary>
    public virtual IReadOnlyList<double> Phases => [1];

    /// <summary>What is known of the input.</summary>
    public VectorInput Input => input;

    /// <summary>Eight for each input and output of a dense layer, as measured on wide autoencoders.</summary>
    public override long NumbersPerRow => 8 * Declared().Tensors
        .Where(t => t.Shape.Length is 2 or 3 && t.Name.EndsWith(".weight", StringComparison.Ordinal))
        .Sum(t => (t.Shape.Length == 3 ? t.Shape[0] : 1) * (t.Shape[^1] + t.Shape[^2]));

    /// <summary>The width of the widest layer, by which the number format of products is chosen.</summary>
    public virtual int WidestLayer => 0;

    /// <summary>A network from elsewhere whose features passes are given in the place of rows; null: they are given rows.</summary>
    public virtual BackbonePart? Backbone => null;

    /// <summary>Checks what was loaded with a saved model, beyond sizes.</summary>
    /// <exception cref="FormatException">It is damaged.</exception>
    public virtual void Check(HostWeights weights)
    {
    }

    /// <summary>Whether torch alone can compute what is asked for, as where it takes gradients.</summary>
    public virtual bool RequiresTorch(VectorOutputs wanted) => false;

    /// <summary>The scaler of the features. Default: each by its own mean and deviation.</summary>
    protected virtual VectorScaler ScalerOf(RowStatistics rows) => rows.Scaler;

    /// <summary>Sets, before training, what the layers' own initialisation does not: buffers, biases.</summary>
    public virtual void Initialize(HostWeights weights, RowStatistics rows)
    {
    }

    /// <summary>The terms, weighted, whose sum an update lowers; each a scalar with a gradient.</summary>
    public virtual IReadOnlyList<LossTerm> Loss(VectorStep step) =>
        throw new NotSupportedException($"{GetType().Name} is not trained by gradients.");

    /// <summary>The terms of the loss on held-back rows. Default: those that training lowers.</summary>
    public virtual IReadOnlyList<LossTerm> ValidationLoss(VectorStep step) => Loss(step);

    public sealed override IReadOnlyList<LossTerm> Loss(
        Scope<TorchTensor> w, Batch batch, int update, StepContext step) => Loss(Step(w, batch, update, step));

    public sealed override IReadOnlyList<LossTerm> ValidationLoss(
        Scope<TorchTensor> w, Batch batch, StepContext step) => ValidationLoss(Step(w, batch, 0, step));

    /// <summary>What fits the network without gradients; null where gradients do. The caller disposes it.</summary>
    public virtual IClosedFormFit? BeginClosedForm(RowStatistics rows, torch.Device device) => null;

    /// <summary>
    /// What follows a run of the network's training and reports on it; null: nothing does. The snapshot is the model as
    /// it would be if training ended now, but for <see cref="Calibrate"/>; the caller disposes it.
    /// </summary>
    public virtual TrainingCallback? Follow(
        RowStatistics rows, TrainingData data, torch.Device device, Func<TrainedVector> snapshot) => null;

    /// <summary>
    /// The buffers that <see cref="Calibrate"/> sets by rows that the network was not trained on. Where all rows are
    /// trained on in the end, they become the means of those of models that were trained on parts.
    /// </summary>
    public virtual IReadOnlyList<string> CalibratedTensors => [];

    /// <summary>Learns, after training, what takes a trained network: buffers of the score.</summary>
    public virtual void Calibrate(VectorCalibration calibration)
    {
    }

    /// <summary>Every tensor of a saved model, by its name, with what the core adds to the network's own.</summary>
    public IReadOnlyList<TensorSpec> Tensors()
    {
        LayerSpecs layers = Declared();
        layers.Buffer(InputMean, input.Width);
        layers.Buffer(InputScale, input.Width);
        layers.Buffer(InputLimit, input.Width);
        if (input.ConditionWidth > 0)
        {
            layers.Buffer(ConditionMean, input.ConditionWidth);
            layers.Buffer(ConditionScale, input.ConditionWidth);
            layers.Buffer(ConditionRows, input.ConditionRows, input.ConditionWidth);
        }
        return layers.Tensors;
    }

    /// <summary>The scaler of features, whose numbers are among the weights.</summary>
    public static VectorScaler FeatureScaler(HostWeights weights) =>
        new(weights[InputMean], weights[InputScale], weights[InputLimit]);

    /// <summary>The scaler of conditions; null without conditions.</summary>
    public VectorScaler? ConditionScaler(HostWeights weights) => input.ConditionWidth == 0
        ? null
        : new(
            weights[ConditionMean], weights[ConditionScale],
            [
                .. input.ConditionWidths.SelectMany((width, c) => Enumerable.Repeat(
                    input.ConditionCaptions.ElementAtOrDefault(c) is null ? VectorScaler.Linear : VectorScaler.Largest, width)),
            ]);

    /// <summary>The scaler of each field.</summary>
    public IReadOnlyList<VectorScaler> Scalers(RowStatistics rows) =>
    [
        .. rows.Moments.Select((moments, f) => f == 0 ? ScalerOf(rows)
            : f <= input.ConditionWidths.Count && input.ConditionCaptions.ElementAtOrDefault(f - 1) is { } caption
                ? VectorScaler.Of(new float[caption.Window], 1) // numbers of tokens
            : f <= input.ConditionWidths.Count ? VectorScaler.Of(moments, rows.Samples[f])
            : VectorScaler.Of(new float[moments.Mean.Length], 1)),
    ];

    /// <summary>Sets the scalers, and the conditions that are stored, by what was seen of the rows.</summary>
    public void SetScales(HostWeights weights, RowStatistics rows)
    {
        IReadOnlyList<VectorScaler> scalers = Scalers(rows);
        scalers[0].CopyTo(weights[InputMean], weights[InputScale], weights[InputLimit]);
        int at = 0;
        for (int c = 0; c < input.ConditionWidths.Count; c++)
        {
            int width = input.ConditionWidths[c];
            scalers[c + 1].CopyTo(
                weights[ConditionMean].AsSpan(at, width), weights[ConditionScale].AsSpan(at, width), new float[width]);
            float[] sample = rows.Samples[c + 1].ToArray();
            for (int row = 0; row < input.ConditionRows; row++)
            {
                sample.AsSpan(row * width, width).CopyTo(
                    weights[ConditionRows].AsSpan(row * input.ConditionWidth + at, width));
            }
            at += width;
        }
    }

    // All fields but the first are conditions, side by side: (B, C); but for a class, and what is missing, which are last.
    private VectorStep Step(Scope<TorchTensor> w, Batch batch, int update, StepContext step)
    {
        torch.Tensor? condition = input.ConditionWidths.Count switch
        {
            0 => null,
            1 => batch[1],
            int count => torch.cat([.. batch.Fields.Skip(1).Take(count)], 1),
        };
        int next = 1 + input.ConditionWidths.Count;
        return new(w, batch[0], condition, update, step)
        {
            Class = input.Classes > 0 ? batch[next++] : null,
            Missing = next < batch.Fields.Count ? batch[next] : null,
        };
    }
}
