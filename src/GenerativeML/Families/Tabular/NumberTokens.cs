namespace GenerativeML;

/// <summary>
/// Training values that lie together: a single one, or an interval in which all are equally likely; how many they are,
/// and which share of them are multiples of the column's usual step.
/// </summary>
internal readonly record struct NumberSegment(double Low, double High, double Weight, double Usual = 1);

/// <summary>
/// How a column of numbers is cut into intervals: about how many tokens, which share of an interval's size is measured
/// by its width and not by the values in it, whether frequent values have tokens of their own, how many values an
/// interval has at least; or where intervals begin.
/// </summary>
internal sealed record NumberBins(
    int Max, double WidthShare, bool HasOwn = true, int MinRows = 20, IReadOnlyList<double>? Edges = null)
{
    // A long tail has more than the one interval that its few values would be given.
    public static NumberBins Default { get; } = new(TokenTable.MaxNumbers, 0.25);
}

/// <summary>
/// Tokens of a column of numbers: one for each value that occurs often, such as the zeros of a column that is mostly
/// zero, one for each of a number of intervals of the others, and one for a missing value. An interval knows how the
/// values in it are distributed.
/// </summary>
internal sealed record NumberTokens : TokenColumn
{
    /// <summary>Features of a token, see <see cref="ScaleFeatures"/>.</summary>
    public const int FeatureCount = Waves + 3;

    private const int Waves = 6;
    private const int MaxSegments = 2048;

    private readonly TableColumn _column;
    private readonly int _usual;
    private readonly Dictionary<double, int> _exact = [];
    private readonly int[] _intervals; // the tokens that are intervals, ascending
    private readonly double[] _starts; // where they begin

    /// <summary>Tokens of ascending segments; the last has none where the column has missing values.</summary>
    public NumberTokens(TableColumn column, int usual, IReadOnlyList<NumberSegment[]> segments)
    {
        (_column, _usual, Min, Max) = (column, usual, column.Min, column.Max);
        Segments = [.. segments];
        UpTo = [.. Segments.Select(SumsOf)];
        for (int token = 0; token < Count; token++)
        {
            if (IsExact(Segments[token]))
                _exact.TryAdd(Segments[token][0].Low, token);
        }
        _intervals =
        [
            .. Enumerable.Range(0, Count).Where(token => Segments[token].Length > 0 && !IsExact(Segments[token]))
                .OrderBy(token => Segments[token][0].Low),
        ];
        _starts = [.. _intervals.Select(token => Segments[token][0].Low)];
    }

    public override int Count => Segments.Length;

    private double Min { get; init; } // of the values that are drawn

    private double Max { get; init; }

    private NumberSegment[][] Segments { get; init; } // of each token, those that are allowed; none of a missing value

    private double[][] UpTo { get; init; } // running sums of their weights

    /// <summary>Chooses about so many tokens at most by a sample of values; NaN is a missing one.</summary>
    public static NumberTokens Learn(TableColumn column, ReadOnlySpan<double> sample, NumberBins bins)
    {
        double[] values = [.. sample.ToArray().Where(v => !double.IsNaN(v)).Order()];
        int max = Math.Clamp(sample.Length / 8, Math.Min(4, bins.Max), bins.Max);
        (double Value, int Count)[] each = [.. values.CountBy(v => v).Select(v => (v.Key, v.Value))]; // ascending
        HashSet<double> frequent = bins.HasOwn || each.Length == 1 ? Frequent(each, values.Length, max) : [];
        List<NumberSegment[]> tokens =
        [
            .. each.Where(v => frequent.Contains(v.Value))
                .Select(v => new[] { new NumberSegment(v.Value, v.Value, v.Count) }),
        ];

        (double Value, int Count)[] others = [.. each.Where(v => !frequent.Contains(v.Value))];
        int usual = column.UsualStep([.. others.Select(v => (v.Value, (double)v.Count))]);
        if (others.Length > 0)
        {
            int min = Math.Clamp(values.Length / 200, Math.Min(2, bins.MinRows), bins.MinRows);
            int intervals = Math.Clamp(others.Sum(v => v.Count) / min, 1, Math.Max(1, max - tokens.Count / 2));
            int together = (others.Length + MaxSegments - 1) / MaxSegments;
            IEnumerable<(double Value, int Count)[]> parts = bins.Edges is { } edges
                ? others.GroupBy(v => edges.Count(edge => edge <= v.Value)).Select(part => part.ToArray())
                : Intervals(others, intervals, min, bins.WidthShare);
            tokens.AddRange(parts.Select(part => Marked(part[0].Value, Spread(column, usual, part, together)).ToArray()));
        }
        if (column.HasMissing || tokens.Count == 0)
            tokens.Add([]);
        return new NumberTokens(column, usual, tokens);

        // A segment without weight says where the interval begins, which may be below all its values.
        IEnumerable<NumberSegment> Marked(double least, IEnumerable<NumberSegment> segments) =>
            bins.Edges?.LastOrDefault(edge => edge <= least, double.NaN) is double edge and not double.NaN && edge < least
                ? segments.Prepend(new(edge, edge, double.Epsilon))
                : segments;
    }

