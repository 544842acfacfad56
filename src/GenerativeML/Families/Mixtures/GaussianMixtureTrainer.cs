using Microsoft.ML.Runtime;

namespace GenerativeML;

/// <summary>
/// Learns the density of rows as a mixture of normal distributions, by expectation maximisation: scores rows by their
/// log-likelihood, says how likely they are of each component (the latent vector), and generates others like them.
/// </summary>
/// <remarks><inheritdoc cref="DensityOptions" path="/remarks"/></remarks>
public sealed class GaussianMixtureTrainer : VectorTrainer<VectorGenerator>
{
    internal static readonly VectorFamily Family = new(
        "gaussian mixture", typeof(GaussianMixtureOptions),
        (options, input) => new GaussianMixtureNetwork((GaussianMixtureOptions)options, input),
        state => new VectorGenerator(state));

    internal GaussianMixtureTrainer(IHostEnvironment environment, GaussianMixtureOptions options)
        : base(environment, Family, options)
    {
    }
}
