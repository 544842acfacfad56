using System.Diagnostics;
using System.Text.Json;
using TorchSharp;

namespace GenerativeML;

/// <summary>Decides when a report is due and works out its rates.</summary>
internal sealed class ProgressReporter(TrainingRun run, long steps, bool onCpu, TimeProvider? time = null)
{
    private readonly TimeProvider _time = time ?? TimeProvider.System;
    private readonly long _began = (time ?? TimeProvider.System).GetTimestamp();
    private long _counted, _total, _rows; // steps, rows, and rows since the last report
    private long _warm, _last; // when the first step was done, and the last report made

    /// <summary>Counts a step and its rows.</summary>
    public void Count(int rows)
    {
        _total += rows;
        // The first step compiles and allocates: no later one takes as long.
        if (_counted++ == 0)
            _warm = _last = _time.GetTimestamp();
        else
            _rows += rows;
    }

    /// <summary>Whether it is time for a report.</summary>
    public bool IsDue =>
        run.Context.Progress is not null && _counted > 1 && _time.GetElapsedTime(_last) >= run.Context.ReportInterval;

    public void Report(
        long step, int epoch, IReadOnlyDictionary<string, double> losses,
        IReadOnlyDictionary<string, double> validation, double rate, TimeSpan dataWait, bool last)
    {
        if (run.Context.Progress is null)
            return;
        TimeSpan elapsed = _time.GetElapsedTime(_began);
        TimeSpan perStep = _counted > 1
            ? _time.GetElapsedTime(_warm) / (_counted - 1)
            : elapsed / Math.Max(1, _counted);
        (long rows, TimeSpan since) = _rows > 0 ? (_rows, _time.GetElapsedTime(_last)) : (_total, elapsed);
        run.Context.Progress.Report(new TrainingProgress
        {
            Step = step,
            Steps = steps,
            Epoch = epoch,
            Epochs = run.Epochs,
            Losses = losses,
            Validation = validation,
            LearningRate = rate,
            RowsPerSecond = rows / Math.Max(since.TotalSeconds, 1e-6),
            Elapsed = elapsed,
            Remaining = last ? TimeSpan.Zero : perStep * (steps - step),
            DataWait = dataWait,
            PeakDeviceBytes = onCpu ? PeakOfProcess() : null,
            IsLast = last,
        });
        _last = _time.GetTimestamp();
        _rows = 0;
    }

    private static long PeakOfProcess()
    {
        using Process self = Process.GetCurrentProcess();
        return self.PeakWorkingSet64;
    }
}

/// <summary>Reports the training of several models, one after the other or together, as that of one.</summary>
internal sealed class ModelsProgress(IProgress<TrainingProgress> listener, int models)
{
    private readonly Lock _gate = new();
    private readonly long _began = Stopwatch.GetTimestamp();
    private readonly List<double> _shares = []; // of each model so far, how much of it is done
    private long _steps; // of a model
    private TrainingProgress? _last;

    /// <summary>Hears of one more model.</summary>
    public IProgress<TrainingProgress> Next()
    {
        lock (_gate)
        {
            int model = _shares.Count;
            _shares.Add(0);
            return new Part(value => Report(model, value));
        }
    }

    /// <summary>There is no more, although there are models left.</summary>
    public void End()
    {
        if (_last is not { IsLast: false })
            return;
        _last = _last with { IsLast = true, Remaining = TimeSpan.Zero };
        listener.Report(_last);
    }

    private void Report(int model, TrainingProgress value)
    {
        lock (_gate)
        {
            if (_steps == 0)
                _steps = value.Steps;
            // Models of fewer rows have fewer steps, and some end early.
            _shares[model] = value.IsLast ? 1 : value.Step / (double)value.Steps;
            double done = _shares.Sum();
            TimeSpan elapsed = Stopwatch.GetElapsedTime(_began);
            _last = value with
            {
                Step = (long)Math.Round(done * _steps),
                Steps = models * _steps,
                Elapsed = elapsed,
                // What was trained says how long the rest will take, and the first model, what is left of itself.
                Remaining = done < 1
                    ? value.Remaining + ((models - 1) * (elapsed + value.Remaining))
                    : elapsed * ((models - done) / done),
                IsLast = value.IsLast && done == models,
            };
            listener.Report(_last);
        }
    }

    private sealed class Part(Action<TrainingProgress> report) : IProgress<TrainingProgress>
    {
        public void Report(TrainingProgress value) => report(value);
    }
}

/// <summary>Means of losses by name, read back from the device only now and then.</summary>
internal sealed class LossMeans : IDisposable
{
    private const int MaxUnread = 256;

    private readonly Dictionary<string, (double Sum, double Weight)> _sums = []; // in the order of first appearance
    private readonly List<(string Name, torch.Tensor Value, double Weight)> _unread = [];

    /// <summary>Adds the terms of a batch that counts <paramref name="weight"/> times.</summary>
    public void Add(IReadOnlyList<LossTerm> terms, double weight = 1)
    {
        foreach ((string name, torch.Tensor value) in terms)
            _unread.Add((name, value.detach().DetachFromDisposeScope(), weight));
        if (_unread.Count >= MaxUnread)
            ReadBack();
    }

    /// <summary>Adds a term that counts once.</summary>
    public void Add(string name, double value)
    {
        (double sum, double weights) = _sums.GetValueOrDefault(name);
        _sums[name] = (sum + value, weights + 1);
    }

    /// <summary>Adds the sums of all processes up.</summary>
    public void Merge(Exchange exchange)
    {
        ReadBack();
        byte[][] all = exchange.Gather(JsonSerializer.SerializeToUtf8Bytes(
            _sums.Select(s => new Part(s.Key, s.Value.Sum, s.Value.Weight)), Format));
        _sums.Clear();
        foreach (Part part in all.SelectMany(some => JsonSerializer.Deserialize<Part[]>(some, Format)!))
        {
            (double sum, double weights) = _sums.GetValueOrDefault(part.Name);
            _sums[part.Name] = (sum + part.Sum, weights + part.Weight);
        }
    }

    /// <summary>The means so far; with several terms, their sum as <c>loss</c> too.</summary>
    public IReadOnlyDictionary<string, double> Means()
    {
        ReadBack();
        Dictionary<string, double> means = _sums.ToDictionary(s => s.Key, s => s.Value.Sum / s.Value.Weight);
        if (means.Count > 0)
            means.TryAdd("loss", means.Values.Sum());
        return means;
    }

    /// <summary>The same since the last call.</summary>
    public IReadOnlyDictionary<string, double> Read()
    {
        IReadOnlyDictionary<string, double> means = Means();
        _sums.Clear();
        return means;
    }

    public void Dispose()
    {
        _unread.ForEach(term => term.Value.Dispose());
        _unread.Clear();
    }

    private static readonly JsonSerializerOptions Format = new()
    {
        NumberHandling = System.Text.Json.Serialization.JsonNumberHandling.AllowNamedFloatingPointLiterals,
    };

    private sealed record Part(string Name, double Sum, double Weight);

    private void ReadBack()
    {
        if (_unread.Count == 0)
            return;
        using IDisposable noGradient = torch.no_grad();
        using torch.Tensor all = torch.stack([.. _unread.Select(term => term.Value)]);
        var values = new float[_unread.Count];
        HostTensors.CopyTo(all, values);
        for (int i = 0; i < values.Length; i++)
        {
            (string name, _, double weight) = _unread[i];
            (double sum, double weights) = _sums.GetValueOrDefault(name);
            _sums[name] = (sum + values[i] * weight, weights + weight);
        }
        Dispose();
    }
}
