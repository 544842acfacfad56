using Microsoft.ML.Runtime;
using static TorchSharp.torch;

namespace GenerativeML;

/// <summary>The shape of a mixture's components, from the most freedom to the least.</summary>
public enum CovarianceType
{
    /// <summary>Each component has a covariance matrix of its own.</summary>
    Full,

    /// <summary>All components share one covariance matrix.</summary>
    Tied,

    /// <summary>Each component has a variance for each feature; within it features are independent.</summary>
    Diagonal,

    /// <summary>Each component has one variance for all standardised features.</summary>
    Spherical,
}

/// <summary>The options of a mixture of normal distributions, fitted by expectation maximisation (Dempster 1977).</summary>
/// <remarks>
/// Nothing is learned by gradients: <see cref="TrainingOptions.LearningRate"/> and what goes with it, such as
/// <see cref="TrainingOptions.WeightAverageDecay"/>, have no effect, and
/// <see cref="TrainingOptions.Epochs"/> is the most iterations, each a pass over the rows. Default: 200.
/// </remarks>
public sealed record GaussianMixtureOptions : DetectorOptions
{
    /// <summary>
    /// Components, 1 to 1000, or as many as there are rows. Default: as many, up to <see cref="MaxComponents"/>, as the
    /// Bayesian information criterion prefers on up to 10,000 of the rows.
    /// </summary>
    public int? Components { get; init; }

    /// <summary>The most components where their number is chosen. 1 to 1000. Default 10.</summary>
    public int MaxComponents { get; init; } = 10;

    /// <summary>The shape of the components. Default <see cref="CovarianceType.Full"/>.</summary>
    public CovarianceType CovarianceType { get; init; }

    /// <summary>
    /// Beginnings by k-means++ (Arthur 2007), tried on up to 10,000 of the rows; the most likely one goes on. Default 5.
    /// </summary>
    public int Starts { get; init; } = 5;

    /// <summary>
    /// What is added to each variance of standardised features, so that no component shrinks to a point, of infinite
    /// density, on few or equal rows. 1e-9 to 1. Default: 0.1 to detect anomalies, otherwise 1e-3.
    /// </summary>
    public double? Regularization { get; init; }

    /// <summary>
    /// Iterations end when the mean log-likelihood of a row rises by less, in nats. Zero: never. Default 1e-5.
    /// </summary>
    public double Tolerance { get; init; } = 1e-5;

    private protected override OptionalColumns Supported => OptionalColumns.None;

    internal override VectorOptions Resolve(RowStatistics rows)
    {
        int width = rows.Input.Width, most = Components ?? MaxComponents;
        long matrices = CovarianceType == CovarianceType.Full ? most : CovarianceType == CovarianceType.Tied ? 1 : 0;
        if (matrices * width * width > 1 << 26)
        {
            throw new InvalidOperationException(
                $"Column '{FeatureColumnName}' has {width} features, too many for covariance matrices of up to {most} "
                + $"components. Set {nameof(CovarianceType)} to {CovarianceType.Diagonal}, or reduce the features.");
        }
        GaussianMixtureOptions decided = this with
        {
            BatchSize = BatchSize ?? Math.Clamp((1 << 22) / width / most, 16, 1024),
            Epochs = Epochs ?? 200,
            Regularization = Regularization ?? (PredictedLabelColumnName is null ? 1e-3 : 0.1),
        };
        long components = Components ?? GaussianMixtureFit.Choose(decided, rows);
        return decided with { Components = (int)Math.Min(components, rows.TrainingRows) };
    }

    /// <inheritdoc />
    public override void Validate()
    {
        base.Validate();
        OptionChecks.Within(Components, 1, 1000);
        OptionChecks.Within(MaxComponents, 1, 1000);
        OptionChecks.Defined(CovarianceType);
        OptionChecks.Within(Starts, 1, 1000);
        OptionChecks.Within(Regularization, 1e-9, 1);
        OptionChecks.NonNegativeFinite(Tolerance);
    }
}

/// <summary>
/// Learns the density of rows as a mixture of normal distributions: scores rows by their log-likelihood, says how likely
/// they are of each component (the latent vector), and generates others like them.
/// </summary>
/// <remarks><inheritdoc cref="RealNvpTrainer" path="/remarks"/></remarks>
public sealed class GaussianMixtureTrainer : VectorTrainer<VectorGenerator>
{
    internal static readonly VectorFamily Family = VectorFamily.Of<GaussianMixtureOptions>(
        "gaussian mixture", (options, input) => new GaussianMixtureNetwork(options, input));

