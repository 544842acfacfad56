using Microsoft.ML;
using Microsoft.ML.Runtime;

namespace GenerativeML;

/// <summary>
/// Detects anomalies by how badly they can be reconstructed: trains networks that undo noise on ordinary rows, and
/// gives each row a score that is the higher the stranger it is.
/// </summary>
/// <remarks>
/// <para>
/// To create this trainer, use
/// <see cref="AutoencoderCatalog.Autoencoder(AnomalyDetectionCatalog.AnomalyDetectionTrainers, string, double, int?, int?)"/>
/// or <see cref="AutoencoderCatalog.Autoencoder(AnomalyDetectionCatalog.AnomalyDetectionTrainers, AutoencoderOptions)"/>.
/// </para>
/// <list type="table">
/// <listheader><term>Characteristic</term><description>This trainer</description></listheader>
/// <item><term>Task</term><description>Anomaly detection; no label is read.</description></item>
/// <item><term>Input</term><description>One vector of <see cref="float"/> of known size.</description></item>
/// <item><term>Normalization</term>
/// <description>Done inside: each feature by its own mean and deviation.</description></item>
/// <item><term>Caching</term>
/// <description>Done inside, within <see cref="TrainingOptions.CacheBudgetBytes"/>.</description></item>
/// <item><term>Packages beside Microsoft.ML</term><description>To train, and to compute on a GPU, TorchSharp-cpu or
/// TorchSharp-cuda; to score on the CPU, Microsoft.ML.OnnxRuntime.</description></item>
/// </list>
/// <para>Added columns:</para>
/// <list type="table">
/// <listheader><term>Column</term><description>Type and meaning</description></listheader>
/// <item><term><c>PredictedLabel</c></term><description><see cref="bool"/>: whether the score is above the
/// threshold, which <see cref="AutoencoderOptions.Contamination"/> decides.</description></item>
/// <item><term><c>Score</c></term><description><see cref="float"/>, zero or more: how strange the row is.</description></item>
/// <item><term><c>FeatureScore</c></term><description>On request: a vector as wide as the input, each slot's share of the
/// score; its slot names are the input's.</description></item>
/// <item><term><c>Reconstruction</c></term><description>On request: a vector as wide as the input, what the networks make
/// of the row, in the input's units.</description></item>
/// <item><term><c>Latent</c></term><description>On request: the row's code, a vector.</description></item>
/// </list>
/// </remarks>
public sealed class AutoencoderTrainer : VectorTrainer<VectorTransformer>
{
    internal static readonly VectorFamily Family = new(
        "autoencoder", typeof(AutoencoderOptions),
        (options, input) => new AutoencoderNetwork((AutoencoderOptions)options, input), state => new VectorTransformer(state));

    internal AutoencoderTrainer(IHostEnvironment environment, AutoencoderOptions options)
        : base(environment, Family, options)
    {
    }
}
