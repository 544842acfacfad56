using TorchSharp;

namespace GenerativeML;

/// <summary>
/// The one training loop: order and batches, learning rate, clipping, validation, early stopping, checkpoints, progress
/// and cancellation, for every family.
/// </summary>
internal sealed class TrainingLoop : IDisposable
{
    private readonly ITrainable _family;
    private readonly TrainingData _data;
    private readonly TrainingRun _run;
    private readonly LearningRate _rate;
    private readonly FlatOptimizer[] _optimizers;
    private readonly EarlyStopping _stopping;
    private readonly WeightSnapshot? _best;
    private readonly LossMeans _losses = new();
    private readonly SeededRandom _random;
    private readonly CheckpointStore? _checkpoints;
    private readonly long _batchesPerEpoch, _steps;

    private IReadOnlyDictionary<string, double> _validation = new Dictionary<string, double>();

    private TrainingLoop(ITrainable family, TrainingData data, TrainingRun run, torch.Device device)
    {
        _family = family;
        _data = data;
        _run = run;
        // First, because it may fail, and what follows holds tensors.
        if (run.Options.Checkpoint is CheckpointOptions checkpoint)
            _checkpoints = new CheckpointStore(checkpoint, run.Identity, data);
        _batchesPerEpoch = data.BatchesPerEpoch(run.BatchSize);
        _steps = run.Steps ?? checked(_batchesPerEpoch * run.Epochs);
        _rate = new LearningRate(
            run.LearningRate, run.Options.Schedule, _steps, (long)(run.Options.WarmupFraction * _steps), run.RateFloor);
        _optimizers = [.. family.Updates.Select(
            u => FlatOptimizer.For(u, run.WeightDecay, run.Options.GradientClipNorm))];
        _stopping = new EarlyStopping(run.Options.EarlyStoppingPatience);
        _best = data.ValidationRows > 0 && family.WatchesValidation ? new WeightSnapshot(family.Network) : null;
        _random = new SeededRandom(device);
    }

