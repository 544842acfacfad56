using Microsoft.ML.Runtime;

namespace GenerativeML;

/// <summary>
/// Learns the density of rows by a normalizing flow, RealNVP (Dinh 2017): scores rows by their exact log-likelihood,
/// encodes them, and generates others like them.
/// </summary>
/// <remarks>
/// <para>To create this trainer, use <see cref="Microsoft.ML.GenerativeCatalog.RealNvp"/>, or to detect anomalies
/// <see cref="Microsoft.ML.DensityCatalog.RealNvp"/>.</para>
/// <list type="table">
/// <listheader><term>Characteristic</term><description>This trainer</description></listheader>
/// <item><term>Task</term><description>Density estimation, anomaly detection, generation.</description></item>
/// <item><term>Input</term><description>One vector of <see cref="float"/> of known size; labels that it depends on,
/// by <see cref="RealNvpOptions.ConditionColumnNames"/>.</description></item>
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
/// <item><term><c>FeatureScore</c></term><description>On request: each feature's share of the score.</description></item>
/// <item><term><c>Latent</c></term><description>On request: a vector as wide as the input, standard normal over the
/// training rows.</description></item>
/// </list>
/// </remarks>
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
