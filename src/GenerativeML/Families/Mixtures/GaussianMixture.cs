using Microsoft.ML.Runtime;
using TorchSharp;

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

    /// <summary>
    /// With it, the mixture is fitted by variational EM (Attias 1999), with priors on all it has: on weights a Dirichlet
    /// distribution with this many rows for each component, on means and covariances that of one row or as many as there
    /// are features. It takes <see cref="Components"/>, or else <see cref="MaxComponents"/>, and those that are not needed
    /// empty, the more so the smaller it is, such as 0.001. In place of <see cref="Regularization"/>. Above zero, at most
    /// 1000. Default: none, maximum likelihood.
    /// </summary>
    public double? WeightConcentration { get; init; }

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
    /// Iterations end when the mean log-likelihood of a row, or with a prior its bound, rises by less, in nats. Zero: never.
    /// Default 1e-5.
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
            Regularization = WeightConcentration is null ? Regularization ?? (AnomalyShare is null ? 1e-3 : 0.1) : null,
        };
        long components = Components
            ?? (WeightConcentration is null ? GaussianMixtureFit.Choose(decided, rows) : MaxComponents);
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
        OptionChecks.AboveZero(WeightConcentration, 1000);
        if (WeightConcentration is not null && Regularization is not null)
            throw new ArgumentException(
                $"Options {nameof(WeightConcentration)} and {nameof(Regularization)} are both set: with a prior there is none.");
    }
}

/// <summary>
/// Learns the density of rows as a mixture of normal distributions: scores rows by their log-likelihood, says how likely
/// they are of each component (the latent vector), and generates others like them.
/// </summary>
/// <remarks>
/// <inheritdoc cref="NormalizingFlowTrainer" path="/remarks"/>
/// <para>
/// A score is −log of a density in the units of the data, not of a probability: where rows lie closer together than one
/// unit, densities are above one, log-likelihoods positive, and scores negative, and that is right.
/// </para>
/// <para>
/// Generated rows can have features as they are asked for, exactly and in closed form: <c>Generate(100, where: new
/// RowCondition().Equal("Features.3", 1.5))</c> draws the others as they are distributed then.
/// </para>
/// <para>
/// The mixture is one of standardised features, of which what is farther out than five deviations counts by the logarithm
/// of the rest: far from all training rows densities fall more slowly than those of normal distributions, and what is
/// given says less of the other features.
/// </para>
/// </remarks>
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
    : VectorNetwork(input), IScorer, IEncoder, ISampler, IConditionalSampler
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

    public override IClosedFormFit BeginClosedForm(RowStatistics rows, torch.Device device) =>
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

    public FeatureSampler Given(HostWeights weights, float[] features) => new GaussianMixtureCondition(
        weights, FeatureScaler(weights).Constants, features, _matrices).Sample;

    // (B, D) → (B, K, D), or (B, 1, D) where all components have the same matrix.
    private T Transform<T>(T x, T factors)
        where T : struct, ITensor<T> =>
        _matrices > 0 ? x.Linear(factors).Reshape(-1, _matrices, _width) : x.Unsqueeze(1) * factors;
}
