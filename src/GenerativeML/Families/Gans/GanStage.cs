namespace GenerativeML;

/// <summary>The figures of one stage of a GAN's training.</summary>
public sealed record GanFigures
{
    /// <summary>Optimizer steps until the end of the stage.</summary>
    public required long Step { get; init; }

    /// <summary>The discriminator's loss, in the mean over the stage; a penalty on its gradient is part of it.</summary>
    public required double DiscriminatorLoss { get; init; }

    /// <summary>The generator's loss, in the mean over the stage.</summary>
    public required double GeneratorLoss { get; init; }

    /// <summary>The norm of the gradient of all the discriminator's weights, in the mean over the stage.</summary>
    public required double DiscriminatorGradientNorm { get; init; }

    /// <summary>The same of the generator's.</summary>
    public required double GeneratorGradientNorm { get; init; }

    /// <summary>
    /// The sliced Wasserstein distance of generated from held-back rows, in standard deviations of the data.
    /// </summary>
    public required double SlicedWasserstein { get; init; }

    /// <summary>The maximum mean discrepancy of generated from held-back rows, by a Gaussian kernel.</summary>
    public required double MeanDiscrepancy { get; init; }

    /// <summary>
    /// The share of held-back rows that have a generated row as near as their fifth-nearest neighbour (Naeem 2020).
    /// </summary>
    public required double Coverage { get; init; }
}

/// <summary>
/// A GAN at the end of a stage of its training: what a person wants to look at. It may be used until the call that it
/// was given to returns.
/// </summary>
public sealed class GanStage
{
    private readonly Func<int, int, float[]> _generate;
    private readonly Func<float[], float[]> _judge;

    internal GanStage(long steps, GanFigures figures, Func<int, int, float[]> generate, Func<float[], float[]> judge)
    {
        Steps = steps;
        Figures = figures;
        _generate = generate;
        _judge = judge;
    }

    /// <summary>Optimizer steps of the whole run.</summary>
    public long Steps { get; }

    /// <summary>The figures of the stage; those against held-back rows are NaN where none are held back.</summary>
    public GanFigures Figures { get; }

    /// <summary>
    /// So many generated rows, row-major, in the units of the data, with conditions as in training rows; the same for
    /// the same seed and generator.
    /// </summary>
    public float[] Generate(int rows, int seed = 0)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(rows);
        return rows == 0 ? [] : _generate(rows, seed);
    }

    /// <summary>
    /// What the discriminator says of rows, row-major, in the units of the data: the higher, the more real. A GAN with
    /// conditions judges them by conditions drawn as in training rows.
    /// </summary>
    public float[] Discriminate(float[] rows)
    {
        ArgumentNullException.ThrowIfNull(rows);
        return rows.Length == 0 ? [] : _judge(rows);
    }
}
