using Microsoft.ML;
using Microsoft.ML.Runtime;

namespace GenerativeML;

/// <summary>
/// Replaces a vector by what an autoencoder makes of it: noise is undone as far as other slots tell what was there.
/// </summary>
/// <remarks>
/// To create this estimator, use
/// <see cref="GenerativeCatalog.AutoencoderDenoiser(string, string?, AutoencoderOptions?)"/>. The input is a vector of
/// <see cref="float"/> of known size; the output is as wide and in the same units, with the input's slot names.
/// </remarks>
public sealed class AutoencoderDenoiser : AutoencoderEstimator
{
    internal AutoencoderDenoiser(
        IHostEnvironment environment, string outputColumnName, string inputColumnName, AutoencoderOptions options)
        : base(
            environment,
            nameof(AutoencoderDenoiser),
            options,
            new() { Features = inputColumnName, Reconstruction = outputColumnName },
            AutoencoderUse.Denoise)
    {
    }
}
