using System.Runtime.InteropServices;

namespace GenerativeML;

/// <summary>What is known of a row.</summary>
internal enum RowLabel
{
    Unlabelled,
    Normal,
    Anomalous,
}

/// <summary>How many rows of each kind have a score.</summary>
internal struct ScoreCount
{
    public long Unlabelled, Normal, Anomalous;

    public readonly long All => Unlabelled + Normal + Anomalous;

    public static ScoreCount Of(RowLabel label) => label switch
    {
        RowLabel.Unlabelled => new() { Unlabelled = 1 },
        RowLabel.Normal => new() { Normal = 1 },
        _ => new() { Anomalous = 1 },
    };

    public void Add(in ScoreCount other) => (Unlabelled, Normal, Anomalous) =
        (Unlabelled + other.Unlabelled, Normal + other.Normal, Anomalous + other.Anomalous);
}

/// <summary>
/// Counts rows by their scores, in bounded memory: scores are told apart exactly, and where there are too many different ones,
/// by as many of their leading bits as there is room for. The order of rows does not matter.
/// </summary>
internal sealed class ScoreTally(int maxScores = 1 << 18)
{
    private Dictionary<uint, ScoreCount> _counts = [];

    /// <summary>How many low bits of a score are not told apart; 0 where all are exact.</summary>
    public int DroppedBits { get; private set; }

    /// <summary>All rows.</summary>
    public ScoreCount Total { get; private set; }

    /// <summary>The least score.</summary>
    public float Least { get; private set; } = float.PositiveInfinity;

    /// <summary>The greatest score.</summary>
    public float Greatest { get; private set; } = float.NegativeInfinity;

    /// <summary>Counts a row, whose score is a number.</summary>
    public void Add(float score, RowLabel label)
    {
        ScoreCount one = ScoreCount.Of(label);
        ScoreCount total = Total;
        total.Add(one);
        (Total, Least, Greatest) = (total, Math.Min(Least, score), Math.Max(Greatest, score));
        CollectionsMarshal.GetValueRefOrAddDefault(_counts, KeyOf(score) >> DroppedBits, out _).Add(one);
        while (_counts.Count > maxScores)
        {
            DroppedBits++;
            Dictionary<uint, ScoreCount> coarser = new(_counts.Count / 2);
            foreach ((uint key, ScoreCount count) in _counts)
                CollectionsMarshal.GetValueRefOrAddDefault(coarser, key >> 1, out _).Add(count);
            _counts = coarser;
        }
    }

    /// <summary>The scores with their rows, the highest first; of scores that are not told apart, the least that there could be.</summary>
    public IEnumerable<(float Score, ScoreCount Count)> Descending() => _counts.OrderByDescending(entry => entry.Key)
        .Select(entry => (ScoreOf(Math.Max(entry.Key << DroppedBits, KeyOf(Least))), entry.Value)); // below −∞ there is only NaN

    /// <summary>
    /// The area under the ROC curve: how likely an anomalous row has a higher score than a normal one, equal scores counting
    /// half (Mann and Whitney 1947); and by how much it can be wrong for scores that are not told apart. Null without rows of both.
    /// </summary>
    public (double Area, double Error)? Auroc()
    {
        double pairs = (double)Total.Normal * Total.Anomalous, above = 0, equal = 0;
        if (pairs == 0)
            return null;
        double found = 0;
        foreach ((_, ScoreCount count) in Descending())
        {
            above += found * count.Normal;
            equal += (double)count.Anomalous * count.Normal;
            found += count.Anomalous;
        }
        return ((above + equal / 2) / pairs, DroppedBits == 0 ? 0 : equal / 2 / pairs);
    }

    /// <summary>
    /// The average precision: the mean, over the anomalous rows, of the share of anomalous ones among those with a score as high
    /// or higher. Null without rows of both kinds.
    /// </summary>
    public double? AveragePrecision()
    {
        if (Total.Normal == 0 || Total.Anomalous == 0)
            return null;
        double found = 0, flagged = 0, sum = 0;
        foreach ((_, ScoreCount count) in Descending())
        {
            found += count.Anomalous;
            flagged += count.Anomalous + count.Normal;
            if (count.Anomalous > 0)
                sum += count.Anomalous * found / flagged;
        }
        return sum / Total.Anomalous;
    }

    // Floats in the order of their values, as whole numbers.
    private static uint KeyOf(float score) => BitConverter.SingleToUInt32Bits(score + 0f) is var bits && (bits & 0x8000_0000) != 0
        ? ~bits
        : bits | 0x8000_0000;

    private static float ScoreOf(uint key) =>
        BitConverter.UInt32BitsToSingle((key & 0x8000_0000) != 0 ? key & 0x7fff_ffff : ~key);
}
