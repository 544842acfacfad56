using TorchSharp;

namespace GenerativeML;

/// <summary>What is drawn at random for a step's rows; null is what the noise does not need.</summary>
internal sealed class AutoencoderNoise
{
    // Much noise leaves a large error that no network can undo; it should not drown out the rest.
    private const double LeastVariance = 0.1;

    /// <summary>Draws for so many rows.</summary>
    public AutoencoderNoise(AutoencoderShape shape, long rows, SeededRandom random)
    {
        long[] perRow = [shape.Members, rows, 1], perSlot = [shape.Members, rows, shape.InputWidth];
        if (shape.Noise.HasLevels)
        {
            Level = random.Uniform(perRow, Math.Log(shape.Noise.Low), Math.Log(shape.Noise.High));
            Normal = random.Normal(perSlot);
        }
        else if (shape.Noise.High > 0)
        {
            Normal = random.Normal(perSlot, shape.Noise.High);
        }
        if (shape.Noise.Masked > 0)
        {
            MaskedShare = random.Uniform(perRow, 0, shape.Noise.Masked).mul_(random.Bernoulli(perRow, 0.5));
            Uniform = random.Uniform(perSlot, 0, 1);
        }
    }

    /// <summary>The logarithm of each row's deviation, (Members, B, 1), where there are levels.</summary>
    public torch.Tensor? Level { get; }

    /// <summary>Normal numbers, (Members, B, D): with levels of deviation 1, otherwise of the noise's.</summary>
    public torch.Tensor? Normal { get; }

    /// <summary>The share of each row's slots that are hidden, (Members, B, 1).</summary>
    public torch.Tensor? MaskedShare { get; }

    /// <summary>Uniform numbers, (Members, B, D): those below the share hide their slot.</summary>
    public torch.Tensor? Uniform { get; }

    /// <summary>What a row's error counts, with noise of a deviation.</summary>
    public static float Weight(float deviation) => 1 / (deviation * deviation + (float)LeastVariance);

    /// <inheritdoc cref="Weight(float)"/>
    public static torch.Tensor Weight(torch.Tensor deviation) =>
        deviation.square().add_(LeastVariance).reciprocal_();
}
