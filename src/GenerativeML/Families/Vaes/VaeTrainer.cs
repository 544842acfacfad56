using Microsoft.ML;
using Microsoft.ML.Runtime;

namespace GenerativeML;

/// <summary>
/// Trains a variational autoencoder (Kingma and Welling 2014) to generate rows like those it was trained on, and to
/// encode rows: <see cref="GeneratorTransformer.Generate"/> makes new ones, <c>Latent</c> holds the codes of given
/// ones.
/// </summary>
/// <remarks>
/// <para>
/// To create this estimator, use <see cref="GenerativeCatalog.Vae(string, int?, int?)"/> or
/// <see cref="GenerativeCatalog.Vae(Options)"/>. The input is a vector of <see cref="float"/> of known size; it is
/// normalized inside. With <see cref="Options.ConditionColumnNames"/> it is conditional (Sohn 2015): the generated
/// rows have those columns too, with any values that are asked for.
/// </para>
/// </remarks>
public sealed class VaeTrainer : VaeEstimator
{
    internal VaeTrainer(IHostEnvironment environment, Options options)
        : base(environment, nameof(VaeTrainer), options, ColumnsOf(options))
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
            Reconstruction = options.ReconstructionColumnName,
            Latent = options.LatentColumnName,
            LatentDeviation = options.LatentDeviationColumnName,
        };
    }

    /// <summary>The options of <see cref="VaeTrainer"/>.</summary>
    public sealed record Options : VaeOptions
    {
        /// <summary>The input: a vector of <see cref="float"/> of known size. Default <c>Features</c>.</summary>
        public string FeatureColumnName { get; init; } = "Features";

        /// <summary>
        /// Label columns that rows depend on. Each is a Single, a Boolean or a key. Default: none.
        /// </summary>
        public IReadOnlyList<string> ConditionColumnNames { get; init; } = [];

        /// <summary>The column for the mean of the code. Default <c>Latent</c>.</summary>
        public string LatentColumnName { get; init; } = "Latent";

        /// <summary>The column for the standard deviation of the code. Default: none is added.</summary>
        public string? LatentDeviationColumnName { get; init; }

        /// <summary>
        /// The column for what the decoder makes of the mean code, in the input's units. Default: none is added.
        /// </summary>
        public string? ReconstructionColumnName { get; init; }

        /// <summary>The column for the score, see <see cref="VaeOptions.Score"/>. Default: none is added.</summary>
        public string? ScoreColumnName { get; init; }
    }
}
