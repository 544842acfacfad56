namespace GenerativeML;

/// <summary>
/// How far two sets of rows of one width are apart, as sets: whether one could be drawn from what the other was.
/// </summary>
internal static class DistributionMetrics
{
    private const int Projections = 64;
    private const int CoverageNeighbors = 5;

    /// <summary>
    /// The sliced Wasserstein distance (Rabin 2011): the mean, over random directions of length one, of the distance by
    /// which one set's shadow has to be moved to become the other's. Only as many rows as the smaller set has count.
    /// </summary>
    public static double SlicedWasserstein(float[] first, float[] second, int width, int seed)
    {
        int rows = Math.Min(first.Length, second.Length) / width;
        var random = new SplitMix64(SplitMix64.Derive(seed, RandomPurpose.Scoring));
        double sum = 0;
        for (int p = 0; p < Projections; p++)
        {
            double[] direction = Direction(width, ref random);
            double[] a = Shadow(first, rows, direction), b = Shadow(second, rows, direction);
            for (int i = 0; i < rows; i++)
                sum += Math.Abs(a[i] - b[i]) / rows;
        }
        return sum / Projections;
    }

    /// <summary>
    /// The maximum mean discrepancy (Gretton 2012): the root of the unbiased estimate of its square, zero where that is
    /// negative, by a Gaussian kernel as wide as the median distance between rows of the second set.
    /// </summary>
    public static double MeanDiscrepancy(float[] first, float[] second, int width)
    {
        (int n, int m) = (first.Length / width, second.Length / width);
        if (n < 2 || m < 2)
            return 0;
        double[] among = Distances(second, second, width);
        double[] apart = [.. among.Where((_, i) => i / m != i % m).Order()];
        double bandwidth = apart[apart.Length / 2] is > 0 and double median ? median : 1;
        double own = Kernel(Distances(first, first, width), bandwidth) - n;
        double other = Kernel(among, bandwidth) - m;
        double between = Kernel(Distances(first, second, width), bandwidth);
        double square = own / ((double)n * (n - 1)) + other / ((double)m * (m - 1)) - 2 * between / ((double)n * m);
        return Math.Sqrt(Math.Max(0, square));
    }

    /// <summary>
    /// The share of real rows that have a generated row within the distance of their fifth-nearest real neighbour
    /// (Naeem 2020): modes that are never generated are missing from it.
    /// </summary>
    public static double Coverage(float[] generated, float[] real, int width)
    {
        int m = real.Length / width, n = generated.Length / width;
        int neighbor = Math.Min(CoverageNeighbors, m - 1);
        if (neighbor < 1)
            return 0;
        double[] among = Distances(real, real, width), between = Distances(real, generated, width);
        int covered = 0;
        for (int i = 0; i < m; i++)
        {
            double[] near = among[(i * m)..((i + 1) * m)];
            Array.Sort(near); // the first is the row itself
            if (between.AsSpan(i * n, n).IndexOfAnyInRange(double.NegativeInfinity, near[neighbor]) >= 0)
                covered++;
        }
        return covered / (double)m;
    }

    private static double[] Direction(int width, ref SplitMix64 random)
    {
        double[] direction = new double[width];
        double square = 0;
        for (int j = 0; j < width; j++)
        {
            // Box and Muller 1958; one minus a number in [0, 1) is never zero.
            double radius = Math.Sqrt(-2 * Math.Log(1 - random.NextDouble()));
            direction[j] = radius * Math.Cos(2 * Math.PI * random.NextDouble());
            square += direction[j] * direction[j];
        }
        for (int j = 0; j < width; j++)
            direction[j] /= Math.Sqrt(square);
        return direction;
    }

    private static double[] Shadow(float[] set, int rows, double[] direction)
    {
        double[] shadow = new double[rows];
        for (int i = 0; i < rows; i++)
        {
            for (int j = 0; j < direction.Length; j++)
                shadow[i] += set[i * direction.Length + j] * direction[j];
        }
        Array.Sort(shadow);
        return shadow;
    }

    /// <summary>Squared distances of each row of the one set to each of the other.</summary>
    private static double[] Distances(float[] first, float[] second, int width)
    {
        int n = first.Length / width, m = second.Length / width;
        double[] squares = new double[n * m];
        for (int i = 0; i < n; i++)
        {
            ReadOnlySpan<float> row = first.AsSpan(i * width, width);
            for (int k = 0; k < m; k++)
            {
                ReadOnlySpan<float> other = second.AsSpan(k * width, width);
                double square = 0;
                for (int j = 0; j < width; j++)
                    square += (row[j] - (double)other[j]) * (row[j] - (double)other[j]);
                squares[i * m + k] = square;
            }
        }
        return squares;
    }

    private static double Kernel(double[] squares, double bandwidth) =>
        squares.Sum(square => Math.Exp(-square / (2 * bandwidth)));
}
