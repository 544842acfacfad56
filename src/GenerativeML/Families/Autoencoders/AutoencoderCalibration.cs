namespace GenerativeML;

/// <summary>
/// What a detector learns after its networks: the rows that it stores, what the parts of the score count, and the
/// threshold.
/// </summary>
internal static class AutoencoderCalibration
{
    private const int Batch = 1024;

    /// <summary>Writes stored rows and the parts' weights.</summary>
    /// <param name="shape">The shape.</param>
    /// <param name="weights">Those of the trained networks; completed.</param>
    /// <param name="sample">Training rows, at least as many as are stored.</param>
    /// <param name="contamination">The share of the rows whose score is to be above the threshold.</param>
    /// <param name="seed">Of the draw of the stored rows.</param>
    /// <returns>The threshold.</returns>
    public static float Run(
        AutoencoderShape shape, HostWeights weights, RowSample sample, double contamination, int seed)
    {
        float[] rows = sample.ToArray();
        Store(rows, weights, shape.MemoryRows, seed);

        var scorer = new AutoencoderScorer(shape, weights);
        var parts = new float[sample.Count * AutoencoderShape.Parts];
        for (int start = 0; start < sample.Count; start += Batch)
        {
            int count = Math.Min(Batch, sample.Count - start);
            scorer.Compute(
                rows.AsMemory(start * shape.InputWidth), count,
                new() { Parts = parts.AsMemory(start * AutoencoderShape.Parts) }, Environment.ProcessorCount);
        }
        for (int p = 0; p < AutoencoderShape.Parts; p++)
        {
            weights["part_weight"][p] = PartWeight(
                [.. Enumerable.Range(0, sample.Count).Select(i => parts[i * AutoencoderShape.Parts + p])]);
        }

        float[] scores = [.. Enumerable.Range(0, sample.Count).Select(
            i => AutoencoderScorer.Score(weights["part_weight"], parts.AsSpan(i * AutoencoderShape.Parts)))];
        Array.Sort(scores);
        int anomalies = (int)Math.Round(contamination * scores.Length);
        return scores[Math.Max(0, scores.Length - 1 - anomalies)];
    }

    private static void Store(float[] rows, HostWeights weights, int stored, int seed)
    {
        var scale = new RowScale(weights["input_mean"], weights["input_scale"]);
        int[] order = [.. Enumerable.Range(0, rows.Length / scale.Width)];
        new SplitMix64(SplitMix64.Derive(seed, RandomPurpose.Sample, 1)).Shuffle(order.AsSpan());
        var standardized = new float[scale.Stride];
        for (int i = 0; i < stored; i++)
        {
            scale.Apply(rows.AsSpan(order[i] * scale.Width, scale.Width), standardized);
            standardized.AsSpan(0, scale.Width).CopyTo(weights["memory"].AsSpan(i * scale.Width));
        }
    }

    /// <summary>
    /// One over a part's usual size on training rows, so that the parts count alike. The median ignores anomalies among
    /// them; a share of the mean keeps it from zero where most rows have equals.
    /// </summary>
    public static float PartWeight(float[] part)
    {
        float[] sorted = [.. part.Order()];
        double size = sorted[sorted.Length / 2] + 0.1 * part.Average(v => (double)v);
        return size > 0 ? (float)(1 / size) : 0;
    }
}
