namespace GenerativeML;

/// <summary>
/// How far rows (D) are from the training rows nearest to them, of which so many are stored. Two parts: squared
/// differences to the nearest few of all see small gaps between training rows; those to many of a few see past a cluster
/// of anomalies in the training data, which each other's nearest rows would hide.
/// </summary>
internal sealed class NearestRows(int stored, int width)
{
    // A stored row closer than this, in mean squares, is the row itself: scoring the training rows must not find them.
    private const float Same = 1e-6f;

    private readonly int _near = Math.Min(5, stored / 4);
    private readonly int _few = Math.Min(128, stored);
    private readonly int _far = (int)Math.Ceiling(0.2 * Math.Min(128, stored));

    /// <summary>Declares the stored rows, standardised: <c>memory</c> (M, D).</summary>
    public void Declare(Layers layers) => layers.Buffer("memory", stored, width);

    /// <summary>Stores rows drawn at random from a calibration's sample, or what they are compared by, (Count × D).</summary>
    public void Store(VectorCalibration calibration, int seed, float[]? compared = null)
    {
        float[] rows = compared ?? calibration.Rows;
        int[] order = Drawn(calibration.Count, seed);
        for (int i = 0; i < stored; i++)
        {
            rows.AsSpan(order[i] * width, width)
                .CopyTo(calibration.Weights["memory"].AsSpan(i * width, width));
        }
    }

    /// <summary>Rows of a sample in the order in which they are stored.</summary>
    public static int[] Drawn(int count, int seed)
    {
        int[] order = [.. Enumerable.Range(0, count)];
        new SplitMix64(SplitMix64.Derive(seed, RandomPurpose.Sample, 1)).Shuffle(order.AsSpan());
        return order;
    }

    /// <summary>Both parts' mean squared differences of rows (B, D), by feature (B, D) or their sum (B, 1).</summary>
    public (T Near, T Far) Differences<T>(Scope<T> w, T z, bool byFeature)
        where T : struct, ITensor<T>
    {
        T memory = w["memory"];
        // Less the square of the row itself: good enough to choose neighbours by, though near rows' squares cancel.
        T squares = memory.Apply(Function.Square).Reduce(Reduction.Sum, 1).Reshape(stored);
        T distances = z.Linear(memory * -2f, squares);
        T far = Far(w, z, memory.Slice(0, 0, _few), distances.Slice(1, 0, _few), byFeature);
        return (_near > 0 ? Near(z, memory, distances, byFeature) : far * 0f, far);
    }

    // Exactly, and leaving out one that equals the row, otherwise the farthest of one too many.
    private T Near<T>(T z, T memory, T distances, bool byFeature)
        where T : struct, ITensor<T>
    {
        int count = _near + 1;
        (_, T nearest) = distances.Smallest(count);
        T differences = (z.Reshape(0, 1, width) - memory.Embed(nearest)).Apply(Function.Square); // (B, count, D)
        // A sum over (B · count, D): its bits do not depend on how many rows there are.
        T exact = differences.Reshape(-1, width).Reduce(Reduction.Sum, 1).Reshape(-1, count);
        T least = exact.Reduce(Reduction.Min, 1), most = exact.Reduce(Reduction.Max, 1);
        T same = least * 0f + Same * width;
        T left = T.IfLess(least, same, least, most);
        if (!byFeature)
            return (exact.Reduce(Reduction.Sum, 1) - left) * (1f / _near);
        T no = exact * 0f, yes = no + 1f;
        T isLeft = T.IfLess(exact, left, no, T.IfLess(left, exact, no, yes)); // several where they are equally far
        isLeft /= isLeft.Reduce(Reduction.Sum, 1);
        T sum = z * 0f;
        for (int k = 0; k < count; k++)
            sum += differences.Slice(1, k, 1).Squeeze(1) * (1f - isLeft.Slice(1, k, 1));
        return sum * (1f / _near);
    }

    // By products: the mean of (z − m)² over neighbours m is z² − 2·z·mean(m) + mean(m²).
    private T Far<T>(Scope<T> w, T z, T few, T distances, bool byFeature)
        where T : struct, ITensor<T>
    {
        (T values, _) = distances.Smallest(_far);
        T no = distances * 0f;
        T chosen = T.IfLess(values.Reduce(Reduction.Max, 1), distances, no, no + 1f); // (B, few)
        chosen /= chosen.Reduce(Reduction.Sum, 1);
        T mean = chosen.MatMul(few), square = chosen.MatMul(few.Apply(Function.Square));
        T difference = T.Max(z * z - z * mean * 2f + square, w.Constant(0)); // rounding may leave a little below zero
        return byFeature ? difference : difference.Reduce(Reduction.Sum, 1);
    }
}
