using System.Runtime.CompilerServices;
using TorchSharp;

namespace GenerativeML;

/// <summary>
/// The running mean of a network's weights, kept in a second network of the same shape (Polyak and Juditsky 1992):
/// smoother than the weights themselves, which jump with every batch.
/// </summary>
internal static class WeightAverage
{
    // Listing a network's tensors takes as long as moving those of a small one.
    private static readonly ConditionalWeakTable<torch.nn.Module, Listing> Listed = [];

    /// <summary>
    /// Moves <paramref name="average"/> towards <paramref name="network"/> after its update number
    /// <paramref name="count"/>, counted from zero. The first updates move it faster, so that it soon forgets where it
    /// began.
    /// </summary>
    public static void Update(torch.nn.Module average, torch.nn.Module network, double decay, long count)
    {
        using IDisposable noGradient = torch.no_grad();
        UpdateScripts.Average(Tensors(average).Numbers, Tensors(network).Numbers, 1 - Kept(decay, count));
        UpdateScripts.Copy(Tensors(average).Counts, Tensors(network).Counts);
    }

    /// <summary>The same of single tensors.</summary>
    public static void Update(
        IReadOnlyList<(torch.Tensor Mean, torch.Tensor Value)> pairs, double decay, long count)
    {
        if (pairs.Count == 0)
            return;
        using IDisposable noGradient = torch.no_grad();
        UpdateScripts.Average(
            [.. pairs.Select(p => p.Mean)], [.. pairs.Select(p => p.Value)], 1 - Kept(decay, count));
    }

    /// <summary>Gives <paramref name="target"/> the values of <paramref name="source"/>.</summary>
    public static void Copy(torch.nn.Module target, torch.nn.Module source)
    {
        using IDisposable noGradient = torch.no_grad();
        UpdateScripts.Copy(Tensors(target).All, Tensors(source).All);
    }

    /// <summary>Gives each of two networks the values of the other.</summary>
    public static void Exchange(torch.nn.Module a, torch.nn.Module b)
    {
        using IDisposable noGradient = torch.no_grad();
        using DisposeScope scope = torch.NewDisposeScope();
        torch.Tensor[] before = [.. Tensors(a).All.Select(t => t.detach().clone())];
        UpdateScripts.Copy(Tensors(a).All, Tensors(b).All);
        UpdateScripts.Copy(Tensors(b).All, before);
    }

    private static double Kept(double decay, long count) => Math.Min(decay, (1.0 + count) / (10.0 + count));

    private static Listing Tensors(torch.nn.Module network) => Listed.GetValue(network, n =>
    {
        torch.Tensor[] all = [.. n.NamedTensors().Select(t => t.Value)];
        return new Listing(
            all, [.. all.Where(t => t.is_floating_point())], [.. all.Where(t => !t.is_floating_point())]);
    });

    /// <summary>Parameters and buffers; whole numbers, such as the batches that a norm has seen, have no mean.</summary>
    private sealed record Listing(torch.Tensor[] All, torch.Tensor[] Numbers, torch.Tensor[] Counts);
}
