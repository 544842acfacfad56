using TorchSharp;
using static TorchSharp.torch;

namespace GenerativeML;

/// <summary>
/// Expectation maximisation (Dempster 1977), in double: each pass over all rows adds up what they say of the components
/// that they are likely to be of, and its end sets the model by these sums. What is added up are deviations from the
/// last means, so that squares do not cancel.
/// </summary>
internal sealed class GaussianMixtureFit : IClosedFormFit
{
    private const double None = 1e30; // more than any loss, and yet finite
    private const int FirstPasses = 10; // of each start, before the best goes on
    private const int CountingPasses = 100; // to count components

    private readonly GaussianMixtureOptions _options;
    private readonly long _trainingRows;
    private readonly int _constants;
    private readonly GaussianMixtureNetwork _network;
    private readonly Device _device;
    private readonly List<(string Name, Tensor Value)> _state = [];
    private readonly Tensor _varying; // one where a feature varies, zero where it is constant, (D)
    private readonly Dictionary<string, Tensor> _model; // the tensors that the network declares
    private readonly Tensor _losses; // of this pass the sum and its rows; of the last the mean and how it fell; what priors add
    private readonly Tensor _excess; // with priors, by how much log πₖ is more than what is expected there, (K)
    private readonly Tensor _rows, _sums, _squares; // of this pass, (K), (K, D), (K, D, D) or (K, D)

    // Begins on a sample of the rows, (N, D).
    private GaussianMixtureFit(GaussianMixtureOptions options, RowStatistics rows, Tensor sample, int start)
    {
        (_options, _network, _device) = (options, new(options, rows.Input), sample.device);
        int k = options.Components!.Value, d = rows.Input.Width;
        double[] varying = new double[d];
        Array.Fill(varying, 1);
        foreach (int j in rows.Scaler.Constants)
            varying[j] = 0;
        _varying = tensor(varying, device: _device).DetachFromDisposeScope();
        _model = _network.Declared().Tensors.ToDictionary(s => s.Name, s => Zeros(s.Name, s.Shape.ToArray()));
        _losses = Zeros("losses", 5);
        _excess = Zeros("excess", k);
        (_trainingRows, _constants) = (rows.TrainingRows, rows.Scaler.Constants.Length);
        (_rows, _sums) = (Zeros("rows", k), Zeros("sums", k, d));
        _squares = Zeros("squares", HasMatrices ? [k, d, d] : [k, d]);
        Restart();
        Begin(sample, new SplitMix64(SplitMix64.Derive(rows.Input.Seed, RandomPurpose.Initialization, start)));
    }

    public IReadOnlyList<(string Name, Tensor Value)> State => _state;

    public bool IsSettled => _options.Tolerance > 0 && LossAt(3) < _options.Tolerance;

    public string? Warning
    {
        get
        {
            using DisposeScope scope = NewDisposeScope();
            int k = _options.Components!.Value, d = (int)_varying.shape[0];
            Tensor factors = _model["factors"];
            Tensor variances = HasMatrices
                ? linalg.eigvalsh(factors.reshape(-1, d, d).matmul(factors.reshape(-1, d, d).transpose(1, 2))) : factors.Squared();
            // Of what was added little more than that is left; a prior adds enough.
            double least = _options.Regularization is double added ? added + 1e-6 : 0;
            long flat = variances.amin([1]).cpu().data<double>().Count(v => v < least);
            long few = _options.WeightConcentration is null
                ? _model["weights"].cpu().data<double>().Count(w => w * _trainingRows < 1.5) : 0;
            string[] words =
            [
                _constants == 0 ? "" : $" {_constants} features have but one value, and say nothing of a row.",
                few == 0 ? "" : $" {few} of {k} components hold at most one row: fewer would do.",
                flat == 0 ? "" : $" {flat} of {factors.shape[0] / (HasMatrices ? d : 1)} covariances have directions without variance, "
                    + "for lack of rows or because features are collinear: there it is "
                    + $"{nameof(_options.Regularization)} alone, {FormattableString.Invariant($"{_options.Regularization}")}.",
            ];
            string all = string.Concat(words);
            return all.Length == 0 ? null : $"Of column '{_options.FeatureColumnName}'{all}";
        }
    }

    // Of the last pass's rows, before its end set the model.
    private double MeanLoss => LossAt(2);

    private bool HasMatrices => _options.CovarianceType is CovarianceType.Full or CovarianceType.Tied;

