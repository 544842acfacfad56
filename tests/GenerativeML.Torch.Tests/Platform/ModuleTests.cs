using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace GenerativeML.Torch.Tests.Platform;

/// <summary>Names and lifetimes of what a module holds.</summary>
[TestClass]
public sealed class ModuleTests
{
    [TestMethod]
    public void Fields_become_names_and_plain_tensors_become_buffers()
    {
        using var net = new Net();

        CollectionAssert.AreEquivalent(
            new[] { "gain", "encoder.weight", "encoder.bias", "layers.0.weight", "layers.1.weight", "_mean" },
            net.state_dict().Keys);
        CollectionAssert.AreEqual(new[] { "_mean" }, net.named_buffers().Select(b => b.name).ToArray());
        Assert.IsFalse(net.parameters().Any(p => !p.requires_grad));
    }

    [TestMethod]
    public void A_state_dict_holds_the_tensors_themselves_and_loads_by_copying()
    {
        using var net = new Net();
        using var other = new Net();
        other.load_state_dict(net.state_dict());
        Tensor mine = net.state_dict()["encoder.weight"];
        Tensor theirs = other.state_dict()["encoder.weight"];

        Assert.AreNotSame(mine, theirs);
        Assert.IsTrue(mine.allclose(theirs, 0, 0));
    }

    [TestMethod]
    public void A_state_dict_of_another_module_is_refused()
    {
        using var net = new Net();
        using var other = nn.Linear(2, 2);

        Assert.ThrowsExactly<InvalidOperationException>(() => net.load_state_dict(other.state_dict()));
    }

    [TestMethod]
    public void Disposing_a_module_disposes_all_that_it_holds()
    {
        var net = new Net();
        Tensor[] held = [.. net.state_dict().Values];
        net.Dispose();

        Assert.IsTrue(held.All(t => t.IsInvalid));
    }

    [TestMethod]
    public void Training_and_evaluation_reach_every_part()
    {
        using var net = new Net();
        Assert.IsTrue(net.training);
        net.eval();

        Assert.IsFalse(net.training);
        Assert.IsTrue(net.named_modules().All(m => !m.module.training));
    }

    [TestMethod]
    public void A_parameter_that_changes_type_is_another_object()
    {
        using var net = new Net();
        Parameter before = net.parameters().First();
        net.to(float64);

        Assert.IsTrue(before.IsInvalid);
        Assert.IsTrue(net.parameters().All(p => p.dtype == float64));
    }

    [TestMethod]
    public void A_linear_layer_starts_within_one_over_the_root_of_its_inputs()
    {
        using var layer = nn.Linear(16, 64);
        using Tensor most = layer.state_dict()["weight"].abs().max();

        Assert.IsTrue(most.ToSingle() is > 0.2f and <= 0.25f);
    }

    [TestMethod]
    public void A_sequence_calls_its_parts_in_order()
    {
        using DisposeScope scope = NewDisposeScope();
        using var first = nn.Linear(3, 4);
        using var second = nn.Linear(4, 2);
        using var both = nn.Sequential(first, second);
        Tensor x = ones(5, 3);

        Assert.IsTrue(both.call(x).allclose(second.call(first.call(x))));
        CollectionAssert.AreEqual(
            new[] { "0.weight", "0.bias", "1.weight", "1.bias" }, both.named_parameters().Select(p => p.name).ToArray());
    }

    private sealed class Net : nn.Module<Tensor, Tensor>
    {
        private readonly Linear encoder = nn.Linear(2, 3);
        private readonly ModuleList<Linear> layers = new(nn.Linear(3, 3, hasBias: false), nn.Linear(3, 3, hasBias: false));
        private readonly Parameter gain = nn.Parameter(ones(1));
        private readonly Tensor _mean = zeros(2);

        public Net() : base(nameof(Net)) => RegisterComponents();

        public override Tensor forward(Tensor input)
        {
            using DisposeScope scope = NewDisposeScope();
            Tensor hidden = encoder.call(input - _mean);
            foreach (Linear layer in layers)
                hidden = layer.call(hidden);
            return (hidden * gain).MoveToOuterDisposeScope();
        }
    }
}
