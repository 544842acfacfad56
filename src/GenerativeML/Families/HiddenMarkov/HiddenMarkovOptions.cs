namespace GenerativeML;

/// <summary>Which states may follow each other.</summary>
public enum HiddenMarkovTopology
{
    /// <summary>Any state may follow any.</summary>
    Ergodic,

    /// <summary>Sequences start in the first state and never go back: a state stays, or any later one follows.</summary>
    LeftToRight,

    /// <summary>Sequences start in the first state; a state stays, or the next one follows.</summary>
    Linear,
}

/// <summary>What is learned of a hidden Markov model.</summary>
[Flags]
public enum HiddenMarkovParts
{
    /// <summary>Nothing: the given parameters are the model.</summary>
    None = 0,

    /// <summary>The probabilities of the first state.</summary>
    Start = 1,

    /// <summary>The probabilities of each state after each.</summary>
    Transitions = 2,

    /// <summary>What states emit.</summary>
    Emissions = 4,

    /// <summary>All of it.</summary>
    All = Start | Transitions | Emissions,
}

/// <summary>One normal distribution of those that a state emits by.</summary>
/// <param name="Weight">Its share of the state; a state's sum to one.</param>
/// <param name="Mean">The mean of each feature.</param>
/// <param name="Covariance">
/// The covariance matrix, row by row; or, for <see cref="CovarianceType.Diagonal"/> and
/// <see cref="CovarianceType.Spherical"/>, one row, the variances. Positive definite.
/// </param>
public sealed record HiddenMarkovComponent(
    double Weight, IReadOnlyList<double> Mean, IReadOnlyList<IReadOnlyList<double>> Covariance);

/// <summary>The parameters of a hidden Markov model, in the units of the data; probabilities sum to one.</summary>
public sealed record HiddenMarkovParameters
{
    /// <summary>The probability of each state at the first step of a sequence.</summary>
    public required IReadOnlyList<double> StartProbabilities { get; init; }

    /// <summary>For each state, the probability of each state after it. What is zero stays zero in training.</summary>
    public required IReadOnlyList<IReadOnlyList<double>> TransitionProbabilities { get; init; }

    /// <summary>For each state, the probability of each category; null for vectors.</summary>
    public IReadOnlyList<IReadOnlyList<double>>? EmissionProbabilities { get; init; }

    /// <summary>
    /// Of texts, the characters that the categories are, but for the last, which is any other; null for keys, which are
    /// their own categories, and for vectors.
    /// </summary>
    public IReadOnlyList<string>? Symbols { get; init; }

    /// <summary>For each state, the normal distributions that it emits vectors by; null for categories.</summary>
    public IReadOnlyList<IReadOnlyList<HiddenMarkovComponent>>? Components { get; init; }

