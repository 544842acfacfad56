using Microsoft.ML;
using Microsoft.ML.Runtime;

namespace GenerativeML;

/// <summary>
/// Detects anomalies: trains a variational autoencoder (Kingma and Welling 2014) on ordinary rows, and scores each row
/// by how unlike them it is, or by how unlikely.
/// </summary>
/// <remarks>
/// <para>
/// To create this trainer, use
/// <see cref="VaeCatalog.VariationalAutoencoder(AnomalyDetectionCatalog.AnomalyDetectionTrainers, string, double, int?, int?)"/>
/// or <see cref="VaeCatalog.VariationalAutoencoder(AnomalyDetectionCatalog.AnomalyDetectionTrainers, Options)"/>.
/// </para>
/// <list type="table">
/// <listheader><term>Characteristic</term><description>This trainer</description></listheader>
/// <item><term>Task</term><description>Anomaly detection; no label is read, but conditions may be.</description></item>
/// <item><term>Input</term><description>One vector of <see cref="float"/> of known size.</description></item>
/// <item><term>Normalization</term>
/// <description>Done inside: each slot by its own mean and deviation, where it is not Bernoulli.</description></item>
/// <item><term>Caching</term>
/// <description>Done inside, within <see cref="TrainingOptions.CacheBudgetBytes"/>.</description></item>
/// <item><term>Packages beside Microsoft.ML</term><description>For training, and to compute on a GPU, TorchSharp-cpu or
/// TorchSharp-cuda; none to compute on the CPU.</description></item>
/// </list>
/// <para>Added columns:</para>
/// <list type="table">
/// <listheader><term>Column</term><description>Type and meaning</description></listheader>
/// <item><term><c>PredictedLabel</c></term><description><see cref="bool"/>: whether the score is above the
/// threshold, which <see cref="VaeDetectorOptions.Contamination"/> decides.</description></item>
/// <item><term><c>Score</c></term><description><see cref="float"/>: what <see cref="VaeOptions.Score"/> says. By
/// default <see cref="VaeScore.Novelty"/>: zero or more, and about the number of its parts for a usual row. The others
/// are in nats, and may be negative, for densities of numbers may be above one.</description></item>
/// <item><term><c>FeatureScore</c></term><description>On request: a vector as wide as the input; its slot names are
/// the input's. Each slot's share of the score: its own part of likelihood and distances, and by its part of likelihood a
/// share of what belongs to the row as a whole. Where the score is <see cref="VaeScore.NegativeLogLikelihood"/>, the
/// negative logarithm of the slot's density given the mean of the row's code, in nats.</description></item>
/// <item><term><c>Reconstruction</c></term><description>On request: a vector as wide as the input, what the decoder
/// makes of the mean of the row's code, in the input's units.</description></item>
/// <item><term><c>Latent</c>, <c>LatentDeviation</c></term><description>On request: mean and standard deviation of the
/// row's code, vectors.</description></item>
/// </list>
/// </remarks>
public sealed class VariationalAutoencoderTrainer : VaeEstimator
{
    internal VariationalAutoencoderTrainer(IHostEnvironment environment, Options options)
        : base(environment, nameof(VariationalAutoencoderTrainer), options, ColumnsOf(options))
    {
    }

    private static VaeColumns ColumnsOf(Options options)
    {
        ArgumentNullException.ThrowIfNull(options);
        return new()
        {
            Features = options.FeatureColumnName,
            Conditions = [.. options.ConditionColumnNames],
            Score = options.ScoreColumnName,
            PredictedLabel = options.PredictedLabelColumnName,
            FeatureScore = options.FeatureScoreColumnName,
            Reconstruction = options.ReconstructionColumnName,
            Latent = options.LatentColumnName,
            LatentDeviation = options.LatentDeviationColumnName,
        };
    }

    /// <summary>The options of <see cref="VariationalAutoencoderTrainer"/>.</summary>
    public sealed record Options : VaeDetectorOptions
    {
        /// <summary>The input: a vector of <see cref="float"/> of known size. Default <c>Features</c>.</summary>
        public string FeatureColumnName { get; init; } = "Features";

        /// <summary>
        /// Label columns that rows are judged by: a row's score is how unlikely it is among rows with its labels. Each
        /// is a Single, a Boolean or a key. Default: none.
        /// </summary>
        public IReadOnlyList<string> ConditionColumnNames { get; init; } = [];

        /// <summary>The column for the score. Default <c>Score</c>.</summary>
        public string ScoreColumnName { get; init; } = "Score";

        /// <summary>The column for the predicted label. Default <c>PredictedLabel</c>.</summary>
        public string PredictedLabelColumnName { get; init; } = "PredictedLabel";

        /// <summary>The column for each slot's own score. Default: none is added.</summary>
        public string? FeatureScoreColumnName { get; init; }

        /// <summary>The column for the reconstruction. Default: none is added.</summary>
        public string? ReconstructionColumnName { get; init; }

        /// <summary>The column for the mean of the code. Default: none is added.</summary>
        public string? LatentColumnName { get; init; }

        /// <summary>The column for the standard deviation of the code. Default: none is added.</summary>
        public string? LatentDeviationColumnName { get; init; }
    }
}
