namespace GenerativeML;

/// <summary>
/// Monotone rational-quadratic splines (Gregory and Delbourgo 1982, as flows use them: Durkan 2019): a curve from
/// (−bound, −bound) to (bound, bound) through knots whose places and slopes are parameters, and the identity beyond.
/// Each feature has 3·bins − 1 parameters: widths and heights of the bins, slopes at the knots between them. Of zeros the
/// curve is the identity.
/// </summary>
internal sealed class RationalQuadraticSpline(int bins, double bound)
{
    // Shares of the square's side, and slopes, that no bin falls below: a curve can be undone in single precision.
    private const float LeastShare = 1e-3f, LeastSlope = 1e-3f;

    // softplus of it is the slope one, less the least.
    private static readonly float s_slopeOne = MathF.Log(MathF.Exp(1 - LeastSlope) - 1);

    private readonly float _bound = (float)bound;

    /// <summary>Parameters of a feature, P.</summary>
    public int Parameters => 3 * bins - 1;

    /// <summary>Features (B, D) and parameters (B, D, P) → the curve's values and the logarithms of its slopes, (B, D).</summary>
    public (T Y, T LogSlope) Forward<T>(T x, T parameters)
        where T : struct, ITensor<T>
    {
        // What is outside is brought to the edge, where the slope is one, and moved back: no branch has a NaN.
        T inside = x.Clamp(-_bound, _bound);
        Bin<T> bin = Find(parameters, inside, byHeight: false);
        T place = ((inside - bin.Left) / bin.Width).Clamp(0, 1), rest = 1f - place, both = place * rest;
        T below = bin.Slope + (bin.SlopeRight + bin.SlopeLeft - bin.Slope * 2f) * both;
        T y = bin.Bottom + bin.Height * (bin.Slope * place * place + bin.SlopeLeft * both) / below;
        T above = bin.SlopeRight * place * place + bin.Slope * both * 2f + bin.SlopeLeft * rest * rest;
        T logSlope = (bin.Slope.Apply(Function.Log) - below.Apply(Function.Log)) * 2f + above.Apply(Function.Log);
        return (y + (x - inside), logSlope);
    }

    /// <summary>The curve's values (B, D) → features.</summary>
    public T Inverse<T>(T y, T parameters)
        where T : struct, ITensor<T>
    {
        T inside = y.Clamp(-_bound, _bound);
        Bin<T> bin = Find(parameters, inside, byHeight: true);
        // a·place² + b·place + c = 0, by the form of its solution that subtracts nothing from what is nearly as large.
        T share = ((inside - bin.Bottom) / bin.Height).Clamp(0, 1);
        T bend = share * (bin.SlopeRight + bin.SlopeLeft - bin.Slope * 2f);
        T a = bin.Slope - bin.SlopeLeft + bend, b = bin.SlopeLeft - bend, c = -(bin.Slope * share);
        // Not negative but for rounding.
        T root = (b * b - a * c * 4f).Apply(Function.Relu).Apply(Function.Sqrt);
        T place = (c * -2f / (b + root)).Clamp(0, 1);
        return bin.Left + place * bin.Width + (y - inside);
    }

    // The bin that each value is in, by the place of its left edge or of its lower one.
    private Bin<T> Find<T>(T parameters, T value, bool byHeight)
        where T : struct, ITensor<T>
    {
        T widths = Sides(parameters.Slice(2, 0, bins)), heights = Sides(parameters.Slice(2, bins, bins));
        T rights = widths.CumulativeSum(2) - _bound, tops = heights.CumulativeSum(2) - _bound;
        T edge = parameters.Slice(2, 0, 1) * 0f + 1f;
        T between = (parameters.Slice(2, 2 * bins, bins - 1) + s_slopeOne).Apply(Function.Softplus) + LeastSlope;
        T slopes = T.Concat(2, edge, between, edge);
        T knots = (byHeight ? tops : rights).Slice(2, 0, bins - 1);
        T at = (1f - T.OneIfLess(value.Unsqueeze(2), knots)).Reduce(Reduction.Sum, 2);
        T index = at.ToIndices(), next = (at + 1f).ToIndices();
        T width = Pick(widths, index), height = Pick(heights, index);
        return new(
            Pick(rights, index) - width, width, Pick(tops, index) - height, height, height / width,
            Pick(slopes, index), Pick(slopes, next));
    }

    private T Sides<T>(T parameters)
        where T : struct, ITensor<T> =>
        parameters.Softmax() * (2 * _bound * (1 - bins * LeastShare)) + 2 * _bound * LeastShare;

    // (B, D, K) at (B, D, 1) → (B, D)
    private static T Pick<T>(T values, T index)
        where T : struct, ITensor<T> => values.Gather(index).Squeeze(2);

    private readonly record struct Bin<T>(
        T Left, T Width, T Bottom, T Height, T Slope, T SlopeLeft, T SlopeRight);
}
