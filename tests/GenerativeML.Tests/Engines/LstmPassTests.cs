using TorchSharp;

namespace GenerativeML.Tests.Engines;

/// <summary>Our LSTM layer beside torch's own module.</summary>
[TestClass]
public class LstmPassTests
{
    [TestMethod]
    [DataRow(3, 5, 4, 6)]
    [DataRow(1, 1, 1, 1)]
    [DataRow(2, 3, 2, 19)] // more features than a vector register has numbers, and some over
    public void Results_and_all_gradients_are_those_of_the_stock_module(int rows, int steps, int inputs, int width)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        var random = new SeededRandom(torch.CPU, 3);
        torch.Tensor[] leaves =
        [
            Draw(rows, steps, inputs), Draw(1, rows, width), Draw(1, rows, width),
            Draw(4 * width, inputs), Draw(4 * width, width), Draw(4 * width), Draw(4 * width),
        ];
        torch.Tensor[] signals = [random.Normal([rows, steps, width]), random.Normal([1, rows, width]), random.Normal([1, rows, width])];
        List<torch.Tensor> own = LstmPass.apply([.. leaves]);
        torch.autograd.backward([.. own], signals);

        using var stock = torch.nn.LSTM(inputs, width, batchFirst: true);
        torch.Tensor[] weights = [.. stock.named_parameters().Select(p => p.parameter)]; // in the order of ours
        torch.Tensor[] given = [.. leaves[..3].Select(leaf => leaf.detach().clone().requires_grad_())];
        using (torch.no_grad())
        {
            for (int i = 0; i < weights.Length; i++)
                weights[i].copy_(leaves[3 + i]);
        }
        (torch.Tensor y, torch.Tensor h, torch.Tensor c) = stock.call(given[0], (given[1], given[2]));
        torch.autograd.backward([y, h, c], signals);
        foreach ((torch.Tensor expected, torch.Tensor found) in new[] { y, h, c }.Zip(own))
            AssertClose(expected, found);
        foreach ((torch.Tensor expected, torch.Tensor found) in given.Concat(weights).Zip(leaves))
            AssertClose(expected.grad!, found.grad!);

        torch.Tensor Draw(params long[] shape) => random.Normal(shape).requires_grad_();
    }

    [TestMethod]
    public void A_layer_is_computed_by_it_where_it_trains_on_few_threads_and_nowhere_else()
    {
        using DisposeScope scope = torch.NewDisposeScope();
        int threads = torch.get_num_threads();
        torch.Tensor x = torch.ones(1, 2, 3), zero = torch.zeros(1, 1, 4);
        var weights = new RecurrentWeights<TorchTensor>(
            torch.ones(16, 3).requires_grad_(), torch.ones(16, 4).requires_grad_(), torch.zeros(16), torch.zeros(16));
        try
        {
            torch.set_num_threads(1);
            Assert.IsTrue(IsOwn());
            using (torch.no_grad())
                Assert.IsFalse(IsOwn());
            torch.set_num_threads(8);
            Assert.IsFalse(IsOwn());
        }
        finally
        {
            torch.set_num_threads(threads);
        }

        // Ours is a view of states that are kept step by step.
        bool IsOwn() => RecurrentCells.Run(RecurrentCell.Lstm, x, [zero, zero], weights).Hidden.storage_offset() > 0;
    }

    private static void AssertClose(torch.Tensor expected, torch.Tensor found)
    {
        CollectionAssert.AreEqual(expected.shape, found.shape);
        float size = expected.abs().max().item<float>();
        Assert.AreEqual(0, (expected - found).abs().max().item<float>(), 1e-5 * Math.Max(1, size));
    }
}
