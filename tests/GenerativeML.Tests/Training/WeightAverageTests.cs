using TorchSharp;
using TorchSharp.Modules;

namespace GenerativeML.Tests;

/// <summary>Running means of weights.</summary>
[TestClass]
public sealed class WeightAverageTests
{
    [TestMethod]
    public void It_moves_by_its_share_and_takes_counts_as_they_are()
    {
        using BatchNorm1d average = torch.nn.BatchNorm1d(2), network = torch.nn.BatchNorm1d(2);
        using (torch.no_grad())
        {
            Fill(average.weight!, 1);
            Fill(network.weight!, 5);
            using torch.Tensor one = torch.tensor(1L);
            network.get_buffer("num_batches_tracked")!.add_(one).add_(one);
        }
        WeightAverage.Update(average, network, decay: 0.75, count: 1_000_000);
        Assert.AreEqual(2, average.weight![0].item<float>(), 1e-6); // 0.75·1 + 0.25·5
        Assert.AreEqual(2, average.get_buffer("num_batches_tracked")!.item<long>());
        // Update number 0 keeps 1/10, whatever the decay.
        WeightAverage.Update(average, network, decay: 0.999, count: 0);
        Assert.AreEqual((0.1 * 2) + (0.9 * 5), average.weight![0].item<float>(), 1e-5);
    }

    [TestMethod]
    public void Networks_change_places()
    {
        using Linear a = torch.nn.Linear(2, 2), b = torch.nn.Linear(2, 2);
        float[] first = TinyGpt.Values(a.weight), second = TinyGpt.Values(b.weight);
        WeightAverage.Exchange(a, b);
        CollectionAssert.AreEqual(second, TinyGpt.Values(a.weight));
        CollectionAssert.AreEqual(first, TinyGpt.Values(b.weight));
        WeightAverage.Copy(a, b);
        CollectionAssert.AreEqual(first, TinyGpt.Values(a.weight));
    }

    private static void Fill(torch.Tensor tensor, float value)
    {
        using torch.Tensor number = torch.tensor(value);
        tensor.copy_(number);
    }
}
