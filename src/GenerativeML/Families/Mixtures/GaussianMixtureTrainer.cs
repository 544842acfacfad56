using Microsoft.ML.Runtime;

namespace GenerativeML;

/// <summary>
/// Learns the density of rows as a mixture of normal distributions, by expectation maximisation: scores rows by their
/// log-likelihood, says which component they are of, and generates others like them.
/// </summary>
/// <remarks>
/// <para>To create this trainer, use <see cref="Microsoft.ML.GenerativeCatalog.GaussianMixture"/>, or to detect anomalies
/// <see cref="Microsoft.ML.DensityCatalog.GaussianMixture"/>.</para>
/// <list type="table">
/// <listheader><term>Characteristic</term><description>This trainer</description></listheader>
/// <item><term>Task</term><description>Density estimation, anomaly detection, generation, clustering.</description></item>
/// <item><term>Input</term><description>One vector of <see cref="float"/> of known size.</description></item>
/// <item><term>Normalization</term><description>Done inside.</description></item>
/// <item><term>Packages beside Microsoft.ML</term><description>To train, TorchSharp-cpu or TorchSharp-cuda; to score and
/// generate on the CPU, Microsoft.ML.OnnxRuntime.</description></item>
/// </list>
/// <para>Added columns:</para>
/// <list type="table">
/// <listheader><term>Column</term><description>Type and meaning</description></listheader>
/// <item><term><c>Score</c></term><description><see cref="float"/>: −log p(row), in nats and the units of the data.
/// </description></item>
/// <item><term><c>PredictedLabel</c></term><description>Of a detector: <see cref="bool"/>, whether the score is above the
/// threshold, which <see cref="DensityOptions.Contamination"/> decides.</description></item>
/// <item><term><c>Latent</c></term><description>On request: a vector, how likely the row is of each component.
/// </description></item>
/// </list>
/// </remarks>
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
