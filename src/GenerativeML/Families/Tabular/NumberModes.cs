namespace GenerativeML;

/// <summary>A normal distribution of a mixture; of which step how many of its values are multiples.</summary>
internal readonly record struct NumberMode(
    double Mean, double Deviation, double Weight, int Step = 0, double StepShare = 1);

/// <summary>
/// Tokens of a column of numbers by mode-specific normalisation (Xu 2019): one for each mode of a mixture of normal
/// distributions, and one for a missing value. A value is a mode and how far it lies from the mode's mean.
/// </summary>
internal sealed record NumberModes : TokenColumn
{
    /// <summary>The most modes of a column.</summary>
    public const int MaxModes = 10;

    private const double Reach = 4; // deviations from a mode's mean to the ends of [−1, 1]
    private const int FittedValues = 10_000;

    private const int MaxTries = 20;

    private readonly TableColumn _column;
    private readonly NumberMode[] _modes;

    /// <summary>Tokens of at least one mode, unless all values are missing.</summary>
    public NumberModes(TableColumn column, IReadOnlyList<NumberMode> modes) =>
        (_column, _modes, Min, Max) = (column, [.. modes], column.Min, column.Max);

    public override int Count => _modes.Length + (_column.HasMissing || _modes.Length == 0 ? 1 : 0);

    public override bool HasOffset => true;

    private double Min { get; init; } // of the values that are drawn

    private double Max { get; init; }

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

    /// <summary>The tokens of a file, or a <see cref="FormatException"/>.</summary>
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

    // Of several modes that a value may come from, each is as likely as the mixture has it; which it is depends on
    // nothing but the value's bits and the row's number.
    public override int Encode(double value, long row)
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
        {
            return Enumerable.Range(0, _modes.Length)
                .MinBy(k => Math.Abs(value - _modes[k].Mean) / _modes[k].Deviation);
        }
        var random = new SplitMix64((ulong)BitConverter.DoubleToInt64Bits(value) + (ulong)row);
        return Cumulative.Draw(upTo, ref random);
    }

    public override float Offset(double value, int token) => token >= _modes.Length || double.IsNaN(value)
        ? 0
        : (float)Math.Clamp((value - _modes[token].Mean) / (Reach * _modes[token].Deviation), -1, 1);

    /// <summary>The mean of a mode, and what an offset of one adds to it; null for a missing value.</summary>
    public (double Mean, double Reach)? SpreadOf(int token) =>
        token < _modes.Length ? (_modes[token].Mean, Reach * _modes[token].Deviation) : null;

    public override TokenColumn Limited(TableLimit? limit)
    {
        if (limit is not NumberLimit range)
            return this;
        double min = Math.Max(Min, range.Min), max = Math.Min(Max, range.Max), half = 0.5 * _column.StepSize;
        const double point = 1e-6; // a single value that was asked for is not impossible
        float[] shares = new float[Count];
        for (int token = 0; token < Count; token++)
        {
            shares[token] = token >= _modes.Length ? range.Missing ? 1 : 0
                : !(min <= max) ? 0
                : (float)Math.Max(point, Below(_modes[token], max + half) - Below(_modes[token], min - half));
        }
        return this with { Min = min, Max = max, Allowed = shares };
    }

    public override double Draw(int token, float offset, ref SplitMix64 random)
    {
        if (token >= _modes.Length)
            return double.NaN;
        NumberMode mode = _modes[token];
        double value = mode.Mean + offset * Reach * mode.Deviation;
        // What a limit leaves no room for is drawn again from the same mode.
        Span<float> normal = [0];
        for (int i = 0; IsOutside(value) && i < MaxTries; i++)
        {
            NormalNumbers.Fill(ref random, normal);
            value = mode.Mean + mode.Deviation * normal[0];
        }
        if (IsOutside(value))
            value = Min + random.NextDouble() * (Max - Min);
        int step = random.NextDouble() < mode.StepShare ? mode.Step : _column.Step;
        return _column.Fit(value, step, Min, Max);
    }

    public override IEnumerable<double> Save() =>
        _modes.SelectMany(m => new[] { m.Mean, m.Deviation, m.Weight, m.Step, m.StepShare }).Prepend(_modes.Length);

    private bool IsOutside(double value) => Allowed is not null && !(value >= Min && value <= Max);

    // The normal distribution's function, to about 0.0003: it only weighs modes against each other.
    private static double Below(NumberMode mode, double value)
    {
        double z = (value - mode.Mean) / mode.Deviation;
        return 0.5 * (1 + Math.Tanh(0.7978845608 * (z + 0.044715 * z * z * z)));
    }
}

