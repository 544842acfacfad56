namespace GenerativeML.Torch;

/// <summary>Gradients of a training step's loss by what is between layers; each block uses them anew.</summary>
internal sealed class GptStepSlopes(GptShape shape, int rows)
{
    /// <summary>By a block's output, then by its input, (N, C).</summary>
    public AlignedBuffer<float> Output { get; } = new(rows * shape.Width);

    /// <summary>By the hidden states between its halves, (N, C).</summary>
    public AlignedBuffer<float> Middle { get; } = new(rows * shape.Width);

    /// <summary>By what attention gives, (N, C).</summary>
    public AlignedBuffer<float> Mixed { get; } = new(rows * shape.Width);

    /// <summary>By queries, keys and values, (N, 3·C).</summary>
    public AlignedBuffer<float> Attention { get; } = new(3 * rows * shape.Width);

    /// <summary>By the perceptron's hidden layer, (N, 4·C).</summary>
    public AlignedBuffer<float> Hidden { get; } = new(rows * shape.HiddenWidth);

    /// <summary>No gradient: the perceptron's hidden layer after its non-linearity, computed again, (N, 4·C).</summary>
    public AlignedBuffer<float> Activated { get; } = new(rows * shape.HiddenWidth);
}

/// <summary>What one thread needs for itself.</summary>
internal sealed unsafe class GptStepScratch(GptShape shape)
{
    private readonly AlignedBuffer<float> _wide = new(GptBlockStep.Chunk(shape) * shape.HiddenWidth);
    private readonly AlignedBuffer<float> _narrow = new(GptBlockStep.Chunk(shape) * shape.Width);
    private readonly AlignedBuffer<float> _factor = new(DenseStep.ScratchLength(shape.HiddenWidth));

    /// <summary>(<see cref="GptBlockStep.Chunk"/> × 4·C).</summary>
    public float* Wide => _wide.Address;

    /// <summary>(<see cref="GptBlockStep.Chunk"/> × C).</summary>
    public float* Narrow => _narrow.Address;

    /// <summary>For <see cref="DenseStep.Gradient"/>.</summary>
    public float* Factor => _factor.Address;
}
