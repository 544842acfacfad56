using System.Numerics.Tensors;

namespace GenerativeML;

/// <summary>Distances between sets of vectors of the same width, row-major: features of images, mostly.</summary>
internal static class ImageMetrics
{
    private const int Neighbours = 5;

    /// <summary>
    /// The Fréchet distance of two normal distributions with the sets' means and covariances (Heusel 2017):
    /// |μ₁ − μ₂|² + tr(C₁ + C₂ − 2·(C₁·C₂)^½).
    /// </summary>
    public static double Frechet(float[] first, float[] second, int width)
    {
        (double[] mean, double[,] covariance) = Moments(first, width);
        (double[] otherMean, double[,] otherCovariance) = Moments(second, width);
        double distance = mean.Zip(otherMean).Sum(pair => (pair.First - pair.Second) * (pair.First - pair.Second));
        for (int i = 0; i < width; i++)
            distance += covariance[i, i] + otherCovariance[i, i];
        // The eigenvalues of C₁·C₂ are those of the symmetric C₁^½·C₂·C₁^½.
        (double[] values, double[,] vectors) = Eigen(covariance);
        double[,] root = new double[width, width];
        for (int i = 0; i < width; i++)
        {
            for (int j = 0; j < width; j++)
            {
                for (int k = 0; k < width; k++)
                    root[i, j] += vectors[i, k] * Math.Sqrt(Math.Max(0, values[k])) * vectors[j, k];
            }
        }
        double[] product = Eigen(Product(Product(root, otherCovariance), root)).Values;
        return Math.Max(0, distance - 2 * product.Sum(value => Math.Sqrt(Math.Max(0, value))));
    }

    /// <summary>
    /// The squared maximum mean discrepancy by the kernel (x·y / width + 1)³ (Bińkowski 2018), without bias: it may be
    /// below zero.
    /// </summary>
    public static double Kernel(float[] first, float[] second, int width)
    {
        int n = first.Length / width, m = second.Length / width;
        return Sum(first, first) / ((double)n * (n - 1)) + Sum(second, second) / ((double)m * (m - 1))
            - 2 * Sum(first, second) / ((double)n * m);

        double Sum(float[] a, float[] b)
        {
            double[] sums = new double[a.Length / width];
            Parallel.For(0, sums.Length, i =>
            {
                for (int j = 0; j < b.Length / width; j++)
                {
                    if (ReferenceEquals(a, b) && i == j)
                        continue;
                    double value = TensorPrimitives.Dot<float>(Row(a, i, width), Row(b, j, width)) / (double)width + 1;
                    sums[i] += value * value * value;
                }
            });
            return sums.Sum();
        }
    }

    /// <summary>
    /// Precision and recall (Kynkäänniemi 2019), density and coverage (Naeem 2020), by balls around each vector that
    /// reach to its fifth neighbour: the share of made vectors in some real ball, of real ones in some made ball, the real
    /// balls that a made vector is in, over five, and the share of real balls that hold a made vector.
    /// </summary>
    public static (double Precision, double Recall, double Density, double Coverage) Manifolds(
        float[] real, float[] made, int width)
    {
        int n = real.Length / width, m = made.Length / width;
        float[] realReach = Reach(real, width), madeReach = Reach(made, width);
        int[] inside = new int[m]; // real balls that each made vector is in
        int[] recalled = new int[n], covered = new int[n];
        Parallel.For(0, m, i =>
        {
            for (int j = 0; j < n; j++)
            {
                float distance = TensorPrimitives.Distance(Row(made, i, width), Row(real, j, width));
                inside[i] += distance <= realReach[j] ? 1 : 0;
                if (distance <= realReach[j])
                    covered[j] = 1;
                if (distance <= madeReach[i])
                    recalled[j] = 1;
            }
        });
        return (
            inside.Count(balls => balls > 0) / (double)m, recalled.Sum() / (double)n,
            inside.Sum(balls => (double)balls) / ((double)m * Math.Min(Neighbours, n - 1)), covered.Sum() / (double)n);
    }

