using TorchSharp;

namespace GenerativeML;

/// <summary>
/// Trains a network of vectors: the first pass over the rows, what options leave open, scales, the training loop or a
/// closed form, the calibration of the score, the threshold.
/// </summary>
internal static class VectorFit
{
    /// <summary>The most training rows that are kept to calibrate by, and to draw conditions from.</summary>
    public const int SampleRows = 10_000;

    // Of fewer rows every feature is constant.
    private const int MinRows = 2;

    // They are held in memory, so there are fewer where rows are very wide.
    private const int SampleValues = 1 << 27;

    /// <summary>Trains on a source of Single fields: the first is modelled, the others are conditions.</summary>
    /// <returns>The model, its options with everything decided, and the threshold of its score.</returns>
    /// <exception cref="InvalidOperationException">The rows do not fit the options; the message says why.</exception>
    public static VectorFitResult Fit(
        IRowSource source, VectorFamily family, VectorOptions options, TrainingContext context)
    {
        CheckWidth(source.Fields);
        if (options.AnomalyShare is not double share)
            return Fit(source, null, family, options, context) with { Threshold = float.PositiveInfinity };
        var plan = new CalibrationPlan(source, context.Seed);
        if (plan.Folds == 1)
        {
            VectorFitResult fit = Fit(plan.Training(0), plan.HeldBack(0), family, options, context);
            return fit with { Threshold = CalibrationPlan.Threshold(fit.HeldBackScores, share) };
        }
        // Few rows: each is scored by a model that did not see it, and the model that is returned has seen all.
        var scores = new List<float>();
        var parts = new List<TrainedVector>();
        for (int fold = 0; fold < plan.Folds; fold++)
        {
            VectorFitResult part = Fit(
                plan.Training(fold), plan.HeldBack(fold), family, options with { Checkpoint = null },
                context with { Progress = null, Warning = null });
            scores.AddRange(part.HeldBackScores);
            parts.Add(part.Model);
        }
        VectorFitResult whole = Fit(source, null, family, options, context);
        foreach (string name in whole.Model.Network.CalibratedTensors)
        {
            for (int i = 0; i < whole.Model.Weights[name].Length; i++)
                whole.Model.Weights[name][i] = parts.Average(p => p.Weights[name][i]);
        }
        parts.ForEach(p => p.Dispose());
        return whole with { Threshold = CalibrationPlan.Threshold([.. scores], share) };
    }

    /// <summary>Trains on all of some rows, and scores others.</summary>
    private static VectorFitResult Fit(
        IRowSource source, IRowSource? heldBack, VectorFamily family, VectorOptions options, TrainingContext context)
    {
        torch.Device device = TorchRuntime.Resolve(context.Device, context.FallbackToCpu);
        ColumnMoments[] moments = [.. source.Fields.Select((f, i) => new ColumnMoments(i, f.Width))];
        RowSample[] samples = Samples(source, context.Seed);
        var binary = new BinarySlots(0, source.Fields[0].Width);

        RowStatistics? statistics = null;
        VectorNetwork? network = null;
        HostWeights? scales = null;
        using DisposeScope scope = torch.NewDisposeScope();
        using TrainingData data = TrainingData.Prepare(
            source, options, context.Seed, device, [.. moments, .. samples, binary], Scaling);
        var trained = new TrainedVector(
            network!, Train(network!, options, scales!, statistics!, source, data, device, context),
            context.Device, context.FallbackToCpu);
        try
        {
            RowSample[] fresh = heldBack is null ? samples : CalibrationPlan.Read(heldBack, Samples(heldBack, context.Seed));
            network!.Calibrate(new VectorCalibration(trained, samples, fresh));
            trained.Dispose(); // what computed with the weights as they were
            return new(trained, options, 0, heldBack is null ? [] : Scores(trained, source.Fields, fresh));
        }
        catch
        {
            trained.Dispose();
            throw;
        }

        // Between the first pass and the rest: the rows are kept, and read again, as networks see them.
        RowTransform Scaling(long trainingRows)
        {
            if (trainingRows < MinRows)
            {
                throw new InvalidOperationException(
                    $"There is {trainingRows} row to train on; at least {MinRows} are needed.");
            }
            var input = new VectorInput
            {
                Width = source.Fields[0].Width,
                ConditionWidths = [.. source.Fields.Skip(1).Select(f => f.Width)],
                ConditionRows = source.Fields.Count > 1 ? samples[0].Count : 0,
                Seed = context.Seed,
            };
            statistics = new(input, source.Fields, moments, samples, binary, trainingRows);
            options = options.Resolve(statistics);
            network = family.Create(options, input);
            scales = new HostWeights(network.Tensors());
            network.SetScales(scales, statistics);
            VectorScaler features = VectorNetwork.FeatureScaler(scales);
            if (options.AnomalyShare is not null && features.Constants is [_, ..] constants)
                context.Warning?.Invoke(Describe(source.Fields[0].Name, constants));
            VectorScaler?[] conditions = [.. input.ConditionWidths.Select((_, c) => ConditionScaler(moments[c + 1], samples[c + 1]))];
            return (field, rows) => (field == 0 ? features : conditions[field - 1]!).Apply(rows, rows);
        }
    }

