namespace GenerativeML.Benchmarks;

/// <summary>A work measured: a warm-up that finds the others' best settings, and rounds in which the sides alternate.</summary>
internal static class SpeedRounds
{
    /// <summary>Measures against each of the others.</summary>
    public static IReadOnlyList<SpeedResult> Measure(SpeedWork work, IEnumerable<SpeedPeer> peers, int rounds)
    {
        work.Ours(seed: 0); // before the peers, whose steps are compared with its
        Opponent[] opponents = [.. peers.Select(peer => new Opponent(peer, Best(work, peer), []))];
        var ours = new List<SpeedSample>();
        for (int round = 1; round <= rounds; round++)
        {
            // Each goes first in every other round, in case the machine slows down while it is used.
            if (round % 2 == 1)
                ours.Add(work.Ours(round));
            foreach (Opponent opponent in opponents)
                opponent.Samples.Add(work.Theirs(opponent.Peer, opponent.Setting, round));
            if (round % 2 == 0)
                ours.Add(work.Ours(round));
        }
        return [.. opponents.Select(o => Result(work, o, ours))];
    }

    private static PeerSetting Best(SpeedWork work, SpeedPeer peer)
    {
        foreach (PeerSetting setting in peer.Settings.DistinctBy(s => s.Waiting))
            work.Probe(peer, setting); // a process's first time also reads files
        return peer.Settings.MinBy(setting => work.Probe(peer, setting))!;
    }

    private static SpeedResult Result(SpeedWork work, Opponent opponent, List<SpeedSample> ours)
    {
        IReadOnlyList<Agreement> agreements = work.Compare(ours, opponent.Samples);
        double[] our = [.. ours.Select(s => s.Seconds)], their = [.. opponent.Samples.Select(s => s.Seconds)];
        var spread = Spread.Of(our);
        return new SpeedResult
        {
            Work = work.Name,
            Title = work.Title,
            Against = opponent.Peer.Name,
            PeerSetting = opponent.Setting.ToString(),
            Agreements = agreements,
            Ours = spread,
            Theirs = Spread.Of(their),
            Ratio = agreements.All(a => a.Holds) ? Spread.Ratio(our, their) : null,
            Wanted = work.Wanted.TryGetValue(opponent.Peer.Name, out double wanted) ? wanted : null,
            Gflops = work.Flops / spread.Median / 1e9,
        };
    }

    private sealed record Opponent(SpeedPeer Peer, PeerSetting Setting, List<SpeedSample> Samples);
}