/// <summary>
/// A mixture of normal distributions of one number, fitted by variational Bayes (Bishop 2006, §10.2): a Dirichlet prior
/// with a small concentration leaves components without weight that the values do not call for.
/// </summary>
internal static class NormalMixture
{
    private const double Concentration = 1e-3; // of the Dirichlet prior, for each component
    private const double MeanPrecision = 1; // rows that the prior of a mean counts for
    private const double PriorFreedom = 1; // rows that the prior of a variance counts for
    private const double MinWeight = 0.005; // lighter components are left out
    private const int MaxIterations = 200;
    private const double Settled = 1e-4; // the mean change of the responsibilities that ends the iteration

    /// <summary>At most so many components of at least one finite value; their weights sum to one.</summary>
    public static NumberMode[] Fit(ReadOnlySpan<double> values, int max)
    {
        double[] x = values.ToArray();
        Array.Sort(x);
        double scale = Math.Max(Math.Abs(x[0]), Math.Abs(x[^1])) is var greatest and > 0 ? greatest : 1;
        for (int i = 0; i < x.Length; i++)
            x[i] /= scale; // squares stay finite, whatever the unit
        double[][] shares = new double[Math.Min(max, x.Length)][]; // of each component, of each value
        for (int k = 0; k < shares.Length; k++)
        {
            // As many neighbouring values for each.
            shares[k] = new double[x.Length];
            long first = (long)x.Length * k / shares.Length, end = (long)x.Length * (k + 1) / shares.Length;
            shares[k].AsSpan((int)first, (int)(end - first)).Fill(1);
        }
        Component[] components = Maximize(x, shares);
        for (int i = 0; i < MaxIterations && Share(x, components, shares) > Settled; i++)
            components = Maximize(x, shares);

        Component[] kept = [.. components.Where(c => c.Rows >= MinWeight * x.Length)];
        double all = kept.Sum(c => c.Rows);
        return
        [
            .. kept.Select(c => new NumberMode(
                c.Mean * scale, Math.Max(Math.Sqrt(c.InverseScale / c.Freedom) * scale, double.Epsilon), c.Rows / all)),
        ];
    }

    /// <summary>The derivative of log Γ of a positive number: moved up by its recurrence, then its expansion.</summary>
    internal static double Digamma(double x)
    {
        double result = 0;
        for (; x < 8; x++)
            result -= 1 / x;
        double inverse = 1 / (x * x);
        return result + Math.Log(x) - 0.5 / x
            - inverse * (1.0 / 12 - inverse * (1.0 / 120 - inverse * (1.0 / 252 - inverse / 240)));
    }

    /// <summary>The posterior of the parameters by the responsibilities.</summary>
    private static Component[] Maximize(double[] x, double[][] shares)
    {
        double priorMean = x.Average();
        // A component is taken to be as narrow as if all shared the variance, until its values say otherwise.
        double variance = Math.Max(x.Average(v => (v - priorMean) * (v - priorMean)), 1e-16) / shares.Length;
        return Array.ConvertAll(shares, share =>
        {
            double rows = 0, sum = 0, squares = 0;
            for (int i = 0; i < x.Length; i++)
            {
                rows += share[i];
                sum += share[i] * x[i];
            }
            double centre = rows > 0 ? sum / rows : priorMean, away = centre - priorMean;
            for (int i = 0; i < x.Length; i++)
                squares += share[i] * (x[i] - centre) * (x[i] - centre);
            double precision = MeanPrecision + rows;
            return new Component(
                rows, (MeanPrecision * priorMean + rows * centre) / precision, precision, PriorFreedom + rows,
                PriorFreedom * variance + squares + MeanPrecision * rows / precision * away * away);
        });
    }

    /// <summary>Updates the responsibilities; returns how far they moved on average.</summary>
    private static double Share(double[] x, Component[] components, double[][] shares)
    {
        double all = Digamma(components.Length * Concentration + x.Length), moved = 0;
        double[] constant = Array.ConvertAll(components, c => Digamma(Concentration + c.Rows) - all
            + 0.5 * (Digamma(c.Freedom / 2) + Math.Log(2 / c.InverseScale)) - 0.5 / c.Precision);
        double[] steepness = Array.ConvertAll(components, c => 0.5 * c.Freedom / c.InverseScale);
        double[] log = new double[components.Length];
        for (int i = 0; i < x.Length; i++)
        {
            for (int k = 0; k < log.Length; k++)
                log[k] = constant[k] - steepness[k] * (x[i] - components[k].Mean) * (x[i] - components[k].Mean);
            double greatest = log.Max(), sum = 0;
            for (int k = 0; k < log.Length; k++)
                sum += log[k] = Math.Exp(log[k] - greatest);
            for (int k = 0; k < log.Length; k++)
            {
                double share = log[k] / sum;
                moved += Math.Abs(share - shares[k][i]);
                shares[k][i] = share;
            }
        }
        return moved / x.Length;
    }

    /// <summary>The posterior of a component's parameters.</summary>
    private readonly record struct Component(
        double Rows, double Mean, double Precision, double Freedom, double InverseScale);
}
