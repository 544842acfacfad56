using Microsoft.ML;
using Microsoft.ML.Runtime;

namespace GenerativeML;

/// <summary>Replaces a wide vector by a short one from which an autoencoder can restore it: the row's code.</summary>
/// <remarks>
/// To create this estimator, use
/// <see cref="GenerativeCatalog.AutoencoderFeaturizer(string, string?, AutoencoderOptions?)"/>. The input is a vector of
/// <see cref="float"/> of known size; it is normalized inside.
/// </remarks>
public sealed class AutoencoderFeaturizer : AutoencoderEstimator
{
    internal AutoencoderFeaturizer(
        IHostEnvironment environment, string outputColumnName, string inputColumnName, AutoencoderOptions options)
        : base(
            environment,
            nameof(AutoencoderFeaturizer),
            options,
            new() { Features = inputColumnName, Latent = outputColumnName },
            AutoencoderUse.Encode)
    {
    }
}