    /// <summary>How far vectors are from the nearest of others, in the median.</summary>
    public static double MedianNearest(float[] rows, float[] others, int width)
    {
        float[] nearest = new float[rows.Length / width];
        Parallel.For(0, nearest.Length, i =>
        {
            nearest[i] = float.PositiveInfinity;
            for (int j = 0; j < others.Length / width; j++)
                nearest[i] = Math.Min(nearest[i], TensorPrimitives.Distance(Row(rows, i, width), Row(others, j, width)));
        });
        Array.Sort(nearest);
        return nearest.Length == 0 ? double.NaN : nearest[nearest.Length / 2];
    }

    private static ReadOnlySpan<float> Row(float[] rows, int row, int width) => rows.AsSpan(row * width, width);

    // The distance of each vector to its fifth neighbour, or the last where there are fewer.
    private static float[] Reach(float[] rows, int width)
    {
        int count = rows.Length / width, place = Math.Min(Neighbours, count - 1);
        float[] reach = new float[count];
        Parallel.For(0, count, i =>
        {
            float[] distances = new float[count];
            for (int j = 0; j < count; j++)
                distances[j] = TensorPrimitives.Distance(Row(rows, i, width), Row(rows, j, width));
            Array.Sort(distances);
            reach[i] = distances[place]; // the first is the vector itself
        });
        return reach;
    }

    private static (double[] Mean, double[,] Covariance) Moments(float[] rows, int width)
    {
        int count = rows.Length / width;
        double[] mean = new double[width];
        for (int i = 0; i < rows.Length; i++)
            mean[i % width] += rows[i] / (double)count;
        double[,] covariance = new double[width, width];
        Parallel.For(0, width, a =>
        {
            for (int row = 0; row < count; row++)
            {
                double away = (rows[row * width + a] - mean[a]) / Math.Max(1, count - 1);
                for (int b = 0; b < width; b++)
                    covariance[a, b] += away * (rows[row * width + b] - mean[b]);
            }
        });
        return (mean, covariance);
    }

    private static double[,] Product(double[,] a, double[,] b)
    {
        int n = a.GetLength(0);
        double[,] product = new double[n, n];
        for (int i = 0; i < n; i++)
        {
            for (int k = 0; k < n; k++)
            {
                for (int j = 0; j < n; j++)
                    product[i, j] += a[i, k] * b[k, j];
            }
        }
        return product;
    }

    // Eigenvalues and, in columns, eigenvectors of a symmetric matrix, by Jacobi's rotations.
    private static (double[] Values, double[,] Vectors) Eigen(double[,] symmetric)
    {
        const int MaxSweeps = 60;
        int n = symmetric.GetLength(0);
        double[,] a = (double[,])symmetric.Clone(), v = new double[n, n];
        double size = 0;
        for (int i = 0; i < n; i++)
        {
            v[i, i] = 1;
            for (int j = 0; j < n; j++)
                size += a[i, j] * a[i, j];
        }
        for (int sweep = 0; sweep < MaxSweeps; sweep++)
        {
            double off = 0;
            for (int p = 0; p < n; p++)
            {
                for (int q = p + 1; q < n; q++)
                {
                    off += a[p, q] * a[p, q];
                    Rotate(p, q);
                }
            }
            if (off <= 1e-26 * size)
                break;
        }
        return ([.. Enumerable.Range(0, n).Select(i => a[i, i])], v);

        void Rotate(int p, int q)
        {
            if (Math.Abs(a[p, q]) <= 1e-300)
                return;
            double theta = (a[q, q] - a[p, p]) / (2 * a[p, q]);
            double t = Math.CopySign(1, theta) / (Math.Abs(theta) + Math.Sqrt(theta * theta + 1));
            double c = 1 / Math.Sqrt(t * t + 1), s = t * c;
            for (int k = 0; k < n; k++)
                (a[k, p], a[k, q]) = (c * a[k, p] - s * a[k, q], s * a[k, p] + c * a[k, q]);
            for (int k = 0; k < n; k++)
                (a[p, k], a[q, k]) = (c * a[p, k] - s * a[q, k], s * a[p, k] + c * a[q, k]);
            for (int k = 0; k < n; k++)
                (v[k, p], v[k, q]) = (c * v[k, p] - s * v[k, q], s * v[k, p] + c * v[k, q]);
        }
    }
}
