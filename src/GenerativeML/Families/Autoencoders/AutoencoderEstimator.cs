using Microsoft.ML.Runtime;

namespace GenerativeML;

/// <summary>
/// What the estimators of autoencoders have in common: they train the same networks and differ in what they add.
/// </summary>
public abstract class AutoencoderEstimator : VectorEstimator<AutoencoderTransformer>
{
    private readonly AutoencoderOptions _options;
    private readonly AutoencoderColumns _columns;
    private readonly AutoencoderUse _use;

    private protected AutoencoderEstimator(
        IHostEnvironment environment,
        string name,
        AutoencoderOptions options,
        AutoencoderColumns columns,
        AutoencoderUse use)
        : base(environment, name, options)
    {
        columns.Validate();
        _options = options;
        _columns = columns;
        _use = use;
    }

    private protected override IReadOnlyList<string> InputColumnNames => [_columns.Features];

    private protected override IReadOnlyList<OutputColumn> PromisedColumns => _columns.Outputs(width: 1, latent: 1);

    private protected override AutoencoderTransformer Train(DataViewRowSource rows, TrainingContext context) =>
        new(AutoencoderFit.Fit(rows, _options, _use, context), _columns, rows.Replacement);
}