    /// <summary>Checks all that does not depend on the data.</summary>
    internal void Validate()
    {
        Require(
            !(TransitionProbabilities ?? []).Contains(null!) && !(EmissionProbabilities ?? []).Contains(null!)
                && !(Symbols ?? []).Contains(null!)
                && (Components ?? []).All(c => c is not null && c.All(
                    m => m is { Mean: not null, Covariance: not null } && !m.Covariance.Contains(null!))),
            "a part of it is null");
        int states = StartProbabilities?.Count ?? 0;
        Require(states >= 1 && IsDistribution(StartProbabilities!), "the start probabilities do not sum to one");
        Require(
            TransitionProbabilities?.Count == states
                && TransitionProbabilities.All(row => row.Count == states && IsDistribution(row)),
            "the transition probabilities are no square matrix whose rows sum to one");
        Require(EmissionProbabilities is null != Components is null, "either emission probabilities or components are expected");
        Require(
            EmissionProbabilities is null
                || EmissionProbabilities.Count == states
                && EmissionProbabilities.All(row => row.Count == EmissionProbabilities[0].Count && IsDistribution(row)),
            "the emission probabilities are no matrix with a row for each state that sums to one");
        Require(
            Symbols is null || EmissionProbabilities?[0].Count == Symbols.Count + 1
                && Symbols.All(s => s.EnumerateRunes().Count() == 1) && Symbols.Distinct().Count() == Symbols.Count,
            "there has to be one category more than there are symbols, each one character");
        Require(
            Components is null || Components.Count == states && Components.All(
                c => c.Count > 0 && c.Count == Components[0].Count && IsDistribution([.. c.Select(m => m.Weight)])),
            "each state needs as many components, whose weights sum to one");
        Require(
            states <= HiddenMarkovOptions.MaxStates && !(Components?[0].Count > HiddenMarkovOptions.MaxComponents),
            $"there are more than {HiddenMarkovOptions.MaxStates} states, or {HiddenMarkovOptions.MaxComponents} components of one");
        int width = Components?[0][0].Mean.Count ?? 0;
        Require(
            Components is null || Components.SelectMany(c => c).All(m =>
                m.Mean.Count == width && m.Mean.All(double.IsFinite)
                && (m.Covariance.Count == 1 || m.Covariance.Count == width)
                && m.Covariance.All(row => row.Count == width && row.All(double.IsFinite))),
            "the components' means and covariances are not all of one width");
        Require(
            Components is null || Components.SelectMany(c => c).All(m => m.Covariance.Count == 1
                ? m.Covariance[0].All(variance => variance > 0) : IsPositiveDefinite([.. m.Covariance.SelectMany(row => row)], width)),
            "a covariance matrix is not symmetric and positive definite, or a variance is not above zero");

        static bool IsDistribution(IReadOnlyList<double> p) => p.All(v => v >= 0) && Math.Abs(p.Sum() - 1) < 1e-6;

        static bool IsPositiveDefinite(double[] matrix, int d) =>
            SymmetricMatrix.TryCholesky(matrix, d, new double[d * d]) && Enumerable.Range(0, d * d).All(i =>
                Math.Abs(matrix[i] - matrix[i % d * d + i / d]) <= 1e-6 * Math.Sqrt(matrix[i / d * (d + 1)] * matrix[i % d * (d + 1)]));

        static void Require(bool sound, string wrong)
        {
            if (!sound)
                throw new ArgumentException($"Option {nameof(HiddenMarkovOptions.Parameters)} is not sound: {wrong}.");
        }
    }
}

/// <summary>The options of a hidden Markov model, fitted by expectation maximisation (Baum 1970).</summary>
/// <remarks>
/// <see cref="TrainingOptions.Epochs"/> is the most iterations, each a pass over all steps. Default: 200. Nothing is
/// learned by gradients or on a device, nor in batches: options for that, for validation and for checkpoints, are
/// refused where they are set. To go on from a model, give its <see cref="Parameters"/>.
/// <para>
/// With <see cref="NonFiniteValues.Replace"/> a step that holds NaN or infinity is kept as one that was not observed:
/// exactly, without a value in its place.
/// </para>
/// </remarks>
public sealed record HiddenMarkovOptions : TrainingOptions
{
    internal const int MaxStates = 256, MaxComponents = 64;

    /// <summary>
    /// The input: vectors of <see cref="float"/> of known size, which states emit by normal distributions; or keys,
    /// which are categories; each row a step. Or texts, whose characters are categories; each row a sequence. Default
    /// <c>Features</c>.
    /// </summary>
    public string FeatureColumnName { get; init; } = "Features";

    /// <summary>
    /// The column, a text, key or number, that tells sequences apart where each row is a step: rows of one sequence have
    /// the same value and stand next to each other, in the order of time. Default: all rows are one sequence.
    /// </summary>
    public string? GroupColumnName { get; init; }

    /// <summary>
    /// For vectors: of how many features a step consists where each row is a whole series, one step after the other.
    /// Default: each row is one step.
    /// </summary>
    public int? FeaturesPerStep { get; init; }

    /// <summary>Hidden states, 1 to 256. Default 3.</summary>
    public int States { get; init; } = 3;

    /// <summary>Which states may follow each other. Default <see cref="HiddenMarkovTopology.Ergodic"/>.</summary>
    public HiddenMarkovTopology Topology { get; init; }

    /// <summary>For vectors: the normal distributions of a state's mixture, 1 to 64. Default 1.</summary>
    public int MixtureComponents { get; init; } = 1;

    /// <summary>For vectors: the shape of the distributions. Default <see cref="CovarianceType.Full"/>.</summary>
    public CovarianceType CovarianceType { get; init; }

    /// <summary>
    /// For vectors: the least variance in any direction, in units of each feature's own over all steps, or 1 for a
    /// constant one. It keeps a state from shrinking to a point, of infinite density; a warning says where it did. 1e-9
    /// to 1. Default 1e-3.
    /// </summary>
    public double MinVariance { get; init; } = 1e-3;

