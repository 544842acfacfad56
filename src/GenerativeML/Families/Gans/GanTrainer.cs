using Microsoft.ML;
using Microsoft.ML.Runtime;

namespace GenerativeML;

/// <summary>
/// Trains a generative adversarial network (Goodfellow 2014): a generator that makes rows from noise, against a
/// discriminator that tells them from the training rows. <see cref="GanOptions.Objective"/> chooses the game.
/// </summary>
/// <remarks>
/// <para>
/// To create this estimator, use <see cref="GenerativeCatalog.Gan(string, GanObjective, int?)"/> or
/// <see cref="GenerativeCatalog.Gan(Options)"/>. The input is a vector of <see cref="float"/> of known size; it is
/// normalized inside. With <see cref="Options.ConditionColumnNames"/> it is conditional (Mirza 2014): generated rows have
/// those columns too, with any values that are asked for. <see cref="GanTransformer.Report"/> says how training went.
/// </para>
/// </remarks>
public sealed class GanTrainer : VectorEstimator<GanTransformer>
{
    private readonly Options _options;
    private readonly GanColumns _columns;

    internal GanTrainer(IHostEnvironment environment, Options options)
        : base(environment, nameof(GanTrainer), options)
    {
        _options = options;
        _columns = new()
        {
            Features = options.FeatureColumnName,
            Conditions = [.. options.ConditionColumnNames],
            Score = options.ScoreColumnName,
            Reconstruction = options.ReconstructionColumnName,
        };
        _columns.Validate();
    }

    private protected override IReadOnlyList<string> InputColumnNames => [_columns.Features];

    private protected override IReadOnlyList<string> LabelColumnNames => _columns.Conditions;

    private protected override IReadOnlyList<OutputColumn> PromisedColumns => _columns.Outputs(width: 1);

    private protected override GanTransformer Train(DataViewRowSource rows, TrainingContext context) =>
        new(GanFit.Fit(rows, _options, context), _columns, VectorSchema.Of(rows.Columns), rows.Replacement);

    /// <summary>The options of <see cref="GanTrainer"/>.</summary>
    public sealed record Options : GanOptions
    {
        /// <summary>The input: a vector of <see cref="float"/> of known size. Default <c>Features</c>.</summary>
        public string FeatureColumnName { get; init; } = "Features";

        /// <summary>
        /// Label columns that rows depend on. Each is a Single, a Boolean or a key. Default: none.
        /// </summary>
        public IReadOnlyList<string> ConditionColumnNames { get; init; } = [];

        /// <summary>
        /// The column for the score, see <see cref="GanOptions.Score"/>. Default <c>Score</c>; null: none is added.
        /// </summary>
        public string? ScoreColumnName { get; init; } = "Score";

        /// <summary>
        /// The column for the nearest row that the generator can make, found by latent search. Default: none is added.
        /// </summary>
        public string? ReconstructionColumnName { get; init; }
    }
}
