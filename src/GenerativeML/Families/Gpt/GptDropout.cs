using TorchSharp;

namespace GenerativeML;

/// <summary>
/// What a training step leaves out at random. Each block has random numbers of its own, so that computing it a second
/// time leaves out the same.
/// </summary>
internal sealed class GptDropout(double probability, SeededRandom random, ulong seed)
{
    /// <summary>Whether anything is left out.</summary>
    public bool IsActive => probability > 0;

    /// <summary>Starts the random numbers of a block; -1 for the embeddings.</summary>
    public void Begin(int block)
    {
        if (IsActive)
            random.Seed(new SplitMix64(seed + (ulong)(block + 1)).Next());
    }

    public torch.Tensor Apply(torch.Tensor x) => SeededDropout.Apply(x, probability, random);
}
