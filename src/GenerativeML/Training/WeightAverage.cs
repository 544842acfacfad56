using TorchSharp;

namespace GenerativeML;

/// <summary>
/// The running mean of a network's weights, kept in a second network of the same shape (Polyak and Juditsky 1992):
/// smoother than the weights themselves, which jump with every batch.
/// </summary>
internal static class WeightAverage
{
    /// <summary>
    /// Moves <paramref name="average"/> towards <paramref name="network"/> after its update number
    /// <paramref name="count"/>, counted from zero. The first updates move it faster, so that it soon forgets where it
    /// began.
    /// </summary>
    public static void Update(torch.nn.Module average, torch.nn.Module network, double decay, long count)
    {
        using IDisposable noGradient = torch.no_grad();
        double kept = Math.Min(decay, (1.0 + count) / (10.0 + count));
        foreach ((torch.Tensor mean, torch.Tensor value) in Pairs(average, network))
            mean.MoveTowards(value, 1 - kept);
    }

    /// <summary>Gives <paramref name="target"/> the values of <paramref name="source"/>.</summary>
    public static void Copy(torch.nn.Module target, torch.nn.Module source)
    {
        using IDisposable noGradient = torch.no_grad();
        foreach ((torch.Tensor to, torch.Tensor from) in Pairs(target, source))
            to.copy_(from);
    }

    /// <summary>Gives each of two networks the values of the other.</summary>
    public static void Exchange(torch.nn.Module a, torch.nn.Module b)
    {
        using IDisposable noGradient = torch.no_grad();
        foreach ((torch.Tensor x, torch.Tensor y) in Pairs(a, b))
        {
            using torch.Tensor before = x.detach().clone();
            x.copy_(y);
            y.copy_(before);
        }
    }

    private static IEnumerable<(torch.Tensor, torch.Tensor)> Pairs(torch.nn.Module a, torch.nn.Module b) =>
        a.NamedTensors().Zip(b.NamedTensors(), (x, y) => (x.Value, y.Value));
}
