using TorchSharp;
using TorchSharp.Modules;

namespace GenerativeML.Tests;

[TestClass]
public class FlatAdamWTests
{
    // AdamW as its paper writes it, in double precision, one number at a time.
    private sealed class Reference(
        double[] weights, double decay, double beta1 = 0.9, double beta2 = 0.999, double epsilon = 1e-8)
    {
        private readonly double[] _m = new double[weights.Length], _v = new double[weights.Length];
        private int _t;

        public double[] Weights => weights;

        public void Step(double[] gradient, double rate)
        {
            _t++;
            for (int i = 0; i < weights.Length; i++)
            {
                _m[i] = beta1 * _m[i] + (1 - beta1) * gradient[i];
                _v[i] = beta2 * _v[i] + (1 - beta2) * gradient[i] * gradient[i];
                double m = _m[i] / (1 - Math.Pow(beta1, _t)), v = _v[i] / (1 - Math.Pow(beta2, _t));
                weights[i] -= rate * (m / (Math.Sqrt(v) + epsilon) + decay * weights[i]);
            }
        }
    }

    [TestMethod]
    [DataRow(0.0)]
    [DataRow(0.1)]
    public void Ten_steps_are_those_of_the_paper(double decay)
    {
        using var matrix = new Parameter(torch.tensor([0.5f, -1f, 2f, 0.1f], [2, 2]));
        using var bias = new Parameter(torch.tensor([0.3f, -0.7f], [2]));
        using var optimizer = new FlatOptimizer([bias, matrix], decay, clipNorm: 0);
        var expectedMatrix = new Reference([0.5, -1, 2, 0.1], decay);
        var expectedBias = new Reference([0.3, -0.7], 0); // biases are spared

        for (int step = 0; step < 10; step++)
        {
            using DisposeScope scope = torch.NewDisposeScope();
            double rate = 0.05 / (step + 1);
            optimizer.ClearGradients();
            // d/dw Σ (k+1)·w²/2 = (k+1)·w
            torch.Tensor factors = torch.tensor([1f, 2f, 3f, 4f], [2, 2]);
            matrix.square().mul(factors).sum().mul(0.5).add(bias.square().sum().mul(0.5)).backward();
            expectedMatrix.Step([.. expectedMatrix.Weights.Select((w, k) => (k + 1) * w)], rate);
            expectedBias.Step([.. expectedBias.Weights], rate);
            optimizer.Step(rate);
        }

        AssertClose(expectedMatrix.Weights, matrix);
        AssertClose(expectedBias.Weights, bias);
    }

    [TestMethod]
    [DataRow(new long[] { 1, 6 }, true)] // a layer with one output
    [DataRow(new long[] { 3, 2, 1, 1 }, true)] // a convolution with kernels of one pixel
    [DataRow(new long[] { 2, 3, 1 }, true)] // layers side by side
    [DataRow(new long[] { 2, 1, 3 }, false)] // their biases
    [DataRow(new long[] { 6 }, false)]
    public void Weights_decay_and_biases_do_not(long[] shape, bool decays)
    {
        using var parameter = new Parameter(torch.ones(shape));
        using var optimizer = new FlatOptimizer([parameter], weightDecay: 0.5, clipNorm: 0);
        optimizer.Step(0.1);
        foreach (float value in Values(parameter))
            Assert.AreEqual(decays ? 0.95f : 1, value, 1e-6f);
    }

    [TestMethod]
    public void Steps_are_those_of_torchs_own_AdamW()
    {
        using DisposeScope scope = torch.NewDisposeScope();
        var random = new SeededRandom(torch.CPU, 5);
        torch.Tensor inputs = random.Normal([16, 7]), targets = random.Normal([16, 3]);
        torch.Tensor start = random.Normal([3, 7]);
        var ours = new Parameter(start.clone());
        var theirs = new Parameter(start.clone());
        using var optimizer = new FlatOptimizer([ours], weightDecay: 0.1, clipNorm: 0);
        using torch.optim.Optimizer stock = torch.optim.AdamW([theirs], lr: 0.05, weight_decay: 0.1);
        for (int step = 0; step < 20; step++)
        {
            optimizer.ClearGradients();
            stock.zero_grad();
            inputs.mm(ours.t()).sub(targets).square().mean().backward();
            inputs.mm(theirs.t()).sub(targets).square().mean().backward();
            optimizer.Step(0.05);
            stock.step();
        }
        AssertClose([.. Values(theirs)], ours);
    }

    [TestMethod]
    public void An_optimizer_given_the_state_of_another_goes_on_as_that_one()
    {
        using var first = new Parameter(torch.tensor([0.5f, -1f, 2f], [3]));
        using var second = new Parameter(torch.tensor([0.5f, -1f, 2f], [3]));
        using var whole = new FlatOptimizer([first], 0, 0);
        using var before = new FlatOptimizer([second], 0, 0);
        for (int step = 0; step < 3; step++)
        {
            Move(whole, first);
            Move(before, second);
        }
        using var resumed = new FlatOptimizer([second], 0, 0);
        foreach (((string name, torch.Tensor value), (_, torch.Tensor old)) in resumed.State.Zip(before.State))
            value.copy_(old);
        for (int step = 0; step < 3; step++)
        {
            Move(whole, first);
            Move(resumed, second);
        }
        CollectionAssert.AreEqual(Values(first).ToArray(), Values(second).ToArray());

        static void Move(FlatOptimizer optimizer, torch.Tensor weight)
        {
            using DisposeScope scope = torch.NewDisposeScope();
            optimizer.ClearGradients();
            weight.square().sum().backward();
            optimizer.Step(0.1);
        }
    }

