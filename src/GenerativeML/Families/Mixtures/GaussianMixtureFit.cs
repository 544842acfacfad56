using TorchSharp;
using static TorchSharp.torch;

namespace GenerativeML;

/// <summary>
/// Expectation maximisation, in double: a pass adds up what rows say of each component, weighted by how likely they are
/// of it, as deviations from its mean so that squares do not cancel; its end sets the components by these sums.
/// </summary>
internal sealed class GaussianMixtureFit : VectorPasses
{
    private const int FirstIterations = 10; // of each start, before the best goes on
    private const int SampleIterations = 100;

    private readonly GaussianMixtureOptions _options;
    private readonly GaussianMixtureNetwork _network;
    private readonly Dictionary<string, Tensor> _model = []; // what the network declares
    private readonly Tensor _varying; // (D): zero where a feature is constant
    private readonly Tensor _rows, _sums, _squares; // (K), (K, D), (K, D, D) or (K, D)
    private readonly Tensor _likelihood; // the sum over this pass and its rows; the mean of the last pass, its rise

    private GaussianMixtureFit(GaussianMixtureOptions options, RowStatistics rows, torch.Device device)
    {
        _options = options;
        _network = new GaussianMixtureNetwork(options, rows.Input);
        var layers = new LayerSpecs();
        _network.Declare(layers);
        foreach (TensorSpec spec in layers.Tensors)
            _model[spec.Name] = Buffer(spec.Name, spec.Shape.ToArray());
        int k = options.Components!.Value, d = rows.Input.Width;
        _varying = tensor([.. rows.Moments[0].Deviation.Select(s => s > 0 ? 1.0 : 0)], device: device);
        (_rows, _sums) = (Buffer("rows", k), Buffer("sums", k, d));
        _squares = _network.HasMatrices ? Buffer("squares", k, d, d) : Buffer("squares", k, d);
        _likelihood = Buffer("likelihood", 4);

        Tensor Buffer(string name, params long[] shape)
        {
            Tensor value = zeros(shape, ScalarType.Float64, device);
            register_buffer(name, value);
            return value;
        }
    }

    /// <inheritdoc />
    public override bool IsSettled => _options.Tolerance > 0 && Likelihood(3) < _options.Tolerance;

    /// <summary>The mean log-likelihood of the last pass's rows, before its end set the components.</summary>
    public double MeanLogLikelihood => Likelihood(2);

    /// <summary>The likeliest of several starts, on a sample of the rows.</summary>
    public static GaussianMixtureFit Start(GaussianMixtureOptions options, RowStatistics rows, torch.Device device)
    {
        using IDisposable noGradient = no_grad();
        Tensor sample = HostTensors.FromRows(rows.StandardizedSample(), rows.Samples[0].Count, rows.Input.Width, device)
            .to(ScalarType.Float64);
        GaussianMixtureFit? best = null;
        for (int s = 0; s < options.Starts; s++)
        {
            var fit = new GaussianMixtureFit(options, rows, device);
            fit.Begin(sample, new SplitMix64(SplitMix64.Derive(rows.Input.Seed, RandomPurpose.Initialization, s)));
            fit.Iterate(sample, FirstIterations);
            bool better = best is null || fit.MeanLogLikelihood > best.MeanLogLikelihood;
            (better ? best : fit)?.Dispose();
            best = better ? fit : best;
        }
        sample.Dispose();
        best!.Set(double.NegativeInfinity, double.PositiveInfinity); // all rows have another likelihood
        return best;
    }

