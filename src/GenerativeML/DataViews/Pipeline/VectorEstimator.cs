using Microsoft.ML;
using Microsoft.ML.Runtime;

namespace GenerativeML;

/// <summary>What the estimators have in common that train on vectors of numbers.</summary>
/// <typeparam name="TTransformer">What training makes.</typeparam>
public abstract class VectorEstimator<TTransformer> : GenerativeEstimator<TTransformer>
    where TTransformer : class, ITransformer
{
    private readonly TrainingOptions _options;

    private protected VectorEstimator(IHostEnvironment environment, string name, TrainingOptions options)
        : base(environment, name, options) => _options = options;

    /// <summary>The columns that are read, by name.</summary>
    private protected abstract IReadOnlyList<string> InputColumnNames { get; }

    /// <summary>The label columns that are read beside them, by name.</summary>
    private protected virtual IReadOnlyList<string> LabelColumnNames => [];

    /// <summary>Trains on rows whose columns are there and of the right type.</summary>
    private protected abstract TTransformer Train(DataViewRowSource rows, TrainingContext context);

    private protected sealed override void CheckInput(SchemaShape inputSchema, string parameter)
    {
        foreach (string name in InputColumnNames)
            InputColumns.Check(inputSchema, name, parameter);
        foreach (string name in LabelColumnNames)
            InputColumns.CheckLabel(inputSchema, name, parameter);
    }

    private protected sealed override TTransformer Train(IDataView input, string parameter, TrainingContext context) =>
        Train(
            new DataViewRowSource(
                input, InputColumnNames, _options.NonFiniteValues, parameter, LabelColumnNames,
                _options.CancellationToken),
            context);
}