    /// <summary>The likeliest of several starts on a sample of the rows, and so many more passes over it.</summary>
    public static GaussianMixtureFit Start(
        GaussianMixtureOptions options, RowStatistics rows, Device device, int passes = 0)
    {
        using Tensor sample = Sample(rows, device);
        GaussianMixtureFit? best = null;
        for (int s = 0; s < options.Starts; s++)
        {
            options.CancellationToken.ThrowIfCancellationRequested();
            var next = new GaussianMixtureFit(options, rows, sample, s);
            bool isBetter = best is null || next.MeanLoss < best.MeanLoss;
            (isBetter ? best : next)?.Dispose();
            best = isBetter ? next : best;
        }
        best!.Restart();
        best.Iterate(sample, passes);
        return best;
    }

    /// <summary>The number of components that BIC (Schwarz 1978) prefers.</summary>
    public static int Choose(GaussianMixtureOptions options, RowStatistics rows)
    {
        int d = rows.Input.Width - rows.Scaler.Constants.Length, count = rows.Samples[0].Count;
        (int best, double least) = (1, double.PositiveInfinity);
        // Two more in turn that are not worth their parameters: the rest will not be, either.
        for (int k = 1; k <= Math.Min(options.MaxComponents, count) && k <= best + 2; k++)
        {
            using GaussianMixtureFit fit = Start(options with { Components = k }, rows, CPU, CountingPasses);
            int each = fit.HasMatrices ? d * (d + 1) / 2 : options.CovarianceType == CovarianceType.Diagonal ? d : 1;
            int parameters = k - 1 + k * d + each * (options.CovarianceType == CovarianceType.Tied ? 1 : k);
            double bic = parameters * Math.Log(count) + 2 * count * fit.MeanLoss;
            if (bic < least)
                (least, best) = (bic, k);
        }
        return best;
    }

    public Tensor Observe(Tensor rows)
    {
        using IDisposable noGradient = no_grad();
        rows = rows.to(ScalarType.Float64);
        TorchTensor joint = Joint(rows);
        Tensor losses = -joint.LogSumExp(1);
        Add(rows, joint.Softmax());
        _losses[0].Add(losses.sum());
        _losses[1].Add(rows.shape[0]);
        return losses.mean().to(ScalarType.Float32);
    }

    public Tensor Loss(Tensor rows) =>
        -Joint(rows.to(ScalarType.Float64)).LogSumExp(1).Value.mean().to(ScalarType.Float32);

    public void EndPass()
    {
        using DisposeScope scope = NewDisposeScope();
        double mean = (LossAt(0) + LossAt(4)) / LossAt(1);
        _losses.copy_(tensor([0, 0, mean, MeanLoss - mean, 0]));
        Update();
        foreach (Tensor sum in (Tensor[])[_rows, _sums, _squares])
            sum.Fill(0);
    }

    public void CopyTo(HostWeights weights)
    {
        foreach ((string name, Tensor value) in _model)
        {
            using DisposeScope scope = NewDisposeScope();
            Tensor single = (name == "log_factors" ? value.Plus(_excess) : value).to(ScalarType.Float32);
            HostTensors.CopyTo(single, weights[name]);
        }
    }

    public void Dispose()
    {
        _varying.Dispose();
        _state.ForEach(t => t.Value.Dispose());
    }

    // Some of the rows, standardised, (count, D).
    private static Tensor Sample(RowStatistics rows, Device device)
    {
        float[] sample = rows.Samples[0].ToArray();
        rows.Scaler.Apply(sample, sample);
        using Tensor single = HostTensors.FromRows(sample, rows.Samples[0].Count, rows.Input.Width, device);
        return single.to(ScalarType.Float64);
    }

