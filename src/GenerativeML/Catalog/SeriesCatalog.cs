using GenerativeML;

namespace Microsoft.ML;

/// <summary>What prepares series, and what is said of their steps, among ML.NET's transforms.</summary>
public static class SeriesCatalog
{
    /// <summary>
    /// Creates a <see cref="SeriesWindowsEstimator"/>, which turns steps of series, one in each row, into windows, vectors
    /// that every family of this package can read, and on request into the steps that follow on them.
    /// </summary>
    /// <param name="catalog"><c>mlContext.Transforms</c>.</param>
    /// <param name="options">The options. Default: all defaults.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it.</exception>
    /// <exception cref="ArgumentException">A column's name is empty, or given twice.</exception>
    public static SeriesWindowsEstimator SeriesWindows(this TransformsCatalog catalog, SeriesWindowsOptions? options = null) =>
        new(MLNetInternals.EnvironmentOf(catalog), options ?? new());

    /// <summary>
    /// Creates an <see cref="AnomalyLikelihoodEstimator"/>, which turns the scores of a detector of series into how strange
    /// each is beside those before it: one threshold does for all series, and one event is reported once.
    /// </summary>
    /// <param name="catalog"><c>mlContext.Transforms</c>.</param>
    /// <param name="options">The options. Default: all defaults.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it.</exception>
    /// <exception cref="ArgumentException">A column's name is empty, or given twice.</exception>
    public static AnomalyLikelihoodEstimator AnomalyLikelihood(
        this TransformsCatalog catalog, AnomalyLikelihoodOptions? options = null) =>
        new(MLNetInternals.EnvironmentOf(catalog), options ?? new());
}
