using Microsoft.ML;
using Microsoft.ML.Runtime;

namespace GenerativeML;

/// <summary>
/// Learns sequences as what hidden states emit that follow each other by chance (Rabiner 1989): tells in which state
/// each row is, how likely rows are, what follows, and generates other sequences.
/// </summary>
/// <remarks>
/// <para>To create this trainer, use <see cref="Microsoft.ML.GenerativeCatalog.HiddenMarkov(HiddenMarkovOptions)"/>, or
/// <see cref="Microsoft.ML.HiddenMarkovCatalog.HiddenMarkov"/> to detect anomalies.</para>
/// <list type="table">
/// <listheader><term>Characteristic</term><description>This trainer</description></listheader>
/// <item><term>Task</term><description>Segmentation, anomaly detection, forecasts and generation of sequences; no label
/// is read.</description></item>
/// <item><term>Input</term><description>A vector or a key in each row, a step of a sequence; or a text or series in each
/// row, a sequence.</description></item>
/// <item><term>Order</term><description>Where rows are steps, those of one sequence stand next to each other, in the order
/// of time: a sequence that goes on after another one is an error. The model's rows are not shuffled, and a prediction
/// engine, which has one row alone, is refused.</description></item>
/// <item><term>Memory</term><description>Fit holds all steps, four bytes for each number. Transform holds one sequence
/// with what is inferred of it, some 32 bytes for each step and state.</description></item>
/// <item><term>Packages beside Microsoft.ML</term><description>None.</description></item>
/// </list>
/// <para>
/// Log-likelihoods of vectors are of densities, in the units of the data: they are positive where the density is above
/// one, as it is of small numbers.
/// </para>
/// </remarks>
public sealed class HiddenMarkovTrainer : GenerativeEstimator<HiddenMarkovTransformer>
{
    private const int FewSteps = 2000, MaxHeldBack = 4000, Folds = 4;
    private const double HeldBackShare = 0.2;

    private readonly HiddenMarkovOptions _options;

    internal HiddenMarkovTrainer(IHostEnvironment environment, HiddenMarkovOptions options)
        : base(environment, nameof(HiddenMarkovTrainer), options) => _options = options;

    private protected override void CheckInput(SchemaShape inputSchema, string parameter) =>
        HiddenMarkovInput.Check(inputSchema, _options, parameter);

    private protected override IReadOnlyList<OutputColumn> PromisedColumns(SchemaShape inputSchema) =>
        _options.Outputs(_options.Parameters?.StartProbabilities.Count ?? _options.States, forecast: 1);

