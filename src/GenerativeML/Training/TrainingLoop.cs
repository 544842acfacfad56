using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json.Nodes;
using TorchSharp;

namespace GenerativeML;

/// <summary>The one training loop, for every family.</summary>
internal sealed class TrainingLoop : IDisposable
{
    // A number that TorchSharp makes for an operator (a Scalar) stays in native memory until it is finalised, and glibc
    // cannot join the free blocks on both sides of it: without a collection now and then, some such operators in each
    // step make memory grow by megabytes a step. A collection of the youngest generation takes some 0.1 ms.
    private const int CollectEvery = 16;

    // How far weights of processes on machines of two kinds may differ between two checkpoints, in shares of their size.
    private const double MostApart = 1e-3;

    // Less of a step's rows than any loss is of: rounding.
    private const double LeastCounted = 1e-6;

    private readonly ITrainable _family;
    private readonly IReadOnlyList<(string Name, torch.Tensor Value)> _state;
    private readonly TrainingData _data;
    private readonly TrainingRun _run;
    private readonly LearningRate _rate;
    private readonly FlatOptimizer[] _optimizers;
    private readonly torch.Tensor[][] _still; // of each update, parameters that others move and it does not
    private readonly BestWeights? _best; // null where no validation loss tells
    private readonly LossMeans _losses = new();
    private readonly SeededRandom _random;
    private readonly ProgressReporter _reporter;
    private readonly CheckpointStore? _checkpoints;
    private readonly long _batchesPerEpoch, _steps, _phase; // batches, and steps of the run and of a phase
    private readonly Exchange? _exchange; // with the other processes that train the same model; null where there are none
    private readonly bool _shares; // whether each of them computes a part of a batch
    private readonly float[] _notes = new float[FlatOptimizer.Notes]; // what is summed with gradients
    private int _every; // steps between two checkpoints of the first process; zero for none
    private readonly string[][] _terms; // whose losses are among them, of each update
    private bool _othersCancel; // whether any process was cancelled

    private int _uncollected;

    private IReadOnlyDictionary<string, double> _validation = new Dictionary<string, double>();
    private IReadOnlyDictionary<string, double> _reported = new Dictionary<string, double>();
    private long _finite; // the last step after which nothing was found that is not finite

    private TrainingLoop(ITrainable family, TrainingData data, TrainingRun run, torch.Device device, Exchange? exchange)
    {
        (_family, _state) = (family, family.State);
        _data = data;
        _exchange = exchange;
        _shares = exchange is not null && family.Updates.Count > 0;
        if (data.IsShared && !_shares)
            throw new DistributedException("Option Distributed.ShareRows is set, and this model is fitted without gradients, of all rows at once: leave it out.", isHeard: true); // by all
        if (!family.IsComputedInParts && run.Options.GradientAccumulation > 1)
            throw new ArgumentException(
                $"Option {nameof(run.Options.GradientAccumulation)} is {run.Options.GradientAccumulation}, and a step of this model cannot be computed in parts: it needs all rows at once, or has a state that moves in each.");
        _run = run = exchange is null or { IsFirst: true } ? run : run with { Context = run.Context with { Progress = null } };
        (int part, int parts) = _shares ? (exchange!.Rank, exchange.Size) : (0, 1);
        data.Share = rows => new RowRange(0, rows, rows, family.RowsTogether).Part(part, parts);
        // First, because it may fail, and what follows holds tensors.
        if (run.Options.Checkpoint is CheckpointOptions checkpoint && exchange is null or { IsFirst: true })
        {
            _checkpoints = new CheckpointStore(checkpoint, run.Identity, data);
            _every = checkpoint.Every;
        }
        CompareProcesses();
        _batchesPerEpoch = data.BatchesPerEpoch(run.BatchSize);
        _steps = run.Steps ?? checked(_batchesPerEpoch * run.Epochs);
        _phase = StepContext.PhaseSteps(_steps, run.Phases.Count);
        double scale = run.Options.Distributed?.RateScale(exchange?.Size ?? 1) ?? 1;
        _rate = new LearningRate(
            run.LearningRate * scale, run.Options.Schedule, _phase, (long)(run.Options.WarmupFraction * _phase), run.RateFloor);
        Exchange? shards = _shares && run.Options.Distributed!.ShardOptimizer ? exchange : null;
        _optimizers = [.. family.Updates.Select(
            u => new FlatOptimizer(u.Parameters, run.WeightDecay, run.Options.GradientClipNorm, u.Adam, u.Muon, shards))];
        _terms = [.. family.Updates.Select(_ => Array.Empty<string>())];
        _still =
        [
            .. family.Updates.Select((rule, u) => rule.LeavesGraph
                ? []
                : family.Updates.SelectMany(other => other.Parameters)
                    .Except<torch.Tensor>(rule.Parameters, ReferenceEqualityComparer.Instance).ToArray()),
        ];
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
        Exchange? exchange = run.Options.Distributed?.Connect();
        using IDisposable threads = TorchThreads.For(
            LargestProduct(family, run.Options.AtOnce(Math.Min(run.BatchSize, data.TrainingRows))), exchange?.ProcessesHere ?? 1);
        if (TorchRuntime.VersionWarning is string warning)
            run.Context.Warning?.Invoke(warning);
        if (device.type == DeviceType.CPU && run.Context.Device.Kind == "cuda")
        {
            run.Context.Warning?.Invoke(
                $"Device {run.Context.Device} is not there: training goes on on the CPU, as FallbackToCpu allows.");
        }
        exchange?.Enter();
        try
        {
            using var loop = new TrainingLoop(family, data, run, device, exchange);
            return loop.Run();
        }
        catch (Exception e) when (exchange is not null && DistributedException.IsOwn(e))
        {
            exchange.Fail(e);
            throw;
        }
        finally
        {
            exchange?.Leave();
        }
    }

