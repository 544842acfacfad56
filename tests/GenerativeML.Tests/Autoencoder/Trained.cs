namespace GenerativeML.Tests;

/// <summary>Models trained on small made-up tables.</summary>
internal static class Trained
{
    public static readonly TrainingContext OnCpu =
        new() { Seed = 1, Device = ComputeDevice.Cpu, FallbackToCpu = false };

    /// <summary>Four features: two independent ones, their sum, and a constant.</summary>
    public static ArrayRows SumRows(long count = 300) => new(count, 4, (i, j) => Feature(i, j));

    public static VectorFitResult Detector(AutoencoderOptions? options = null, IRowSource? rows = null, int seed = 1) =>
        VectorFit.Fit(
            rows ?? SumRows(), AutoencoderTrainer.Family, options ?? new AutoencoderOptions { Epochs = 30 },
            OnCpu with { Seed = seed });

    public static float[] Scores(TrainedVector model, float[] rows) => Compute(model, rows, r => new() { Score = r });

    public static float[] FeatureScores(TrainedVector model, float[] rows) =>
        Compute(model, rows, r => new() { FeatureScore = r }, model.Network.Input.Width);

    public static float[] Reconstructions(TrainedVector model, float[] rows) =>
        Compute(model, rows, r => new() { Reconstruction = r }, model.Network.Input.Width);

    /// <summary>Something of rows, <paramref name="width"/> numbers for each.</summary>
    public static float[] Compute(
        TrainedVector model, float[] rows, Func<Memory<float>, VectorResults> wanted, int width = 1)
    {
        int inputs = model.Network.Input.Width, count = rows.Length / inputs;
        var block = new RowBlock([new RowField("Features", FieldKind.Single, inputs)], Math.Max(1, count));
        rows.CopyTo(block.Singles(0));
        float[] results = new float[count * width];
        model.Compute(block, count, wanted(results));
        return results;
    }

    public static float[] AllRows(long count = 300) =>
        [.. Enumerable.Range(0, (int)count).SelectMany(i => Enumerable.Range(0, 4).Select(j => Feature(i, j)))];

    private static float Feature(long row, int feature)
    {
        float a = 10 + row * 37 % 101 / 50f, b = 3 - row * 53 % 97 / 40f;
        return feature switch { 0 => a, 1 => b, 2 => a + b, _ => 7 };
    }
}
