namespace GenerativeML.Benchmarks;

/// <summary>A work measured: a warm-up that finds PyTorch's best setting, and rounds in which the two alternate.</summary>
internal static class SpeedRounds
{
    /// <summary>Measures against PyTorch in float32, and in mixed precision on request.</summary>
    public static IReadOnlyList<SpeedResult> Measure(
        SpeedWork work, SpeedPeer peer, int rounds, int threads, bool bfloat16)
    {
        work.Ours(seed: 0); // before the peer, which is compared with its steps
        Opponent[] opponents =
        [
            .. (work.HasBFloat16 && bfloat16 ? new[] { false, true } : [false])
                .Select(half => new Opponent(half, Best(work, peer, threads, half), [])),
        ];
        var ours = new List<SpeedSample>();
        for (int round = 1; round <= rounds; round++)
        {
            // Each goes first in every other round, in case the machine slows down while it is used.
            if (round % 2 == 1)
                ours.Add(work.Ours(round));
            foreach (Opponent opponent in opponents)
                opponent.Samples.Add(work.Theirs(peer, opponent.Setting, round, opponent.BFloat16));
            if (round % 2 == 0)
                ours.Add(work.Ours(round));
        }
        return [.. opponents.Select(o => Result(work, o, ours))];
    }

    private static PeerSetting Best(SpeedWork work, SpeedPeer peer, int threads, bool bfloat16)
    {
        IReadOnlyList<PeerSetting> settings = PeerSetting.All(threads);
        foreach (PeerSetting setting in settings.DistinctBy(s => s.Waiting))
            work.Probe(peer, setting, bfloat16); // a process's first time also reads files
        return settings.MinBy(setting => work.Probe(peer, setting, bfloat16))!;
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
            Against = opponent.BFloat16 ? "bf16" : "fp32",
            PeerSetting = opponent.Setting.ToString(),
            Agreements = agreements,
            Ours = spread,
            Theirs = Spread.Of(their),
            Ratio = agreements.All(a => a.Holds) ? Spread.Ratio(our, their) : null,
            Wanted = opponent.BFloat16 ? work.WantedBFloat16 : work.Wanted,
            Gflops = work.Flops / spread.Median / 1e9,
        };
    }

    private sealed record Opponent(bool BFloat16, PeerSetting Setting, List<SpeedSample> Samples);
}
