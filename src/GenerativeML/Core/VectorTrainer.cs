using Microsoft.ML;
using Microsoft.ML.Runtime;

namespace GenerativeML;

/// <summary>What all trainers of models of vectors have in common.</summary>
/// <typeparam name="TTransformer">What training makes.</typeparam>
public abstract class VectorTrainer<TTransformer> : GenerativeEstimator<TTransformer>
    where TTransformer : VectorTransformer
{
    private readonly VectorFamily _family;
    private readonly VectorOptions _options;
    private readonly VectorColumns _columns;

    private protected VectorTrainer(IHostEnvironment environment, VectorFamily family, VectorOptions options)
        : base(environment, family.Name, options)
    {
        _family = family;
        _options = options;
        _columns = options.Columns;
    }

    private protected override IReadOnlyList<OutputColumn> PromisedColumns => _columns.Outputs(width: 1, latent: 1);

    private protected override void CheckInput(SchemaShape inputSchema, string parameter)
    {
        InputColumns.Check(inputSchema, _columns.Features, InputKind.Vector, parameter);
        foreach (string name in _columns.Conditions)
            InputColumns.Check(inputSchema, name, InputKind.Label, parameter);
    }

    private protected override TTransformer Train(IDataView input, string parameter, TrainingContext context)
    {
        var rows = new DataViewRowSource(
            input, [_columns.Features], _options.NonFiniteValues, parameter, _columns.Conditions,
            _options.CancellationToken);
        rows.FindCategories();
        VectorFitResult fit = VectorFit.Fit(rows, _family, _options, context);
        return (TTransformer)_family.Wrap(new(
            _family, fit.Options, fit.Model, fit.Threshold, VectorSchema.Of(rows.Columns), rows.Replacement,
            fit.Extra));
    }
}
