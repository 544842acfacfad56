namespace GenerativeML;

/// <summary>
/// Tokens of a column of numbers by mode-specific normalisation (Xu 2019): one for each mode of a mixture of normal
/// distributions, and one for a missing value. A value is a mode and how far it lies from the mode's mean.
/// </summary>
internal sealed class NumberModes : TokenColumn
{
    /// <summary>The most modes of a column.</summary>
    public const int Most = 10;

    private const double Reach = 4; // deviations from a mode's mean to the ends of [−1, 1]
    private const int FittedValues = 10_000;

    private readonly TableColumn _column;
    private readonly NumberMode[] _modes;

    /// <param name="column">The column.</param>
    /// <param name="modes">The modes; at least one, unless all values are missing.</param>
    public NumberModes(TableColumn column, IReadOnlyList<NumberMode> modes)
    {
        _column = column;
        _modes = [.. modes];
    }

    /// <inheritdoc/>
    public override int Count => _modes.Length + (HasMissing ? 1 : 0);

    /// <summary>The modes.</summary>
    public IReadOnlyList<NumberMode> Modes => _modes;

    private bool HasMissing => _column.HasMissing || _modes.Length == 0;

    /// <summary>Finds the modes of a sample of values; NaN is a missing one.</summary>
    public static NumberModes Learn(TableColumn column, ReadOnlySpan<double> sample)
    {
        double[] values = [.. sample.ToArray().Where(v => !double.IsNaN(v)).Take(FittedValues)];
        if (values.Length == 0)
            return new NumberModes(column, []);
        NormalMixture mixture = NormalMixture.Fit(values, Most);
        return new NumberModes(
            column,
            [
                .. mixture.Means.Zip(mixture.Deviations, mixture.Weights)
                    .Select(m => new NumberMode(m.First, m.Second, m.Third)),
            ]);
    }

    /// <inheritdoc/>
    /// <remarks>
    /// Of several modes that a value may come from, each is as likely as the mixture has it; which it is depends on
    /// nothing but the value's bits and the row's number in the block.
    /// </remarks>
    public override int Encode(TableBlock block, int column, int row)
    {
        double value = block.Numbers(column)[row];
        if (double.IsNaN(value))
            return Count - 1;
        Span<double> upTo = stackalloc double[_modes.Length];
        double sum = 0;
        for (int k = 0; k < upTo.Length; k++)
        {
            double z = (value - _modes[k].Mean) / _modes[k].Deviation;
            upTo[k] = sum += _modes[k].Weight / _modes[k].Deviation * Math.Exp(-0.5 * z * z);
        }
        if (!(sum > 0))
            return Nearest(value);
        var random = new SplitMix64((ulong)BitConverter.DoubleToInt64Bits(value) + (ulong)row);
        return Cumulative.Find(upTo, random.NextDouble() * sum);
    }

    /// <summary>Where a value lies in its mode, from −1 to 1; zero where it is missing.</summary>
    public float Offset(double value, int token) => token >= _modes.Length || double.IsNaN(value)
        ? 0
        : (float)Math.Clamp((value - _modes[token].Mean) / (Reach * _modes[token].Deviation), -1, 1);

    /// <summary>The value of a token and an offset.</summary>
    public double Value(int token, float offset)
    {
        if (token >= _modes.Length)
            return double.NaN;
        double value = _modes[token].Mean + offset * Reach * _modes[token].Deviation;
        if (_column.Decimals is int decimals && Math.Abs(value) < 1e15)
            value = Math.Round(value, decimals);
        return Math.Clamp(value, _column.Min, _column.Max);
    }

    /// <summary>For each token, 1 if it may give what a limit allows: a number, or a missing value.</summary>
    public float[] Allowed(NumberLimit limit)
    {
        bool number = limit.Least <= limit.Most;
        return [.. Enumerable.Range(0, Count).Select(t => (t < _modes.Length ? number : limit.Missing) ? 1f : 0f)];
    }

    private int Nearest(double value) =>
        Enumerable.Range(0, _modes.Length).MinBy(k => Math.Abs(value - _modes[k].Mean) / _modes[k].Deviation);
}

/// <summary>A normal distribution among those that a column's numbers are a mixture of.</summary>
/// <param name="Mean">Its mean.</param>
/// <param name="Deviation">Its deviation; positive.</param>
/// <param name="Weight">The share of values that come from it.</param>
internal readonly record struct NumberMode(double Mean, double Deviation, double Weight);
