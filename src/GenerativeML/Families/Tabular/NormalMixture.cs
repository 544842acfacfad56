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

    private NormalMixture(double[] means, double[] deviations, double[] weights)
    {
        Means = means;
        Deviations = deviations;
        Weights = weights;
    }

    /// <summary>The components' means.</summary>
    public IReadOnlyList<double> Means { get; }

    /// <summary>The components' deviations; positive.</summary>
    public IReadOnlyList<double> Deviations { get; }

    /// <summary>The components' weights; they sum to one.</summary>
    public IReadOnlyList<double> Weights { get; }

    /// <summary>Fits a mixture.</summary>
    /// <param name="values">At least one finite value.</param>
    /// <param name="components">The most components.</param>
    public static NormalMixture Fit(ReadOnlySpan<double> values, int components)
    {
        double[] x = values.ToArray();
        Array.Sort(x);
        double scale = Math.Max(Math.Abs(x[0]), Math.Abs(x[^1])) is var max and > 0 ? max : 1;
        for (int i = 0; i < x.Length; i++)
            x[i] /= scale; // squares stay finite, whatever the unit
        double mean = x.Average();
        double variance = Math.Max(x.Average(v => (v - mean) * (v - mean)), 1e-16);
        components = Math.Min(components, x.Length);
        // A component is taken to be as narrow as if all shared the variance, until its values say otherwise.
        var state = new State(x, components, mean, variance / components);
        for (int i = 0; i < MaxIterations && state.Iterate() > Settled; i++)
        {
        }
        return state.Result(scale);
    }

    /// <summary>How much each component is responsible for a value: shares that sum to one.</summary>
    public void Responsibilities(double value, Span<double> shares)
    {
        double greatest = double.NegativeInfinity;
        for (int k = 0; k < shares.Length; k++)
        {
            double z = (value - Means[k]) / Deviations[k];
            shares[k] = Math.Log(Weights[k]) - Math.Log(Deviations[k]) - 0.5 * z * z;
            greatest = Math.Max(greatest, shares[k]);
        }
        double sum = 0;
        for (int k = 0; k < shares.Length; k++)
            sum += shares[k] = Math.Exp(shares[k] - greatest);
        for (int k = 0; k < shares.Length; k++)
            shares[k] /= sum;
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

    /// <summary>The responsibilities of sorted values, and the posterior of the parameters that they give.</summary>
    private sealed class State
    {
        private readonly double[] _x;
        private readonly double _priorMean, _priorVariance;
        private readonly double[][] _share; // of each component, of each value
        private readonly double[] _rows, _mean, _precision, _freedom, _inverseScale;

        public State(double[] x, int components, double priorMean, double priorVariance)
        {
            _x = x;
            (_priorMean, _priorVariance) = (priorMean, priorVariance);
            _share = new double[components][];
            // As many neighbouring values for each.
            for (int k = 0; k < components; k++)
            {
                _share[k] = new double[x.Length];
                int first = (int)((long)x.Length * k / components), end = (int)((long)x.Length * (k + 1) / components);
                _share[k].AsSpan(first, end - first).Fill(1);
            }
            _rows = new double[components];
            _mean = new double[components];
            _precision = new double[components];
            _freedom = new double[components];
            _inverseScale = new double[components];
        }

        /// <summary>Updates parameters and responsibilities; returns how far the latter moved on average.</summary>
        public double Iterate()
        {
            Maximize();
            return Share();
        }

        public NormalMixture Result(double scale)
        {
            Maximize();
            int[] kept = [.. Enumerable.Range(0, _rows.Length).Where(k => _rows[k] >= MinWeight * _x.Length)];
            double all = kept.Sum(k => _rows[k]);
            return new NormalMixture(
                [.. kept.Select(k => _mean[k] * scale)],
                [.. kept.Select(k => Math.Max(Math.Sqrt(_inverseScale[k] / _freedom[k]) * scale, double.Epsilon))],
                [.. kept.Select(k => _rows[k] / all)]);
        }

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
                double centre = rows > 0 ? sum / rows : _priorMean;
                for (int i = 0; i < _x.Length; i++)
                    squares += _share[k][i] * (_x[i] - centre) * (_x[i] - centre);
                _rows[k] = rows;
                _precision[k] = MeanPrecision + rows;
                _mean[k] = (MeanPrecision * _priorMean + rows * centre) / _precision[k];
                _freedom[k] = Freedom + rows;
                double away = centre - _priorMean;
                _inverseScale[k] = Freedom * _priorVariance + squares
                    + MeanPrecision * rows / _precision[k] * away * away;
            }
        }

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
            Span<double> log = stackalloc double[components];
            for (int i = 0; i < _x.Length; i++)
            {
                double greatest = double.NegativeInfinity, sum = 0;
                for (int k = 0; k < components; k++)
                {
                    double away = _x[i] - _mean[k];
                    log[k] = constant[k] - steepness[k] * away * away;
                    greatest = Math.Max(greatest, log[k]);
                }
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
}
