namespace GenerativeML;

/// <summary>
/// A mixture of normal distributions given some features, which is again one, in closed form (Bishop 2006, 2.3.1): each
/// component counts by how likely it makes what is given, and what is free follows it by regression.
/// </summary>
internal sealed class GaussianMixtureCondition
{
    private readonly float[] _given;
    private readonly int[] _free;
    private readonly double[] _shares;
    private readonly (double[] Mean, double[] Factor)[] _parts; // of the free features, (U) and (U × U)

    /// <param name="weights">The tensors of <see cref="GaussianMixtureNetwork"/>.</param>
    /// <param name="constants">Features without a density; they stay as they are.</param>
    /// <param name="given">Standardised features, (D): NaN where they are free.</param>
    /// <param name="matrices">How many covariance matrices there are; none: there are variances.</param>
    public GaussianMixtureCondition(HostWeights weights, int[] constants, float[] given, int matrices)
    {
        (_given, float[] means, float[] factors) = (given, weights["means"], weights["factors"]);
        int d = given.Length, components = means.Length / d;
        int[] known = [.. Enumerable.Range(0, d).Where(j => !float.IsNaN(given[j]) && !constants.Contains(j))];
        _free = [.. Enumerable.Range(0, d).Where(j => float.IsNaN(given[j]))];
        int o = known.Length, u = _free.Length;
        double[] logs = new double[components];
        _parts = new (double[], double[])[components];
        for (int k = 0; k < components; k++)
        {
            ReadOnlySpan<float> mean = means.AsSpan(k * d, d);
            int first = matrices > 0 ? k % matrices * d * d : k * d;
            double Covariance(int i, int j)
            {
                double sum = 0;
                if (matrices == 0)
                    return i == j ? (double)factors[first + i] * factors[first + i] : 0;
                for (int m = 0; m <= Math.Min(i, j); m++)
                    sum += (double)factors[first + i * d + m] * factors[first + j * d + m];
                return sum;
            }

            double[] seen = Block(known, known), lower = new double[o * o], inverse = new double[o * o];
            SymmetricMatrix.TryCholesky(seen, o, lower);
            SymmetricMatrix.InvertLower(lower, o, inverse);
            // White is L⁻¹ of the covariances with what is free, and of how far what is given lies from the mean.
            double[] white = new double[o * u], away = new double[o];
            logs[k] = Math.Log(weights["weights"][k]);
            for (int i = 0; i < o; i++)
            {
                for (int m = 0; m <= i; m++)
                {
                    away[i] += inverse[i * o + m] * (given[known[m]] - (double)mean[known[m]]);
                    for (int f = 0; f < u; f++)
                        white[i * u + f] += inverse[i * o + m] * Covariance(known[m], _free[f]);
                }
                logs[k] -= 0.5 * away[i] * away[i] + Math.Log(lower[i * o + i]);
            }
            double[] expected = new double[u], rest = Block(_free, _free), factor = new double[u * u];
            for (int f = 0; f < u; f++)
            {
                expected[f] = mean[_free[f]];
                for (int i = 0; i < o; i++)
                {
                    expected[f] += white[i * u + f] * away[i];
                    for (int g = 0; g < u; g++)
                        rest[f * u + g] -= white[i * u + f] * white[i * u + g];
                }
            }
            if (!SymmetricMatrix.TryCholesky(rest, u, factor))
            {
                SymmetricMatrix.ClipEigenvalues(rest, u, 1e-9); // of single precision there is little left
                SymmetricMatrix.TryCholesky(rest, u, factor);
            }
            _parts[k] = (expected, factor);

            double[] Block(int[] rows, int[] columns) => [.. rows.SelectMany(i => columns.Select(j => Covariance(i, j)))];
        }
        double most = logs.Max();
        double[] shares = [.. logs.Select(log => Math.Exp(log - most))];
        _shares = [.. shares.Select(share => share / shares.Sum())];
    }

    /// <summary>Fills standardised rows, (any × D).</summary>
    public void Sample(Span<float> rows, ulong seed)
    {
        int d = _given.Length, u = _free.Length;
        var random = new SplitMix64(seed);
        float[] normal = new float[u];
        for (int at = 0; at < rows.Length; at += d)
        {
            _given.CopyTo(rows[at..]);
            (double[] mean, double[] factor) = _parts[random.Choose(_shares)];
            NormalNumbers.Fill(ref random, normal);
            for (int f = 0; f < u; f++)
            {
                double value = mean[f];
                for (int g = 0; g <= f; g++)
                    value += factor[f * u + g] * normal[g];
                rows[at + _free[f]] = (float)value;
            }
        }
    }
}
