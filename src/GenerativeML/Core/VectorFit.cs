using System.Runtime.ExceptionServices;
using System.Text.Json;
using TorchSharp;

namespace GenerativeML;

/// <summary>A family of models of vectors.</summary>
/// <param name="Name">What saved models call it; never changes.</param>
/// <param name="OptionsType">Its options, a record that derives from <see cref="VectorOptions"/>.</param>
/// <param name="Create">Makes the network of resolved options and an input.</param>
/// <param name="Wrap">Makes the transformer of a trained model.</param>
internal sealed record VectorFamily(
    string Name, Type OptionsType, Func<VectorOptions, VectorInput, VectorNetwork> Create,
    Func<VectorModelState, VectorTransformer> Wrap)
{
    /// <summary>A family whose transformer is a <see cref="VectorGenerator"/>, or another.</summary>
    public static VectorFamily Of<TOptions>(
        string name, Func<TOptions, VectorInput, VectorNetwork> create,
        Func<VectorModelState, VectorTransformer>? wrap = null)
        where TOptions : VectorOptions => new(
            name, typeof(TOptions), (options, input) => create((TOptions)options, input),
            wrap ?? (state => new VectorGenerator(state)));
}

/// <summary>
/// What training made: the model; the options with everything decided; what a <see cref="TrainingCallback"/> has to
/// say; rows that the model was not trained on, or some that it was where there are none.
/// </summary>
internal sealed record VectorFitResult(
    TrainedVector Model, VectorOptions Options, JsonElement? Extra, RowSample[] Fresh)
{
    /// <summary>What ordinary rows score; null for a model that detects no anomalies.</summary>
    public CalibrationScores? Calibration { get; init; }

    /// <summary>Scores above it are those of anomalies; infinity for a model that predicts none.</summary>
    public float Threshold => Calibration?.Threshold(Options.AnomalyShare!.Value) ?? float.PositiveInfinity;
}

/// <summary>Trains a network of vectors: first pass, options, scales, training, calibration, threshold.</summary>
internal static class VectorFit
{
    /// <summary>The most training rows that are kept to calibrate by, and to draw conditions from.</summary>
    public const int SampleRows = 10_000;

    // Of fewer rows every feature is constant.
    private const int MinRows = 2;

    // Of larger networks, torch uses all cores for one.
    private const long MostTogether = 1 << 20;

    // Enough to see what a network of too large weights makes of rows.
    private const int CheckedRows = 64;

    // Those that are made in many steps take as many passes each.
    private const int SteppedRows = 4;

    // They are held in memory, so there are fewer where rows are very wide.
    private const int SampleValues = 1 << 27;

