namespace GenerativeML;

/// <summary>
/// What rows (D), known in part, are likely to be by training rows like them, of which so many are stored, with missing
/// values of their own: a mean of each feature over stored rows that have it, weighted by a power of their distance over
/// the features that both have. A few more features, different by a whole deviation, are counted with these, so that rows
/// that have little in common weigh alike.
/// </summary>
internal sealed class NeighbourMeans(int stored, int width)
{
    // Weights fall with the eighth power of mean squared distances: of rows twice as far in all features, 4⁸.
    private const int Doublings = 3;
    private const float Prior = 3;

    // Rows nearer than this, relative to their squares, are the same one.
    private const float Same = 1e-5f;

    /// <summary>Declares the stored rows, standardised, zeros where they are missing; and ones where they are not, zeros where they are.</summary>
    public void Declare(Layers layers)
    {
        layers.Buffer("memory", stored, width);
        layers.Buffer("memory_there", stored, width);
    }

    /// <summary>Stores rows drawn at random from a sample and what is missing of them; null: nothing.</summary>
    public void Store(HostWeights weights, VectorScaler scaler, RowSample rows, RowSample? missing, int seed)
    {
        float[] memory = weights["memory"], there = weights["memory_there"];
        int[] order = [.. Enumerable.Range(0, rows.Count)];
        new SplitMix64(SplitMix64.Derive(seed, RandomPurpose.Sample, 1)).Shuffle(order.AsSpan());
        float[] all = rows.ToArray(), gone = missing?.ToArray() ?? new float[all.Length];
        for (int i = 0; i < stored; i++)
        {
            scaler.Apply(all.AsSpan(order[i] * width, width), memory.AsSpan(i * width, width));
            for (int j = 0; j < width; j++)
            {
                there[i * width + j] = 1 - gone[order[i] * width + j];
                memory[i * width + j] *= there[i * width + j];
            }
        }
    }

    /// <summary>
    /// Rows (B, D), zeros where they are not given, and ones where they are → the means, (B, D). In training, the whole
    /// rows, zeros where values are missing: a stored row that is the row itself says nothing of it.
    /// </summary>
    public T Mean<T>(Scope<T> w, T rows, T isGiven, T? whole)
        where T : struct, ITensor<T>
    {
        T memory = w["memory"], there = w["memory_there"], squares = memory.Apply(Function.Square);
        T shared = isGiven.Linear(there);
        // Σ (x − m)² over what both have, (B, M).
        T distance = T.Concat(1, rows.Apply(Function.Square), rows, isGiven).Linear(T.Concat(1, there, memory * -2f, squares));
        T mean = (T.Max(distance, w.Constant(0)) + Prior) / (shared + Prior);
        T weight = mean.Reduce(Reduction.Min, 1) / mean;
        for (int i = 0; i < Doublings; i++)
            weight = weight.Apply(Function.Square);
        if (whole is { } x)
        {
            T size = x.Apply(Function.Square).Reduce(Reduction.Sum, 1) + squares.Reduce(Reduction.Sum, 1).Reshape(1, stored);
            T apart = size - x.Linear(memory) * 2f;
            weight *= 1f - T.OneIfLess(apart, (size + 1f) * Same);
        }
        return weight.MatMul(memory) / T.Max(weight.MatMul(there), w.Constant(1e-30f));
    }
}
