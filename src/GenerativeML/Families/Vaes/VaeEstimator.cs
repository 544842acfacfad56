using Microsoft.ML.Runtime;

namespace GenerativeML;

/// <summary>
/// What the estimators of VAEs have in common: they train the same networks and differ in what they add.
/// </summary>
public abstract class VaeEstimator : VectorEstimator<VaeTransformer>
{
    private readonly VaeOptions _options;
    private readonly VaeColumns _columns;

    private protected VaeEstimator(
        IHostEnvironment environment, string name, VaeOptions options, VaeColumns columns)
        : base(environment, name, options)
    {
        columns.Validate();
        _options = options;
        _columns = columns;
    }

    private protected override IReadOnlyList<string> InputColumnNames => [_columns.Features];

    private protected override IReadOnlyList<string> LabelColumnNames => _columns.Conditions;

    private protected override IReadOnlyList<OutputColumn> PromisedColumns => _columns.Outputs(width: 1, latent: 1);

    private protected override VaeTransformer Train(DataViewRowSource rows, TrainingContext context) =>
        new(VaeFit.Fit(rows, _options, context), _columns, VectorSchema.Of(rows.Columns), rows.Replacement);
}