    /// <summary>Trains on a source of Single fields: the first is modelled, the others are conditions.</summary>
    /// <exception cref="InvalidOperationException">The rows do not fit the options; the message says why.</exception>
    public static VectorFitResult Fit(
        IRowSource source, VectorFamily family, VectorOptions options, TrainingContext context)
    {
        long width = source.Fields.Sum(f => (long)f.Width);
        if (width > VectorInput.MaxWidth)
        {
            throw new InvalidOperationException(
                $"Column '{source.Fields[0].Name}' has {width} features, with those of the conditions; "
                + $"at most {VectorInput.MaxWidth} can be learned.");
        }
        if (options.AnomalyShare is null)
            return Train(source, null, family, options, context);
        var plan = new CalibrationPlan(source, context.Seed, options.CacheBudgetBytes, options.CancellationToken);
        ModelsProgress? progress = plan.Folds > 1 && context.Progress is { } listener ? new(listener, 1 + plan.Folds) : null;
        context = context with { Progress = progress?.Next() ?? context.Progress };
        VectorFitResult whole = plan.Folds == 1
            ? Train(plan.Training(0), plan.HeldBack(0), family, options, context)
            : Train(plan.Source, plan.Source, family, options, context);
        if (plan.Folds <= 1)
            return whole with { Calibration = Scores(source, [whole]) };

        // Few rows: the model that is returned has seen all, and each is scored by another that did not see it.
        VectorFitResult[] parts = [];
        VectorOptions partly = options with { Checkpoint = null, CancellationBehavior = CancellationBehavior.Throw };
        try
        {
            // Small networks keep one core busy, so that several can be trained at once. Rows that are in memory can be
            // read by all of them.
            // Processes that train together train one at a time.
            bool together = options.Distributed is null && plan.Source != source && context.Device.Kind == "cpu"
                && whole.Model.Weights.Specs.Sum(spec => spec.Length) < MostTogether;
            parts =
            [
                .. ParallelEnumerable.Range(0, plan.Folds).AsOrdered()
                    .WithDegreeOfParallelism(together ? Math.Clamp(torch.get_num_threads(), 1, plan.Folds) : 1)
                    .Select(fold => Train(
                        plan.Training(fold), plan.HeldBack(fold), family, partly,
                        context with { Warning = null, Progress = progress?.Next() }, isKept: false)),
            ];
            // All of them weigh alike: weights of their own, by few rows each, would spread what their rows score.
            foreach (string name in whole.Model.Network.CalibratedTensors)
            {
                for (int i = 0; i < whole.Model.Weights[name].Length; i++)
                {
                    float mean = parts.Average(p => p.Model.Weights[name][i]);
                    foreach (VectorFitResult model in parts.Append(whole))
                        model.Model.Weights[name][i] = mean;
                }
            }
            return whole with { Calibration = Scores(source, parts) };
        }
        catch (AggregateException several)
        {
            Exception error = several.InnerExceptions[0];
            if (error is OperationCanceledException && options.CancellationBehavior == CancellationBehavior.ReturnModel)
            {
                progress?.End();
                return whole with { Calibration = Scores(source, [whole]) };
            }
            if (error is OperationCanceledException and not CancelledTogetherException)
            {
                throw new OperationCanceledException(
                    "Training was cancelled while models of parts of the rows were trained, which tell what ordinary rows score."
                    + CheckpointStore.GoesOnFrom(options.Checkpoint), error, options.CancellationToken);
            }
            if (error is InvalidOperationException)
            {
                throw new InvalidOperationException(
                    $"The model is trained, but not one of the {plan.Folds} that are trained on parts of the rows and tell "
                    + $"what ordinary rows score: {error.Message}", error);
            }
            ExceptionDispatchInfo.Throw(error);
            throw; // never comes here
        }
        finally
        {
            whole.Model.Dispose(); // what computed with the weights as they were
            foreach (VectorFitResult part in parts)
                part.Model.Dispose();
        }
    }

