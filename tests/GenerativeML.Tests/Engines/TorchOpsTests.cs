using TorchSharp;
using static TorchSharp.torch;

namespace GenerativeML.Tests.Engines;

[TestClass]
public sealed class TorchOpsTests
{
    private readonly DisposeScope _scope = NewDisposeScope();

    [TestCleanup]
    public void Cleanup() => _scope.Dispose();

    [TestMethod]
    public void Gradients_are_those_of_finite_differences()
    {
        // In double precision, so that differences tell something.
        var weights = new Dictionary<string, Tensor>
        {
            ["a.weight"] = Draw(5, 4), ["a.bias"] = Draw(5), ["n.weight"] = Draw(5), ["n.bias"] = Draw(5),
            ["b.weight"] = Draw(3, 5), ["b.bias"] = Draw(3),
            ["many.weight"] = Draw(2, 3, 3), ["many.bias"] = Draw(2, 1, 3),
        };
        Tensor x = Draw(7, 4);
        foreach (Tensor weight in weights.Values)
            weight.requires_grad_();
        Loss().backward();
        foreach ((string name, Tensor weight) in weights)
        {
            double[] gradient = weight.grad!.reshape(-1).data<double>().ToArray();
            using IDisposable noGradient = no_grad();
            for (int i = 0; i < gradient.Length; i++)
            {
                using Tensor element = weight.view(-1).narrow(0, i, 1);
                double above = At(1e-5), below = At(-2e-5);
                At(1e-5);
                Assert.AreEqual((above - below) / 2e-5, gradient[i], 1e-7, $"{name}[{i}]");

                double At(double step) => Loss(element.Add(step)).item<double>();
            }
        }

        Tensor Loss(Tensor? _ = null)
        {
            Scope<TorchTensor> w = new TorchOps(weights).Root;
            TorchTensor hidden = w.LayerNorm("n", w.Linear("a", x)).Apply(Function.Gelu);
            TorchTensor y = w.Linear("b", hidden).Apply(Function.Elu) * 0.5f - 1;
            TorchTensor all = w.Linear("many", y.Apply(Function.Silu)).LogSumExp(-1).Apply(Function.Softplus);
            TorchTensor shares = y.Softmax().Apply(Function.Log).Apply(Function.Square) / (y.Apply(Function.Exp) + 1);
            TorchTensor rest = shares + (2 - y).LeakyRelu(0.1f);
            return all.Value.sum().Plus(rest.Value.sum());
        }

        static Tensor Draw(params long[] shape) => randn(shape, ScalarType.Float64);
    }

    [TestMethod]
    public void Softplus_has_its_gradient_at_zero()
    {
        Tensor x = zeros(1).requires_grad_();
        x.Softplus().backward();
        Assert.AreEqual(0.5f, x.grad!.item<float>());
    }

    [TestMethod]
    public void Batch_norm_is_torchs_own_while_training_and_after()
    {
        using var stock = nn.BatchNorm1d(3);
        var weights = stock.state_dict().ToDictionary(w => w.Key, w => w.Value.clone());
        Dictionary<string, Tensor> Named(Func<Tensor, Tensor> form) => weights
            .Where(w => w.Value.dim() == 1).ToDictionary(w => "n." + w.Key, w => form(w.Value.clone()));
        Dictionary<string, Tensor> one = Named(w => w), many = Named(w => w.view(1, 1, 3).repeat(2, 1, 1));
        var random = new SeededRandom(CPU);
        for (int step = 0; step < 3; step++)
        {
            Tensor x = randn(8, 3).Scaled(2).Plus(step), y = randn(8, 3);
            Tensor expected = stock.call(x);
            AssertClose(expected, new TorchOps(one) { Random = random }.Root.BatchNorm("n", x));
            Tensor both = new TorchOps(many) { Random = random }.Root.BatchNorm("n", stack([x, y]));
            AssertClose(expected, both[0]);
        }
        foreach (string name in (string[])["running_mean", "running_var"])
        {
            AssertClose(stock.state_dict()[name], one["n." + name]);
            AssertClose(stock.state_dict()[name], many["n." + name][0, 0]);
        }
        stock.eval();
        Tensor rows = randn(5, 3);
        AssertClose(stock.call(rows), new TorchOps(one).Root.BatchNorm("n", rows));
        AssertClose(stock.call(rows), new TorchOps(many).Root.BatchNorm("n", stack([rows, rows])).Value[0]);
    }

