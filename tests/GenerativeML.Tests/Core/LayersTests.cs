using TorchSharp;

namespace GenerativeML.Tests.Core;

[TestClass]
[DoNotParallelize]
public sealed class LayersTests
{
    [TestMethod]
    public void Layers_begin_with_the_bits_of_torchs_own_modules_after_the_same_seed()
    {
        using var layers = new TorchLayers(
            all =>
            {
                all.Linear("dense", 37, 41);
                all.Linear("plain", 6, 1, bias: false);
                all.Linear("side", 3, 20, members: 2);
                all.Embedding("table", 11, 5);
                all.LayerNorm("norm", 4);
                all.Conv2d("conv", 3, 7, 3);
                all.ConvTranspose2d("back", 7, 5, 4);
                all.Recurrent("cells", RecurrentCell.Lstm, 3, 5, layers: 2);
            },
            torch.CPU, seed: 77);
        using torch.Tensor before = torch.get_rng_state();
        using DisposeScope scope = torch.NewDisposeScope();
        torch.manual_seed(77);
        try
        {
            IsAs(torch.nn.Linear(37, 41), layers, "dense");
            IsAs(torch.nn.Linear(6, 1, hasBias: false), layers, "plain");
            torch.nn.Module[] side = [torch.nn.Linear(3, 20), torch.nn.Linear(3, 20)];
            foreach (string name in new[] { "weight", "bias" })
            {
                torch.Tensor expected = torch.cat([.. side.Select(s => s.state_dict()[name].reshape(1, -1))]);
                Assert.IsTrue(expected.bytes.SequenceEqual(layers.Tensors["side." + name].detach().bytes), name);
            }
            IsAs(torch.nn.Embedding(11, 5), layers, "table");
            IsAs(torch.nn.LayerNorm(4), layers, "norm");
            IsAs(torch.nn.Conv2d(3, 7, 3), layers, "conv");
            IsAs(torch.nn.ConvTranspose2d(7, 5, 4), layers, "back");
            IsAs(torch.nn.LSTM(3, 5, numLayers: 2), layers, "cells");
        }
        finally
        {
            torch.set_rng_state(before);
        }
    }

    private static void IsAs(torch.nn.Module module, TorchLayers layers, string name)
    {
        foreach ((string tensor, torch.Tensor expected) in module.state_dict())
        {
            torch.Tensor found = layers.Tensors[$"{name}.{tensor}"].detach();
            CollectionAssert.AreEqual(expected.shape, found.shape, $"{name}.{tensor}");
            Assert.IsTrue(expected.detach().bytes.SequenceEqual(found.bytes), $"{name}.{tensor}");
        }
    }
}
