using TorchSharp;
using static TorchSharp.torch;

namespace GenerativeML;

/// <summary>
/// Expectation maximisation (Dempster 1977): rows count for components by how likely they are of them. What is added up
/// are deviations from the last means, so that squares do not cancel.
/// </summary>
internal sealed class GaussianMixtureFit : VectorPasses
{
    private const int FirstPasses = 10, SamplePasses = 100; // of each start, before the best goes on; to count components

    private readonly GaussianMixtureOptions _options;
    private readonly GaussianMixtureNetwork _network;
    private readonly Tensor _varying; // (D): zero where a feature is constant
    private readonly Tensor _rows, _sums, _squares; // (K), (K, D), (K, D, D) or (K, D)

    private GaussianMixtureFit(
        GaussianMixtureOptions options, GaussianMixtureNetwork network, RowStatistics rows, torch.Device device)
        : base(network, options.Tolerance, device)
    {
        (_options, _network) = (options, network);
        int k = options.Components!.Value, d = rows.Input.Width;
        _varying = tensor([.. rows.Moments[0].Deviation.Select(s => s > 0 ? 1.0 : 0)], device: device);
        (_rows, _sums) = (Sum("rows", k), Sum("sums", k, d));
        _squares = network.HasMatrices ? Sum("squares", k, d, d) : Sum("squares", k, d);
    }

    /// <summary>The likeliest of several starts, on a sample of the rows.</summary>
    public static GaussianMixtureFit Start(GaussianMixtureOptions options, RowStatistics rows, Tensor sample)
    {
        var network = new GaussianMixtureNetwork(options, rows.Input);
        GaussianMixtureFit? best = null;
        for (int s = 0; s < options.Starts; s++)
        {
            options.CancellationToken.ThrowIfCancellationRequested();
            var fit = new GaussianMixtureFit(options, network, rows, sample.device);
            fit.Begin(sample, new SplitMix64(SplitMix64.Derive(rows.Input.Seed, RandomPurpose.Initialization, s)));
            fit.Iterate(sample, FirstPasses, options.BatchSize!.Value);
            bool better = best is null || fit.MeanLoss < best.MeanLoss;
            (better ? best : fit)?.Dispose();
            best = better ? fit : best;
        }
        best!.Restart();
        return best;
    }

    /// <summary>The number of components that the Bayesian information criterion (Schwarz 1978) prefers.</summary>
    public static int Choose(GaussianMixtureOptions options, RowStatistics rows)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor sample = Sample(rows, CPU);
        int varying = rows.Moments[0].Deviation.Count(s => s > 0), count = rows.Samples[0].Count, best = 1;
        double least = double.PositiveInfinity;
        // Two more in turn that are not worth their parameters: the rest will not be, either.
        for (int k = 1; k <= Math.Min(options.MaxComponents, count) && k <= best + 2; k++)
        {
            using GaussianMixtureFit fit = Start(options with { Components = k }, rows, sample);
            fit.Iterate(sample, SamplePasses, options.BatchSize!.Value);
            double bic = fit._network.FreeParameters(varying) * Math.Log(count) + 2 * count * fit.MeanLoss;
            if (bic < least)
                (least, best) = (bic, k);
        }
        return best;
    }

    protected override Tensor Losses(Tensor rows, bool learn)
    {
        TorchTensor joint = _network.Joint(new TorchOps(Model).Root, rows);
        if (learn)
            Add(rows, joint.Softmax());
        return -joint.LogSumExp(1);
    }

    protected override void Update()
    {
        bool matrices = _network.HasMatrices;
        TorchTensor rows = _rows.AtLeast(1e-10), step = _sums.div(rows.Value.unsqueeze(1)), step2 = step.Unsqueeze(2); // (K, D)
        TorchTensor squares = _squares, varies = _varying, counts = matrices ? rows.Reshape(-1, 1, 1) : rows.Unsqueeze(1);
        TorchTensor spread = squares / counts - (matrices ? step2 * step.Unsqueeze(1) : step * step);
        if (_options.CovarianceType == CovarianceType.Tied)
            spread = (spread * counts).Reduce(Reduction.Sum, 0) / counts.Reduce(Reduction.Sum, 0);
        double varying = _varying.sum().item<double>();
        if (_options.CovarianceType == CovarianceType.Spherical)
            spread = (spread * varies).Reduce(Reduction.Sum, 1) / (float)Math.Max(1, varying) * varies;
        // A feature that is constant has a deviation of one, from nothing.
        Tensor added = _varying.neg().Plus(1 + _options.Regularization!.Value);
        Tensor covariance = spread.Value.Plus(matrices ? added.diag() : added);
        Tensor factor = matrices ? linalg.cholesky(covariance) : covariance.sqrt();
        Tensor inverse = matrices ? linalg.inv(factor) : factor.reciprocal();
        Tensor logDensity = (matrices ? inverse.diagonal(0, 1, 2) : inverse).log().mul(_varying).sum(1)
            .Plus(-0.5 * Math.Log(2 * Math.PI) * varying);
        Tensor means = Model["means"].Add(step), weights = rows.Value.div(rows.Value.sum());
        Tensor whiteMeans = matrices ? inverse.matmul(means.unsqueeze(2)).squeeze(2) : inverse.mul(means);
        Model["weights"].copy_(weights);
        Model["log_factors"].copy_(weights.log().Plus(logDensity));
        Model["white_means"].copy_(whiteMeans);
        Model["factors"].copy_(factor.reshape(Model["factors"].shape));
        Model["inverse_factors"].copy_(inverse.reshape(Model["factors"].shape));
    }

    // Adds rows (B, D) to the sums, with what each counts for each component, (B, K).
    private void Add(TorchTensor rows, TorchTensor share)
    {
        TorchTensor means = Model["means"], away = rows.Unsqueeze(1) - means, weighted = away * share.Unsqueeze(2); // (B, K, D)
        TorchTensor squares = _network.HasMatrices
            ? weighted.Transpose(1, 2, 0).MatMul(away.Transpose(1, 0, 2))
            : (weighted * away).Reduce(Reduction.Sum, 0).Squeeze(0);
        _rows.Add(share.Reduce(Reduction.Sum, 0).Squeeze(0));
        _sums.Add(weighted.Reduce(Reduction.Sum, 0).Squeeze(0));
        _squares.Add(squares);
    }

    // Centres by k-means++ (Arthur 2007): each is a row drawn by its squared distance from those before.
    private void Begin(Tensor sample, SplitMix64 random)
    {
        using DisposeScope scope = NewDisposeScope();
        int components = _options.Components!.Value;
        Tensor distances = full([sample.shape[0]], double.PositiveInfinity, ScalarType.Float64, sample.device);
        Tensor nearest = zeros([sample.shape[0]], ScalarType.Int64, sample.device);
        for (int k = 0; k < components; k++)
        {
            double[] ends = [.. (k == 0 ? ones_like(distances) : distances).cumsum(0).cpu().data<double>()];
            double until = random.NextDouble() * ends[^1];
            Tensor centre = sample[Math.Max(0, Array.FindIndex(ends, end => end > until))];
            Tensor own = sample.Minus(centre).Squared().sum(1);
            nearest = where(own.lt(distances), full_like(nearest, k), nearest);
            distances = distances.minimum(own);
            Model["means"][k].copy_(centre);
        }
        Add(sample, nn.functional.one_hot(nearest, components).to(ScalarType.Float64));
        EndEpoch();
        Restart();
    }
}
