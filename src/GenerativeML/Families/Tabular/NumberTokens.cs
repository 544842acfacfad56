namespace GenerativeML;

/// <summary>Values of a number that lie together: one value, or an interval in which all are equally likely.</summary>
/// <param name="Low">The least.</param>
/// <param name="High">The greatest; the same for a single value.</param>
/// <param name="Weight">How many training values it stands for.</param>
internal readonly record struct NumberSegment(double Low, double High, double Weight);

/// <summary>
/// Tokens of a column of numbers: one for each value that occurs often, such as the zeros of a column that is mostly
/// zero, one for each of a number of intervals of the others, and one for a missing value. An interval knows how the
/// values in it are distributed.
/// </summary>
internal sealed class NumberTokens : DrawnTokens
{
    private readonly TableColumn _column;
    private readonly NumberSegment[][] _segments; // of each token; none where it stands for a missing value
    private readonly double[][] _upTo; // running sums of their weights
    private readonly Dictionary<double, int> _exact = [];
    private readonly double[] _starts; // of the tokens that are intervals, ascending
    private readonly int[] _intervals;
    private readonly TokenValues _any;

    /// <param name="column">The column.</param>
    /// <param name="segments">
    /// The segments of each token, ascending; the last token has none where the column has missing values.
    /// </param>
    public NumberTokens(TableColumn column, IReadOnlyList<NumberSegment[]> segments)
    {
        _column = column;
        _segments = [.. segments];
        _upTo = [.. _segments.Select(Sums)];
        for (int token = 0; token < _segments.Length; token++)
        {
            if (IsExact(_segments[token]))
                _exact.TryAdd(_segments[token][0].Low, token);
        }
        _intervals =
        [
            .. Enumerable.Range(0, _segments.Length)
                .Where(token => _segments[token].Length > 0 && !IsExact(_segments[token]))
                .OrderBy(token => _segments[token][0].Low),
        ];
        _starts = [.. _intervals.Select(token => _segments[token][0].Low)];
        _any = new Draws(this, null);
    }

    /// <inheritdoc/>
    public override int Count => _segments.Length;

    /// <summary>The segments of each token.</summary>
    public IReadOnlyList<NumberSegment[]> Segments => _segments;

    /// <inheritdoc/>
    public override int Encode(TableBlock block, int column, int row) => Encode(block.Numbers(column)[row]);

    /// <summary>The token of a value; one that is in no token's range has the nearest below, or above all.</summary>
    public int Encode(double value)
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

    /// <inheritdoc/>
    public override TokenValues Values(TableLimit? limit) => limit is NumberLimit range ? new Draws(this, range) : _any;

    private static bool IsExact(NumberSegment[] segments) =>
        segments.Length == 1 && segments[0].Low == segments[0].High;

    private static double[] Sums(NumberSegment[] segments)
    {
        double[] upTo = new double[segments.Length];
        double sum = 0;
        for (int i = 0; i < upTo.Length; i++)
            upTo[i] = sum += segments[i].Weight;
        return upTo;
    }

    private sealed class Draws : TokenValues
    {
        private readonly TableColumn _column;
        private readonly NumberSegment[][] _segments;
        private readonly double[][] _upTo;
        private readonly double _least, _most;

        public Draws(NumberTokens tokens, NumberLimit? limit)
        {
            _column = tokens._column;
            (_least, _most) = (_column.Min, _column.Max);
            (_segments, _upTo) = (tokens._segments, tokens._upTo);
            if (limit is null)
                return;
            (_least, _most) = (Math.Max(_least, limit.Least), Math.Min(_most, limit.Most));
            // What rounding brings into the range belongs to it, too.
            double half = _column.Decimals is int decimals ? 0.5 * Math.Pow(10, -decimals) : 0;
            _segments = [.. tokens._segments.Select(s => s.Select(Within).Where(w => w.Weight > 0).ToArray())];
            _upTo = [.. _segments.Select(Sums)];
            Allowed = new float[tokens.Count];
            for (int token = 0; token < Allowed.Length; token++)
            {
                Allowed[token] = tokens._segments[token].Length == 0
                    ? limit.Missing ? 1 : 0
                    : _upTo[token].Length == 0 ? 0 : (float)(_upTo[token][^1] / tokens._upTo[token][^1]);
            }

            NumberSegment Within(NumberSegment segment)
            {
                if (segment.Low == segment.High)
                    return segment with { Weight = segment.Low >= _least && segment.Low <= _most ? segment.Weight : 0 };
                double low = Math.Max(segment.Low, _least - half), high = Math.Min(segment.High, _most + half);
                const double point = 1e-6; // a single value that was asked for is not impossible
                double share = low > high || _least > _most
                    ? 0
                    : Math.Max(point, (high - low) / (segment.High - segment.Low));
                return new NumberSegment(low, high, segment.Weight * share);
            }
        }

        public override void Draw(int token, TableBlock block, int column, int row, ref SplitMix64 random)
        {
            NumberSegment[] segments = _segments[token];
            if (segments.Length == 0)
            {
                block.Numbers(column)[row] = double.NaN;
                return;
            }
            NumberSegment segment = segments.Length == 1
                ? segments[0]
                : segments[Cumulative.Find(_upTo[token], random.NextDouble() * _upTo[token][^1])];
            block.Numbers(column)[row] = segment.Low == segment.High
                ? segment.Low
                : Rounded(segment.Low + random.NextDouble() * (segment.High - segment.Low));
        }

        private double Rounded(double value)
        {
            if (_column.Decimals is int decimals && Math.Abs(value) < 1e15)
            {
                double unit = Math.Pow(10, decimals);
                value = Math.Round(value, decimals);
                if (value < _least)
                    value = Math.Round(Math.Ceiling(_least * unit) / unit, decimals);
                else if (value > _most)
                    value = Math.Round(Math.Floor(_most * unit) / unit, decimals);
            }
            return Math.Clamp(value, _least, Math.Max(_least, _most));
        }
    }
}
