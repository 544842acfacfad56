using Microsoft.ML;
using Microsoft.ML.Runtime;

namespace GenerativeML;

/// <summary>How numbers are cut into bins, which are the states of a network.</summary>
public enum Discretization
{
    /// <summary>About as many rows in each; values that occur often have bins of their own.</summary>
    Quantile,

    /// <summary>All equally wide, so that few rows lie in the outer ones.</summary>
    EqualWidth,
}

/// <summary>
/// The options of a Bayesian network of a table's columns: how numbers become states, how edges are found, how
/// probabilities are smoothed, and which columns a detector adds.
/// </summary>
/// <remarks>
/// Nothing is learned by gradients: of the options of training, <see cref="TrainingOptions.Epochs"/> is the most
/// iterations of EM (default 100), <see cref="TrainingOptions.CacheBudgetBytes"/> how much memory holds rows, of which
/// more are thinned out evenly, and the learning rate, batches, devices, checkpoints and what goes with them have no
/// effect: a fit takes seconds.
/// </remarks>
public sealed record BayesianNetworkOptions : TabularOptions
{
    private const int MaxBins = 1000;

    /// <summary>
    /// How edges are found. Default <see cref="StructureSearchMethod.HillClimbing"/>, whose time grows with the square of
    /// the columns, as that of the tree does, which is found much sooner.
    /// </summary>
    public StructureSearchMethod Structure { get; init; }

    /// <summary>
    /// The edges, with <see cref="StructureSearchMethod.Given"/>; such as <see cref="BayesianNetwork.Edges"/> of a BIF
    /// file. Columns are named as in the data; those that a constraint combines as <c>A + B</c>.
    /// </summary>
    public IReadOnlyList<NetworkEdge>? Edges { get; init; }

    /// <summary>
    /// What hill climbing compares networks by. Default <see cref="StructureScore.Bic"/>, and
    /// <see cref="StructureScore.BDeu"/>, which adds more edges, to detect anomalies.
    /// </summary>
    public StructureScore? Score { get; init; }

    /// <summary>The rows that the prior of <see cref="StructureScore.BDeu"/> counts for. Positive. Default 10.</summary>
    public double EquivalentSampleSize { get; init; } = 10;

    /// <summary>The most parents of a column, by hill climbing. 1 to 100. Default 4.</summary>
    public int MaxParents { get; init; } = 4;

    /// <summary>
    /// How many steps in turn hill climbing goes on without a gain, and for how many it leaves two columns alone whose
    /// edge it changed. Zero: it ends at the first network that no step improves. At most 10,000. Default 10.
    /// </summary>
    public int TabuLength { get; init; } = 10;

    /// <summary>
    /// How many times hill climbing begins anew, each time at the network that the best one so far becomes when columns
    /// change their places in its order (Teyssier and Koller 2005), after some random ones. With more than 64 columns it
    /// takes too long, and is not done. 0 to 1000. Default 2.
    /// </summary>
    public int Restarts { get; init; } = 2;

    /// <summary>Edges that hill climbing starts with and keeps. Default: none.</summary>
    public IReadOnlyList<NetworkEdge>? RequiredEdges { get; init; }

    /// <summary>Edges that hill climbing does not add. Default: none.</summary>
    public IReadOnlyList<NetworkEdge>? ForbiddenEdges { get; init; }

    /// <summary>
    /// The rows that the Dirichlet prior of each distribution counts for; its mean is how often the states occur in all
    /// rows. Zero: relative frequencies, under which what did not occur is impossible. Default 1.
    /// </summary>
    public double PriorRows { get; init; } = 1;

    /// <summary>
    /// Whether missing values are hidden ones: probabilities are those of complete rows, found by expectation
    /// maximisation (Dempster 1977), generated rows are complete, and what is missing in a row adds nothing to its score.
    /// Otherwise missing is a state like others, and generated so. Default: false.
    /// </summary>
    public bool EstimateMissing { get; init; }

    /// <summary>EM ends when the mean log-likelihood of a row rises by less, in nats. Zero: never. Default 1e-5.</summary>
    public double Tolerance { get; init; } = 1e-5;

    /// <summary>
    /// How numbers are cut into bins. A generated number lies in its bin as those of the training rows do. Default
    /// <see cref="Discretization.Quantile"/>, and <see cref="Discretization.EqualWidth"/> to detect anomalies.
    /// </summary>
    public Discretization? Discretization { get; init; }

    /// <summary>About the most bins of a column of numbers. 2 to 1000. Default: 16, and 30 to detect anomalies.</summary>
    public int? Bins { get; init; }

    /// <summary>
    /// Where bins of some columns begin, ascending; what is below the first is one, too. A column of few different
    /// numbers has a state for each all the same. Default: none are given.
    /// </summary>
    public Dictionary<string, IReadOnlyList<double>>? BinEdges { get; init; }

