namespace GenerativeML;

/// <summary>A normal distribution among those that a column's numbers are a mixture of.</summary>
/// <param name="Mean">Its mean.</param>
/// <param name="Deviation">Its deviation; positive.</param>
/// <param name="Weight">The share of values that come from it.</param>
/// <param name="Step">The level of the step of which most of its values are multiples.</param>
/// <param name="StepShare">The share of values that are.</param>
internal readonly record struct NumberMode(
    double Mean, double Deviation, double Weight, int Step = 0, double StepShare = 1);

/// <summary>
/// Tokens of a column of numbers by mode-specific normalisation (Xu 2019): one for each mode of a mixture of normal
/// distributions, and one for a missing value. A value is a mode and how far it lies from the mode's mean.
/// </summary>
internal sealed class NumberModes : TokenColumn
{
    /// <summary>The most modes of a column.</summary>
    public const int MaxModes = 10;

    private const double Reach = 4; // deviations from a mode's mean to the ends of [−1, 1]
    private const int FittedValues = 10_000;

    private readonly TableColumn _column;
    private readonly NumberMode[] _modes;
    private readonly Draws _any;

    /// <param name="column">The column.</param>
    /// <param name="modes">The modes; at least one, unless all values are missing.</param>
    public NumberModes(TableColumn column, IReadOnlyList<NumberMode> modes)
    {
        _column = column;
        _modes = [.. modes];
        _any = new Draws(this, null);
    }

    public override int Count => _modes.Length + (_column.HasMissing || _modes.Length == 0 ? 1 : 0);

    public override bool HasOffset => true;

    /// <summary>Finds the modes of a sample of values; NaN is a missing one.</summary>
    public static NumberModes Learn(TableColumn column, ReadOnlySpan<double> sample)
    {
        double[] values = [.. sample.ToArray().Where(v => !double.IsNaN(v)).Take(FittedValues)];
        if (values.Length == 0)
            return new NumberModes(column, []);
        NumberMode[] modes = NormalMixture.Fit(values, MaxModes);
        var tokens = new NumberModes(column, modes);
        ILookup<int, double> ofMode = values.Select((value, i) => (value, i))
            .ToLookup(v => tokens.Encode(v.value, v.i), v => v.value);
        return new NumberModes(column, [.. modes.Select((mode, k) =>
        {
            int step = column.UsualStep([.. ofMode[k].Select(value => (value, 1.0))]);
            double share = ofMode[k].Select(v => column.LevelOf(v) <= step ? 1.0 : 0).DefaultIfEmpty(1).Average();
            return mode with { Step = step, StepShare = share };
        })]);
    }

    /// <summary>The tokens of a file.</summary>
    /// <exception cref="FormatException">They make no sense.</exception>
    public static NumberModes Load(ref TokenReader reader, TableColumn column)
    {
        var modes = new NumberMode[reader.NextCount(MaxModes)];
        foreach (ref NumberMode mode in modes.AsSpan())
        {
            mode = new NumberMode(
                reader.Next(double.IsFinite), reader.Next(deviation => deviation > 0 && double.IsFinite(deviation)),
                reader.Next(weight => weight is > 0 and <= 1.000001), reader.NextCount(column.Step),
                reader.Next(share => share is >= 0 and <= 1));
        }
        return new NumberModes(column, modes);
    }

    /// <inheritdoc/>
    /// <remarks>
    /// Of several modes that a value may come from, each is as likely as the mixture has it; which it is depends on
    /// nothing but the value's bits and the row's number in the block.
    /// </remarks>
    public override int Encode(TableBlock block, int column, int row) => Encode(block.Numbers(column)[row], row);

    public override float Offset(TableBlock block, int column, int row, int token)
    {
        double value = block.Numbers(column)[row];
        return token >= _modes.Length || double.IsNaN(value)
            ? 0
            : (float)Math.Clamp((value - _modes[token].Mean) / (Reach * _modes[token].Deviation), -1, 1);
    }

    public override TokenValues Values(TableLimit? limit) => limit is NumberLimit range ? new Draws(this, range) : _any;

    public override IEnumerable<double> Save() =>
        _modes.SelectMany(m => new[] { m.Mean, m.Deviation, m.Weight, m.Step, m.StepShare }).Prepend(_modes.Length);

    private int Encode(double value, int row)
    {
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

    private int Nearest(double value) =>
        Enumerable.Range(0, _modes.Length).MinBy(k => Math.Abs(value - _modes[k].Mean) / _modes[k].Deviation);

    private sealed class Draws : TokenValues
    {
        private const int MaxTries = 20;

        private readonly TableColumn _column;
        private readonly NumberMode[] _modes;
        private readonly double _min, _max;

        public Draws(NumberModes tokens, NumberLimit? limit)
        {
            (_column, _modes) = (tokens._column, tokens._modes);
            (_min, _max) = (_column.Min, _column.Max);
            if (limit is null)
                return;
            (_min, _max) = (Math.Max(_min, limit.Min), Math.Min(_max, limit.Max));
            double half = 0.5 * _column.StepSize;
            Allowed = new float[tokens.Count];
            for (int token = 0; token < Allowed.Length; token++)
            {
                const double point = 1e-6; // a single value that was asked for is not impossible
                Allowed[token] = token >= _modes.Length
                    ? limit.Missing ? 1 : 0
                    : !(_min <= _max) ? 0
                    : (float)Math.Max(point, Below(_modes[token], _max + half) - Below(_modes[token], _min - half));
            }
        }

        public override void Draw(
            int token, float offset, TableBlock block, int column, int row, ref SplitMix64 random)
        {
            if (token >= _modes.Length)
            {
                block.Numbers(column)[row] = double.NaN;
                return;
            }
            NumberMode mode = _modes[token];
            double value = mode.Mean + offset * Reach * mode.Deviation;
            // What a limit leaves no room for is drawn again from the same mode.
            Span<float> normal = [0];
            for (int i = 0; Allowed is not null && !(value >= _min && value <= _max) && i < MaxTries; i++)
            {
                NormalNumbers.Fill(ref random, normal);
                value = mode.Mean + mode.Deviation * normal[0];
            }
            if (Allowed is not null && !(value >= _min && value <= _max))
                value = _min + random.NextDouble() * (_max - _min);
            int step = random.NextDouble() < mode.StepShare ? mode.Step : _column.Step;
            block.Numbers(column)[row] = _column.Fit(value, step, _min, _max);
        }

        // The normal distribution's function, to about 0.0003: it only weighs modes against each other.
        private static double Below(NumberMode mode, double value)
        {
            double z = (value - mode.Mean) / mode.Deviation;
            return 0.5 * (1 + Math.Tanh(0.7978845608 * (z + 0.044715 * z * z * z)));
        }
    }
}