    /// <summary>
    /// For categories: what is added to the count of each in each state, so that one that was never seen is not
    /// impossible. Zero or more. Default: 0.1 to detect anomalies, otherwise 0.
    /// </summary>
    public double? PseudoCount { get; init; }

    /// <summary>
    /// Beginnings, tried for ten iterations on up to some 10,000 steps; the likeliest one goes on. Default 5.
    /// </summary>
    public int Starts { get; init; } = 5;

    /// <summary>
    /// Iterations end when the mean log-likelihood of a step rises by less, in nats. Zero: never. Default 1e-6.
    /// </summary>
    public double Tolerance { get; init; } = 1e-6;

    /// <summary>
    /// The model to begin with, in place of <see cref="Starts"/>, <see cref="States"/>, <see cref="Topology"/> and
    /// <see cref="MixtureComponents"/>. Default: none.
    /// </summary>
    public HiddenMarkovParameters? Parameters { get; init; }

    /// <summary>What is learned, where <see cref="Parameters"/> are given. Default: all of it.</summary>
    public HiddenMarkovParts Learned { get; init; } = HiddenMarkovParts.All;

    /// <summary>
    /// The share of ordinary rows to be predicted as anomalies, in (0, 0.5]. Default 0.1. The threshold is taken from
    /// rows that are new to a model: more models are trained, of 2000 steps or more one, without a fifth of them, of fewer
    /// four, each on three quarters, and discarded.
    /// </summary>
    public double Contamination { get; init; } = 0.1;

    /// <summary>
    /// The column for the score: −log p of a row, given those of its sequence before; of a row that is a sequence, the
    /// mean of its steps. The higher, the stranger; infinity is impossible. Default: <c>Score</c>.
    /// </summary>
    public string? ScoreColumnName { get; init; }

    /// <summary>The column for whether the score is above the threshold. Default: <c>PredictedLabel</c> of a detector.</summary>
    public string? PredictedLabelColumnName { get; init; }

    /// <summary>The column for the share of ordinary rows that score as high or higher. Default: none is added.</summary>
    public string? PValueColumnName { get; init; }

    /// <summary>
    /// The column for log p of a row, given those before; of a row that is a sequence, of all of it. Default: none.
    /// </summary>
    public string? LogLikelihoodColumnName { get; init; }

    /// <summary>The column for log p of the row's whole sequence. Default: none.</summary>
    public string? SequenceLogLikelihoodColumnName { get; init; }

    /// <summary>
    /// The column for the row's state on the likeliest path of its sequence (Viterbi 1967), a key; of a row that is a
    /// sequence, of its last step. Default: <c>State</c>, but of a detector none.
    /// </summary>
    public string? StateColumnName { get; init; }

    /// <summary>
    /// The column for the probability of each state, given the whole sequence. Default: none.
    /// </summary>
    public string? SmoothedColumnName { get; init; }

    /// <summary>The column for the probability of each state, given the row and those before. Default: none.</summary>
    public string? FilteredColumnName { get; init; }

    /// <summary>
    /// The column for what is expected to follow on the row and those before: for each of <see cref="ForecastHorizon"/>
    /// steps, one after the other, the mean of each feature, or the probability of each category. Default: none.
    /// </summary>
    public string? ForecastColumnName { get; init; }

    /// <summary>The column for the standard deviations of the forecast. Default: none.</summary>
    public string? ForecastDeviationColumnName { get; init; }

    /// <summary>Steps that are forecast, 1 to 10,000. Default 1.</summary>
    public int ForecastHorizon { get; init; } = 1;

    /// <summary>Whether what is usual of ordinary rows has to be known.</summary>
    internal bool Calibrates => (PredictedLabelColumnName ?? PValueColumnName) is not null;