    // The samples of all fields are of the same rows: they draw the same numbers.
    private static RowSample[] Samples(IRowSource source, int seed)
    {
        int sampled = Math.Clamp(SampleValues / source.Fields.Sum(f => f.Width), 1, SampleRows);
        return [.. source.Fields.Select((f, i) => new RowSample(i, f.Width, sampled, seed))];
    }

    private static HostWeights Train(
        VectorNetwork network, VectorOptions options, HostWeights scales, RowStatistics statistics, IRowSource source,
        TrainingData data, torch.Device device, TrainingContext context)
    {
        if (network is IClosedFormFit closed)
        {
            closed.Fit(
                new StandardizedRows(source, VectorNetwork.FeatureScaler(scales), statistics, options.CancellationToken),
                scales, context);
            return scales;
        }
        ulong seed = SplitMix64.Derive(context.Seed, RandomPurpose.Initialization);
        bool bfloat16 = PrecisionChoice.UseBFloat16(options.Precision, device, network.WidestLayer);
        using var layers = new TorchLayers(network.Declare, device, seed);
        HostWeights weights = layers.ToHost(network.Tensors());
        network.SetScales(weights, statistics);
        network.Initialize(weights, statistics);
        layers.LoadStateDict(weights);
        using var average = options.AverageDecay > 0 ? new TorchLayers(network.Declare, device, seed) : null;
        average?.LoadStateDict(weights);

        var objective = new VectorObjective(network, layers, average, options.AverageDecay, bfloat16);
        TrainingRun run = TrainingRun.Of(
            options, context, (int)Math.Min(options.BatchSize!.Value, data.TrainingRows), options.Epochs!.Value,
            options.LearningRate!.Value, options.WeightDecay!.Value,
            ("family", network.GetType().Name), ("input", network.Input), ("bfloat16", bfloat16));
        TrainingLoop.Run(objective, data, run, device);
        HostWeights result = objective.Result(network.Tensors());
        foreach (TensorSpec spec in network.Tensors())
        {
            // What only the host has: scales and conditions.
            if (!layers.Tensors.ContainsKey(spec.Name))
                weights[spec.Name].CopyTo(result[spec.Name].AsSpan());
        }
        return result;
    }

    private static float[] Scores(TrainedVector trained, IReadOnlyList<RowField> fields, RowSample[] rows)
    {
        int count = rows[0].Count;
        if (count == 0)
            return [];
        var block = new RowBlock(fields, count);
        for (int f = 0; f < rows.Length; f++)
            rows[f].ToArray().CopyTo(block.Singles(f));
        float[] scores = new float[count];
        trained.Compute(block, count, new VectorResults { Score = scores });
        return scores;
    }

    private static VectorScaler ConditionScaler(ColumnMoments moments, RowSample sample)
    {
        int width = moments.Mean.Length;
        float[] mean = new float[width], scale = new float[width], limit = new float[width];
        VectorScaler.Set(moments, sample, null, mean, scale, limit);
        return new(mean, scale, limit);
    }

    private static string Describe(string column, int[] constants) =>
        $"Of column '{column}' {constants.Length} features have but one value in the training rows, among them number "
        + $"{constants[0]} (counted from 0): another value there will always be taken for an anomaly.";

