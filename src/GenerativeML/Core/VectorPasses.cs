using TorchSharp;

namespace GenerativeML;

/// <summary>
/// A fit by passes over all rows, in double: each adds up what rows say, and its end sets the model by these sums. The
/// training loop reads the rows, batch by batch; it reports, stops, and writes checkpoints of model and sums, as it does
/// where gradients move weights.
/// </summary>
internal abstract class VectorPasses : ITrainable, IDisposable
{
    private const double None = 1e30; // more than any loss, and yet finite

    private readonly List<(string Name, torch.Tensor Value)> _state = [];
    private readonly List<torch.Tensor> _sums = [];
    private readonly torch.Tensor _losses; // of this pass the sum and its rows; of the last the mean and how it fell
    private readonly double _tolerance;

    /// <param name="network">Whose tensors are set.</param>
    /// <param name="tolerance">The fit ends when the mean loss falls by less; zero: never.</param>
    /// <param name="device">Where to compute.</param>
    protected VectorPasses(VectorNetwork network, double tolerance, torch.Device device)
    {
        (_tolerance, Device) = (tolerance, device);
        Model = network.Declared().Tensors.ToDictionary(spec => spec.Name, spec => Zeros(spec.Name, spec.Shape.ToArray()));
        _losses = Zeros("losses", 4);
        Restart();
    }

    /// <inheritdoc />
    public IReadOnlyList<(string Name, torch.Tensor Value)> State => _state;

    /// <inheritdoc />
    public IReadOnlyList<UpdateRule> Updates => [];

    /// <inheritdoc />
    public bool IsSettled => _tolerance > 0 && LossAt(3) < _tolerance;

    /// <summary>The mean loss of the last pass's rows, before its end set the model.</summary>
    public double MeanLoss => LossAt(2);

    /// <summary>Where to compute.</summary>
    protected torch.Device Device { get; }

    /// <summary>The tensors that the network declares.</summary>
    protected IReadOnlyDictionary<string, torch.Tensor> Model { get; }

    /// <summary>A sample of the rows, standardised, (count, D).</summary>
    public static torch.Tensor Sample(RowStatistics rows, torch.Device device)
    {
        float[] sample = rows.Samples[0].ToArray();
        rows.Scaler.Apply(sample, sample);
        using torch.Tensor single = HostTensors.FromRows(sample, rows.Samples[0].Count, rows.Input.Width, device);
        return single.to(torch.ScalarType.Float64);
    }

    /// <inheritdoc />
    public IReadOnlyList<LossTerm> Loss(Batch batch, int update, StepContext step) => Pass(batch[0], learn: true);

    /// <inheritdoc />
    public IReadOnlyList<LossTerm> ValidationLoss(Batch batch, StepContext step) => Pass(batch[0], learn: false);

    /// <inheritdoc />
    public void Backward(IReadOnlyList<LossTerm> terms, StepContext step)
    {
    }

    /// <inheritdoc />
    public void EndEpoch()
    {
        using DisposeScope scope = torch.NewDisposeScope();
        double mean = LossAt(0) / LossAt(1);
        _losses.copy_(torch.tensor([0, 0, mean, MeanLoss - mean]));
        Update();
        foreach (torch.Tensor sum in _sums)
            sum.Fill(0);
    }

    /// <summary>Passes over a few rows, to begin with.</summary>
    public void Iterate(torch.Tensor rows, int passes, int batchSize)
    {
        for (int i = 0; i < passes && !IsSettled; i++)
        {
            using DisposeScope scope = torch.NewDisposeScope();
            foreach (torch.Tensor part in rows.split(batchSize))
                Pass(part, learn: true);
            EndEpoch();
        }
    }

    /// <summary>Forgets earlier losses, since other rows follow.</summary>
    public void Restart()
    {
        using torch.Tensor none = torch.tensor([0, 0, None, None]);
        _losses.copy_(none);
    }

    /// <summary>Sets the model's tensors, which are all zero but for the scales.</summary>
    public void Finish(HostWeights weights)
    {
        foreach ((string name, torch.Tensor value) in Model)
        {
            using torch.Tensor single = value.to(torch.ScalarType.Float32);
            HostTensors.CopyTo(single, weights[name]);
        }
    }

    public void Dispose() => _state.ForEach(t => t.Value.Dispose());

    /// <summary>The losses of rows (B, D), one each; adds to the sums if the model is to learn from them.</summary>
    protected abstract torch.Tensor Losses(torch.Tensor rows, bool learn);

    /// <summary>Sets the model by the sums.</summary>
    protected abstract void Update();

    /// <summary>Something that a pass adds up, zero at its begin.</summary>
    protected torch.Tensor Sum(string name, params long[] shape)
    {
        _sums.Add(Zeros(name, shape));
        return _sums[^1];
    }

    private torch.Tensor Zeros(string name, params long[] shape)
    {
        torch.Tensor value = torch.zeros(shape, torch.ScalarType.Float64, Device).DetachFromDisposeScope();
        _state.Add((name, value));
        return value;
    }

    private LossTerm[] Pass(torch.Tensor rows, bool learn)
    {
        using IDisposable noGradient = torch.no_grad();
        torch.Tensor losses = Losses(rows.to(torch.ScalarType.Float64), learn);
        if (learn)
        {
            _losses[0].Add(losses.sum());
            _losses[1].Add(rows.shape[0]);
        }
        return [new("loss", losses.mean().to(torch.ScalarType.Float32))];
    }

    private double LossAt(int place)
    {
        using torch.Tensor one = _losses[place];
        return one.item<double>();
    }
}