    internal GaussianMixtureTrainer(IHostEnvironment environment, GaussianMixtureOptions options)
        : base(environment, Family, options)
    {
    }
}

/// <summary>
/// A mixture of K normal distributions of standardised rows: p(x) = Σ πₖ N(x | μₖ, Σₖ). A component's matrix is held as
/// the lower factor L of Σ = L·Lᵀ, to sample, and its inverse, to score; or as their diagonals.
/// </summary>
internal sealed class GaussianMixtureNetwork(GaussianMixtureOptions options, VectorInput input)
    : VectorNetwork(input), IScorer, IEncoder, ISampler
{
    private readonly int _width = input.Width, _components = options.Components!.Value;
    private readonly int _matrices = options.CovarianceType == CovarianceType.Full ? options.Components.Value
        : options.CovarianceType == CovarianceType.Tied ? 1 : 0; // none: variances of single features

    public bool IsLogLikelihood => true;
    public int LatentDimension => _components;
    public int NormalWidth => _width;
    public int UniformWidth => 1;

    public override void Declare(Layers layers)
    {
        int factors = _matrices > 0 ? _matrices * _width : _components; // matrices stand one below the other
        layers.Parameter("weights", 0, _components);
        layers.Parameter("log_factors", 0, _components); // log πₖ − log √|2πΣₖ|
        layers.Parameter("means", 0, _components, _width);
        layers.Parameter("white_means", 0, _components, _width); // L⁻¹·μ
        layers.Parameter("factors", 0, factors, _width);
        layers.Parameter("inverse_factors", 0, factors, _width);
    }

    public override VectorPasses BeginPasses(RowStatistics rows, Device device) =>
        GaussianMixtureFit.Start(options, rows, device);

    /// <summary>log πₖ N(x | μₖ, Σₖ) of rows (B, D), (B, K).</summary>
    public T Joint<T>(Scope<T> w, T x)
        where T : struct, ITensor<T>
    {
        T white = Transform(x, w["inverse_factors"]) - w["white_means"]; // (B, K, D)
        T distance = white.Apply(Function.Square).Reshape(-1, _width).Reduce(Reduction.Sum, 1).Reshape(-1, _components);
        return w["log_factors"] - distance * 0.5f;
    }

    public (T Score, T? ByFeature) Score<T>(Scope<T> w, VectorRows<T> rows, bool byFeature)
        where T : struct, ITensor<T> => (-Joint(w, rows.Features).LogSumExp(1), null);

    public (T Mean, T? Deviation) Encode<T>(Scope<T> w, VectorRows<T> rows)
        where T : struct, ITensor<T> => (Joint(w, rows.Features).Softmax(), null);

    public T Sample<T>(Scope<T> w, T normal, T? uniform, T? condition)
        where T : struct, ITensor<T>
    {
        T chosen = uniform!.Value.Chosen(w["weights"].CumulativeSum(0), _components).Unsqueeze(2); // (B, K, 1)
        return ((Transform(normal, w["factors"]) + w["means"]) * chosen).Reduce(Reduction.Sum, 1).Squeeze(1);
    }

    // (B, D) → (B, K, D), or (B, 1, D) where all components have the same matrix.
    private T Transform<T>(T x, T factors)
        where T : struct, ITensor<T> =>
        _matrices > 0 ? x.Linear(factors).Reshape(-1, _matrices, _width) : x.Unsqueeze(1) * factors;
}

/// <summary>What is added up are deviations from the last means, so that squares do not cancel.</summary>
internal sealed class GaussianMixtureFit : VectorPasses
{
    private const int SamplePasses = 100; // to count components

    private readonly GaussianMixtureOptions _options;
    private readonly GaussianMixtureNetwork _network;
    private readonly Tensor _rows, _sums, _squares; // (K), (K, D), (K, D, D) or (K, D)

    private GaussianMixtureFit(GaussianMixtureOptions options, RowStatistics rows, Tensor sample, int start)
        : base(new GaussianMixtureNetwork(options, rows.Input), rows, options.Tolerance, sample.device)
    {
        (_options, _network) = (options, new(options, rows.Input));
        int k = options.Components!.Value, d = rows.Input.Width;
        (_rows, _sums, _squares) = (Sum("rows", k), Sum("sums", k, d), Sum("squares", HasMatrices ? [k, d, d] : [k, d]));
        ulong seed = SplitMix64.Derive(rows.Input.Seed, RandomPurpose.Initialization, start);
        Begin(sample, new SplitMix64(seed), options.BatchSize!.Value);
    }