    /// <summary>The tokens of a file, or a <see cref="FormatException"/>.</summary>
    public static NumberTokens Load(ref TokenReader reader, TableColumn column)
    {
        int usual = reader.NextCount(column.Step);
        var tokens = new NumberSegment[reader.NextCount(TokenTable.MaxTokens)][];
        for (int token = 0; token < tokens.Length; token++)
        {
            tokens[token] = new NumberSegment[reader.NextCount(int.MaxValue)];
            foreach (ref NumberSegment segment in tokens[token].AsSpan())
            {
                double low = reader.Next(double.IsFinite);
                segment = new NumberSegment(
                    low, reader.Next(high => low <= high && double.IsFinite(high)),
                    reader.Next(weight => weight is > 0 and < 1L << 53), reader.Next(share => share is >= 0 and <= 1));
            }
        }
        bool sound = tokens.Length > 0 && tokens[..^1].All(segments => segments.Length > 0)
            && (!column.HasMissing || tokens[^1].Length == 0);
        return sound ? new NumberTokens(column, usual, tokens) : throw TokenReader.Unsound();
    }

    // A value between the intervals has the token of the one below it, and one below them all that of the lowest.
    public override int Encode(double value, long row)
    {
        if (double.IsNaN(value))
            return Count - 1;
        if (_exact.TryGetValue(value, out int token))
            return token;
        if (_intervals.Length == 0)
            return _exact.MinBy(e => Math.Abs(e.Key - value)).Value;
        int at = Array.BinarySearch(_starts, value);
        return _intervals[Math.Max(0, at >= 0 ? at : ~at - 1)];
    }

    public override TokenColumn Limited(TableLimit? limit)
    {
        if (limit is not NumberLimit range)
            return this;
        double min = Math.Max(Min, range.Min), max = Math.Min(Max, range.Max);
        // What rounding brings into the range belongs to it, too.
        double half = 0.5 * _column.StepSize;
        NumberSegment[][] segments = [.. Segments.Select(s => s.Select(Within).Where(w => w.Weight > 0).ToArray())];
        double[][] upTo = [.. segments.Select(SumsOf)];
        float[] shares = new float[Count];
        for (int token = 0; token < Count; token++)
        {
            shares[token] = Segments[token].Length == 0 ? range.Missing ? 1 : 0
                : upTo[token].Length == 0 ? 0
                : (float)(upTo[token][^1] / UpTo[token][^1]);
        }
        return this with { Min = min, Max = max, Segments = segments, UpTo = upTo, Allowed = shares };

        NumberSegment Within(NumberSegment segment)
        {
            if (segment.Low == segment.High)
                return segment with { Weight = segment.Low >= min && segment.Low <= max ? segment.Weight : 0 };
            double low = Math.Max(segment.Low, min - half), high = Math.Min(segment.High, max + half);
            const double point = 1e-6; // a single value that was asked for is not impossible
            double share = low > high || min > max ? 0 : Math.Max(point, (high - low) / (segment.High - segment.Low));
            return segment with { Low = low, High = high, Weight = segment.Weight * share };
        }
    }

    public override double Draw(int token, float offset, ref SplitMix64 random)
    {
        NumberSegment[] segments = Segments[token];
        if (segments.Length == 0)
            return double.NaN;
        NumberSegment segment = segments[segments.Length == 1 ? 0 : Cumulative.Draw(UpTo[token], ref random)];
        if (segment.Low == segment.High)
            return segment.Low;
        double value = segment.Low + random.NextDouble() * (segment.High - segment.Low);
        return _column.Fit(value, random.NextDouble() < segment.Usual ? _usual : _column.Step, Min, Max);
    }

    public override IEnumerable<double> Save() => Segments
        .SelectMany(token => token.SelectMany(s => new[] { s.Low, s.High, s.Weight, s.Usual }).Prepend(token.Length))
        .Prepend(Count).Prepend(_usual);

