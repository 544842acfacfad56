using System.Numerics.Tensors;

namespace GenerativeML;

/// <summary>How far two sets of rows are apart: whether one could be drawn from what the other was.</summary>
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
            double[] direction = new double[width];
            for (int j = 0; j < width; j++)
            {
                // Box and Muller 1958; one minus a number in [0, 1) is never zero.
                double radius = Math.Sqrt(-2 * Math.Log(1 - random.NextDouble()));
                direction[j] = radius * Math.Cos(2 * Math.PI * random.NextDouble());
            }
            TensorPrimitives.Divide(direction, TensorPrimitives.Norm<double>(direction), direction);
            sum += Shadow(first, direction).Zip(Shadow(second, direction), (a, b) => Math.Abs(a - b)).Sum() / rows;
        }
        return sum / Projections;

        double[] Shadow(float[] set, double[] direction)
        {
            double[] shadow = new double[rows];
            for (int i = 0; i < rows; i++)
            {
                for (int j = 0; j < width; j++)
                    shadow[i] += set[i * width + j] * direction[j];
            }
            Array.Sort(shadow);
            return shadow;
        }
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
        double own = Kernel(Distances(first, first, width)) - n, other = Kernel(among) - m;
        double between = Kernel(Distances(first, second, width));
        double square = own / ((double)n * (n - 1)) + other / ((double)m * (m - 1)) - 2 * between / ((double)n * m);
        return Math.Sqrt(Math.Max(0, square));

        double Kernel(double[] squares) => squares.Sum(square => Math.Exp(-square / (2 * bandwidth)));
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
            double reach = among.AsSpan(i * m, m).ToArray().Order().ElementAt(neighbor); // the first is the row itself
            covered += TensorPrimitives.Min<double>(between.AsSpan(i * n, n)) <= reach ? 1 : 0;
        }
        return covered / (double)m;
    }

    /// <summary>Squared distances of each row of the one set to each of the other.</summary>
    private static double[] Distances(float[] first, float[] second, int width)
    {
        int n = first.Length / width, m = second.Length / width;
        double[] squares = new double[n * m];
        for (int i = 0; i < squares.Length; i++)
        {
            ReadOnlySpan<float> row = first.AsSpan(i / m * width, width), other = second.AsSpan(i % m * width, width);
            for (int j = 0; j < width; j++)
                squares[i] += (row[j] - (double)other[j]) * (row[j] - (double)other[j]);
        }
        return squares;
    }
}
