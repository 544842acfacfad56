using System.Text.Json;
using TorchSharp;

namespace GenerativeML;

/// <summary>
/// A family's network, without weights: which tensors it has and what training minimises. It is made of options and
/// what is known of the input alone, so that models load, and say what they give, without torch.
/// </summary>
internal abstract class Network
{
    /// <summary>How often a row passes through the largest layer in a step: its positions.</summary>
    public virtual int PositionsPerRow => 1;

    /// <summary>About how many numbers a step holds for each row of a batch; zero where weights count alone.</summary>
    public virtual long NumbersPerRow => 0;

    /// <summary>Whether a lower validation loss means better weights.</summary>
    public virtual bool UsesValidationLoss => true;

    /// <summary>The axis along which rows are while training: the second where networks are side by side, (M, B, …).</summary>
    public virtual int RowAxis => 0;

    /// <summary>Rows of a batch that the loss looks at together.</summary>
    public virtual int RowsTogether => 1;

    /// <summary>Whether the loss takes totals of all processes (<see cref="StepContext.Total"/>), each of which then needs rows.</summary>
    public virtual bool TakesTotals => false;

    /// <summary>Whether the loss of a step is the sum of those of parts of its rows.</summary>
    public virtual bool IsComputedInParts => !TakesTotals;

    /// <summary>The tensors that hold something of each row of a batch from one step to the next, by their second axis.</summary>
    public virtual IReadOnlyList<string> RowStates => [];

    /// <summary>Whether the loss adds its gradients itself, in parts that need less memory.</summary>
    public virtual bool LossAddsGradients => false;

    /// <summary>
    /// Whether all stays in bfloat16 between products that are computed in it: half the memory to read and write, where
    /// that is what most of the time goes to.
    /// </summary>
    public virtual bool StaysInBFloat16 => false;

    /// <summary>How the names of the tensors begin of which mean weights are kept; empty for all.</summary>
    public virtual string AveragedPart => "";

    /// <summary>Names all tensors that training needs, layer by layer.</summary>
    public abstract void Declare(Layers layers);

    /// <summary>The updates of a step. Default: one, of all parameters.</summary>
    public virtual IReadOnlyList<UpdateRule> Updates(TorchLayers layers) =>
        [new UpdateRule("all", layers.Parameters())];

    /// <summary>The terms, weighted, whose sum an update lowers on a batch; each a scalar with a gradient.</summary>
    public abstract IReadOnlyList<LossTerm> Loss(Scope<TorchTensor> w, Batch batch, int update, StepContext step);

    /// <summary>The terms of the loss on held-back rows. Default: those that training lowers.</summary>
    public virtual IReadOnlyList<LossTerm> ValidationLoss(Scope<TorchTensor> w, Batch batch, StepContext step) =>
        Loss(w, batch, 0, step);

    /// <summary>Called after an update has moved its parameters, without gradient.</summary>
    public virtual void AfterUpdate(TorchLayers layers, int update, StepContext step)
    {
    }

    /// <summary>The tensors that the network declares.</summary>
    public LayerSpecs Declared()
    {
        var layers = new LayerSpecs();
        Declare(layers);
        return layers;
    }
}

/// <summary>What the training loop does with a network: its layers, and means of a part of them.</summary>
internal sealed class NetworkObjective : ITrainable
{
    private readonly Network _network;
    private readonly TorchLayers _layers;
    private readonly Dictionary<string, torch.Tensor> _kept; // the tensors of the model: means where there are any
    private readonly (torch.Tensor Mean, torch.Tensor Value)[] _averaged;
    private readonly double _decay;
    private readonly bool _bfloat16;
    private readonly TrainingCallback? _callback;
    private readonly TorchOps _validation;
    private TorchOps? _training;