    private protected override HiddenMarkovTransformer Train(IDataView input, string parameter, TrainingContext context)
    {
        HiddenMarkovOptions options = _options with
        {
            States = _options.Parameters?.StartProbabilities.Count ?? _options.States,
            MixtureComponents = _options.Parameters?.Components?[0].Count ?? _options.MixtureComponents,
            PseudoCount = _options.PseudoCount ?? (_options.Calibrates ? 0.1 : 0),
        };
        var source = HiddenMarkovInput.Of(input.Schema, options, parameter);
        int width = source.StepWidth;
        if (source.Numbers(options) is > HiddenMarkovInput.MaxNumbers and long numbers)
        {
            throw new InvalidOperationException(
                $"Column '{options.FeatureColumnName}' takes {numbers} numbers for what {options.States} states emit; at most "
                + $"{HiddenMarkovInput.MaxNumbers} are possible. Set {nameof(options.CovarianceType)} to {CovarianceType.Diagonal}, or reduce "
                + "the features.");
        }
        (source, List<float[]> sequences) = source.ReadAll(input, options);
        if (source.ForecastNumbers(options) is > VectorInput.MaxWidth and long forecast)
        {
            throw new InvalidOperationException(
                $"Forecasts of column '{options.FeatureColumnName}' would have {forecast} numbers in each row, and at most "
                + $"{VectorInput.MaxWidth} are possible. Lower option {nameof(options.ForecastHorizon)}, which is {options.ForecastHorizon}.");
        }
        (double[] scale, int[] constant) = HiddenMarkovFit.ScaleOf(sequences, width);
        if (!source.IsCategorical)
        {
            source = source with { Scale = scale };
            if (constant.Length > 0)
                context.Warning?.Invoke(
                    $"Column '{options.FeatureColumnName}' is constant in feature {string.Join(", ", constant.Take(20))}: its "
                    + $"variance is held at {FormattableString.Invariant($"{options.MinVariance}")}.");
        }
        long steps = sequences.Sum(s => (long)s.Length) / width;
        if (options.Calibrates && options.Learned != HiddenMarkovParts.None
            && (source.RowsAreSequences ? sequences.Count : steps) is < CalibrationPlan.MinRows and long rows)
            throw CalibrationPlan.TooFew(rows);
        if (steps < (long)options.States * options.MixtureComponents)
            context.Warning?.Invoke(
                $"There are {options.States * options.MixtureComponents} distributions for {steps} steps: fewer would do.");

        var fit = new HiddenMarkovFit(options, source, context);
        HiddenMarkovModel model = fit.Run(sequences);
        CalibrationScores? calibration = options.Calibrates ? Calibrate(fit, source, sequences, steps, context.Seed) : null;
        if (model.Emissions.Regularized > 0)
            context.Warning?.Invoke(
                $"Of column '{options.FeatureColumnName}', {model.Emissions.Regularized} covariances have directions without "
                + $"variance, for lack of rows or of features that vary on their own: it is held at {nameof(options.MinVariance)}.");
        return new HiddenMarkovTransformer(new HiddenMarkovRows(model, source, options with
        {
            Parameters = null, Learned = HiddenMarkovParts.All,
        })
        {
            Threshold = calibration?.Threshold(options.Contamination) ?? float.PositiveInfinity,
            Calibration = options.PValueColumnName is null ? null : calibration,
        });
    }

    // Scores of steps, or of rows that are sequences, by models that were trained on others.
    private static CalibrationScores Calibrate(
        HiddenMarkovFit fit, HiddenMarkovInput input, List<float[]> sequences, long steps, int seed)
    {
        // A few long sequences are cut into pieces.
        int piece = (int)Math.Clamp(steps / (2 * CalibrationPlan.MinRows), 1, 1000) * input.StepWidth;
        List<float[]> units = sequences.Count >= CalibrationPlan.MinRows || input.RowsAreSequences
            ? [.. sequences] : [.. sequences.SelectMany(s => s.Chunk(piece))];
        new SplitMix64(SplitMix64.Derive(seed, RandomPurpose.Calibration)).Shuffle(
            System.Runtime.InteropServices.CollectionsMarshal.AsSpan(units));
        var scores = new List<float>();
        if (steps < FewSteps)
        {
            for (int fold = 0; fold < Folds; fold++)
            {
                Score(
                    fit.Run([.. units.Where((_, u) => u % Folds != fold)], report: false),
                    units.Where((_, u) => u % Folds == fold));
            }
            return new(scores);
        }
        int held = 0;
        double most = Math.Min(MaxHeldBack, HeldBackShare * steps) * input.StepWidth;
        for (double taken = 0; held < units.Count - 1 && taken < most; held++)
            taken += units[held].Length;
        Score(fit.Run(units[held..], report: false), units[..held]);
        return new(scores);

        void Score(HiddenMarkovModel model, IEnumerable<float[]> fresh)
        {
            foreach (float[] sequence in fresh)
            {
                HiddenMarkovInference inferred = HiddenMarkovRows.Infer(model, sequence);
                if (input.RowsAreSequences)
                    scores.Add((float)(-inferred.LogLikelihood / inferred.ObservedSteps));
                for (int t = 0; !input.RowsAreSequences && t < inferred.Steps; t++)
                    scores.Add((float)-inferred.StepLogLikelihood(t));
            }
        }
    }
}