    [TestMethod]
    public void Dropout_draws_from_its_own_seed_keeps_the_mean_and_is_for_training()
    {
        Tensor x = ones(1000, 100);
        byte[] before = get_rng_state().bytes.ToArray();
        var random = new SeededRandom(CPU, 3);
        var training = new TorchOps(new Dictionary<string, Tensor>()) { Random = random };

        Tensor first = training.Dropout(x, 0.25).Value;
        random.Seed(3);
        Tensor second = training.Dropout(x, 0.25).Value;

        Assert.IsTrue(first.equal(second).all().item<bool>());
        Assert.AreEqual(1, first.mean().item<float>(), 0.01f);
        Assert.AreEqual(4 / 3f, first.max().item<float>(), 1e-6f);
        Assert.AreEqual(0, first.min().item<float>());
        Assert.AreSame(x, new TorchOps(new Dictionary<string, Tensor>()).Dropout(x, 0.25).Value);
        CollectionAssert.AreEqual(before, get_rng_state().bytes.ToArray());
    }

    [TestMethod]
    public void Products_are_in_bfloat16_while_training_only()
    {
        var weights = new Dictionary<string, Tensor> { ["l.weight"] = randn(4, 8), ["l.bias"] = randn(4) };
        Tensor x = randn(3, 8);
        var random = new SeededRandom(CPU);
        Tensor rounded = x.to(ScalarType.BFloat16).matmul(weights["l.weight"].t().to(ScalarType.BFloat16));

        Tensor training = new TorchOps(weights) { Random = random, BFloat16 = true }.Root.Linear("l", x);
        AssertClose(rounded.to(ScalarType.Float32).Plus(weights["l.bias"]), training);
        Assert.AreEqual(ScalarType.Float32, training.dtype);
        AssertClose(
            nn.functional.linear(x, weights["l.weight"], weights["l.bias"]),
            new TorchOps(weights) { BFloat16 = true }.Root.Linear("l", x));
    }

    /// <summary>The middle column of a kernel meets such an image, and the others nothing but margin.</summary>
    [TestMethod]
    [DataRow(5, 1)]
    [DataRow(3, 8)]
    public void A_kernel_has_its_gradient_in_bfloat16_where_images_are_one_pixel_wide(int kernel, int height)
    {
        const int Channels = 64;
        Tensor weight = randn(Channels, Channels, kernel, kernel), x = randn(64, Channels, height, 1);
        Tensor slope = randn(64, Channels, (height + 1) / 2, 1);
        foreach (bool stays in new[] { false, true })
        {
            Tensor expected = Gradient(ScalarType.Float32, stays), found = Gradient(ScalarType.BFloat16, stays);
            Assert.IsTrue(found.isfinite().all().item<bool>());
            foreach (int side in new[] { 0, kernel / 2 + 1 })
                AssertClose(zeros(Channels, Channels, kernel, kernel / 2), found.narrow(3, side, kernel / 2));
            // Sums of some hundred products, each rounded to eight bits.
            Assert.IsLessThan(0.02f * expected.abs().max().item<float>(), expected.Minus(found).abs().max().item<float>());
        }

        Tensor Gradient(ScalarType type, bool stays)
        {
            Tensor own = weight.clone().requires_grad_();
            var ops = new TorchOps(new Dictionary<string, Tensor> { ["c.weight"] = own })
            {
                Random = new SeededRandom(CPU), BFloat16 = type == ScalarType.BFloat16, StaysInBFloat16 = stays,
            };
            Tensor made = ops.Root.Conv2d("c", x, stride: 2, padding: kernel / 2).Value;
            Assert.AreEqual(type == ScalarType.BFloat16 && stays ? type : ScalarType.Float32, made.dtype);
            // What is left in memory for a gradient that is not written.
            Tensor[] used = [.. Enumerable.Range(0, 8).Select(_ => full(weight.shape, float.NaN, dtype: type))];
            foreach (Tensor each in used)
                each.Dispose();
            made.to(ScalarType.Float32).mul(slope).sum().backward();
            return own.grad!;
        }
    }

    [TestMethod]
    public void Attention_with_dropout_is_attention_on_average()
    {
        Tensor x = randn(2, 5, 3 * 2 * 4);
        var random = new SeededRandom(CPU, 1);
        var none = new Dictionary<string, Tensor> { ["any"] = zeros(1) };
        Tensor expected = new TorchOps(none).Root.Attention(x, 2, 4);
        Tensor sum = zeros_like(expected);
        for (int i = 0; i < 2000; i++)
            sum.Add(new TorchOps(none) { Random = random }.Root.Attention(x, 2, 4, dropout: 0.3));

        Assert.IsLessThan(0.1, sum.Over(2000).Minus(expected).abs().max().item<float>());
        AssertClose(expected, new TorchOps(none) { Random = random }.Root.Attention(x, 2, 4));
        // A token sees nothing of those behind it.
        x[.., 4] = 7;
        AssertClose(expected.narrow(1, 0, 4), new TorchOps(none).Root.Attention(x, 2, 4).Value.narrow(1, 0, 4));
    }

    private static void AssertClose(Tensor expected, Tensor found)
    {
        Assert.AreSequenceEqual(expected.shape, found.shape);
        Assert.IsLessThanOrEqualTo(1e-5, expected.Minus(found).abs().max().item<float>());
    }
}
