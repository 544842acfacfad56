using Microsoft.ML.Runtime;

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
/// Nothing is learned by gradients: <see cref="TrainingOptions.LearningRate"/> and what goes with it have no effect, and
/// <see cref="TrainingOptions.Epochs"/> is the most iterations, each a pass over the rows. Default: 200.
/// </remarks>
public sealed record GaussianMixtureOptions : DetectorOptions
{
    private const int MaxMatrixValues = 1 << 26; // in all components together

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

    internal override VectorOptions Resolve(RowStatistics rows)
    {
        int width = rows.Input.Width, most = Components ?? MaxComponents;
        if (CovarianceType is CovarianceType.Full or CovarianceType.Tied
            && (long)width * width > MaxMatrixValues / (CovarianceType == CovarianceType.Tied ? 1 : most))
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
        int components = Components ?? GaussianMixtureFit.Choose(decided, rows);
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
/// Learns the density of rows as a mixture of normal distributions, by expectation maximisation: scores rows by their
/// log-likelihood, says how likely they are of each component (the latent vector), and generates others like them.
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
