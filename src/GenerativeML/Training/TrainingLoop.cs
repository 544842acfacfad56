using TorchSharp;

namespace GenerativeML;

/// <summary>The one training loop, for every family.</summary>
internal sealed class TrainingLoop : IDisposable
{
    // A number that TorchSharp makes for an operator (a Scalar) stays in native memory until it is finalised, and glibc
    // cannot join the free blocks on both sides of it: without a collection now and then, some such operators in each
    // step make memory grow by megabytes a step. A collection of the youngest generation takes some 0.1 ms.
    private const int CollectEvery = 16;

    private readonly ITrainable _family;
    private readonly IReadOnlyList<(string Name, torch.Tensor Value)> _state;
    private readonly TrainingData _data;
    private readonly TrainingRun _run;
    private readonly LearningRate _rate;
    private readonly FlatOptimizer[] _optimizers;
    private readonly BestWeights? _best; // null where no validation loss tells
    private readonly LossMeans _losses = new();
    private readonly SeededRandom _random;
    private readonly ProgressReporter _reporter;
    private readonly CheckpointStore? _checkpoints;
    private readonly long _batchesPerEpoch, _steps, _phase; // batches, and steps of the run and of a phase

    private int _uncollected;

    private IReadOnlyDictionary<string, double> _validation = new Dictionary<string, double>();
    private IReadOnlyDictionary<string, double> _reported = new Dictionary<string, double>();
    private long _finite; // the last step after which nothing was found that is not finite

    private TrainingLoop(ITrainable family, TrainingData data, TrainingRun run, torch.Device device)
    {
        (_family, _state) = (family, family.State);
        _data = data;
        _run = run;
        // First, because it may fail, and what follows holds tensors.
        if (run.Options.Checkpoint is CheckpointOptions checkpoint)
            _checkpoints = new CheckpointStore(checkpoint, run.Identity, data);
        _batchesPerEpoch = data.BatchesPerEpoch(run.BatchSize);
        _steps = run.Steps ?? checked(_batchesPerEpoch * run.Epochs);
        _phase = StepContext.PhaseSteps(_steps, run.Phases.Count);
        _rate = new LearningRate(
            run.LearningRate, run.Options.Schedule, _phase, (long)(run.Options.WarmupFraction * _phase), run.RateFloor);
        _optimizers = [.. family.Updates.Select(
            u => new FlatOptimizer(u.Parameters, run.WeightDecay, run.Options.GradientClipNorm, u.Adam, u.Muon))];
        _best = data.ValidationRows > 0 && family.WatchesValidation
            ? new BestWeights(_state, run.Options.EarlyStoppingPatience)
            : null;
        _random = new SeededRandom(device);
        _reporter = new ProgressReporter(run, _steps, device.type == DeviceType.CPU);
    }

    /// <summary>Trains a family's network, from the newest checkpoint if there is one.</summary>
    /// <exception cref="OperationCanceledException">The run was cancelled and is not to return a model.</exception>
    /// <exception cref="InvalidOperationException">
    /// A loss or a weight became NaN or infinite; the newest checkpoint is from before.
    /// </exception>
    public static TrainingOutcome Run(ITrainable family, TrainingData data, TrainingRun run, torch.Device device)
    {
        using IDisposable running = RunningComputations.Enter();
        using DisposeScope scope = torch.NewDisposeScope();
        using IDisposable gradients = torch.set_grad_enabled(true);
        using IDisposable threads = TorchThreads.For(
            LargestProduct(family, Math.Min(run.BatchSize, data.TrainingRows)));
        if (TorchRuntime.VersionWarning is string warning)
            run.Context.Warning?.Invoke(warning);
        if (device.type == DeviceType.CPU && run.Context.Device.Kind == "cuda")
        {
            run.Context.Warning?.Invoke(
                $"Device {run.Context.Device} is not there: training goes on on the CPU, as FallbackToCpu allows.");
        }
        using var loop = new TrainingLoop(family, data, run, device);
        return loop.Run();
    }

    public void Dispose()
    {
        foreach (FlatOptimizer optimizer in _optimizers)
            optimizer.Dispose();
        _best?.Dispose();
        _losses.Dispose();
    }

    private TrainingOutcome Run()
    {
        (long step, (double, int)? best) = _checkpoints?.Restore(Tensors()) ?? (0, null);
        if (best is { } known && _best is not null)
            _best.Best = known;
        _finite = step;
        CancellationToken cancellation = _run.Options.CancellationToken;
        int epoch = (int)(Math.Max(0, step - 1) / _batchesPerEpoch);
        bool stopped = IsOver(), cancelled = false;
        while (step < _steps && !stopped && !cancelled)
        {
            epoch = (int)(step / _batchesPerEpoch);
            long begun = step;
            foreach (Batch batch in _data.Epoch(epoch, _run.BatchSize, step % _batchesPerEpoch, cancellation))
            {
                if (cancellation.IsCancellationRequested)
                    break;
                Step(batch, step++);
                _reporter.Count(batch.Rows);
                if (EndsEpoch(step))
                    break; // the epoch's end is also what a checkpoint at this step stands for
                SaveAndReport(step, epoch);
            }
            bool complete = step > begun && EndsEpoch(step);
            if (complete)
            {
                // Before a cancelled run is saved, too: going on from here begins with the next epoch.
                EndEpoch(step);
                stopped = IsOver();
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
                SaveAndReport(step, epoch);
            }
        }
        _best?.Restore();
        Report(step, epoch, last: true);
        CheckWeights(step);
        return new TrainingOutcome(step, epoch + 1, stopped, cancelled);
    }

