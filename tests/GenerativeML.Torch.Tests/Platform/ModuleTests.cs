using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace GenerativeML.Torch.Tests.Platform;

/// <summary>Names and lifetimes of what a module holds.</summary>
[TestClass]
public sealed class ModuleTests
{
    [TestMethod]
    public void Fields_become_names()
    {
        using var net = new Net();

        CollectionAssert.AreEquivalent(
            new[] { "gain", "encoder.weight", "layers.0.weight", "layers.1.weight" },
            net.named_parameters().Select(p => p.name).ToArray());
        Assert.IsTrue(net.parameters().All(p => p.requires_grad));
    }

    [TestMethod]
    public void Plain_tensors_become_buffers_also_where_they_are_trained()
    {
        using var net = new Net();

        CollectionAssert.AreEquivalent(
            new[] { "_mean", "encoder.bias", "layers.0.bias", "layers.1.bias" },
            net.named_buffers().Select(b => b.name).ToArray());
        Assert.IsTrue(net.named_buffers().Single(b => b.name == "encoder.bias").buffer.requires_grad);
    }

    [TestMethod]
    public void Names_without_their_parts_are_a_module_s_own()
    {
        using var net = new Net();

        CollectionAssert.AreEqual(new[] { "gain" }, net.named_parameters(recurse: false).Select(p => p.name).ToArray());
    }

    [TestMethod]
    public void A_shared_tensor_is_listed_once()
    {
        using var net = new Tied();

        CollectionAssert.AreEqual(new[] { "first" }, net.named_parameters().Select(p => p.name).ToArray());
    }

    [TestMethod]
    public void Disposing_a_module_disposes_all_that_it_holds()
    {
        var net = new Net();
        Tensor[] held = [.. net.parameters(), .. net.named_buffers().Select(b => b.buffer)];
        net.Dispose();

        Assert.HasCount(8, held);
        Assert.IsTrue(held.All(t => t.IsInvalid));
    }

    [TestMethod]
    public void Training_and_evaluation_reach_every_part()
    {
        using var net = new Net();
        Assert.IsTrue(net.training);
        net.eval();

        Assert.IsFalse(net.training);
        Assert.IsTrue(net.named_children().All(m => !m.module.training));
        net.train();
        Assert.IsTrue(net.named_children().All(m => m.module.training));
    }

    [TestMethod]
    public void A_call_is_a_forward_pass_with_gradients_to_every_part()
    {
        using DisposeScope scope = NewDisposeScope();
        using var net = new Net();
        Tensor result = net.call(ones(5, 2));
        result.sum().backward();

        CollectionAssert.AreEqual(new long[] { 5, 2 }, result.shape);
        Assert.IsTrue(net.parameters().All(p => p.grad is not null));
    }

    private sealed class Dense : nn.Module<Tensor, Tensor>
    {
        private readonly Parameter weight;
        private readonly Tensor bias;

        public Dense() : base(nameof(Dense))
        {
            weight = nn.Parameter(ones(2, 2));
            bias = zeros(2, requires_grad: true);
            RegisterComponents();
        }

        public override Tensor forward(Tensor input) => nn.functional.linear(input, weight, bias);
    }

    private sealed class Net : nn.Module<Tensor, Tensor>
    {
        private readonly Dense encoder = new();
        private readonly ModuleList<Dense> layers = new(new Dense(), new Dense());
        private readonly Parameter gain = nn.Parameter(ones(1));
        private readonly Tensor _mean = zeros(2);

        public Net() : base(nameof(Net)) => RegisterComponents();

        public override Tensor forward(Tensor input)
        {
            using DisposeScope scope = NewDisposeScope();
            Tensor hidden = encoder.call(input - _mean);
            foreach (Dense layer in layers)
                hidden = layer.call(hidden);
            return (hidden * gain).MoveToOuterDisposeScope();
        }
    }

    private sealed class Tied : nn.Module<Tensor, Tensor>
    {
        private readonly Parameter first = nn.Parameter(ones(1));
        private readonly Parameter second;

        public Tied() : base(nameof(Tied))
        {
            second = first;
            RegisterComponents();
        }

        public override Tensor forward(Tensor input) => input * first * second;
    }
}