    public void Dispose()
    {
        foreach (FlatOptimizer optimizer in _optimizers)
            optimizer.Dispose();
        _best?.Dispose();
        _losses.Dispose();
    }

    // Whether the run is to stop: where steps are shared, by what all processes know.
    private bool IsCancelled =>
        _shares ? _othersCancel : _run.Options.CancellationToken.IsCancellationRequested;

    private TrainingOutcome Run()
    {
        if (_checkpoints?.IsEmpty == false)
            Array.ForEach(_optimizers, o => o.AllocateState());
        (long step, (double, int)? best) = _checkpoints?.Restore(Tensors(o => o.State)) ?? (0, null);
        ShareState(ref step, ref best);
        if (step > 0)
            Array.ForEach(_optimizers, o => o.ScatterState());
        Array.ForEach(_optimizers, o => o.ReleaseState());
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
            // One process alone must not stop reading.
            CancellationToken reading = _shares ? CancellationToken.None : cancellation;
            foreach (Batch batch in _data.Epoch(epoch, _run.BatchSize, step % _batchesPerEpoch, reading))
            {
                if (IsCancelled)
                    break;
                RowRange rows = batch.Range ?? _data.Share(batch.Rows);
                Step(batch, rows, step++);
                _reporter.Count(rows.Of);
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
            if (IsCancelled)
            {
                cancelled = true;
                SaveTogether(step);
                if (step == 0 || _run.Options.CancellationBehavior == CancellationBehavior.Throw)
                {
                    throw _shares ? new CancelledTogetherException(cancellation) : new OperationCanceledException(
                        $"Training was cancelled after step {step}.{_checkpoints?.GoesOn}", cancellation);
                }
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
        CompareWeights(step);
        _best?.Restore();
        if (_exchange is not null)
            Broadcast(_state); // what batch normalisation saw, and what other processors round, is not quite the same
        Report(step, epoch, last: true);
        CheckWeights(step, isTogether: _shares);
        return new TrainingOutcome(step, epoch + 1, stopped, cancelled);
    }

    private bool IsOver() => _best?.IsOver == true || _family.IsSettled;

    // The last epoch of a run of so many steps may be a part of one.
    private bool EndsEpoch(long step) => step % _batchesPerEpoch == 0 || step == _steps;

    private void Step(Batch batch, RowRange rows, long step)
    {
        RunningComputations.StopIfExiting();
        using DisposeScope scope = torch.NewDisposeScope();
        StepContext context = Context(step, RandomPurpose.Training);
        if (_optimizers.Length == 0)
            Accumulate(batch, 0, context, 1);
        int count = _run.Options.GradientAccumulation;
        RowRange[] parts = [.. Enumerable.Range(0, count).Select(i => rows.Part(i, count)).Where(part => part.Count > 0)];
        for (int u = 0; u < _optimizers.Length; u++)
        {
            UpdateRule rule = _family.Updates[u];
            if ((step + 1) % rule.Every != 0)
                continue;
            _optimizers[u].ClearGradients();
            SeededRandom begun = _random.Copy();
            SetGradients(_still[u], required: false);
            try
            {
                foreach (RowRange part in parts)
                {
                    // Each part's rows have the numbers that they have in the whole batch.
                    _random.GoTo(begun);
                    _random.Rows = part.Count < part.Of ? part : null;
                    Batch some = batch.Part(part);
                    double share = batch.ShareOf(some, part);
                    if (share > 0)
                        Accumulate(some, u, context, share);
                }
            }
            finally
            {
                SetGradients(_still[u], required: true);
            }
            _random.Rows = null;
            if (_shares)
                SumGradients(u);
            _optimizers[u].Step(RateAt(step) * rule.RateScale);
            using IDisposable noGradient = torch.no_grad();
            _family.AfterUpdate(u, context with { GradientNorm = _optimizers[u].GradientNorm });
        }
        CollectNumbers();
    }

    // Gradients pass through what an update does not move, and those of its own are not computed.
    private static void SetGradients(torch.Tensor[] parameters, bool required)
    {
        foreach (torch.Tensor parameter in parameters)
            parameter.requires_grad = required;
    }

    // Gradients of all processes are summed, each of which counts by its share; with them go losses, and whether to stop.
    private void SumGradients(int update)
    {
        _notes[0] = _run.Options.CancellationToken.IsCancellationRequested ? 1 : 0;
        _optimizers[update].Sum(_exchange!, _notes);
        _othersCancel |= _notes[0] > 0;
        // Where some processes' rows are too few for a loss, it is the mean over the others'.
        double counted = 1 - _notes[^1];
        if (_notes[^1] > 0 && counted > LeastCounted)
            _optimizers[update].ScaleGradients(1 / counted);
        for (int i = 0; i < _terms[update].Length && counted > LeastCounted; i++)
            _losses.Add(_terms[update][i], _notes[1 + i] / counted);
        Array.Clear(_notes);
    }

    // What differs between the processes is said before any of them trains.
    private void CompareProcesses()
    {
        if (_exchange is not { } exchange)
            return;
        JsonObject identity = RunIdentity.Of(_run.Identity, _data);
        identity["Distributed.LearningRateScaling"] = $"{_run.Options.Distributed?.LearningRateScaling}";
        identity["Distributed.ShardOptimizer"] = _run.Options.Distributed?.ShardOptimizer;
        identity["Distributed.ShareRows"] = _run.Options.Distributed?.ShareRows;
        identity["rows are shared, by CacheBudgetBytes"] = _data.IsShared;
        identity["CancellationBehavior"] = $"{_run.Options.CancellationBehavior}";
        identity["version of GenerativeML"] = typeof(TrainingLoop).Assembly.GetName().Version?.ToString();
        identity["version of TorchSharp"] = typeof(torch).Assembly.GetName().Version?.ToString();
        string own = identity.ToJsonString();
        string[] all =
        [
            .. exchange.Gather(Encoding.UTF8.GetBytes(own)).Select(Encoding.UTF8.GetString),
        ];
        string[] differences =
        [
            .. all.Skip(1).SelectMany((other, i) => RunIdentity.Differences(all[0], other)
                .Select(part => $"{part.Name} is {part.Ours} in process 0 and {part.Theirs} in process {i + 1}")),
        ];
        if (differences.Length > 0)
            throw new DistributedException(
                $"The processes cannot train one model together: {string.Join("; ", differences)}.", isHeard: true); // by all
        long most = _family.Updates.Select(u => u.Parameters.Sum(p => p.numel()) + FlatOptimizer.Notes).DefaultIfEmpty().Max();
        if (_shares && most * sizeof(float) > Array.MaxLength)
            throw new DistributedException(
                $"{most:N0} weights are trained together, and processes can exchange gradients of {Array.MaxLength / sizeof(float):N0}.", isHeard: true);
        long least = _family.TakesTotals
            ? _data.TrainingRows / _data.BatchesPerEpoch(_run.BatchSize)
            : Math.Min(_data.TrainingRows, _run.BatchSize);
        string groups = _family.RowsTogether > 1 ? $" in groups of {_family.RowsTogether}" : "";
        if (_shares && (least + _family.RowsTogether - 1) / _family.RowsTogether < exchange.Size)
            throw new DistributedException(
                $"{exchange.Size} processes cannot share steps of {least} rows{groups}: there are "
                + $"{_data.TrainingRows} training rows, and {nameof(_run.Options.BatchSize)} is {_run.BatchSize}. Start fewer.",
                isHeard: true);
    }

    // All begin where the first one does: it alone may have a checkpoint.
    private void ShareState(ref long step, ref (double, int)? best)
    {
        if (_exchange is not { } exchange)
            return;
        (double loss, int waited) = best ?? (double.NaN, 0);
        double[] told = [step, loss, waited, _every];
        exchange.Broadcast(MemoryMarshal.AsBytes(told.AsSpan()));
        (step, _every) = ((long)told[0], (int)told[3]);
        best = double.IsNaN(told[1]) ? null : (told[1], (int)told[2]);
        Broadcast(Tensors(o => o.CommonState));
        byte[] cancelled = [(byte)(_run.Options.CancellationToken.IsCancellationRequested ? 1 : 0)];
        _othersCancel = exchange.Gather(cancelled).Any(flag => flag[0] != 0);
    }

    private void Broadcast(IEnumerable<(string Name, torch.Tensor Value)> tensors)
    {
        using IDisposable noGradient = torch.no_grad();
        foreach ((_, torch.Tensor value) in tensors)
        {
            using DisposeScope scope = torch.NewDisposeScope();
            torch.Tensor host = value.detach().cpu().contiguous();
            _exchange!.Broadcast(host.bytes);
            if (!_exchange.IsFirst)
                value.copy_(host);
        }
    }

    // All have made the same steps, so that their weights are the same, to the bit on machines of one kind. Where they
    // are not, gradients of different weights would be summed.
    private void CompareWeights(long step)
    {
        if (!_shares)
            return;
        using IDisposable noGradient = torch.no_grad();
        torch.Tensor[] weights = [.. _family.Updates.SelectMany(u => u.Parameters)];
        var fingerprint = new Fingerprint();
        foreach (torch.Tensor value in weights)
        {
            using DisposeScope scope = torch.NewDisposeScope();
            fingerprint.Add(MemoryMarshal.Cast<byte, float>(value.detach().cpu().contiguous().bytes));
        }
        byte[][] all = _exchange!.Gather(Encoding.UTF8.GetBytes(fingerprint.ToString()));
        if (all.All(other => other.AsSpan().SequenceEqual(all[0])))
            return;

        using DisposeScope kept = torch.NewDisposeScope();
        double apart = 0, size = 0;
        var expected = new torch.Tensor[weights.Length];
        for (int i = 0; i < weights.Length; i++)
        {
            torch.Tensor first = weights[i].detach().cpu().clone();
            _exchange.Broadcast(first.bytes);
            expected[i] = first.to(weights[i].device);
            apart += Math.Pow(expected[i].Minus(weights[i]).norm().item<float>(), 2);
            size += Math.Pow(expected[i].norm().item<float>(), 2);
        }
        double[] distances =
        [
            .. _exchange.Gather(BitConverter.GetBytes(apart > 0 ? Math.Sqrt(apart / size) : apart)).Select(told => BitConverter.ToDouble(told)),
        ];
        // What is no number is farther than any: whose weights it stands for, nobody goes on with.
        int farthest = Array.FindIndex(distances, d => !(d <= MostApart));
        bool tooFar = farthest >= 0;
        farthest = tooFar ? farthest : Array.IndexOf(distances, distances.Max());
        string what = FormattableString.Invariant(
            $"After step {step} the weights of process {farthest} are not those of process 0, by {distances[farthest]:g2} of their size: ");
        if (tooFar)
            throw new DistributedException(what + "something but training changes them there, or a machine fails.", isHeard: true); // by all
        for (int i = 0; i < weights.Length; i++)
            weights[i].copy_(expected[i]);
        _run.Context.Warning?.Invoke(what + "their processors round differently. All go on with those of process 0.");
    }

    // What each process has of the run's state, the first one writes down for all.
    private void SaveTogether(long step)
    {
        JoinRowStates();
        CompareWeights(step);
        if (_every > 0)
            Array.ForEach(_optimizers, o => o.GatherState());
        Save(step);
        Array.ForEach(_optimizers, o => o.ReleaseState());
    }

    private void JoinRowStates()
    {
        if (!_shares)
            return;
        using IDisposable noGradient = torch.no_grad();
        foreach (torch.Tensor value in _family.RowStates)
        {
            using DisposeScope scope = torch.NewDisposeScope();
            RowRange rows = _data.Share((int)value.shape[1]);
            torch.Tensor joined = torch.zeros(value.shape, torch.ScalarType.Float32);
            joined.narrow(1, rows.First, rows.Count).copy_(value.narrow(1, rows.First, rows.Count));
            _exchange!.AllReduce(MemoryMarshal.Cast<byte, float>(joined.bytes));
            value.copy_(joined);
        }
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

    private void Accumulate(Batch part, int update, StepContext context, double share)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        context = context with { Share = share };
        IReadOnlyList<LossTerm> terms = _family.Loss(part, update, context);
        if (terms.Count == 0)
        {
            _notes[^1] += (float)share; // of so few rows there is none
            return;
        }
        if (!_family.LossAddsGradients)
            AddGradients(terms, context.Share);
        if (!_shares)
        {
            _losses.Add(terms, context.Share);
            return;
        }
        using IDisposable noGradient = torch.no_grad();
        _terms[update] = [.. terms.Select(term => term.Name)]; // also of steps of which this process has no share
        for (int i = 0; i < terms.Count; i++)
            _notes[1 + i] += (float)(terms[i].Value.item<float>() * share);
    }

    private static void AddGradients(IReadOnlyList<LossTerm> terms, double share)
    {
        torch.Tensor sum = terms.Select(term => term.Value).Aggregate(TorchArithmetic.Plus);
        using var held = new HeldSignals();
        (share == 1 ? sum : sum.Scaled(share)).backward();
    }

    private void EndEpoch(long step)
    {
        using IDisposable noGradient = torch.no_grad();
        _family.EndEpoch();
        if (_best is null)
            return;
        using var means = new LossMeans();
        int number = 0;
        foreach (Batch batch in _data.Validation(_run.BatchSize))
        {
            RunningComputations.StopIfExiting();
            using DisposeScope scope = torch.NewDisposeScope();
            if (!_shares || number++ % _exchange!.Size == _exchange.Rank)
                means.Add(_family.ValidationLoss(batch, Context(0, RandomPurpose.Validation)), batch.Weight);
            foreach (torch.Tensor view in batch.Fields)
                view.Dispose();
            CollectNumbers();
        }
        if (_shares)
            means.Merge(_exchange!);
        _validation = means.Read();
        _best.Take(_validation["loss"]);
    }

    // Every step has a random state of its own, so that a resumed run draws what it would have drawn.
    private StepContext Context(long step, RandomPurpose purpose)
    {
        ulong seed = SplitMix64.Derive(_run.Context.Seed, purpose, step);
        _random.Seed(seed);
        return new StepContext(step, _steps, _random, seed, Total: _shares && purpose == RandomPurpose.Training ? _exchange!.AllReduce : null);
    }

    // What is due after a step.
    private void SaveAndReport(long step, int epoch)
    {
        if (_every > 0 && step % _every == 0)
            SaveTogether(step);
        if (_reporter.IsDue)
            Report(step, epoch, last: false);
    }

    private void Save(long step)
    {
        if (_checkpoints is null)
            return;
        CheckLosses(step, _losses.Means());
        CheckWeights(step, isTogether: false);
        _checkpoints.Save(step, Tensors(o => o.State), _best?.Best ?? (double.PositiveInfinity, 0));
    }

    // What a checkpoint holds.
    private IEnumerable<(string Name, torch.Tensor Value)> Tensors(
        Func<FlatOptimizer, IEnumerable<(string Name, torch.Tensor Value)>> stateOf) =>
    [
        .. _state.Select(t => ("network." + t.Name, t.Value)),
        .. _best?.Copies.Select(t => ("best." + t.Name, t.Value)) ?? [],
        .. _optimizers.SelectMany(
            (o, i) => stateOf(o).Select(t => ($"optimizer.{_family.Updates[i].Name}.{t.Name}", t.Value))),
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

    // What is kept, and what the next steps begin with; of the optimizer's state a process may have a part only.
    private void CheckWeights(long step, bool isTogether)
    {
        using IDisposable noGradient = torch.no_grad();
        string found = "";
        foreach ((string name, torch.Tensor value) in _state.Concat(_optimizers.SelectMany(o => o.State)))
        {
            using DisposeScope scope = torch.NewDisposeScope();
            if (found.Length == 0 && !value.isfinite().all().item<bool>())
                found = name;
        }
        if (isTogether)
            found = _exchange!.Gather(Encoding.UTF8.GetBytes(found)).Select(Encoding.UTF8.GetString).FirstOrDefault(name => name.Length > 0, "");
        if (found.Length == 0)
            return;
        InvalidOperationException diverged = Diverged(step, $"'{found}' became NaN or infinite");
        throw isTogether ? new DistributedException(diverged.Message, isHeard: true) : diverged; // by all
    }

    private InvalidOperationException Diverged(long step, string what) => new(FormattableString.Invariant(
        $"Training diverged: {what} by step {step} of {_steps}; up to step {_finite} losses were finite. ") +
        "Lower LearningRate, or look for extreme values in the data." + _checkpoints?.Newest);
}
