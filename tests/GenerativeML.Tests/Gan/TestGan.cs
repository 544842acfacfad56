namespace GenerativeML.Tests;

/// <summary>Small GANs.</summary>
internal static class TestGan
{
    /// <summary>A network of rows of three features; what options leave open is decided as for a small table.</summary>
    public static GanNetwork Network(GanOptions options, int conditions = 0, int width = 3)
    {
        var input = new VectorInput
        {
            Width = width, ConditionWidths = conditions > 0 ? [conditions] : [],
            ConditionRows = conditions > 0 ? 10 : 0, Seed = 2,
        };
        options = options with { GeneratorLayers = [4], DiscriminatorLayers = [5], Activation = Activation.Tanh };
        return new(Resolved(options with { NoiseDimension = options.NoiseDimension ?? 2 }, input), input);
    }

    /// <summary>Options with everything decided that they leave open.</summary>
    public static GanOptions Resolved(GanOptions options, VectorInput input) =>
        (GanOptions)options.Resolve(new RowStatistics(input, [], [], 100));

    /// <summary>Points near the corners of a square, as a training table.</summary>
    public static ArrayRows Corners(long count = 200) => new(count, 2, (i, j) =>
        (j == 0 ? i % 2 : i / 2 % 2) * 4 + i * (37 + 16 * j) % 101 / 202f);

    /// <summary>A GAN trained on them for a moment.</summary>
    public static VectorFitResult Fit(GanOptions options, IRowSource? rows = null, int seed = 1) => VectorFit.Fit(
        rows ?? Corners(), GanTrainer.Family,
        options with { GeneratorLayers = [8], DiscriminatorLayers = [8], Epochs = options.Epochs ?? 3 },
        Trained.OnCpu with { Seed = seed });
}
