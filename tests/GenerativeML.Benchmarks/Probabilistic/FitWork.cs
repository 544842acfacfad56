using System.Diagnostics;
using System.Text.Json.Nodes;
using Microsoft.ML;

namespace GenerativeML.Benchmarks;

/// <summary>A whole fit, reading the rows and finding a beginning included, and how well it fits.</summary>
internal sealed class FitWork : SpeedWork
{
    private const int ProbedShare = 10; // of the rows, to find the other side's best setting
    private const string Nats = "nats";

    /// <summary>Who else does it, a module of Python.</summary>
    public required string Module { get; init; }

    /// <summary>Fits.</summary>
    public required Func<MLContext, IDisposable> Fit { get; init; }

    /// <summary>What it reached, in nats for a row: the less the better.</summary>
    public required Func<MLContext, IDisposable, double> Loss { get; init; }

    /// <summary>How much worse than the other side's it may be.</summary>
    public required double Slack { get; init; }

    /// <summary>What <c>tests/peers/probabilistic_peer.py</c> is told.</summary>
    public required JsonObject Command { get; init; }

    /// <inheritdoc />
    public override SpeedSample Ours(int seed)
    {
        var ml = new MLContext(seed);
        long start = Stopwatch.GetTimestamp();
        using IDisposable model = Fit(ml);
        return Of(Stopwatch.GetElapsedTime(start).TotalSeconds, Loss(ml, model));
    }

    /// <inheritdoc />
    public override SpeedSample Theirs(SpeedPeer peer, PeerSetting setting, int seed) =>
        Ask(peer, setting, seed, Command);

    /// <inheritdoc />
    public override double Probe(SpeedPeer peer, PeerSetting setting)
    {
        var few = (JsonObject)Command.DeepClone();
        few["rows"] = (int)few["rows"]! / ProbedShare;
        return Ask(peer, setting, 0, few).Seconds;
    }

    /// <summary>A fit that is better than the other is well.</summary>
    public override IReadOnlyList<Agreement> Compare(IReadOnlyList<SpeedSample> ours, IReadOnlyList<SpeedSample> theirs)
    {
        (double our, double their) = (ours.Average(s => s.Losses[Nats]), theirs.Average(s => s.Losses[Nats]));
        return [new(Nats, our, their, our - their, Slack)];
    }

    private static SpeedSample Ask(SpeedPeer peer, PeerSetting setting, int seed, JsonObject command)
    {
        SpeedAnswer answer = peer.Ask(command, setting, seed);
        return Of(answer.Seconds, answer.Losses[Nats][0]);
    }

    private static SpeedSample Of(double seconds, double nats) =>
        new(seconds, new Dictionary<string, double> { [Nats] = nats }, []);
}