    /// <summary>The columns that are added, for so many states and numbers of a forecast.</summary>
    internal IReadOnlyList<OutputColumn> Outputs(int states, int forecast)
    {
        OutputColumn?[] columns =
        [
            PredictedLabelColumnName is null
                ? null
                : new(PredictedLabelColumnName, OutputKind.Boolean) { Score = ScoreAnnotation.AnomalyLabel, IfUnknown = true },
            ScoreColumnName is null ? null : new(ScoreColumnName, OutputKind.Single) { Score = ScoreAnnotation.AnomalyScore },
            PValueColumnName is null ? null : new(PValueColumnName, OutputKind.Single),
            LogLikelihoodColumnName is null ? null : new(LogLikelihoodColumnName, OutputKind.Single),
            SequenceLogLikelihoodColumnName is null ? null : new(SequenceLogLikelihoodColumnName, OutputKind.Single),
            StateColumnName is null ? null : new(StateColumnName, OutputKind.Key) { KeyCount = states },
            SmoothedColumnName is null ? null : new(SmoothedColumnName, OutputKind.Single, states),
            FilteredColumnName is null ? null : new(FilteredColumnName, OutputKind.Single, states),
            ForecastColumnName is null ? null : new(ForecastColumnName, OutputKind.Single, ForecastHorizon * forecast),
            ForecastDeviationColumnName is null
                ? null : new(ForecastDeviationColumnName, OutputKind.Single, ForecastHorizon * forecast),
        ];
        return [.. columns.OfType<OutputColumn>()];
    }

    /// <inheritdoc />
    /// <exception cref="ArgumentException">
    /// A column's name is empty or given twice, the parameters are not sound, or an option is set that such a model does
    /// not have.
    /// </exception>
    public override void Validate()
    {
        base.Validate();
        OptionChecks.Within(FeaturesPerStep, 1, VectorInput.MaxWidth);
        OptionChecks.Within(States, 1, MaxStates);
        OptionChecks.Defined(Topology);
        OptionChecks.Within(MixtureComponents, 1, MaxComponents);
        OptionChecks.Defined(CovarianceType);
        OptionChecks.Within(MinVariance, 1e-9, 1);
        OptionChecks.NonNegativeFinite(PseudoCount);
        OptionChecks.Within(Starts, 1, 1000);
        OptionChecks.NonNegativeFinite(Tolerance);
        OptionChecks.Within((int)Learned, 0, (int)HiddenMarkovParts.All, nameof(Learned));
        OptionChecks.PositiveFinite(Contamination);
        OptionChecks.Within(Contamination, 0, 0.5);
        OptionChecks.Within(ForecastHorizon, 1, 10_000);
        Parameters?.Validate();
        if (Parameters is null && Learned != HiddenMarkovParts.All)
            throw new ArgumentException($"Option {nameof(Learned)} leaves out what only option {nameof(Parameters)} can give.");
        if (FeaturesPerStep is not null && GroupColumnName is not null)
        {
            throw new ArgumentException(
                $"Options {nameof(FeaturesPerStep)} and {nameof(GroupColumnName)} contradict each other: a row is either a "
                + "whole sequence, or a step of one.");
        }
        ColumnNames.Check(
            GroupColumnName is null ? [FeatureColumnName] : [FeatureColumnName, GroupColumnName],
            Outputs(1, 1).Select(c => c.Name));
        var none = new HiddenMarkovOptions();
        Refuse(LearningRate is not null, nameof(LearningRate));
        Refuse(WeightDecay is not null, nameof(WeightDecay));
        Refuse(BatchSize is not null, nameof(BatchSize));
        Refuse(GradientAccumulation != 1, nameof(GradientAccumulation));
        Refuse(WeightAverageDecay != 0, nameof(WeightAverageDecay));
        Refuse(ValidationFraction != 0, nameof(ValidationFraction));
        Refuse(Schedule != none.Schedule, nameof(Schedule));
        Refuse(WarmupFraction != none.WarmupFraction, nameof(WarmupFraction));
        Refuse(GradientClipNorm != none.GradientClipNorm, nameof(GradientClipNorm));
        Refuse(EarlyStoppingPatience != none.EarlyStoppingPatience, nameof(EarlyStoppingPatience));
        Refuse(ShuffleBufferRows != none.ShuffleBufferRows, nameof(ShuffleBufferRows));
        Refuse(Precision != none.Precision, nameof(Precision));
        Refuse(Checkpoint is not null, nameof(Checkpoint));
        Refuse(Device is { Kind: "cuda" }, nameof(Device));

        static void Refuse(bool isSet, string option)
        {
            if (isSet)
                throw new ArgumentException($"Option {option} is set, and a hidden Markov model does not have it.");
        }
    }
}