    [TestMethod]
    [DataRow(1)]
    [DataRow(3)]
    public void Many_weights_move_as_few_do_on_any_number_of_threads(int threads)
    {
        // Enough for several threads to pay; where decay ends, and where the numbers end, no vector does.
        const int rows = 3, columns = 66_667, biases = 50_001;
        int before = torch.get_num_threads();
        torch.set_num_threads(threads);
        try
        {
            using torch.Tensor matrix = Numbers(rows * columns, 1).reshape(rows, columns).requires_grad_();
            using torch.Tensor bias = Numbers(biases, 2).requires_grad_();
            var expectedMatrix = new Reference([.. Values(matrix)], 0.1);
            var expectedBias = new Reference([.. Values(bias)], 0);
            using var optimizer = new FlatOptimizer([bias, matrix], 0.1, clipNorm: 0);
            for (int step = 0; step < 3; step++)
            {
                using DisposeScope scope = torch.NewDisposeScope();
                optimizer.ClearGradients();
                matrix.square().sum().mul(0.5).add(bias.square().sum()).backward();
                expectedMatrix.Step([.. expectedMatrix.Weights], 0.01);
                expectedBias.Step([.. expectedBias.Weights.Select(w => 2 * w)], 0.01);
                optimizer.Step(0.01);
            }
            AssertClose(expectedMatrix.Weights, matrix);
            AssertClose(expectedBias.Weights, bias);
        }
        finally
        {
            torch.set_num_threads(before);
        }
    }

    [TestMethod]
    public void Other_constants_than_the_papers_are_used_as_given()
    {
        using var weight = new Parameter(torch.tensor([0.5f, -1f], [2]));
        using var optimizer = new FlatOptimizer([weight], 0, 0, new AdamSettings(0, 0.9, 1e-3));
        var expected = new Reference([0.5, -1], 0, 0, 0.9, 1e-3);
        for (int step = 0; step < 3; step++)
        {
            using DisposeScope scope = torch.NewDisposeScope();
            optimizer.ClearGradients();
            weight.square().sum().mul(0.5).backward();
            expected.Step([.. expected.Weights], 0.05);
            optimizer.Step(0.05);
        }
        AssertClose(expected.Weights, weight);
    }

    [TestMethod]
    public void Biases_and_scales_of_networks_side_by_side_are_spared_from_decay()
    {
        using var weight = new Parameter(torch.ones([2, 3, 1]));
        using var bias = new Parameter(torch.ones([2, 1, 3]));
        using var optimizer = new FlatOptimizer([bias, weight], weightDecay: 0.5, clipNorm: 0);
        optimizer.Step(rate: 0.1); // no gradient: nothing but decay moves anything
        AssertClose([.. Enumerable.Repeat(0.95, 6)], weight);
        AssertClose([.. Enumerable.Repeat(1.0, 6)], bias);
    }

    [TestMethod]
    public void Gradients_beyond_the_limit_are_scaled_down_to_it()
    {
        // Adam divides a constant scale out again, so two steps with different clipping are needed to see it.
        using var clipped = new Parameter(torch.zeros(1, 2));
        using var optimizer = new FlatOptimizer([clipped], 0, clipNorm: 1);
        var expected = new Reference([0, 0], 0);
        foreach (double scale in new[] { 0.1, 10 })
        {
            using DisposeScope scope = torch.NewDisposeScope();
            optimizer.ClearGradients();
            clipped.mul(torch.tensor([3f, 4f], [1, 2])).sum().mul(scale).backward();
            double norm = 5 * scale, shrink = Math.Min(1, 1 / (norm + 1e-6));
            expected.Step([3 * scale * shrink, 4 * scale * shrink], 0.1);
            optimizer.Step(0.1);
        }
        AssertClose(expected.Weights, clipped);
    }

    [TestMethod]
    public void Parameters_keep_their_values_when_they_are_taken_over_and_given_back()
    {
        using var weight = new Parameter(torch.tensor([1f, 2f, 3f], [3]));
        new FlatOptimizer([weight], 0, 0).Dispose();
        AssertClose([1, 2, 3], weight);
        Assert.IsNull(weight.grad);
    }

    private static torch.Tensor Numbers(int count, ulong seed)
    {
        var random = new SeededRandom(torch.CPU, seed);
        return random.Normal([count], 1);
    }

    private static IEnumerable<double> Values(torch.Tensor tensor)
    {
        float[] values = new float[tensor.numel()];
        HostTensors.CopyTo(tensor, values);
        return values.Select(v => (double)v);
    }

    private static void AssertClose(double[] expected, torch.Tensor actual)
    {
        using torch.Tensor detached = actual.detach();
        float[] values = detached.data<float>().ToArray();
        for (int i = 0; i < expected.Length; i++)
            Assert.AreEqual(expected[i], values[i], 2e-6 * Math.Max(1, Math.Abs(expected[i])));
    }
}
