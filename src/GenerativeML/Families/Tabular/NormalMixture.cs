namespace GenerativeML;

/// <summary>
/// A mixture of normal distributions of one number, fitted by variational Bayes (Bishop 2006, §10.2): a Dirichlet prior
/// with a small concentration leaves components without weight that the values do not call for.
/// </summary>
internal sealed class NormalMixture
{
    private const double Concentration = 1e-3; // of the Dirichlet prior, for each component
    private const double MeanPrecision = 1; // rows that the prior of a mean counts for
    private const double Freedom = 1; // rows that the prior of a variance counts for
    private const double MinWeight = 0.005; // lighter components are left out
    private const int MaxIterations = 200;
    private const double Settled = 1e-4; // the mean change of the responsibilities that ends the iteration

    private readonly double[] _x;
    private readonly double _priorMean, _priorVariance;
    private readonly double[][] _share; // of each component, of each value
    private readonly double[] _rows, _mean, _precision, _freedom, _inverseScale; // the posterior of the parameters

    private NormalMixture(double[] x, int components)
    {
        _x = x;
        _priorMean = x.Average();
        // A component is taken to be as narrow as if all shared the variance, until its values say otherwise.
        _priorVariance = Math.Max(x.Average(v => (v - _priorMean) * (v - _priorMean)), 1e-16) / components;
        _share = new double[components][];
        // As many neighbouring values for each.
        for (int k = 0; k < components; k++)
        {
            _share[k] = new double[x.Length];
            int first = (int)((long)x.Length * k / components), end = (int)((long)x.Length * (k + 1) / components);
            _share[k].AsSpan(first, end - first).Fill(1);
        }
        (_rows, _mean, _precision) = (new double[components], new double[components], new double[components]);
        (_freedom, _inverseScale) = (new double[components], new double[components]);
    }

    /// <summary>Fits a mixture.</summary>
    /// <param name="values">At least one finite value.</param>
    /// <param name="components">The most components.</param>
    /// <returns>The components; their weights sum to one.</returns>
    public static NumberMode[] Fit(ReadOnlySpan<double> values, int components)
    {
        double[] x = values.ToArray();
        Array.Sort(x);
        double scale = Math.Max(Math.Abs(x[0]), Math.Abs(x[^1])) is var max and > 0 ? max : 1;
        for (int i = 0; i < x.Length; i++)
            x[i] /= scale; // squares stay finite, whatever the unit
        var mixture = new NormalMixture(x, Math.Min(components, x.Length));
        mixture.Maximize();
        for (int i = 0; i < MaxIterations && mixture.Share() > Settled; i++)
            mixture.Maximize();
        return mixture.Result(scale);
    }

    /// <summary>
    /// The derivative of log Γ, for positive arguments: moved up by its recurrence, then its expansion.
    /// </summary>
    internal static double Digamma(double x)
    {
        double result = 0;
        for (; x < 8; x++)
            result -= 1 / x;
        double inverse = 1 / (x * x);
        return result + Math.Log(x) - 0.5 / x
            - inverse * (1.0 / 12 - inverse * (1.0 / 120 - inverse * (1.0 / 252 - inverse / 240)));
    }

    private NumberMode[] Result(double scale)
    {
        int[] kept = [.. Enumerable.Range(0, _rows.Length).Where(k => _rows[k] >= MinWeight * _x.Length)];
        double all = kept.Sum(k => _rows[k]);
        return
        [
            .. kept.Select(k => new NumberMode(
                _mean[k] * scale, Math.Max(Math.Sqrt(_inverseScale[k] / _freedom[k]) * scale, double.Epsilon),
                _rows[k] / all)),
        ];
    }

    /// <summary>Updates the posterior of the parameters by the responsibilities.</summary>
    private void Maximize()
    {
        for (int k = 0; k < _rows.Length; k++)
        {
            double rows = 0, sum = 0, squares = 0;
            for (int i = 0; i < _x.Length; i++)
            {
                rows += _share[k][i];
                sum += _share[k][i] * _x[i];
            }
            double centre = rows > 0 ? sum / rows : _priorMean, away = centre - _priorMean;
            for (int i = 0; i < _x.Length; i++)
                squares += _share[k][i] * (_x[i] - centre) * (_x[i] - centre);
            _rows[k] = rows;
            _precision[k] = MeanPrecision + rows;
            _mean[k] = (MeanPrecision * _priorMean + rows * centre) / _precision[k];
            _freedom[k] = Freedom + rows;
            _inverseScale[k] = Freedom * _priorVariance + squares + MeanPrecision * rows / _precision[k] * away * away;
        }
    }

    /// <summary>Updates the responsibilities; returns how far they moved on average.</summary>
    private double Share()
    {
        int components = _rows.Length;
        double[] constant = new double[components], steepness = new double[components];
        double all = Digamma(components * Concentration + _x.Length);
        for (int k = 0; k < components; k++)
        {
            double logWeight = Digamma(Concentration + _rows[k]) - all;
            double logPrecision = Digamma(_freedom[k] / 2) + Math.Log(2 / _inverseScale[k]);
            constant[k] = logWeight + 0.5 * logPrecision - 0.5 / _precision[k];
            steepness[k] = 0.5 * _freedom[k] / _inverseScale[k];
        }
        double moved = 0;
        double[] log = new double[components];
        for (int i = 0; i < _x.Length; i++)
        {
            for (int k = 0; k < components; k++)
                log[k] = constant[k] - steepness[k] * (_x[i] - _mean[k]) * (_x[i] - _mean[k]);
            double greatest = log.Max(), sum = 0;
            for (int k = 0; k < components; k++)
                sum += log[k] = Math.Exp(log[k] - greatest);
            for (int k = 0; k < components; k++)
            {
                double share = log[k] / sum;
                moved += Math.Abs(share - _share[k][i]);
                _share[k][i] = share;
            }
        }
        return moved / _x.Length;
    }
}