    /// <summary>Training of layers, with a running mean of a part of them, which an update keeps so much of.</summary>
    public NetworkObjective(
        Network network, TorchLayers layers, TorchLayers? average = null, double decay = 0, bool bfloat16 = false,
        TrainingCallback? callback = null)
    {
        (_network, _layers, _decay, _bfloat16, _callback) = (network, layers, decay, bfloat16, callback);
        _kept = new(layers.Tensors);
        _averaged = [.. average?.Tensors.Select(mean => (mean.Value, layers.Tensors[mean.Key])) ?? []];
        foreach ((string name, torch.Tensor mean) in average?.Named("") ?? [])
            _kept[name] = mean;
        _validation = new TorchOps(_kept);
        Updates = network.Updates(layers);
        State = [.. layers.Named("network."), .. average?.Named("average.") ?? [], .. callback?.State ?? []];
    }

    public IReadOnlyList<(string Name, torch.Tensor Value)> State { get; }

    public IReadOnlyList<UpdateRule> Updates { get; }

    public int PositionsPerRow => _network.PositionsPerRow;

    public int RowsTogether => _network.RowsTogether;

    public bool TakesTotals => _network.TakesTotals;

    public bool IsComputedInParts => _network.IsComputedInParts;

    public IReadOnlyList<torch.Tensor> RowStates => [.. _network.RowStates.Select(name => _layers.Tensors[name])];

    public bool WatchesValidation => _network.UsesValidationLoss;

    public bool LossAddsGradients => _network.LossAddsGradients;

    public IReadOnlyList<LossTerm> Loss(Batch batch, int update, StepContext step)
    {
        _training ??= new TorchOps(_layers.Tensors)
        {
            Random = step.Random, RowAxis = _network.RowAxis, BFloat16 = _bfloat16, StaysInBFloat16 = _network.StaysInBFloat16,
        };
        IReadOnlyList<LossTerm> terms = _network.Loss(_training.Root, batch, update, step);
        _callback?.AfterLoss(update, terms);
        return terms;
    }

    // What counts is what will be kept: the mean weights.
    public IReadOnlyList<LossTerm> ValidationLoss(Batch batch, StepContext step) =>
        _network.ValidationLoss(_validation.Root, batch, step);

    public void AfterUpdate(int update, StepContext step)
    {
        _network.AfterUpdate(_layers, update, step);
        if (update == Updates.Count - 1)
            WeightAverage.Update(_averaged, _decay, step.Step / Updates[update].Every);
        _callback?.AfterUpdate(update, Updates[update], step);
    }

    /// <summary>The tensors of the model as they are now; those that are no layers are among others.</summary>
    public HostWeights Result(IEnumerable<TensorSpec> tensors, HostWeights others)
    {
        return HostWeights.Of(tensors.Select(spec => (spec, Values(spec.Name))));

        float[] Values(string name)
        {
            if (!_kept.TryGetValue(name, out torch.Tensor? value))
                return others[name];
            float[] values = new float[value.numel()];
            HostTensors.CopyTo(value, values);
            return values;
        }
    }
}

/// <summary>Trains networks, whatever their rows are.</summary>
internal static class NetworkFit
{
    /// <summary>
    /// Trains a network, and returns the weights that it ends with: the tensors of the model, of which those that are
    /// no layers stay as <paramref name="initialize"/> sets them. <paramref name="follow"/> makes what follows the run,
    /// and is given what copies the weights as they are then.
    /// </summary>
    public static HostWeights Run(
        Network network, IReadOnlyList<TensorSpec> tensors, Action<HostWeights> initialize, TrainingData data,
        TrainingRun run, torch.Device device, bool bfloat16 = false,
        Func<Func<HostWeights>, TrainingCallback?>? follow = null)
    {
        if (device.type == TorchSharp.DeviceType.CPU)
            CheckMemory(network, run.BatchSize, run.Options, GC.GetGCMemoryInfo().TotalAvailableMemoryBytes);
        using var layers = new TorchLayers(network.Declare, device, InitialSeed(run.Context));
        HostWeights others = Initialize(layers, tensors, initialize);
        double decay = run.Options.WeightAverageDecay;
        using TorchLayers? average = decay > 0 ? layers.Copy(network.AveragedPart) : null;
        NetworkObjective? objective = null;
        TrainingCallback? callback = follow?.Invoke(() => objective!.Result(tensors, others));
        objective = new(network, layers, average, decay, bfloat16, callback);
        TrainingLoop.Run(objective, data, run, device);
        return objective.Result(tensors, others);
    }

