using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace GenerativeML.Torch.Tests.Platform;

/// <summary>Gradients: flags, what accumulates, and values against closed forms.</summary>
[TestClass]
public sealed class AutogradTests
{
    [TestMethod]
    public void Gradients_add_up_until_they_are_cleared()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor weight = torch.tensor(new float[] { 1, 2 }).requires_grad_();
        weight.square().sum().backward();
        weight.square().sum().backward();
        CollectionAssert.AreEqual(new float[] { 4, 8 }, Values(weight.grad!));
        weight.grad = null;

        Assert.IsNull(weight.grad);
    }

    [TestMethod]
    public void A_second_pass_over_a_graph_needs_retain_graph()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor weight = torch.tensor(new float[] { 1, 2 }).requires_grad_();
        Tensor loss = weight.square().sum();
        autograd.grad([loss], [weight], retain_graph: true);
        autograd.grad([loss], [weight]);

        // By backward, as an error in TorchSharp's autograd.grad ends the process.
        Assert.ThrowsExactly<ExternalException>(() => loss.backward());
    }

    [TestMethod]
    public void Grad_leaves_no_gradient_behind()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor weight = torch.tensor(new float[] { 1, 2 }).requires_grad_();
        Tensor found = autograd.grad([weight.square().sum()], [weight])[0];

        CollectionAssert.AreEqual(new float[] { 2, 4 }, Values(found));
        Assert.IsNull(weight.grad);
    }

    [TestMethod]
    public void Grad_of_a_grad_is_the_second_derivative()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor x = torch.tensor(new float[] { 2 }).requires_grad_();
        Tensor first = autograd.grad([x.pow(3).sum()], [x], retain_graph: true, create_graph: true)[0];
        Tensor second = autograd.grad([first.sum()], [x])[0];

        Assert.AreEqual(12f, first.ToSingle(), 1e-5f);
        Assert.AreEqual(12f, second.ToSingle(), 1e-5f);
    }

    [TestMethod]
    public void An_input_that_plays_no_part_has_no_gradient_where_that_is_allowed()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor used = ones(1, requires_grad: true);
        Tensor idle = ones(1, requires_grad: true);

        IList<Tensor> found = autograd.grad([used.mul(2)], [used, idle], allow_unused: true);
        Assert.AreEqual(2f, found[0].ToSingle());
        Assert.IsTrue(found[1] is null || found[1].IsInvalid);
    }

    [TestMethod]
    public void A_leaf_that_is_trained_is_changed_in_place_under_no_grad_only()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor weight = ones(2, requires_grad: true);

        Assert.ThrowsExactly<ExternalException>(() => weight.add_(1));
        using (no_grad())
            weight.add_(1);
        Assert.IsTrue(weight.is_leaf);
        CollectionAssert.AreEqual(new float[] { 2, 2 }, Values(weight));
    }

    [TestMethod]
    public void A_graph_is_retained_by_autograd_s_own_backward()
    {
        // Tensor.backward hands its two flags over crossed in TorchSharp 0.102.
        using DisposeScope scope = NewDisposeScope();
        Tensor x = torch.tensor(new float[] { 3 }).requires_grad_();
        Tensor loss = x.square().sum();
        autograd.backward([loss], retain_graph: true);
        autograd.backward([loss]);

        Assert.AreEqual(12f, x.grad!.ToSingle());
    }

    /// <summary>Each operator by name, over the numbers where it is smooth.</summary>
    public static IEnumerable<object[]> SmoothFunctions =>
    [
        ["exp", (Tensor x) => x.exp(), (double v) => Math.Exp(v)],
        ["log", (Tensor x) => x.log(), (double v) => Math.Log(v)],
        ["log1p", (Tensor x) => log1p(x), (double v) => Math.Log(1 + v)],
        ["sqrt", (Tensor x) => x.sqrt(), (double v) => Math.Sqrt(v)],
        ["rsqrt", (Tensor x) => x.rsqrt(), (double v) => 1 / Math.Sqrt(v)],
        ["square", (Tensor x) => x.square(), (double v) => v * v],
        ["reciprocal", (Tensor x) => 1 / x, (double v) => 1 / v],
        ["difference", (Tensor x) => 1 - (x * 3), (double v) => 1 - (3 * v)],
        ["tanh", (Tensor x) => tanh(x), (double v) => Math.Tanh(v)],
        ["sigmoid", (Tensor x) => sigmoid(x), (double v) => 1 / (1 + Math.Exp(-v))],
        ["silu", (Tensor x) => nn.functional.silu(x), (double v) => v / (1 + Math.Exp(-v))],
        ["softplus", (Tensor x) => nn.functional.softplus(x), (double v) => Math.Log(1 + Math.Exp(v))],
        ["elu", (Tensor x) => nn.functional.elu(x - 1.5, 1), (double v) => v > 1.5 ? v - 1.5 : Math.Exp(v - 1.5) - 1],
        ["leaky_relu", (Tensor x) => nn.functional.leaky_relu(x - 1.3), (double v) => (v > 1.3 ? 1 : 0.01) * (v - 1.3)],
    ];

    [TestMethod]
    [DynamicData(nameof(SmoothFunctions))]
    public void Values_and_gradients_are_those_of_the_function(
        string name, Func<Tensor, Tensor> function, Func<double, double> closedForm)
    {
        using DisposeScope scope = NewDisposeScope();
        double[] at = [0.25, 0.7, 1.9];
        Tensor x = torch.tensor(at).requires_grad_();
        Tensor y = function(x);
        Tensor slope = autograd.grad([y.sum()], [x])[0];
        for (int i = 0; i < at.Length; i++)
        {
            const double h = 1e-6;
            double expected = (closedForm(at[i] + h) - closedForm(at[i] - h)) / (2 * h);
            Assert.AreEqual(closedForm(at[i]), y.data<double>()[i], 1e-9, name);
            Assert.AreEqual(expected, slope.data<double>()[i], 1e-6, name);
        }
    }

    [TestMethod]
    public void A_linear_map_s_gradients_are_the_outer_products()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor input = torch.tensor(new float[] { 1, 2, 3, 4 }, [2, 2]);
        Tensor weight = torch.tensor(new float[] { 1, 0, 0, 1, 1, 1 }, [3, 2]).requires_grad_();
        Tensor bias = zeros(3, requires_grad: true);
        nn.functional.linear(input, weight, bias).sum().backward();

        CollectionAssert.AreEqual(new float[] { 4, 6, 4, 6, 4, 6 }, Values(weight.grad!));
        CollectionAssert.AreEqual(new float[] { 2, 2, 2 }, Values(bias.grad!));
    }

    private static float[] Values(Tensor tensor) => tensor.data<float>().ToArray();
}
