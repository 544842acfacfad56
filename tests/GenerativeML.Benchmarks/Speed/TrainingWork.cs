using System.Text.Json.Nodes;
using Microsoft.ML;

namespace GenerativeML.Benchmarks;

/// <summary>Training by the package's own estimators, and the same steps in Python.</summary>
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
    public override bool HasBFloat16 => true;

    private JsonObject Command => _command ??= Prepare();

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
    public override double Probe(SpeedPeer peer, PeerSetting setting, bool bfloat16)
    {
        var command = (JsonObject)Command.DeepClone();
        // The steps that are skipped otherwise, and half as many before them.
        if (command["skipped"]?.GetValue<int>() is int timed)
            (command["skipped"], command["steps"]) = (timed / 2, timed / 2 + timed);
        return peer.Ask(command, setting, seed: 0, bfloat16).Seconds;
    }

    /// <inheritdoc />
    public override SpeedSample Theirs(SpeedPeer peer, PeerSetting setting, int seed, bool bfloat16)
    {
        SpeedAnswer answer = peer.Ask(Command, setting, seed, bfloat16);
        TrainingClock ours = _last ?? throw new InvalidOperationException("Ours has not run yet.");
        int steps = answer.Losses[Losses[0]].Length;
        if (steps != ours.Steps)
            throw new InvalidOperationException($"{Name}: ours made {ours.Steps} steps, and theirs {steps}.");
        return new SpeedSample(
            answer.Seconds, Losses.ToDictionary(name => name, name => ours.Mean(answer.Losses[name])), []);
    }
}