    // By what lies nearest to K rows that lie apart, by k-means++ (Arthur 2007): each is drawn by its squared distance
    // from those before.
    private void Begin(Tensor sample, SplitMix64 random)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor distances = zeros([sample.shape[0]], ScalarType.Float64, _device).Fill(double.PositiveInfinity);
        Tensor nearest = zeros([sample.shape[0]], ScalarType.Int64, _device);
        int components = _options.Components!.Value, batchSize = _options.BatchSize!.Value;
        for (int k = 0; k < components; k++)
        {
            double[] ends = [.. (k == 0 ? ones_like(distances) : distances).cumsum(0).cpu().data<double>()];
            double until = random.NextDouble() * ends[^1];
            Tensor centre = sample[Math.Max(0, Array.FindIndex(ends, end => end > until))];
            Tensor own = sample.Minus(centre).Squared().sum(1);
            nearest = where(own.lt(distances), zeros_like(nearest).Fill(k), nearest);
            distances = distances.minimum(own);
            _model["means"][k].copy_(centre);
        }
        foreach ((Tensor rows, Tensor component) in sample.split(batchSize).Zip(nearest.split(batchSize)))
            Add(rows, nn.functional.one_hot(component, components).to(ScalarType.Float64));
        EndPass();
        Restart();
        Iterate(sample, FirstPasses);
    }

    // Passes over a few rows, to begin with.
    private void Iterate(Tensor rows, int passes)
    {
        for (int i = 0; i < passes && !IsSettled; i++)
        {
            RunningComputations.StopIfExiting();
            _options.CancellationToken.ThrowIfCancellationRequested();
            using DisposeScope scope = NewDisposeScope();
            foreach (Tensor part in rows.split(_options.BatchSize!.Value))
                Observe(part);
            EndPass();
        }
    }

    // Forgets earlier losses, since other rows follow.
    private void Restart()
    {
        using Tensor none = tensor([0, 0, None, None, LossAt(4)]);
        _losses.copy_(none);
    }

    private TorchTensor Joint(Tensor rows) => _network.Joint<TorchTensor>(new TorchOps(_model).Root, rows);

    // Rows (B, D) and what each counts for each component, (B, K).
    private void Add(TorchTensor rows, TorchTensor share)
    {
        TorchTensor away = rows.Unsqueeze(1) - (TorchTensor)_model["means"]; // (B, K, D)
        TorchTensor weighted = away * share.Unsqueeze(2);
        _rows.Add(share.Reduce(Reduction.Sum, 0).Squeeze(0));
        _sums.Add(weighted.Reduce(Reduction.Sum, 0).Squeeze(0));
        _squares.Add(HasMatrices
            ? weighted.Transpose(1, 2, 0).MatMul(away.Transpose(1, 0, 2))
            : (weighted * away).Reduce(Reduction.Sum, 0).Squeeze(0));
    }

    // Sets the model by the sums.
    private void Update()
    {
        TorchTensor rows = _rows.AtLeast(1e-10), step = _sums.div(rows.Value.unsqueeze(1)); // (K), (K, D)
        TorchTensor squares = _squares, varies = _varying, counts = HasMatrices ? rows.Reshape(-1, 1, 1) : rows.Unsqueeze(1);
        TorchTensor spread = squares / counts - (HasMatrices ? step.Unsqueeze(2) * step.Unsqueeze(1) : step * step);
        double varying = _varying.sum().item<double>();
        Tensor means = _model["means"].Plus(step.Value);
        GaussianMixturePrior? prior = _options.WeightConcentration is double concentration
            ? new(_options.CovarianceType, concentration, _varying, rows.Value) : null;
        if (prior is not null)
        {
            (means, Tensor posterior) = prior.Update(means, spread.Value);
            SetModel(means, posterior, prior.Weights, prior);
            return;
        }
        if (_options.CovarianceType == CovarianceType.Tied)
            spread = (spread * counts).Reduce(Reduction.Sum, 0) / counts.Reduce(Reduction.Sum, 0);
        if (_options.CovarianceType == CovarianceType.Spherical)
            spread = (spread * varies).Reduce(Reduction.Sum, 1) / (float)Math.Max(1, varying) * varies;
        // A feature that is constant has a deviation of one, from nothing.
        Tensor added = _varying.neg().Plus(1 + _options.Regularization!.Value);
        Tensor covariance = spread.Value.Plus(HasMatrices ? added.diag() : added);
        SetModel(means, covariance, rows.Value.div(rows.Value.sum()), prior: null);
    }

    private void SetModel(Tensor means, Tensor covariance, Tensor weights, GaussianMixturePrior? prior)
    {
        double varying = _varying.sum().item<double>();
        Tensor factor = HasMatrices ? linalg.cholesky(covariance) : covariance.sqrt();
        Tensor inverse = HasMatrices ? linalg.inv(factor) : factor.reciprocal();
        Tensor diagonal = HasMatrices ? inverse.diagonal(0, 1, 2) : inverse;
        Tensor logDensity = diagonal.log().mul(_varying).sum(1).Plus(-0.5 * Math.Log(2 * Math.PI) * varying);
        Tensor expected = prior?.Expected ?? weights.log();
        _model["means"].copy_(means);
        _model["weights"].copy_(weights);
        _model["log_factors"].copy_(expected.Plus(logDensity));
        _model["white_means"].copy_(HasMatrices ? inverse.matmul(means.unsqueeze(2)).squeeze(2) : inverse.mul(means));
        if (prior is not null)
        {
            _excess.copy_(weights.log().Minus(expected));
            _losses[4].copy_(prior.Divergence(inverse, _model["white_means"]));
        }
        _model["factors"].copy_(factor.reshape(_model["factors"].shape));
        _model["inverse_factors"].copy_(inverse.reshape(_model["factors"].shape));
    }

    private Tensor Zeros(string name, params long[] shape)
    {
        Tensor value = zeros(shape, ScalarType.Float64, _device).DetachFromDisposeScope();
        _state.Add((name, value));
        return value;
    }

    private double LossAt(int place)
    {
        using Tensor one = _losses[place];
        return one.item<double>();
    }
}