    /// <summary>The column for the score, −log p of the row, in nats. Default: <c>Score</c> of a detector.</summary>
    public string? ScoreColumnName { get; init; }

    /// <summary>
    /// The column for the predicted label, whether the score is above the threshold. Default: <c>PredictedLabel</c> of a
    /// detector.
    /// </summary>
    public string? PredictedLabelColumnName { get; init; }

    /// <summary>
    /// The column for the share of each column in the score, a vector: −log of its probability given its parents. Default:
    /// none is added.
    /// </summary>
    public string? FeatureScoreColumnName { get; init; }

    /// <inheritdoc cref="DetectorOptions.PValueColumnName"/>
    public string? PValueColumnName { get; init; }

    /// <inheritdoc cref="DetectorOptions.Contamination"/>
    public double Contamination { get; init; } = 0.1;

    internal override bool UsesModes => false;

    internal override bool TrainsInTorch => false;

    /// <summary>Whether rows are scored.</summary>
    internal bool Detects =>
        (ScoreColumnName ?? PredictedLabelColumnName ?? FeatureScoreColumnName ?? PValueColumnName) is not null;

    /// <summary>Whether a threshold or p-values are to be known.</summary>
    internal bool Calibrates => (PredictedLabelColumnName ?? PValueColumnName) is not null;

    internal override TableNetwork CreateNetwork(TokenTable tokens) =>
        throw new NotSupportedException("A Bayesian network is no network of layers.");

    internal override (TabularOptions Options, long? Steps) Resolve(long trainingRows, int columns) => (this with
    {
        Epochs = Epochs ?? 100,
        Discretization = Discretization ?? (Detects ? GenerativeML.Discretization.EqualWidth : GenerativeML.Discretization.Quantile),
        Bins = Bins ?? (Detects ? 30 : 16),
        Score = Score ?? (Detects ? StructureScore.BDeu : StructureScore.Bic),
    }, null);

    internal override ITableGenerator Fit(ITableSource source, TrainingContext context) =>
        BayesianTableFit.Run(source, this, context);

    internal override ITableGenerator Load(TableShape shape, Stream weights, ComputeDevice device, bool fallbackToCpu) =>
        BayesianTable.Load(shape, this, weights);

    internal override TabularTransformer Wrap(
        ITableGenerator generator, TableSchema table, TableMapping mapping, TableDetection? detection) =>
        new BayesianNetworkTransformer((BayesianTable)generator, table, mapping, detection);

    /// <summary>The columns that are added to scored rows, for learned columns of these names.</summary>
    internal IReadOnlyList<OutputColumn> Outputs(IReadOnlyList<string> columns) =>
    [
        .. new[]
        {
            PredictedLabelColumnName is null ? null
                : new OutputColumn(PredictedLabelColumnName, OutputKind.Boolean) { Score = ScoreAnnotation.AnomalyLabel, IfUnknown = true },
            ScoreColumnName is null ? null
                : new(ScoreColumnName, OutputKind.Single) { Score = ScoreAnnotation.AnomalyScore },
            PValueColumnName is null ? null : new(PValueColumnName, OutputKind.Single),
            FeatureScoreColumnName is null ? null
                : new(FeatureScoreColumnName, OutputKind.Single, columns.Count) { SlotNames = columns },
        }.OfType<OutputColumn>(),
    ];

    /// <summary>How a column of numbers is cut.</summary>
    internal NumberBins BinsOf(TableColumn column) =>
        BinEdges?.GetValueOrDefault(column.Name) is { } edges ? new(MaxBins, 0, HasOwn: false, Edges: edges)
        : Discretization == GenerativeML.Discretization.EqualWidth ? new(Bins!.Value, 1, HasOwn: false, MinRows: 1)
        : new(Bins!.Value, 0);