    /// <summary>Trains a family's network, from the newest checkpoint if there is one.</summary>
    /// <exception cref="OperationCanceledException">The run was cancelled and is not to return a model.</exception>
    /// <exception cref="InvalidOperationException">The loss became NaN or infinite.</exception>
    public static TrainingOutcome Run(ITrainable family, TrainingData data, TrainingRun run, torch.Device device)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        using IDisposable gradients = torch.set_grad_enabled(true);
        using IDisposable threads = TorchThreads.For(
            LargestProduct(family, Math.Min(run.BatchSize, data.TrainingRows)));
        using var loop = new TrainingLoop(family, data, run, device);
        return loop.Run();
    }

    public void Dispose()
    {
        foreach (FlatOptimizer optimizer in _optimizers)
            optimizer.Dispose();
        _best?.Dispose();
        _losses.Dispose();
        _random.Dispose();
    }

    private TrainingOutcome Run()
    {
        long step = _checkpoints?.Restore(_family.Network, _family.Updates, _optimizers, _best, _stopping) ?? 0;
        CancellationToken cancellation = _run.Options.CancellationToken;
        var reporter = new ProgressReporter(
            _run.Progress, _steps, _run.Epochs, step, _random.Device.type == DeviceType.CPU);
        int epoch = (int)(Math.Max(0, step - 1) / _batchesPerEpoch);
        bool stopped = _stopping.IsOver || _family.IsSettled, cancelled = false;
        while (step < _steps && !stopped && !cancelled)
        {
            epoch = (int)(step / _batchesPerEpoch);
            long begun = step;
            foreach (Batch batch in _data.Epoch(epoch, _run.BatchSize, step % _batchesPerEpoch, cancellation))
            {
                if (cancellation.IsCancellationRequested)
                    break;
                Step(batch, step++);
                reporter.Count(batch.Rows);
                if (EndsEpoch(step))
                    break; // the epoch's end is also what a checkpoint at this step stands for
                if (_checkpoints?.IsDue(step) == true)
                    Save(step);
                if (reporter.IsDue)
                    Report(reporter, step, epoch, last: false);
            }
            bool complete = step > begun && EndsEpoch(step);
            if (complete)
            {
                // Before a cancelled run is saved, too: going on from here begins with the next epoch.
                EndEpoch(step);
                stopped = _stopping.IsOver || _family.IsSettled;
            }
            if (cancellation.IsCancellationRequested)
            {
                cancelled = true;
                Save(step);
                if (step == 0 || _run.Options.CancellationBehavior == CancellationBehavior.Throw)
                    throw new OperationCanceledException(cancellation);
            }
            else if (!complete)
            {
                throw new InvalidOperationException(
                    $"The input gave fewer rows in epoch {epoch + 1} than the {_data.TrainingRows} "
                    + "that it gave at first.");
            }
            else
            {
                if (_checkpoints?.IsDue(step) == true)
                    Save(step);
                if (reporter.IsDue)
                    Report(reporter, step, epoch, last: false);
            }
        }
        if (_best is not null && double.IsFinite(_stopping.Best))
            _best.Restore();
        Report(reporter, step, epoch, last: true);
        return new TrainingOutcome(step, epoch + 1, stopped, cancelled);
    }

    // The last epoch of a run of so many steps may be a part of one.
    private bool EndsEpoch(long step) => step % _batchesPerEpoch == 0 || step == _steps;

    private void Step(Batch batch, long step)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        StepContext context = Context(step, RandomPurpose.Training);
        if (_optimizers.Length == 0)
            Accumulate(batch, 0, context, batch.Rows);
        Batch[] parts = [.. batch.Split(_run.Parts)];
        for (int u = 0; u < _optimizers.Length; u++)
        {
            UpdateRule rule = _family.Updates[u];
            if ((step + 1) % rule.Every != 0)
                continue;
            _optimizers[u].ClearGradients();
            for (int i = 0; i < parts.Length; i++)
                Accumulate(parts[i], u, i == 0 ? context : Context(step, RandomPurpose.Part, i), batch.Rows);
            _optimizers[u].Step(_rate.At(step) * rule.RateScale);
            using IDisposable noGradient = torch.no_grad();
            _family.AfterUpdate(u, context);
        }
    }

    private static double LargestProduct(ITrainable family, long rows) =>
        (double)rows * family.PositionsPerRow
        * family.Updates.SelectMany(u => u.Parameters).Where(p => p.dim() > 1).Select(p => p.numel())
            .DefaultIfEmpty().Max();

    private void Accumulate(Batch part, int update, StepContext context, int rows)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        context = context with { Share = part.Rows / (double)rows };
        IReadOnlyList<LossTerm> terms = _family.Loss(part, update, context);
        _family.Backward(terms, context);
        _losses.Add(terms, context.Share);
    }

    private void EndEpoch(long step)
    {
        using IDisposable noGradient = torch.no_grad();
        _family.EndEpoch();
        if (_best is null)
            return;
        using var means = new LossMeans();
        foreach (Batch batch in _data.Validation(_run.BatchSize))
        {
            using DisposeScope scope = torch.NewDisposeScope();
            means.Add(_family.ValidationLoss(batch, Context(0, RandomPurpose.Validation)), batch.Weight);
            foreach (torch.Tensor view in batch.Fields)
                view.Dispose();
        }
        _validation = means.Read();
        if (_stopping.Improves(_validation["loss"]))
            _best.Take();
    }

    /// <summary>
    /// Every step has a random state of its own, so that a resumed run draws what it would have drawn.
    /// </summary>
    private StepContext Context(long step, RandomPurpose purpose, int part = 0)
    {
        ulong seed = SplitMix64.Derive(_run.Seed, purpose, step * _run.Parts + part);
        _random.Seed(seed);
        return new StepContext(step, _steps, _random, seed);
    }

    private void Save(long step) =>
        _checkpoints?.Save(step, _family.Network, _family.Updates, _optimizers, _best, _stopping);

    private void Report(ProgressReporter reporter, long step, int epoch, bool last)
    {
        IReadOnlyDictionary<string, double> losses = _losses.Read();
        foreach ((string name, double value) in losses)
        {
            if (!double.IsFinite(value))
                throw new InvalidOperationException(
                    $"Training diverged: {name} became {value} by step {step} of {_steps}. " +
                    "Lower LearningRate, or look for extreme values in the data.");
        }
        reporter.Report(step, epoch + 1, losses, _validation, _rate.At(Math.Max(0, step - 1)), _data.Waited, last);
    }
}
