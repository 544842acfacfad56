using TorchSharp;

namespace GenerativeML;

/// <summary>
/// Dropout (Srivastava 2014) that draws from the run's own generator: torch's draws from the process's.
/// </summary>
internal static class SeededDropout
{
    /// <summary>
    /// Each element zero with probability <paramref name="probability"/>, and otherwise scaled so that the mean stays.
    /// </summary>
    public static torch.Tensor Apply(torch.Tensor x, double probability, SeededRandom random)
    {
        if (probability == 0)
            return x;
        torch.Tensor keep = random.Bernoulli(x.shape, 1 - probability);
        return x.mul(keep).mul(1 / (1 - probability));
    }
}