    /// <inheritdoc />
    /// <exception cref="ArgumentException">
    /// Edges go round in a circle, or contradict each other or <see cref="Structure"/>; or two columns would be added
    /// under one name.
    /// </exception>
    public override void Validate()
    {
        base.Validate();
        OptionChecks.Defined(Structure);
        OptionChecks.Defined(Score ?? default);
        OptionChecks.PositiveFinite(EquivalentSampleSize);
        OptionChecks.Within(MaxParents, 1, 100);
        OptionChecks.Within(TabuLength, 0, 10_000);
        OptionChecks.Within(Restarts, 0, 1000);
        OptionChecks.NonNegativeFinite(PriorRows);
        OptionChecks.NonNegativeFinite(Tolerance);
        OptionChecks.Within(Bins, 2, MaxBins);
        OptionChecks.Defined(Discretization ?? default);
        OptionChecks.PositiveFinite(Contamination);
        OptionChecks.Within(Contamination, 0, 0.5);
        GenerativeML.ColumnNames.Check([], [ScoreColumnName, PredictedLabelColumnName, FeatureScoreColumnName, PValueColumnName]);
        CheckEdges(Edges, nameof(Edges));
        CheckEdges(RequiredEdges, nameof(RequiredEdges));
        CheckEdges(ForbiddenEdges, nameof(ForbiddenEdges), isGraph: false);
        if (Edges is null == (Structure == StructureSearchMethod.Given))
        {
            throw new ArgumentException($"Option {nameof(Structure)} is {Structure}, and option {nameof(Edges)} "
                + (Edges is null ? "names none." : "names some: they have no effect then."));
        }
        if (Structure != StructureSearchMethod.HillClimbing && (RequiredEdges ?? ForbiddenEdges) is not null)
        {
            throw new ArgumentException($"Option {nameof(Structure)} is {Structure}: options {nameof(RequiredEdges)} and "
                + $"{nameof(ForbiddenEdges)} are for {StructureSearchMethod.HillClimbing} alone.");
        }
        if (RequiredEdges?.FirstOrDefault(edge => ForbiddenEdges?.Contains(edge) == true) is NetworkEdge both)
            throw new ArgumentException($"The edge {both} is required and forbidden.");
        foreach ((string column, IReadOnlyList<double> edges) in BinEdges ?? [])
        {
            bool ascends = edges is { Count: > 0 and < MaxBins } && edges.All(double.IsFinite)
                && edges.Zip(edges.Skip(1)).All(pair => pair.First < pair.Second);
            if (!ascends)
            {
                throw new ArgumentException(
                    $"Option {nameof(BinEdges)} of column '{column}' is not 1 to {MaxBins - 1} ascending numbers.");
            }
        }
    }

    internal override void Check(TableBinding binding, string parameter)
    {
        string[] combined =
        [
            .. (Constraints ?? []).OfType<TableConstraint.FixedCombinations>().Select(c => string.Join(
                " + ", c.Columns.OrderBy(name => binding.FieldNames.ToList().IndexOf(name)))),
        ];
        foreach (NetworkEdge edge in (IEnumerable<NetworkEdge>)[.. Edges ?? [], .. RequiredEdges ?? [], .. ForbiddenEdges ?? []])
        {
            foreach (string column in new[] { edge.Parent, edge.Child })
            {
                if (!combined.Contains(column))
                    Require(column, $"The edge {edge}", _ => true, "");
            }
        }
        foreach (string column in BinEdges?.Keys ?? Enumerable.Empty<string>())
            Require(column, $"Option {nameof(BinEdges)}", binding.IsQuantity, ", which holds no numbers");

        void Require(string column, string what, Func<int, bool> fits, string otherwise)
        {
            int field = binding.FieldNames.ToList().IndexOf(column);
            if (field < 0 || !fits(field))
            {
                throw new ArgumentOutOfRangeException(parameter, $"{what} names column '{column}'"
                    + (field < 0 ? $", which is not learned: there are '{string.Join("', '", binding.FieldNames.Take(20))}'." : otherwise + "."));
            }
        }
    }

    private static void CheckEdges(IReadOnlyList<NetworkEdge>? edges, string option, bool isGraph = true)
    {
        if (edges is null)
            return;
        if (edges.Any(e => e is null || string.IsNullOrWhiteSpace(e.Parent) || string.IsNullOrWhiteSpace(e.Child)))
            throw new ArgumentException($"Option {option} holds an edge of a column without a name.");
        string[] names = [.. edges.SelectMany(e => new[] { e.Parent, e.Child }).Distinct()];
        if (isGraph)
        {
            BayesianNetwork.OrderOf([.. names.Select(name =>
                edges.Where(e => e.Child == name).Select(e => Array.IndexOf(names, e.Parent)).ToArray())], names);
        }
    }
}

/// <summary>
/// Learns a table of mixed columns as a Bayesian network, to answer questions about its columns, to generate rows under
/// exact conditions, and to detect rows that are improbable.
/// </summary>
/// <remarks>
/// <para>
/// To create this trainer, use <see cref="GenerativeCatalog.BayesianNetwork(BayesianNetworkOptions)"/> or
/// <see cref="DensityCatalog.BayesianNetwork"/>. It needs no other package than Microsoft.ML.
/// </para>
/// <inheritdoc cref="TabularEstimator" path="/remarks"/>
/// </remarks>
public sealed class BayesianNetworkTrainer : TabularEstimator
{
    private readonly BayesianNetworkOptions _options;

    internal BayesianNetworkTrainer(IHostEnvironment environment, BayesianNetworkOptions options)
        : base(environment, nameof(BayesianNetworkTrainer), options) => _options = options;

    /// <inheritdoc cref="GenerativeEstimator{TTransformer}.Fit"/>
    public new BayesianNetworkTransformer Fit(IDataView input) => (BayesianNetworkTransformer)base.Fit(input);

    private protected override IReadOnlyList<OutputColumn> PromisedColumns(SchemaShape inputSchema) =>
        _options.Outputs([""]);
}
