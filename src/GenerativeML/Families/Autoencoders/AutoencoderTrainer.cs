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
/// or <see cref="AutoencoderCatalog.Autoencoder(AnomalyDetectionCatalog.AnomalyDetectionTrainers, Options)"/>.
/// </para>
/// <list type="table">
/// <listheader><term>Characteristic</term><description>This trainer</description></listheader>
/// <item><term>Task</term><description>Anomaly detection; no label is read.</description></item>
/// <item><term>Input</term><description>One vector of <see cref="float"/> of known size.</description></item>
/// <item><term>Normalization</term>
/// <description>Done inside: each slot by its own mean and deviation.</description></item>
/// <item><term>Caching</term>
/// <description>Done inside, within <see cref="TrainingOptions.CacheBudgetBytes"/>.</description></item>
/// <item><term>Packages beside Microsoft.ML</term><description>For training, and to compute on a GPU, TorchSharp-cpu or
/// TorchSharp-cuda; none to compute on the CPU.</description></item>
/// </list>
/// <para>Added columns:</para>
/// <list type="table">
/// <listheader><term>Column</term><description>Type and meaning</description></listheader>
/// <item><term><c>PredictedLabel</c></term><description><see cref="bool"/>: whether the score is above the
/// threshold, which <see cref="AutoencoderDetectorOptions.Contamination"/> decides.</description></item>
/// <item><term><c>Score</c></term><description><see cref="float"/>, zero or more: how strange the row is.</description></item>
/// <item><term><c>FeatureScore</c></term><description>On request: a vector as wide as the input, each slot's share of the
/// score; its slot names are the input's.</description></item>
/// <item><term><c>Reconstruction</c></term><description>On request: a vector as wide as the input, what the networks make
/// of the row, in the input's units.</description></item>
/// <item><term><c>Latent</c></term><description>On request: the row's code, a vector.</description></item>
/// </list>
/// </remarks>
public sealed class AutoencoderTrainer : AutoencoderEstimator
{
    internal AutoencoderTrainer(IHostEnvironment environment, Options options)
        : base(environment, nameof(AutoencoderTrainer), options, ColumnsOf(options), AutoencoderUse.Detect)
    {
    }

    private static AutoencoderColumns ColumnsOf(Options options)
    {
        ArgumentNullException.ThrowIfNull(options);
        return new()
        {
            Features = options.FeatureColumnName,
            Score = options.ScoreColumnName,
            PredictedLabel = options.PredictedLabelColumnName,
            Reconstruction = options.ReconstructionColumnName,
            Latent = options.LatentColumnName,
            FeatureScore = options.FeatureScoreColumnName,
        };
    }

    /// <summary>The options of <see cref="AutoencoderTrainer"/>.</summary>
    public sealed record Options : AutoencoderDetectorOptions
    {
        /// <summary>The input: a vector of <see cref="float"/> of known size. Default <c>Features</c>.</summary>
        public string FeatureColumnName { get; init; } = "Features";

        /// <summary>The column for the score. Default <c>Score</c>.</summary>
        public string ScoreColumnName { get; init; } = "Score";

        /// <summary>The column for the predicted label. Default <c>PredictedLabel</c>.</summary>
        public string PredictedLabelColumnName { get; init; } = "PredictedLabel";

        /// <summary>The column for the reconstruction. Default: none is added.</summary>
        public string? ReconstructionColumnName { get; init; }

        /// <summary>The column for the code. Default: none is added.</summary>
        public string? LatentColumnName { get; init; }

        /// <summary>The column for each slot's share of the score. Default: none is added.</summary>
        public string? FeatureScoreColumnName { get; init; }
    }
}
