using TorchSharp;

namespace GenerativeML;

/// <summary>
/// A fit of a mixture by expectation maximisation (Dempster 1977), in double: each pass over all rows adds up what they
/// say of the parts that they are likely to be of, and its end sets the model by these sums. The training loop reads the
/// rows, batch by batch; it reports, stops, and writes checkpoints of model and sums, as it does where gradients move
/// weights.
/// </summary>
internal abstract class VectorPasses : ITrainable, IDisposable
{
    private const double None = 1e30; // more than any loss, and yet finite
    private const int FirstPasses = 10; // of each start, before the best goes on

    private readonly List<(string Name, torch.Tensor Value)> _state = [];
    private readonly List<torch.Tensor> _sums = [];
    private readonly torch.Tensor _losses; // of this pass the sum and its rows; of the last the mean and how it fell
    private readonly double _tolerance;

    /// <summary>A fit that ends when the mean loss falls by less than a tolerance; zero: never.</summary>
    protected VectorPasses(VectorNetwork network, RowStatistics rows, double tolerance, torch.Device device)
    {
        (_tolerance, Device) = (tolerance, device);
        double[] varying = new double[rows.Input.Width];
        Array.Fill(varying, 1);
        foreach (int j in rows.Scaler.Constants)
            varying[j] = 0;
        Varying = torch.tensor(varying, device: device).DetachFromDisposeScope();
        Model = network.Declared().Tensors.ToDictionary(s => s.Name, s => Zeros(s.Name, s.Shape.ToArray()));
        _losses = Zeros("losses", 4);
        Restart();
    }

    public IReadOnlyList<(string Name, torch.Tensor Value)> State => _state;

    public IReadOnlyList<UpdateRule> Updates => [];

    public bool LossAddsGradients => true;

    public bool IsSettled => _tolerance > 0 && LossAt(3) < _tolerance;

    /// <summary>The mean loss of the last pass's rows, before its end set the model.</summary>
    public double MeanLoss => LossAt(2);

    protected torch.Device Device { get; }

    /// <summary>One where a feature varies, zero where it is constant, (D).</summary>
    protected torch.Tensor Varying { get; }

    /// <summary>The tensors that the network declares, among them the parts' <c>means</c> (K, D).</summary>
    protected IReadOnlyDictionary<string, torch.Tensor> Model { get; }

    /// <summary>A sample of the rows, standardised, (count, D).</summary>
    public static torch.Tensor Sample(RowStatistics rows, torch.Device device)
    {
        float[] sample = rows.Samples[0].ToArray();
        rows.Scaler.Apply(sample, sample);
        using torch.Tensor single = HostTensors.FromRows(sample, rows.Samples[0].Count, rows.Input.Width, device);
        return single.to(torch.ScalarType.Float64);
    }

    public IReadOnlyList<LossTerm> Loss(Batch batch, int update, StepContext step) => Pass(batch[0], learn: true);

    public IReadOnlyList<LossTerm> ValidationLoss(Batch batch, StepContext step) => Pass(batch[0], learn: false);

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

    /// <summary>The likeliest of several starts on a sample; the others are disposed.</summary>
    protected static T Best<T>(int starts, Func<int, T> start, CancellationToken cancellation)
        where T : VectorPasses
    {
        T? best = null;
        for (int s = 0; s < starts; s++)
        {
            cancellation.ThrowIfCancellationRequested();
            T next = start(s);
            bool isBetter = best is null || next.MeanLoss < best.MeanLoss;
            (isBetter ? best : next)?.Dispose();
            best = isBetter ? next : best;
        }
        best!.Restart();
        return best;
    }

    /// <summary>The number of parts that BIC (Schwarz 1978) prefers, by fits and their free numbers.</summary>
    protected static int ChooseParts(int most, int rows, Func<int, (VectorPasses Fit, int Parameters)> fit)
    {
        (int best, double least) = (1, double.PositiveInfinity);
        // Two more in turn that are not worth their parameters: the rest will not be, either.
        for (int k = 1; k <= Math.Min(most, rows) && k <= best + 2; k++)
        {
            (VectorPasses passes, int parameters) = fit(k);
            double bic = parameters * Math.Log(rows) + 2 * rows * passes.MeanLoss;
            passes.Dispose();
            if (bic < least)
                (least, best) = (bic, k);
        }
        return best;
    }

    /// <summary>
    /// Begins on a sample (N, D) by what lies nearest to K rows that lie apart, by k-means++ (Arthur 2007): each is drawn
    /// by its squared distance from those before.
    /// </summary>
    protected void Begin(torch.Tensor sample, SplitMix64 random, int batchSize)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        torch.Tensor distances = torch.full(
            [sample.shape[0]], double.PositiveInfinity, torch.ScalarType.Float64, sample.device);
        torch.Tensor nearest = torch.zeros([sample.shape[0]], torch.ScalarType.Int64, sample.device);
        int parts = (int)Model["means"].shape[0];
        for (int k = 0; k < parts; k++)
        {
            double[] ends = [.. (k == 0 ? torch.ones_like(distances) : distances).cumsum(0).cpu().data<double>()];
            double until = random.NextDouble() * ends[^1];
            torch.Tensor centre = sample[Math.Max(0, Array.FindIndex(ends, end => end > until))];
            torch.Tensor own = sample.Minus(centre).Squared().sum(1);
            nearest = torch.where(own.lt(distances), torch.full_like(nearest, k), nearest);
            distances = distances.minimum(own);
            Model["means"][k].copy_(centre);
        }
        foreach ((torch.Tensor rows, torch.Tensor part) in sample.split(batchSize).Zip(nearest.split(batchSize)))
            Add(rows, torch.nn.functional.one_hot(part, parts).to(torch.ScalarType.Float64));
        EndEpoch();
        Restart();
        Iterate(sample, FirstPasses, batchSize);
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

    public void Dispose()
    {
        Varying.Dispose();
        _state.ForEach(t => t.Value.Dispose());
    }

    /// <summary>The logarithm of each part's share times the density of rows in it: (B, D) → (B, K).</summary>
    protected abstract TorchTensor Joint(torch.Tensor rows);

    /// <summary>Adds rows (B, D) to the sums, with what each counts for each part, (B, K).</summary>
    protected abstract void Add(TorchTensor rows, TorchTensor share);

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
        rows = rows.to(torch.ScalarType.Float64);
        TorchTensor joint = Joint(rows);
        torch.Tensor losses = -joint.LogSumExp(1);
        if (learn)
        {
            Add(rows, joint.Softmax());
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
