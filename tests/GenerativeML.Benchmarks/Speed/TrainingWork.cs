using System.Text.Json.Nodes;
using Microsoft.ML;

namespace GenerativeML.Benchmarks;

/// <summary>Training by the package's own estimators, and the same steps by others.</summary>
internal sealed class TrainingWork : SpeedWork
{
    private TrainingClock? _last;
    private JsonObject? _command;

    /// <summary>What a fit of this seed, with its progress reported, is.</summary>
    public required Action<MLContext, TrainingClock> Fit { get; init; }

    /// <summary>Makes the command for the peer, and the files that it names.</summary>
    public required Func<JsonObject> Prepare { get; init; }

    /// <summary>The losses to compare, by the name in our reports.</summary>
    public IReadOnlyList<string> Losses { get; init; } = ["loss"];

    /// <summary>Whether a unit is all that Fit does until the last step; otherwise it is a step.</summary>
    public bool TakesAll { get; init; }

    /// <inheritdoc />
    public override bool HasBFloat16 => HasPython;

    private JsonObject Command => _command ??= Prepare();

    /// <summary>What is wanted against everybody; against mixed precision only where it is given.</summary>
    public static IReadOnlyDictionary<string, double> All(double wanted, double? bfloat16 = null)
    {
        var all = new Dictionary<string, double> { ["TorchSharp"] = wanted, ["PyTorch"] = wanted };
        if (bfloat16 is { } half)
            all.Add("PyTorch bf16", half);
        return all;
    }

    /// <inheritdoc />
    public override SpeedSample Ours(int seed)
    {
        var clock = new TrainingClock(Command["skipped"]?.GetValue<int>() ?? 0);
        Fit(new MLContext(seed), clock);
        _last = clock;
        return new SpeedSample(
            TakesAll ? clock.SecondsInAll : clock.SecondsPerStep, Losses.ToDictionary(name => name, clock.Loss), []);
    }

    /// <inheritdoc />
    public override double Probe(SpeedPeer peer, PeerSetting setting)
    {
        var command = (JsonObject)Command.DeepClone();
        // The steps that are skipped otherwise, and half as many before them.
        if (command["skipped"]?.GetValue<int>() is int timed)
            (command["skipped"], command["steps"]) = (timed / 2, timed / 2 + timed);
        return peer.Ask(command, setting).Seconds;
    }

    /// <inheritdoc />
    public override SpeedSample Theirs(SpeedPeer peer, PeerSetting setting, int seed)
    {
        TrainingClock ours = _last ?? throw new InvalidOperationException("Ours has not run yet.");
        var command = (JsonObject)Command.DeepClone();
        command["steps"] = (int)ours.Steps; // fewer than an epoch where ours holds rows back to calibrate by
        SpeedAnswer answer = peer.Ask(command, setting, seed);
        int steps = answer.Losses[Losses[0]].Length;
        if (steps != ours.Steps)
            throw new InvalidOperationException($"{Name}: ours made {ours.Steps} steps, and theirs {steps}.");
        return new SpeedSample(
            answer.Seconds, Losses.ToDictionary(name => name, name => ours.Mean(answer.Losses[name])), []);
    }
}
