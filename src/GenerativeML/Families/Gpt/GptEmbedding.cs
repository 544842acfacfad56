using TorchSharp;

namespace GenerativeML;

/// <summary>A table with a row for each number.</summary>
internal sealed class GptEmbedding : torch.nn.Module
{
    private readonly torch.Tensor weight; // (Rows, Width)

    public GptEmbedding(int rows, int width, double deviation, SeededRandom random)
        : base(nameof(GptEmbedding))
    {
        weight = random.Normal([rows, width], deviation);
        RegisterComponents();
    }

    /// <summary>(Rows, Width).</summary>
    public torch.Tensor Weight => weight;
}