    /// <summary>Trains on all of some rows, and calibrates by others, a model that is kept or one that only scores those.</summary>
    private static VectorFitResult Train(
        IRowSource source, IRowSource? heldBack, VectorFamily family, VectorOptions options, TrainingContext context,
        bool isKept = true)
    {
        using IDisposable running = RunningComputations.Enter();
        torch.Device device = TorchRuntime.Resolve(context.Device, context.FallbackToCpu);
        ColumnMoments[] moments = [.. source.Fields.Select((f, i) => new ColumnMoments(i, f.Width))];
        RowSample[] samples = Samples(source, context.Seed);

        using DisposeScope scope = torch.NewDisposeScope();
        var observed = new ObservedRows(source, options, context.Seed, [.. moments, .. samples]);
        RowStatistics rows = Statistics(source, options, moments, samples, observed.TrainingRows, context.Seed);
        options = options.Resolve(rows);
        VectorNetwork network = family.Create(options, rows.Input);
        IReadOnlyList<VectorScaler> scalers = network.Scalers(rows);
        if (options.AnomalyShare is not null && scalers[0].Constants is [int first, ..] constants)
        {
            context.Warning?.Invoke(
                $"Of column '{source.Fields[0].Name}' {constants.Length} features have but one value in the training "
                + $"rows, among them number {first} (counted from 0): another value there will always be taken for "
                + "an anomaly.");
        }
        // The rows are kept, and read again, as networks see them.
        using TrainingData data = observed.ToData(device, (field, values) => scalers[field].Apply(values, values));
        (TrainedVector trained, JsonElement? extra) = Train(network, options, rows, data, device, context);
        try
        {
            // A cancelled run that returns its model calibrates it all the same.
            CancellationToken cancellation =
                options.CancellationBehavior == CancellationBehavior.Throw ? options.CancellationToken : default;
            RowSample[] fresh = heldBack is null
                ? samples
                : CalibrationPlan.Read(heldBack, Samples(heldBack, context.Seed), cancellation);
            if (fresh[0].Count == 0)
                fresh = samples; // a small share of many rows, most of them equal, may be none
            network.Calibrate(new VectorCalibration(trained, source.Fields, samples, fresh));
            if (isKept)
                CheckOutputs(trained, options.Columns, source.Fields, samples);
            return new(trained, options.Trained, extra, fresh);
        }
        finally
        {
            trained.Dispose(); // what computed with the weights as they were
        }
    }

    // Weights can be finite and so large that what they make of rows is not.
    private static void CheckOutputs(
        TrainedVector model, VectorColumns columns, IReadOnlyList<RowField> fields, RowSample[] samples)
    {
        VectorNetwork network = model.Network;
        int rows = Math.Min(samples[0].Count, CheckedRows);
        bool scores = (columns.Score ?? columns.PredictedLabel ?? columns.PValue) is not null;
        var made = new VectorResults
        {
            Score = Wanted(scores && network is IScorer, 1, VectorOutputs.Score),
            Reconstruction = Wanted(columns.Reconstruction is not null, network.Input.Width, VectorOutputs.Reconstruction),
            Latent = Wanted(columns.Latent is not null, (network as IEncoder)?.LatentDimension ?? 0, VectorOutputs.Latent),
            Translation = Wanted(columns.Translation is not null, network.Input.Width, VectorOutputs.Translation),
        };
        if (made.Wanted != VectorOutputs.None)
            model.Compute(VectorCalibration.ToBlock(fields, samples), rows, made);
        int drawn = network is IDenoiser ? Math.Min(rows, SteppedRows) : network is ISampler ? rows : 0;
        float[] generated = new float[drawn * network.Input.Width];
        if (drawn > 0)
            model.Generate(generated, new float[drawn * network.Input.ConditionWidth], drawn, seed: 0, []);
        Array.ForEach([.. made.All, generated], CheckFinite);

        float[] Wanted(bool wanted, int width, VectorOutputs output) =>
            new float[wanted && !network.RequiresTorch(output) ? rows * width : 0];
    }

    private static void CheckFinite(Memory<float> made)
    {
        if (made.Span.ContainsAnyExceptInRange(float.MinValue, float.MaxValue))
        {
            throw new InvalidOperationException(
                "Training diverged: what the network makes of rows became NaN or infinite. "
                + "Lower LearningRate, or look for extreme values in the data.");
        }
    }

    private static RowStatistics Statistics(
        IRowSource source, VectorOptions options, ColumnMoments[] moments, RowSample[] samples, long trainingRows,
        int seed)
    {
        if (trainingRows < MinRows)
        {
            throw new InvalidOperationException(
                $"There is {trainingRows} row to train on; at least {MinRows} are needed.");
        }
        if (options.Columns.Class is string label && moments[^1].Maximum.All(most => most == 0))
        {
            throw new InvalidOperationException(
                $"Column '{label}' has no label in any training row: a key is expected in some of them.");
        }
        RowField[] conditions = [.. source.Fields.Skip(1).Take(options.Columns.Conditions.Count)];
        var input = new VectorInput
        {
            Width = source.Fields[0].Width,
            Image = source.Fields[0].Image,
            ConditionWidths = [.. conditions.Select(f => f.Width)],
            ConditionCategories = conditions.All(f => f.Categories is null) ? [] : [.. conditions.Select(f => f.Categories)],
            ConditionCaptions = conditions.All(f => f.Caption is null) ? [] : [.. conditions.Select(f => f.Caption)],
            ConditionRows = conditions.Length > 0 ? samples[0].Count : 0,
            Classes = options.Columns.Class is null ? 0 : source.Fields[^1].Width,
            Seed = seed,
        };
        return new(input, moments, samples, trainingRows);
    }

