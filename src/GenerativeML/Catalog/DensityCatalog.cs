using GenerativeML;

namespace Microsoft.ML;

/// <summary>Models of densities among the trainers of <see cref="AnomalyDetectionCatalog"/>.</summary>
public static class DensityCatalog
{
    /// <summary>Creates a <see cref="GaussianMixtureTrainer"/> that detects anomalies: rows that are improbable.</summary>
    /// <param name="catalog"><c>mlContext.AnomalyDetection.Trainers</c>.</param>
    /// <param name="options">The options. Default: all defaults.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it.</exception>
    public static GaussianMixtureTrainer GaussianMixture(
        this AnomalyDetectionCatalog.AnomalyDetectionTrainers catalog, GaussianMixtureOptions? options = null) =>
        new(MLNetInternals.EnvironmentOf(catalog), options.Scoring(detects: true));

    /// <summary>Creates a <see cref="RealNvpTrainer"/> that detects anomalies: rows that are improbable.</summary>
    /// <param name="catalog"><c>mlContext.AnomalyDetection.Trainers</c>.</param>
    /// <param name="options">The options. Default: all defaults.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it.</exception>
    public static RealNvpTrainer RealNvp(
        this AnomalyDetectionCatalog.AnomalyDetectionTrainers catalog, RealNvpOptions? options = null) =>
        new(MLNetInternals.EnvironmentOf(catalog), options.Scoring(detects: true));
}

/// <content>Models of densities.</content>
public sealed partial class GenerativeCatalog
{
    /// <summary>Creates a <see cref="GaussianMixtureTrainer"/>, which learns to score, generate and cluster rows.</summary>
    /// <param name="options">The options. Default: all defaults.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it.</exception>
    public GaussianMixtureTrainer GaussianMixture(GaussianMixtureOptions? options = null) =>
        new(_environment, options.Scoring());

    /// <summary>Creates a <see cref="RealNvpTrainer"/>, which learns to score, generate and encode rows.</summary>
    /// <param name="options">The options. Default: all defaults.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it.</exception>
    public RealNvpTrainer RealNvp(RealNvpOptions? options = null) => new(_environment, options.Scoring());
}