    private bool IsOver() => _best?.IsOver == true || _family.IsSettled;

    // The last epoch of a run of so many steps may be a part of one.
    private bool EndsEpoch(long step) => step % _batchesPerEpoch == 0 || step == _steps;

    private void Step(Batch batch, long step)
    {
        RunningComputations.StopIfExiting();
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
            _optimizers[u].Step(RateAt(step) * rule.RateScale);
            using IDisposable noGradient = torch.no_grad();
            _family.AfterUpdate(u, context);
        }
        CollectNumbers();
    }

    private double RateAt(long step)
    {
        int phase = new StepContext(step, _steps, _random).PhaseOf(_run.Phases.Count);
        return _rate.At(Math.Min(step - phase * _phase, _phase - 1)) * _run.Phases[phase];
    }

    private void CollectNumbers()
    {
        if (++_uncollected % CollectEvery == 0)
            GC.Collect(0);
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
        if (!_family.LossAddsGradients)
            AddGradients(terms, context.Share);
        _losses.Add(terms, context.Share);
    }

    private static void AddGradients(IReadOnlyList<LossTerm> terms, double share)
    {
        torch.Tensor sum = terms.Select(term => term.Value).Aggregate(TorchArithmetic.Plus);
        (share == 1 ? sum : sum.Scaled(share)).backward();
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
            RunningComputations.StopIfExiting();
            using DisposeScope scope = torch.NewDisposeScope();
            means.Add(_family.ValidationLoss(batch, Context(0, RandomPurpose.Validation)), batch.Weight);
            foreach (torch.Tensor view in batch.Fields)
                view.Dispose();
            CollectNumbers();
        }
        _validation = means.Read();
        _best.Take(_validation["loss"]);
    }

    // Every step has a random state of its own, so that a resumed run draws what it would have drawn.
    private StepContext Context(long step, RandomPurpose purpose, int part = 0)
    {
        ulong seed = SplitMix64.Derive(_run.Context.Seed, purpose, step * _run.Parts + part);
        _random.Seed(seed);
        return new StepContext(step, _steps, _random, seed);
    }

    // What is due after a step.
    private void SaveAndReport(long step, int epoch)
    {
        if (_checkpoints?.IsDue(step) == true)
            Save(step);
        if (_reporter.IsDue)
            Report(step, epoch, last: false);
    }

    private void Save(long step)
    {
        if (_checkpoints is null)
            return;
        CheckLosses(step, _losses.Means());
        CheckWeights(step);
        _checkpoints.Save(step, Tensors(), _best?.Best ?? (double.PositiveInfinity, 0));
    }

    // What a checkpoint holds.
    private IEnumerable<(string Name, torch.Tensor Value)> Tensors() =>
    [
        .. _state.Select(t => ("network." + t.Name, t.Value)),
        .. _best?.Copies.Select(t => ("best." + t.Name, t.Value)) ?? [],
        .. _optimizers.SelectMany(
            (o, i) => o.State.Select(t => ($"optimizer.{_family.Updates[i].Name}.{t.Name}", t.Value))),
    ];

    private void Report(long step, int epoch, bool last)
    {
        if (_losses.Read() is { Count: > 0 } losses)
            _reported = losses;
        CheckLosses(step, _reported);
        _reporter.Report(step, epoch + 1, _reported, _validation, RateAt(Math.Max(0, step - 1)), _data.Waited, last);
    }

    private void CheckLosses(long step, IReadOnlyDictionary<string, double> losses)
    {
        foreach ((string name, double value) in losses)
        {
            if (!double.IsFinite(value))
                throw Diverged(step, FormattableString.Invariant($"{name} became {value}"));
        }
        _finite = step;
    }

    /// <summary>What is kept, and what the next steps begin with.</summary>
    private void CheckWeights(long step)
    {
        using IDisposable noGradient = torch.no_grad();
        foreach ((string name, torch.Tensor value) in _state.Concat(_optimizers.SelectMany(o => o.State)))
        {
            using DisposeScope scope = torch.NewDisposeScope();
            if (!value.isfinite().all().item<bool>())
                throw Diverged(step, $"'{name}' became NaN or infinite");
        }
    }

    private InvalidOperationException Diverged(long step, string what) => new(FormattableString.Invariant(
        $"Training diverged: {what} by step {step} of {_steps}; up to step {_finite} losses were finite. ") +
        "Lower LearningRate, or look for extreme values in the data." + _checkpoints?.Newest);
}
