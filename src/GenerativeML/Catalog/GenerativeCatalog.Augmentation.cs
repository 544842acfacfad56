
using GenerativeML;
namespace Microsoft.ML;

/// <content>Training on real and synthetic rows.</content>
public sealed partial class GenerativeCatalog
{
    /// <summary>
    /// Creates an <see cref="AugmentingEstimator{TTransformer}"/>: <paramref name="estimator"/>, trained on real rows
    /// and on synthetic ones.
    /// </summary>
    /// <typeparam name="TTransformer">What the estimator makes.</typeparam>
    /// <param name="estimator">An estimator or a whole chain of them, such as a classifier with its features.</param>
    /// <param name="generator">What learns the training rows and makes more of them.</param>
    /// <param name="options">How many. Default: as many as there are real rows.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it.</exception>
    /// <exception cref="ArgumentException">Two options contradict each other.</exception>
    public AugmentingEstimator<TTransformer> Augment<TTransformer>(
        IEstimator<TTransformer> estimator, TabularEstimator generator, AugmentationOptions? options = null)
        where TTransformer : class, ITransformer
    {
        ArgumentNullException.ThrowIfNull(estimator);
        ArgumentNullException.ThrowIfNull(generator);
        return new(_environment, estimator, rows => new TabularRowGenerator(generator.Fit(rows)), options ?? new());
    }
}