    /// <summary>The number of components that the Bayesian information criterion (Schwarz 1978) prefers.</summary>
    public static int Choose(GaussianMixtureOptions options, RowStatistics rows)
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable noGradient = no_grad();
        int varying = rows.Moments[0].Deviation.Count(s => s > 0), count = rows.Samples[0].Count, best = 1;
        Tensor sample = HostTensors.FromRows(rows.StandardizedSample(), count, rows.Input.Width, CPU).to(ScalarType.Float64);
        double least = double.PositiveInfinity;
        // Two more in turn that are not worth their parameters: the rest will not be, either.
        for (int k = 1; k <= Math.Min(options.MaxComponents, count) && k <= best + 2; k++)
        {
            options.CancellationToken.ThrowIfCancellationRequested();
            using GaussianMixtureFit fit = Start(options with { Components = k, BatchSize = options.BatchSize ?? 1024 }, rows, CPU);
            fit.Iterate(sample, SampleIterations);
            double bic = fit._network.FreeParameters(varying) * Math.Log(count) - 2 * count * fit.MeanLogLikelihood;
            if (bic < least)
                (least, best) = (bic, k);
        }
        return best;
    }

    /// <inheritdoc />
    public override void EndEpoch()
    {
        using DisposeScope scope = NewDisposeScope();
        double mean = Likelihood(0) / Likelihood(1);
        Set(mean, mean - Likelihood(2));
        TorchTensor rows = _rows.AtLeast(1e-10), step = _sums.div(rows.Value.unsqueeze(1)); // (K), (K, D)
        Tensor varied = _network.HasMatrices ? Scatter() : _squares.div(rows.Value.unsqueeze(1)).Minus(step.Value.Squared());
        if (_options.CovarianceType == CovarianceType.Spherical)
            varied = varied.mul(_varying).sum(1, keepdim: true).Over(Math.Max(1, _varying.sum().item<double>())).mul(_varying);
        // A feature that is constant has a deviation of one, from nothing.
        Tensor added = _varying.neg().Plus(1 + _options.Regularization);
        Tensor covariance = varied.Plus(_network.HasMatrices ? added.diag() : added);
        Tensor factor = _network.HasMatrices ? linalg.cholesky(covariance) : covariance.sqrt();
        Tensor inverse = _network.HasMatrices ? linalg.inv(factor) : factor.reciprocal();
        Tensor weights = rows.Value.div(rows.Value.sum());
        Tensor logDeterminant = (_network.HasMatrices ? inverse.diagonal(0, 1, 2) : inverse).log().mul(_varying).sum(1);
        double normal = 0.5 * Math.Log(2 * Math.PI) * _varying.sum().item<double>();
        _model["means"].Add(step.Value);
        _model["weights"].copy_(weights);
        _model["factors"].copy_(factor);
        _model["inverse_factors"].copy_(inverse);
        _model["log_factors"].copy_(weights.log().Plus(logDeterminant).Plus(-normal));
        foreach (Tensor sum in new[] { _rows, _sums, _squares })
            sum.Fill(0);

        Tensor Scatter()
        {
            TorchTensor outer = step.Value.unsqueeze(2).mul(step.Value.unsqueeze(1)), n = rows.Value.view(-1, 1, 1);
            TorchTensor scatter = (TorchTensor)_squares / n - outer; // (K, D, D)
            return _options.CovarianceType == CovarianceType.Full ? scatter : (scatter * n).Value.sum(0, keepdim: true).div(rows.Value.sum());
        }
    }

    /// <inheritdoc />
    public override void Finish(HostWeights weights)
    {
        foreach ((string name, Tensor value) in _model)
        {
            using Tensor single = value.to(ScalarType.Float32);
            HostTensors.CopyTo(single, weights[name]);
        }
    }

    /// <inheritdoc />
    protected override LossTerm Pass(Tensor rows, bool learn)
    {
        TorchTensor x = rows.to(ScalarType.Float64), joint = _network.Joint(new TorchOps(_model).Root, x);
        TorchTensor likelihood = joint.LogSumExp(1); // (B, 1)
        if (learn)
        {
            Add(x, joint.Softmax());
            _likelihood[0].Add(likelihood.Value.sum());
            _likelihood[1].Add(rows.shape[0]);
        }
        return new("negative_log_likelihood", likelihood.Value.mean().neg().to(ScalarType.Float32));
    }

    private double Likelihood(int at)
    {
        using Tensor one = _likelihood[at];
        return one.item<double>();
    }

    private void Set(double mean, double rise)
    {
        using Tensor values = tensor([0, 0, mean, rise]);
        _likelihood.copy_(values);
    }

    private void Iterate(Tensor sample, int most)
    {
        for (int i = 0; i < most && !IsSettled; i++)
        {
            foreach (Tensor part in sample.split(_options.BatchSize!.Value))
            {
                using DisposeScope scope = NewDisposeScope();
                Pass(part, learn: true);
            }
            EndEpoch();
        }
    }

    // Adds rows (B, D) to the sums, with what each counts for each component, (B, K).
    private void Add(TorchTensor rows, TorchTensor share)
    {
        TorchTensor means = _model["means"], away = rows.Unsqueeze(1) - means, weighted = away * share.Unsqueeze(2); // (B, K, D)
        _rows.Add(share.Value.sum(0));
        _sums.Add(weighted.Value.sum(0));
        _squares.Add(_network.HasMatrices
            ? weighted.Transpose(1, 2, 0).MatMul(away.Transpose(1, 0, 2))
            : (weighted * away).Value.sum(0));
    }

    // Centres by k-means++: each is a row drawn by its squared distance from those before.
    private void Begin(Tensor sample, SplitMix64 random)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor distances = full([sample.shape[0]], double.PositiveInfinity, ScalarType.Float64, device: sample.device);
        Tensor nearest = zeros([sample.shape[0]], ScalarType.Int64, sample.device);
        for (int k = 0; k < _options.Components!.Value; k++)
        {
            double[] ends = [.. (k == 0 ? ones_like(distances) : distances).cumsum(0).cpu().data<double>()];
            int drawn = Array.FindIndex(ends, end => end > random.NextDouble() * ends[^1]);
            Tensor centre = sample[Math.Max(0, drawn)];
            Tensor own = sample.Minus(centre).Squared().sum(1);
            nearest = where(own.lt(distances), full_like(nearest, k), nearest);
            distances = distances.minimum(own);
            _model["means"][k].copy_(centre);
        }
        Add(sample, nn.functional.one_hot(nearest, _options.Components.Value).to(ScalarType.Float64));
        EndEpoch();
        Set(double.NegativeInfinity, double.PositiveInfinity);
    }
}
