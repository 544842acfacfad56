using Microsoft.ML.Runtime;

namespace GenerativeML;

/// <summary>
/// Learns the density of rows by a normalizing flow, RealNVP (Dinh 2017): scores rows by their exact log-likelihood,
/// encodes them as vectors that are standard normal over the training rows, and generates others like them.
/// </summary>
/// <remarks><inheritdoc cref="DensityOptions" path="/remarks"/></remarks>
public sealed class RealNvpTrainer : VectorTrainer<VectorGenerator>
{
    internal static readonly VectorFamily Family = new(
        "realnvp", typeof(RealNvpOptions), (options, input) => new RealNvpNetwork((RealNvpOptions)options, input),
        state => new VectorGenerator(state));

    internal RealNvpTrainer(IHostEnvironment environment, RealNvpOptions options)
        : base(environment, Family, options)
    {
    }
}