    private bool HasMatrices => _options.CovarianceType is CovarianceType.Full or CovarianceType.Tied;

    /// <summary>The likeliest of several starts on a sample of the rows, and so many more passes over it.</summary>
    public static GaussianMixtureFit Start(
        GaussianMixtureOptions options, RowStatistics rows, Device device, int passes = 0)
    {
        using Tensor sample = Sample(rows, device);
        GaussianMixtureFit best = Best(
            options.Starts, start => new GaussianMixtureFit(options, rows, sample, start), options.CancellationToken);
        best.Iterate(sample, passes, options.BatchSize!.Value);
        return best;
    }

    /// <summary>The best number of components.</summary>
    public static int Choose(GaussianMixtureOptions options, RowStatistics rows)
    {
        int d = rows.Input.Width - rows.Scaler.Constants.Length;
        return ChooseParts(options.MaxComponents, rows.Samples[0].Count, k =>
        {
            GaussianMixtureFit fit = Start(options with { Components = k }, rows, CPU, SamplePasses);
            int each = fit.HasMatrices ? d * (d + 1) / 2 : options.CovarianceType == CovarianceType.Diagonal ? d : 1;
            return (fit, k - 1 + k * d + each * (options.CovarianceType == CovarianceType.Tied ? 1 : k));
        });
    }

    protected override TorchTensor Joint(Tensor rows) => _network.Joint<TorchTensor>(new TorchOps(Model).Root, rows);

    protected override void Update()
    {
        TorchTensor rows = _rows.AtLeast(1e-10), step = _sums.div(rows.Value.unsqueeze(1)); // (K), (K, D)
        TorchTensor squares = _squares, varies = Varying, counts = HasMatrices ? rows.Reshape(-1, 1, 1) : rows.Unsqueeze(1);
        TorchTensor spread = squares / counts - (HasMatrices ? step.Unsqueeze(2) * step.Unsqueeze(1) : step * step);
        double varying = Varying.sum().item<double>();
        if (_options.CovarianceType == CovarianceType.Tied)
            spread = (spread * counts).Reduce(Reduction.Sum, 0) / counts.Reduce(Reduction.Sum, 0);
        if (_options.CovarianceType == CovarianceType.Spherical)
            spread = (spread * varies).Reduce(Reduction.Sum, 1) / (float)Math.Max(1, varying) * varies;
        // A feature that is constant has a deviation of one, from nothing.
        Tensor added = Varying.neg().Plus(1 + _options.Regularization!.Value);
        Tensor covariance = spread.Value.Plus(HasMatrices ? added.diag() : added);
        Tensor factor = HasMatrices ? linalg.cholesky(covariance) : covariance.sqrt();
        Tensor inverse = HasMatrices ? linalg.inv(factor) : factor.reciprocal();
        Tensor diagonal = HasMatrices ? inverse.diagonal(0, 1, 2) : inverse;
        Tensor logDensity = diagonal.log().mul(Varying).sum(1).Plus(-0.5 * Math.Log(2 * Math.PI) * varying);
        Tensor means = Model["means"].Add(step), weights = rows.Value.div(rows.Value.sum());
        Model["weights"].copy_(weights);
        Model["log_factors"].copy_(weights.log().Plus(logDensity));
        Model["white_means"].copy_(HasMatrices ? inverse.matmul(means.unsqueeze(2)).squeeze(2) : inverse.mul(means));
        Model["factors"].copy_(factor.reshape(Model["factors"].shape));
        Model["inverse_factors"].copy_(inverse.reshape(Model["factors"].shape));
    }

    protected override void Add(TorchTensor rows, TorchTensor share)
    {
        TorchTensor away = rows.Unsqueeze(1) - (TorchTensor)Model["means"]; // (B, K, D)
        TorchTensor weighted = away * share.Unsqueeze(2);
        _rows.Add(share.Reduce(Reduction.Sum, 0).Squeeze(0));
        _sums.Add(weighted.Reduce(Reduction.Sum, 0).Squeeze(0));
        _squares.Add(HasMatrices
            ? weighted.Transpose(1, 2, 0).MatMul(away.Transpose(1, 0, 2))
            : (weighted * away).Reduce(Reduction.Sum, 0).Squeeze(0));
    }
}
