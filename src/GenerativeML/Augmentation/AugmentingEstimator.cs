using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace GenerativeML;

/// <summary>
/// Trains another estimator on real and synthetic rows: a generator learns the training rows, and rows that it makes
/// are added to them.
/// </summary>
/// <remarks>
/// What <see cref="Fit"/> returns is the other estimator's own transformer, and nothing else: nothing synthetic is seen
/// when it is used, and the generator is gone. Rows are generated while the other estimator reads them, and are spread
/// evenly among the real ones. The other estimator sees the columns that the generator learned.
/// </remarks>
/// <typeparam name="TTransformer">What the other estimator makes.</typeparam>
public sealed class AugmentingEstimator<TTransformer> : IEstimator<TTransformer>
    where TTransformer : class, ITransformer
{
    private readonly IHost _host;
    private readonly IEstimator<TTransformer> _estimator;
    private readonly Func<IDataView, IRowGenerator> _learn;
    private readonly AugmentationOptions _options;

    internal AugmentingEstimator(
        IHostEnvironment environment,
        IEstimator<TTransformer> estimator,
        Func<IDataView, IRowGenerator> learn,
        AugmentationOptions options)
    {
        ArgumentNullException.ThrowIfNull(estimator);
        options.Validate();
        _host = environment.Register("Augmentation");
        _estimator = estimator;
        _learn = learn;
        _options = options;
    }

    /// <summary>Trains the generator, and the other estimator on real and synthetic rows.</summary>
    /// <param name="input">The real rows.</param>
    /// <returns>The other estimator's transformer.</returns>
    /// <exception cref="ArgumentOutOfRangeException">A column is missing or of the wrong type.</exception>
    /// <exception cref="InvalidOperationException">There are no rows, or they cannot be learned.</exception>
    public TTransformer Fit(IDataView input)
    {
        ArgumentNullException.ThrowIfNull(input);
        // What the shapes can tell, they tell before anything is trained.
        _estimator.GetOutputSchema(MLNetInternals.ShapeOf(input.Schema));
        AugmentationPlan plan = AugmentationPlan.Of(input, _options);
        if (plan.Parts.Count == 0)
            return _estimator.Fit(input);
        using IRowGenerator generator = _learn(input);
        using IChannel channel = _host.Start("Augmentation");
        long added = plan.Parts.Sum(part => part.Rows);
        channel.Info(
            MessageSensitivity.None,
            FormattableString.Invariant($"{added} synthetic rows are added to {plan.RealRows} real ones."));
        List<(IDataView, long)> views = [(input, plan.RealRows)];
        foreach ((long rows, ColumnValue? where) in plan.Parts)
            views.Add((generator.Generate(rows, _options.Seed + views.Count, where), rows));
        return _estimator.Fit(new MixedDataView(generator.GeneratedSchema, views));
    }

    /// <summary>Says which columns the transformer will add: those of the other estimator.</summary>
    /// <param name="inputSchema">What is known of the columns that come in.</param>
    public SchemaShape GetOutputSchema(SchemaShape inputSchema) => _estimator.GetOutputSchema(inputSchema);
}
