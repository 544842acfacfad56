using System.Text.Json;
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
        if (plan.Folds == 0)
        {
            VectorFitResult fit = Fit(source, source, family, options, context);
            return fit with { Threshold = CalibrationPlan.Threshold(fit.HeldBackScores, share) };
        }
        if (plan.Folds == 1)
        {
            VectorFitResult fit = Fit(plan.Training(0), plan.HeldBack(0), family, options, context);
            return fit with { Threshold = CalibrationPlan.Threshold(fit.HeldBackScores, share) };
        }
        // Few rows: the model that is returned has seen all, and each is scored by another that did not see it.
        VectorFitResult whole = Fit(source, source, family, options, context);
        try
        {
            return Calibrated(whole, plan, share, family, options, context);
        }
        catch (OperationCanceledException) when (options.CancellationBehavior == CancellationBehavior.ReturnModel)
        {
            return whole with { Threshold = CalibrationPlan.Threshold(whole.HeldBackScores, share) };
        }
        catch
        {
            whole.Model.Dispose();
            throw;
        }
    }

    private static VectorFitResult Calibrated(
        VectorFitResult whole, CalibrationPlan plan, double share, VectorFamily family, VectorOptions options,
        TrainingContext context)
    {
        VectorOptions partly = options with { Checkpoint = null, CancellationBehavior = CancellationBehavior.Throw };
        var scores = new List<float>();
        var parts = new List<TrainedVector>();
        for (int fold = 0; fold < plan.Folds; fold++)
        {
            VectorFitResult part = Fit(
                plan.Training(fold), plan.HeldBack(fold), family, partly, context with { Progress = null, Warning = null });
            scores.AddRange(part.HeldBackScores);
            parts.Add(part.Model);
        }
        foreach (string name in whole.Model.Network.CalibratedTensors)
        {
            for (int i = 0; i < whole.Model.Weights[name].Length; i++)
                whole.Model.Weights[name][i] = parts.Average(p => p.Weights[name][i]);
        }
        whole.Model.Dispose(); // what computed with the weights as they were
        parts.ForEach(p => p.Dispose());
        return whole with { Threshold = CalibrationPlan.Threshold([.. scores], share) };
    }

    /// <summary>Trains on all of some rows, and scores others.</summary>
    private static VectorFitResult Fit(
        IRowSource source, IRowSource? heldBack, VectorFamily family, VectorOptions options, TrainingContext context)
    {
        using IDisposable running = RunningComputations.Enter();
        torch.Device device = TorchRuntime.Resolve(context.Device, context.FallbackToCpu);
        ColumnMoments[] moments = [.. source.Fields.Select((f, i) => new ColumnMoments(i, f.Width))];
        RowSample[] samples = Samples(source, context.Seed);

        RowStatistics? statistics = null;
        VectorNetwork? network = null;
        HostWeights? scales = null;
        using DisposeScope scope = torch.NewDisposeScope();
        using TrainingData data = TrainingData.Prepare(
            source, options, context.Seed, device, [.. moments, .. samples], Scaling);
        (TrainedVector trained, JsonElement? extra) =
            Train(network!, options, scales!, statistics!, source, data, device, context);
        try
        {
            RowSample[] fresh = heldBack is null ? samples : CalibrationPlan.Read(heldBack, Samples(heldBack, context.Seed));
            network!.Calibrate(new VectorCalibration(trained, samples, fresh));
            trained.Dispose(); // what computed with the weights as they were
            return new(trained, options, 0, heldBack is null ? [] : Scores(trained, source.Fields, fresh), extra);
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
                ConditionCategories = source.Fields.All(f => f.Categories is null)
                    ? []
                    : [.. source.Fields.Skip(1).Select(f => f.Categories)],
                ConditionRows = source.Fields.Count > 1 ? samples[0].Count : 0,
                Seed = context.Seed,
            };
            statistics = new(input, source.Fields, moments, samples, trainingRows);
            options = options.Resolve(statistics);
            network = family.Create(options, input);
            scales = new HostWeights(network.Tensors());
            network.SetScales(scales, statistics);
            VectorScaler features = VectorNetwork.FeatureScaler(scales);
            if (options.AnomalyShare is not null && features.Constants is [_, ..] constants)
                context.Warning?.Invoke(Describe(source.Fields[0].Name, constants));
            VectorScaler[] conditions =
                [.. input.ConditionWidths.Select((_, c) => VectorScaler.Of(moments[c + 1], samples[c + 1]))];
            return (field, rows) => (field == 0 ? features : conditions[field - 1]).Apply(rows, rows);
        }
    }

    // The samples of all fields are of the same rows: they draw the same numbers.
    private static RowSample[] Samples(IRowSource source, int seed)
    {
        int sampled = Math.Clamp(SampleValues / source.Fields.Sum(f => f.Width), 1, SampleRows);
        return [.. source.Fields.Select((f, i) => new RowSample(i, f.Width, sampled, seed))];
    }

    private static (TrainedVector Model, JsonElement? Extra) Train(
        VectorNetwork network, VectorOptions options, HostWeights scales, RowStatistics statistics, IRowSource source,
        TrainingData data, torch.Device device, TrainingContext context)
    {
        if (network is IClosedFormFit closed)
        {
            using VectorPasses passes = closed.Begin(statistics, device);
            TrainingLoop.Run(passes, data, Run(rate: 0, decay: 0), device);
            passes.Finish(scales);
            return (Model(scales), null);
        }
        ulong seed = SplitMix64.Derive(context.Seed, RandomPurpose.Initialization);
        bool bfloat16 = PrecisionChoice.UseBFloat16(
            options.Precision, device, network.WidestLayer, options.BatchSize!.Value);
        using var layers = new TorchLayers(network.Declare, device, seed);
        HostWeights weights = layers.ToHost(network.Tensors());
        network.SetScales(weights, statistics);
        network.Initialize(weights, statistics);
        layers.LoadStateDict(weights);
        using TorchLayers? average = options.AverageDecay > 0 ? layers.Copy(network.AveragedPart) : null;

        VectorObjective? objective = null;
        using VectorFollower? follower = network.Follow(
            new VectorRun(
                statistics, data, VectorNetwork.FeatureScaler(weights), device, () => Model(objective!.Result(weights))));
        objective = new VectorObjective(network, layers, average, options.AverageDecay, bfloat16, follower);
        TrainingRun run = Run(options.LearningRate!.Value, options.WeightDecay!.Value, ("bfloat16", bfloat16));
        TrainingLoop.Run(objective, data, run, device);
        return (Model(objective.Result(weights)), follower?.Finish());

        TrainedVector Model(HostWeights trained) => new(network, trained, context.Device, context.FallbackToCpu);

        TrainingRun Run(double rate, double decay, params (string, object)[] more) => TrainingRun.Of(
            options, context, (int)Math.Min(options.BatchSize!.Value, data.TrainingRows), options.Epochs!.Value, rate, decay,
            [("family", network.GetType().Name), ("input", network.Input), .. more]);
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
/// <param name="Extra">What the network's <see cref="VectorFollower"/> has to say; null without one.</param>
internal sealed record VectorFitResult(
    TrainedVector Model, VectorOptions Options, float Threshold, float[] HeldBackScores, JsonElement? Extra);

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
    private readonly Dictionary<string, torch.Tensor> _kept; // the tensors of the model: means where there are any
    private readonly (torch.Tensor Mean, torch.Tensor Value)[] _averaged;
    private readonly double _decay;
    private readonly bool _bfloat16;
    private readonly VectorFollower? _follower;
    private readonly TorchOps _validation;
    private TorchOps? _training;

    /// <param name="network">The network.</param>
    /// <param name="layers">Its layers, which training moves.</param>
    /// <param name="average">The part of them of which a running mean is kept; null: none is.</param>
    /// <param name="decay">How much of the mean an update keeps.</param>
    /// <param name="bfloat16">Whether products are computed in bfloat16.</param>
    /// <param name="follower">What hears of each update.</param>
    public VectorObjective(
        VectorNetwork network, TorchLayers layers, TorchLayers? average = null, double decay = 0, bool bfloat16 = false,
        VectorFollower? follower = null)
    {
        (_network, _layers, _decay, _bfloat16, _follower) = (network, layers, decay, bfloat16, follower);
        _kept = new(layers.Tensors);
        IReadOnlyDictionary<string, torch.Tensor> means = average?.Tensors ?? new Dictionary<string, torch.Tensor>();
        _averaged = [.. means.Select(mean => (mean.Value, _kept[mean.Key]))];
        foreach ((string name, torch.Tensor mean) in means)
            _kept[name] = mean;
        _validation = new TorchOps(_kept);
        Updates = network.Updates(layers);
        Network = new Trained(layers.Module, average?.Module, follower);
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
        IReadOnlyList<LossTerm> terms = _network.Loss(new(_training.Root, batch[0], Condition(batch), update, step));
        _follower?.AfterLoss(update, terms);
        return terms;
    }

    /// <inheritdoc />
    public IReadOnlyList<LossTerm> ValidationLoss(Batch batch, StepContext step) =>
        _network.ValidationLoss(new(_validation.Root, batch[0], Condition(batch), 0, step));

    /// <inheritdoc />
    public void AfterUpdate(int update, StepContext step)
    {
        _network.AfterUpdate(_layers, update, step);
        if (update == Updates.Count - 1)
            WeightAverage.Update(_averaged, _decay, step.Step / Updates[update].Every);
        _follower?.AfterUpdate(update, Updates[update], step);
    }

    /// <summary>The weights to keep; what the network's layers have not is that of <paramref name="start"/>.</summary>
    public HostWeights Result(HostWeights start)
    {
        var trained = new HostWeights(start.Specs.Where(spec => _kept.ContainsKey(spec.Name)));
        foreach (TensorSpec spec in trained.Specs)
            HostTensors.CopyTo(_kept[spec.Name], trained[spec.Name]);
        return start.With(trained, spec => trained.Find(spec.Name));
    }

    // All fields but the first, side by side: (B, C).
    private static torch.Tensor? Condition(Batch batch) => batch.Fields.Count switch
    {
        1 => null,
        2 => batch[1],
        _ => torch.cat([.. batch.Fields.Skip(1)], 1),
    };

    /// <summary>All that training changes: the moving weights, their mean, and what is known of the run.</summary>
    private sealed class Trained : torch.nn.Module
    {
        public Trained(torch.nn.Module network, torch.nn.Module? average, torch.nn.Module? follower)
            : base(nameof(Trained))
        {
            register_module("network", network);
            if (average is not null)
                register_module("average", average);
            if (follower is not null)
                register_module("follower", follower);
        }
    }
}