    private static void CheckWidth(IReadOnlyList<RowField> fields)
    {
        long width = fields.Sum(f => (long)f.Width);
        if (width > VectorInput.MaxWidth)
        {
            throw new InvalidOperationException(
                $"Column '{fields[0].Name}' has {width} features, with those of the conditions; "
                + $"at most {VectorInput.MaxWidth} can be learned.");
        }
    }
}

/// <summary>What training made.</summary>
/// <param name="Model">The trained model.</param>
/// <param name="Options">The options, with everything decided that they left open.</param>
/// <param name="Threshold">Scores above it are those of anomalies; infinity for a model that predicts none.</param>
/// <param name="HeldBackScores">The scores of rows that the model was not trained on.</param>
internal sealed record VectorFitResult(
    TrainedVector Model, VectorOptions Options, float Threshold, float[] HeldBackScores);

/// <summary>A family of models of vectors.</summary>
/// <param name="Name">What saved models call it; never changes.</param>
/// <param name="OptionsType">Its options, a record that derives from <see cref="VectorOptions"/>.</param>
/// <param name="Create">Makes the network of resolved options and an input.</param>
/// <param name="Wrap">Makes the transformer of a trained model.</param>
internal sealed record VectorFamily(
    string Name, Type OptionsType, Func<VectorOptions, VectorInput, VectorNetwork> Create,
    Func<VectorModelState, VectorTransformer> Wrap);

/// <summary>What the training loop does with a network of vectors.</summary>
internal sealed class VectorObjective : ITrainable
{
    private readonly VectorNetwork _network;
    private readonly TorchLayers _layers;
    private readonly TorchLayers? _average;
    private readonly double _decay;
    private readonly bool _bfloat16;
    private readonly TorchOps _validation;
    private TorchOps? _training;

    public VectorObjective(
        VectorNetwork network, TorchLayers layers, TorchLayers? average, double decay, bool bfloat16)
    {
        (_network, _layers, _average, _decay, _bfloat16) = (network, layers, average, decay, bfloat16);
        _validation = new TorchOps((average ?? layers).Tensors);
        Updates = network.Updates(layers);
        Network = new Both(layers.Module, average?.Module);
    }

    /// <inheritdoc />
    public torch.nn.Module Network { get; }

    /// <inheritdoc />
    public IReadOnlyList<UpdateRule> Updates { get; }

    /// <inheritdoc />
    public bool WatchesValidation => _network.UsesValidationLoss;

    /// <inheritdoc />
    public IReadOnlyList<LossTerm> Loss(Batch batch, int update, StepContext step)
    {
        _training ??= new TorchOps(_layers.Tensors) { Random = step.Random, BFloat16 = _bfloat16 };
        return _network.Loss(new(_training.Root, batch[0], Condition(batch), update, step));
    }

    /// <inheritdoc />
    public IReadOnlyList<LossTerm> ValidationLoss(Batch batch, StepContext step) =>
        _network.ValidationLoss(new(_validation.Root, batch[0], Condition(batch), 0, step));

    /// <inheritdoc />
    public void AfterUpdate(int update, StepContext step)
    {
        _network.AfterUpdate(_layers, update, step);
        if (_average is not null && update == Updates.Count - 1)
            WeightAverage.Update(_average.Module, _layers.Module, _decay, step.Step);
    }

    /// <summary>The weights to keep.</summary>
    public HostWeights Result(IReadOnlyList<TensorSpec> tensors)
    {
        HostWeights weights = _layers.ToHost(tensors);
        if (_average is null)
            return weights;
        HostWeights mean = _average.ToHost(tensors);
        foreach (TensorSpec spec in tensors)
        {
            if (spec.Name.StartsWith(_network.AveragedPart, StringComparison.Ordinal))
                mean[spec.Name].CopyTo(weights[spec.Name].AsSpan());
        }
        return weights;
    }

    // All fields but the first, side by side: (B, C).
    private static torch.Tensor? Condition(Batch batch) => batch.Fields.Count switch
    {
        1 => null,
        2 => batch[1],
        _ => torch.cat([.. batch.Fields.Skip(1)], 1),
    };

    /// <summary>All that training changes: the moving weights, and their mean.</summary>
    private sealed class Both : torch.nn.Module
    {
        public Both(torch.nn.Module network, torch.nn.Module? average)
            : base(nameof(Both))
        {
            register_module("network", network);
            if (average is not null)
                register_module("average", average);
        }
    }
}
