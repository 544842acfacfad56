using System.Numerics.Tensors;
using TorchSharp;

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
        using DisposeScope scope = torch.NewDisposeScope();
        (torch.Tensor mean, torch.Tensor covariance) = Moments(first, width);
        (torch.Tensor otherMean, torch.Tensor otherCovariance) = Moments(second, width);
        // The eigenvalues of C₁·C₂ are those of the symmetric C₁^½·C₂·C₁^½.
        (torch.Tensor values, torch.Tensor vectors) = torch.linalg.eigh(covariance);
        torch.Tensor root = vectors.mul(values.AtLeast(0).sqrt()).matmul(vectors.t());
        torch.Tensor product = torch.linalg.eigvalsh(root.matmul(otherCovariance).matmul(root)).AtLeast(0).sqrt().sum();
        torch.Tensor distance = mean.Minus(otherMean).Squared().sum().Plus(covariance.trace()).Plus(otherCovariance.trace());
        return Math.Max(0, distance.Minus(product.Scaled(2)).item<double>());
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

    // (D) and (D, D), in doubles.
    private static (torch.Tensor Mean, torch.Tensor Covariance) Moments(float[] rows, int width)
    {
        torch.Tensor all = HostTensors.FromRows(rows, rows.Length / width, width, torch.CPU).to(torch.ScalarType.Float64);
        torch.Tensor mean = all.mean([0L]), away = all.Minus(mean);
        return (mean, away.t().matmul(away).Scaled(1.0 / Math.Max(1, all.shape[0] - 1)));
    }
}
