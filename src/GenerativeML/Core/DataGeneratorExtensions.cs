using GenerativeML;

namespace Microsoft.ML;

/// <summary>The way to a generator that is part of a pipeline.</summary>
public static class DataGeneratorExtensions
{
    /// <summary>
    /// Finds what generates rows in a fitted or loaded model, however deep in chains it is, without naming its class.
    /// </summary>
    /// <param name="model">A transformer, or a chain of them.</param>
    /// <returns>The last generator of the chain.</returns>
    /// <exception cref="InvalidOperationException">There is none.</exception>
    public static IDataGenerator FindGenerator(this ITransformer model)
    {
        ArgumentNullException.ThrowIfNull(model);
        return Find(model) ?? throw new InvalidOperationException(
            "Nothing in this model generates rows: models of TabularVae, TabularGan, Vae, Gan and the like do.");
    }

    private static IDataGenerator? Find(ITransformer model) => model switch
    {
        IDataGenerator generator => generator,
        IEnumerable<ITransformer> chain => chain.Select(Find).LastOrDefault(found => found is not null),
        _ => null,
    };
}
