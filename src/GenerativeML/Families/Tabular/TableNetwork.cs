using TorchSharp;

namespace GenerativeML;

/// <summary>
/// A family's model of tables, without weights: which tensors it has, what training minimises, how rows of tokens are
/// drawn. It is made of options and tokens alone, so that models load, and say what they generate, without torch.
/// </summary>
internal abstract class TableNetwork(TokenTable tokens)
{
    // What is added to the shares of tokens that a condition limits, so that no row is without any.
    private const float MinShare = 1e-9f;

    /// <summary>The tokens of the table's columns.</summary>
    public TokenTable Tokens => tokens;

    /// <summary>How often a row passes through the largest layer in a step.</summary>
    public virtual int PositionsPerRow => 1;

    /// <summary>Whether a lower validation loss means better weights.</summary>
    public virtual bool UsesValidationLoss => true;

    /// <summary>Names all tensors that training needs.</summary>
    public abstract void Declare(Layers layers);

    /// <summary>Names those of them whose running mean is kept while training, with all that generates.</summary>
    public virtual void DeclareAverage(Layers layers) => Declare(layers);

    /// <summary>Names the tensors of a trained model.</summary>
    public abstract void DeclareTrained(Layers layers);

    /// <summary>Sets, before training, what the layers' own initialisation does not.</summary>
    public abstract void Initialize(HostWeights weights, ulong seed);

    /// <summary>The updates of a step.</summary>
    public abstract IReadOnlyList<UpdateRule> Updates(TorchLayers layers);

    /// <summary>The terms, weighted, whose sum an update lowers; each a scalar with a gradient.</summary>
    public abstract IReadOnlyList<LossTerm> Loss(
        Scope<TorchTensor> w, Batch batch, int update, StepContext step);

    /// <summary>The terms of the loss on held-back rows.</summary>
    public virtual IReadOnlyList<LossTerm> ValidationLoss(Scope<TorchTensor> w, Batch batch, StepContext step) => [];

    /// <summary>The tensors of a trained model, of the mean weights that training ended with.</summary>
    public virtual HostWeights Trained(HostWeights average) => average;

    /// <summary>Draws rows of tokens.</summary>
    /// <param name="run">Computes passes with the trained weights.</param>
    /// <param name="values">What each position's tokens stand for, and which are allowed.</param>
    /// <param name="random">Each row's random numbers.</param>
    /// <returns>
    /// The tokens, (rows × positions), and the offsets of the positions that have one, (rows × offsets).
    /// </returns>
    public abstract (float[] Tokens, float[] Offsets) Draw(
        RunPass run, IReadOnlyList<TokenValues> values, SplitMix64[] random);

    /// <summary>All tensors that a declaration names.</summary>
    public static IReadOnlyList<TensorSpec> Specs(Action<Layers> declare)
    {
        var specs = new LayerSpecs();
        declare(specs);
        return specs.Tensors;
    }

    /// <summary>
    /// Draws a position's tokens by their logits, (B, n), and uniform numbers, (B, 1), of those that a condition
    /// leaves: the tokens, and what is left of their shares, both (B, 1).
    /// </summary>
    /// <param name="w">Gives constants.</param>
    /// <param name="position">The position.</param>
    /// <param name="logits">Of the position's tokens.</param>
    /// <param name="uniform">Of <see cref="FillUniform"/>.</param>
    /// <param name="allowed">The share of each token's values that is allowed, of all positions; null: all are.</param>
    protected (T Token, T Sum) Choose<T>(Scope<T> w, int position, T logits, T uniform, T? allowed)
        where T : struct, ITensor<T>
    {
        T share = logits.Softmax();
        if (allowed is { } some)
            share = (share + MinShare) * some.Slice(1, tokens.Starts[position], tokens.Counts[position]);
        T upTo = share.CumulativeSum(1), sum = upTo.Slice(1, -1, 1);
        // As many as the point is not below: what has no share adds nothing, and is passed over.
        T passed = T.IfLess(uniform * sum, upTo, w.Constant(0), w.Constant(1));
        return (passed.Reduce(Reduction.Sum, 1).Clamp(0, tokens.Counts[position] - 1), sum);
    }

    /// <summary>
    /// Uniform numbers in [0, 1) of so few bits that the product with one is less than the other factor in Single.
    /// </summary>
    protected static void FillUniform(ref SplitMix64 random, Span<float> values)
    {
        foreach (ref float value in values)
            value = (random.Next() >> 41) * (1f / (1 << 23));
    }

    /// <summary>Normal numbers, the same whatever else is drawn with them.</summary>
    protected static void FillNormal(Span<float> values, ulong seed, double deviation)
    {
        var random = new SplitMix64(seed);
        NormalNumbers.Fill(ref random, values);
        foreach (ref float value in values)
            value = (float)(value * deviation);
    }
}

/// <summary>Computes a forward pass over rows; the key says which pass it is.</summary>
internal delegate void RunPass(
    string key, Func<IForwardPass> pass, int rows, ReadOnlyMemory<float>[] values, params Memory<float>[] results);

/// <summary>What the training loop does with a network of tables.</summary>
internal sealed class TableObjective : ITrainable
{
    private readonly TableNetwork _network;
    private readonly IReadOnlyDictionary<string, torch.Tensor> _moving, _mean;
    private readonly double _decay;

    public TableObjective(TableNetwork network, TorchLayers layers, TorchLayers average, double decay)
    {
        _network = network;
        (_moving, _mean, _decay) = (layers.Tensors, average.Tensors, decay);
        Updates = network.Updates(layers);
        State = [.. layers.Named("network."), .. average.Named("average.")];
    }

    public IReadOnlyList<(string Name, torch.Tensor Value)> State { get; }

    public int PositionsPerRow => _network.PositionsPerRow;

    public IReadOnlyList<UpdateRule> Updates { get; }

    public bool WatchesValidation => _network.UsesValidationLoss;

    public IReadOnlyList<LossTerm> Loss(Batch batch, int update, StepContext step) =>
        _network.Loss(new TorchOps(_moving) { Random = step.Random }.Root, batch, update, step);

    /// <inheritdoc/>
    /// <remarks>What counts is what will be kept: the mean weights.</remarks>
    public IReadOnlyList<LossTerm> ValidationLoss(Batch batch, StepContext step) =>
        _network.ValidationLoss(new TorchOps(_mean).Root, batch, step);

    public void AfterUpdate(int update, StepContext step)
    {
        if (update < Updates.Count - 1)
            return;
        // The first updates move the mean faster, so that it soon forgets where it began.
        long count = step.Step / Updates[update].Every;
        double kept = Math.Min(_decay, (1.0 + count) / (10.0 + count));
        using IDisposable noGradient = torch.no_grad();
        foreach ((string name, torch.Tensor mean) in _mean)
            mean.Scale(kept).Add(_moving[name], 1 - kept);
    }
}
