namespace GenerativeML.Tests;

/// <summary>Autoencoders trained on small made-up tables.</summary>
internal static class Trained
{
    public static readonly TrainingContext OnCpu =
        new() { Seed = 1, Device = ComputeDevice.Cpu, FallbackToCpu = false };

    /// <summary>Four slots: two independent ones, their sum, and a constant.</summary>
    public static ArrayRows SumRows(long count = 300) => new(count, 4, (i, j) => Slot(i, j));

    public static TrainedAutoencoder Detector(AutoencoderDetectorOptions? options = null, IRowSource? rows = null) =>
        AutoencoderFit.Fit(
            rows ?? SumRows(), options ?? new AutoencoderDetectorOptions { Epochs = 30 }, AutoencoderUse.Detect, OnCpu);

    public static float[] Scores(TrainedAutoencoder model, float[] rows)
    {
        int count = rows.Length / model.InputWidth;
        float[] scores = new float[count];
        model.Compute(rows, count, new() { Score = scores });
        return scores;
    }

    public static float[] AllRows(long count = 300) =>
        [.. Enumerable.Range(0, (int)count).SelectMany(i => Enumerable.Range(0, 4).Select(j => Slot(i, j)))];

    private static float Slot(long row, int slot)
    {
        float a = 10 + row * 37 % 101 / 50f, b = 3 - row * 53 % 97 / 40f;
        return slot switch { 0 => a, 1 => b, 2 => a + b, _ => 7 };
    }
}
