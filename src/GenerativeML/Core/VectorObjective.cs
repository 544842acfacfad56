using System.Text.Json;
using TorchSharp;

namespace GenerativeML;

/// <summary>What the training loop does with a network of vectors.</summary>
internal sealed class VectorObjective : ITrainable
{
    private readonly VectorNetwork _network;
    private readonly TorchLayers _layers;
    private readonly Dictionary<string, torch.Tensor> _kept; // the tensors of the model: means where there are any
    private readonly (torch.Tensor Mean, torch.Tensor Value)[] _averaged;
    private readonly double _decay;
    private readonly bool _bfloat16;
    private readonly VectorFollower? _follower;
    private readonly TorchOps _validation;
    private TorchOps? _training;

    /// <summary>Training of layers, with a running mean of a part of them, which an update keeps so much of.</summary>
    public VectorObjective(
        VectorNetwork network, TorchLayers layers, TorchLayers? average, double decay, bool bfloat16,
        VectorFollower? follower)
    {
        (_network, _layers, _decay, _bfloat16, _follower) = (network, layers, decay, bfloat16, follower);
        _kept = new(layers.Tensors);
        _averaged = [.. average?.Tensors.Select(mean => (mean.Value, layers.Tensors[mean.Key])) ?? []];
        foreach ((string name, torch.Tensor mean) in average?.Named("") ?? [])
            _kept[name] = mean;
        _validation = new TorchOps(_kept);
        Updates = network.Updates(layers);
        State = [.. layers.Named("network."), .. average?.Named("average.") ?? [], .. follower?.State ?? []];
    }

    public IReadOnlyList<(string Name, torch.Tensor Value)> State { get; }

    public IReadOnlyList<UpdateRule> Updates { get; }

    public bool WatchesValidation => _network.UsesValidationLoss;

    public IReadOnlyList<LossTerm> Loss(Batch batch, int update, StepContext step)
    {
        _training ??= new TorchOps(_layers.Tensors) { Random = step.Random, BFloat16 = _bfloat16 };
        IReadOnlyList<LossTerm> terms = _network.Loss(new(_training.Root, batch[0], Condition(batch), update, step));
        _follower?.AfterLoss(update, terms);
        return terms;
    }

    public IReadOnlyList<LossTerm> ValidationLoss(Batch batch, StepContext step) =>
        _network.ValidationLoss(new(_validation.Root, batch[0], Condition(batch), 0, step));

    public void AfterUpdate(int update, StepContext step)
    {
        _network.AfterUpdate(_layers, update, step);
        if (update == Updates.Count - 1)
            WeightAverage.Update(_averaged, _decay, step.Step / Updates[update].Every);
        _follower?.AfterUpdate(update, Updates[update], step);
    }

    /// <summary>The weights to keep; what the network's layers have not is that of <paramref name="start"/>.</summary>
    public HostWeights Result(HostWeights start)
    {
        var trained = new HostWeights(start.Specs.Where(spec => _kept.ContainsKey(spec.Name)));
        foreach (TensorSpec spec in trained.Specs)
            HostTensors.CopyTo(_kept[spec.Name], trained[spec.Name]);
        return start.With(trained, spec => trained.Find(spec.Name));
    }

    // All fields but the first, side by side: (B, C).
    private static torch.Tensor? Condition(Batch batch) => batch.Fields.Count switch
    {
        1 => null,
        2 => batch[1],
        _ => torch.cat([.. batch.Fields.Skip(1)], 1),
    };
}

/// <summary>Follows a run of training, and keeps what is to be known of it beside the weights.</summary>
internal abstract class VectorFollower
{
    /// <summary>Tensors that are part of checkpoints, so that a resumed run knows of all of it.</summary>
    public abstract IReadOnlyList<(string Name, torch.Tensor Value)> State { get; }

    /// <summary>Called when an update's loss has been computed.</summary>
    public abstract void AfterLoss(int update, IReadOnlyList<LossTerm> terms);

    /// <summary>Called when an update has moved its parameters, whose gradients are still there.</summary>
    public abstract void AfterUpdate(int update, UpdateRule rule, StepContext step);

    /// <summary>Called after training: what is saved with the model, see <see cref="VectorModelState.Extra"/>.</summary>
    public abstract JsonElement Finish();
}