    /// <summary>
    /// Checks what training takes at least against the memory that this process may use: four bytes for a weight, its
    /// gradient, two moments of that, which <see cref="DistributedOptions.ShardOptimizer"/> divides, and the copy that is returned, two more for a mean and for the best epoch's where
    /// these are kept, and what each row of a batch takes.
    /// </summary>
    /// <exception cref="InvalidOperationException">It is more; or a tensor is larger than any can be.</exception>
    public static void CheckMemory(Network network, int batchSize, TrainingOptions options, long available)
    {
        IReadOnlyList<TensorSpec> tensors = network.Declared().Tensors;
        TensorSpec largest = tensors.MaxBy(t => t.Length)!;
        int processes = options.Distributed is { ShardOptimizer: true } distributed ? distributed.Connect()?.Size ?? 1 : 1;
        double copies = 3 + 2.0 / processes + (options.WeightAverageDecay > 0 ? 1 : 0) + (options.ValidationFraction > 0 ? 1 : 0);
        double weights = tensors.Sum(t => t.Length / (double)sizeof(float));
        double bytes = sizeof(float) * (copies * weights + options.AtOnce(batchSize) * (double)network.NumbersPerRow);
        if (bytes <= available && largest.Length / sizeof(float) <= Array.MaxLength)
            return;
        throw new InvalidOperationException(FormattableString.Invariant(
            $"The network has {weights:N0} weights, of which '{largest.Name}' has {string.Join(" × ", largest.Shape.ToArray())}. To train it on {options.AtOnce(batchSize)} rows at a time takes {bytes / 1e9:N1} GB at least, and this process has {available / 1e9:N1} GB; a tensor can have {Array.MaxLength:N0} elements. Use narrower layers, fewer features, a smaller option {nameof(options.BatchSize)}, or parts of it by {nameof(options.GradientAccumulation)}."));
    }

    /// <summary>What initial weights are drawn by.</summary>
    public static ulong InitialSeed(TrainingContext context) =>
        SplitMix64.Derive(context.Seed, RandomPurpose.Initialization);

    // What is no layer is given back; a second copy of the layers should not stay in memory.
    private static HostWeights Initialize(
        TorchLayers layers, IReadOnlyList<TensorSpec> tensors, Action<HostWeights> initialize)
    {
        HostWeights weights = layers.ToHost(tensors);
        initialize(weights);
        layers.LoadStateDict(weights);
        return weights.Select(spec => layers.Tensors.ContainsKey(spec.Name) ? null : spec);
    }
}

/// <summary>Follows a run of training, and may keep what is to be known of it beside the weights.</summary>
internal abstract class TrainingCallback
{
    /// <summary>Tensors that are part of checkpoints, so that a resumed run knows of all of it.</summary>
    public virtual IReadOnlyList<(string Name, torch.Tensor Value)> State => [];

    /// <summary>Called when an update's loss has been computed.</summary>
    public virtual void AfterLoss(int update, IReadOnlyList<LossTerm> terms)
    {
    }

    /// <summary>Called when an update has moved its parameters, whose gradients are still there; or where
    /// <see cref="StepContext.GradientNorm"/> is not null, some of them.</summary>
    public abstract void AfterUpdate(int update, UpdateRule rule, StepContext step);

    /// <summary>Called after training: what is saved with the model, if anything.</summary>
    public virtual JsonElement? Finish() => null;
}