    private static (TrainedVector Model, JsonElement? Extra) Train(
        VectorNetwork network, VectorOptions options, RowStatistics rows, TrainingData data, torch.Device device,
        TrainingContext context)
    {
        using (IClosedFormFit? fit = network.BeginClosedForm(rows, device))
        {
            if (fit is not null)
            {
                TrainingLoop.Run(fit, data, Run(rate: 0, decay: 0), device);
                if (fit.Warning is string warning)
                    context.Warning?.Invoke(warning);
                var fitted = new HostWeights(network.Tensors());
                network.SetScales(fitted, rows);
                fit.CopyTo(fitted);
                return (Model(fitted), null);
            }
        }
        bool bfloat16 = PrecisionChoice.UseBFloat16(
            options.Precision, device, network.WidestLayer, options.AtOnce(options.BatchSize!.Value));
        TrainingRun run = Run(options.LearningRate!.Value, options.WeightDecay!.Value, ("bfloat16", bfloat16));
        TrainingCallback? callback = null;
        HostWeights trained = NetworkFit.Run(
            network, network.Tensors(), Initialize, data, run, device, bfloat16,
            current => callback = network.Follow(rows, data, device, () => Model(current())));
        return (Model(trained), callback?.Finish());

        void Initialize(HostWeights weights)
        {
            network.SetScales(weights, rows);
            network.Initialize(weights, rows);
        }

        TrainedVector Model(HostWeights weights) => new(network, weights, context.Device, context.FallbackToCpu);

        TrainingRun Run(double rate, double decay, params (string, object)[] more) => TrainingRun.Of(
            options, context, (int)Math.Min(options.BatchSize!.Value, data.TrainingRows), options.Epochs!.Value, rate, decay,
            [
                ("family", network.GetType().Name), ("input", network.Input with { ConditionCaptions = [] }),
                .. Captions(network.Input), .. more,
            ]) with { Phases = network.Phases };
    }

    // A vocabulary is known by its fingerprint: whole, it would fill the message that says that a checkpoint is another's.
    private static (string, object?)[] Captions(VectorInput input)
    {
        if (input.ConditionCaptions.Count == 0)
            return [];
        var fingerprint = new Fingerprint();
        fingerprint.Add(JsonSerializer.Serialize(input.ConditionCaptions, ModelJson.Options));
        return [("fingerprint of how captions are read", fingerprint.ToString())];
    }

    // The samples of all fields are of the same rows: they draw the same numbers.
    private static RowSample[] Samples(IRowSource source, int seed)
    {
        int sampled = Math.Clamp(SampleValues / source.Fields.Sum(f => f.Width), 1, SampleRows);
        return [.. source.Fields.Select((f, i) => new RowSample(i, f.Width, sampled, seed))];
    }

    private static CalibrationScores Scores(IRowSource source, IReadOnlyList<VectorFitResult> fits)
    {
        var scores = new List<float>();
        foreach (VectorFitResult fit in fits)
        {
            float[] some = new float[fit.Fresh[0].Count];
            fit.Model.Compute(
                VectorCalibration.ToBlock(source.Fields, fit.Fresh), some.Length, new VectorResults { Score = some });
            CheckFinite(some);
            scores.AddRange(some);
        }
        return new(scores);
    }
}

