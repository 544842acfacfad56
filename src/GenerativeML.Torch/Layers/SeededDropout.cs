using TorchSharp;

namespace GenerativeML.Torch;

/// <summary>
/// Dropout (Srivastava 2014) that draws from the run's own generator: torch's draws from the process's.
/// </summary>
internal static class SeededDropout
{
    /// <summary>
    /// Each element zero with probability <paramref name="probability"/>, and otherwise scaled so that the mean stays.
    /// </summary>
    public static torch.Tensor Apply(torch.Tensor x, double probability, torch.Generator random)
    {
        if (probability == 0)
            return x;
        torch.Tensor keep = torch.empty(x.shape, torch.ScalarType.Float32, x.device)
            .bernoulli_(1 - probability, random);
        return x.mul(keep).mul(1 / (1 - probability));
    }
}