    /// <summary>The least and the greatest value that a token stands for; null for a missing one.</summary>
    public (double Low, double High)? RangeOf(int token) =>
        Segments[token] is { Length: > 0 } segments ? (segments[0].Low, segments.Max(s => s.High)) : null;

    /// <summary>Where each token lies: its rank, waves of it, its value, whether it is missing, (Count × 9).</summary>
    public float[] ScaleFeatures()
    {
        double[] centres =
        [
            .. Segments.Select(s => s.Length == 0
                ? double.NaN
                : s.Sum(part => (part.Low / 2 + part.High / 2) * (part.Weight / s.Sum(other => other.Weight)))),
        ];
        double[] sorted = [.. centres.Where(c => !double.IsNaN(c)).Order()];
        float[] features = new float[centres.Length * FeatureCount];
        for (int token = 0; token < centres.Length; token++)
        {
            Span<float> to = features.AsSpan(token * FeatureCount, FeatureCount);
            if (double.IsNaN(centres[token]))
            {
                to[^1] = 1;
                continue;
            }
            double rank = Array.BinarySearch(sorted, centres[token]) / Math.Max(1.0, sorted.Length - 1);
            double span = sorted[^1] / 2 - sorted[0] / 2;
            to[0] = (float)(2 * rank - 1);
            for (int wave = 1; wave <= Waves; wave++)
                to[wave] = (float)Math.Cos(Math.PI * wave * rank);
            to[^2] = span > 0 ? (float)(2 * (centres[token] / 2 - sorted[0] / 2) / span - 1) : 0;
        }
        return features;
    }

    private static bool IsExact(NumberSegment[] segments) =>
        segments.Length == 1 && segments[0].Low == segments[0].High;

    private static double[] SumsOf(NumberSegment[] segments) => Cumulative.Sums(segments.Select(s => s.Weight));

    /// <summary>Which values occur often enough for a token: half as often as an interval of the rarer ones.</summary>
    private static HashSet<double> Frequent((double Value, int Count)[] each, int rows, int max)
    {
        if (each.Length == 1)
            return [each[0].Value];
        HashSet<double> frequent = [];
        int min = Math.Clamp(rows / 200, 2, 10);
        double left = rows;
        foreach ((double value, int count) in each.OrderByDescending(v => v.Count).Take(max))
        {
            if (count < min || count < 0.5 * left / max)
                break;
            frequent.Add(value);
            left -= count;
        }
        return frequent;
    }

    /// <summary>Cuts ascending values into intervals, each with at least so many rows.</summary>
    private static IEnumerable<(double Value, int Count)[]> Intervals(
        (double Value, int Count)[] values, int intervals, int min, double widthShare)
    {
        // Halved, for the difference of the two greatest numbers is infinite.
        double low = values[0].Value / 2, span = values[^1].Value / 2 - low;
        int rows = values.Sum(v => v.Count), first = 0, inCurrent = 0, before = 0, part = 0;
        for (int i = 0; i < values.Length; i++)
        {
            (double value, int count) = values[i];
            double width = span > 0 ? (value / 2 - low) / span : 0;
            double position = (1 - widthShare) * (before + count) / rows + widthShare * width;
            int next = Math.Min((int)(position * intervals), intervals - 1);
            if (next != part && inCurrent >= min && rows - before >= min)
            {
                yield return values[first..i];
                (first, inCurrent) = (i, 0);
            }
            part = next;
            inCurrent += count;
            before += count;
        }
        yield return values[first..];
    }

    /// <summary>
    /// How values are spread in an interval: repeated ones as they are, and each of the others somewhere between the
    /// middles to its neighbours, so that few rare values are copies. Many are taken together, some at a time. Where
    /// most values of the column are multiples of a step, as many of those in the surroundings are, too.
    /// </summary>
    private static IEnumerable<NumberSegment> Spread(
        TableColumn column, int usual, (double Value, int Count)[] interval, int together)
    {
        for (int first = 0; first < interval.Length; first += together)
        {
            int end = Math.Min(first + together, interval.Length);
            (double Value, int Count)[] part = interval[first..end];
            double low = part[0].Value, high = part[^1].Value, all = part.Sum(v => (double)v.Count);
            if (part.Length == 1 && all > 1)
            {
                yield return new NumberSegment(low, high, all);
                continue;
            }
            if (first > 0)
                low = interval[first - 1].Value / 2 + low / 2;
            if (end < interval.Length)
                high = high / 2 + interval[end].Value / 2;
            double asUsual = part.Sum(v => column.LevelOf(v.Value) <= usual ? (double)v.Count : 0);
            yield return new NumberSegment(low, high, all, asUsual / all);
        }
    }
}