/// <summary>
/// What the first pass over the training rows found: of each field, the vector first, moments and a sample, of the same
/// rows for all.
/// </summary>
internal sealed record RowStatistics(
    VectorInput Input, ColumnMoments[] Moments, RowSample[] Samples, long TrainingRows)
{
    /// <summary>Which features of the vector hold nothing but zeros and ones.</summary>
    public bool[] Binary => Moments[0].IsBinary;

    /// <summary>The scaler of the vectors where all features are scaled.</summary>
    public VectorScaler Scaler => VectorScaler.Of(Moments[0], Samples[0]);

    /// <summary>The epochs after which at least so many rows were presented, within limits.</summary>
    public int EpochsFor(long presented, int least, int most) =>
        (int)Math.Clamp((presented + TrainingRows - 1) / TrainingRows, least, most);
}

/// <summary>
/// What a network is calibrated by after training: itself, a sample of the rows that it was trained on, and one of rows
/// that it was not trained on, which is the same where there are none.
/// </summary>
internal sealed class VectorCalibration(
    TrainedVector model, IReadOnlyList<RowField> fields, RowSample[] trained, RowSample[] fresh)
{
    /// <summary>Rows that the network was trained on, standardised, (Count × D).</summary>
    public float[] Rows { get; } = model.Standardize(ToBlock(fields, trained), trained[0].Count).Rows;

    public int Count => trained[0].Count;

    /// <summary>The tensors of the model, to be completed.</summary>
    public HostWeights Weights => model.Weights;

    /// <summary>Computes something of rows that it was not trained on: (rows × width) for each width.</summary>
    public float[][] Run(IForwardPass pass, params int[] widths) => Run(fresh, pass, widths);

    /// <summary>The same of <see cref="Rows"/>, which it was trained on.</summary>
    public float[][] RunOnTrained(IForwardPass pass, params int[] widths) => Run(trained, pass, widths);

    /// <summary>Computes something of other rows, and of what is said beside them.</summary>
    public float[][] Run(IForwardPass pass, float[] rows, float[] beside, int count, int[] widths) =>
        model.Run(pass, rows, beside, count, widths);

    /// <summary>
    /// Sets what each part of a score counts, <c>part_weight</c>, by the parts of ordinary rows: by how large they are, or
    /// by how far they are from each other, so that a part that is much the same for all of them can tell others.
    /// </summary>
    public void SetPartWeights(float[][] parts, bool bySpread = false)
    {
        for (int p = 0; p < parts.Length; p++)
            Weights["part_weight"][p] = PartWeight(parts[p], bySpread);
    }

    // One over a part's usual size, or over half of the range of the middle half, on ordinary rows, so that the parts of a
    // score count alike. Quantiles ignore anomalies among them; a share of the mean keeps it from zero where most rows
    // have equals.
    private static float PartWeight(float[] part, bool bySpread)
    {
        float[] sorted = [.. part.Order()];
        double mean = part.Average(v => (double)v);
        double size = bySpread
            ? (sorted[3 * sorted.Length / 4] - sorted[sorted.Length / 4]) / 2 + 0.02 * mean
            : sorted[sorted.Length / 2] + 0.2 * mean;
        return size > 0 ? (float)(1 / size) : 0;
    }

    /// <summary>The rows of samples, field by field.</summary>
    public static RowBlock ToBlock(IReadOnlyList<RowField> fields, RowSample[] samples)
    {
        var block = new RowBlock(fields, Math.Max(1, samples[0].Count));
        for (int f = 0; f < samples.Length; f++)
            samples[f].ToArray().CopyTo(block.Singles(f));
        return block;
    }

    private float[][] Run(RowSample[] samples, IForwardPass pass, int[] widths)
    {
        (float[] rows, float[] conditions) = model.Standardize(ToBlock(fields, samples), samples[0].Count);
        return model.Run(pass, rows, conditions, samples[0].Count, widths);
    }
}
