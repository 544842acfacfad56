using TorchSharp;

namespace GenerativeML.Tests;

/// <summary>Holds the gradients of a network's loss against finite differences, parameter by parameter.</summary>
internal static class LossGradients
{
    private const int Rows = 4;

    /// <summary>Checks the loss of each update on a few rows, with the random numbers of one and the same step.</summary>
    /// <param name="network">A small network.</param>
    /// <param name="absorbed">Parameters that by design have no effect on the loss.</param>
    /// <param name="weights">Other values of its tensors than those it starts from.</param>
    /// <param name="rows">The rows, (4 × D). Default: some that are usual.</param>
    /// <param name="step">By which a parameter is moved; less where the loss has kinks.</param>
    public static void Check(
        VectorNetwork network, string[]? absorbed = null, Action<HostWeights>? weights = null, float[]? rows = null,
        float step = 5e-3f)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        using var layers = new TorchLayers(network.Declare, torch.CPU, seed: 5);
        if (weights is not null)
        {
            HostWeights host = layers.ToHost(network.Tensors());
            weights(host);
            layers.LoadStateDict(host);
        }
        var random = new SeededRandom(torch.CPU);
        int width = network.Input.Width, conditions = network.Input.ConditionWidth;
        torch.Tensor input = HostTensors.FromRows(
            rows ?? [.. Enumerable.Range(0, Rows * width).Select(i => MathF.Sin(1.7f * i) - 0.2f * i % 0.9f)], Rows, width, torch.CPU);
        torch.Tensor? condition = conditions == 0
            ? null
            : HostTensors.FromRows(
                [.. Enumerable.Range(0, Rows * conditions).Select(i => MathF.Cos(i))], Rows, conditions, torch.CPU);
        IReadOnlyList<UpdateRule> updates = network.Updates(layers);
        for (int update = 0; update < updates.Count; update++)
        {
            foreach (torch.Tensor tensor in layers.Parameters())
                tensor.grad = null;
            Loss(update).backward();
            foreach ((string name, torch.Tensor parameter) in layers.Tensors)
            {
                if (!updates[update].Parameters.Any(p => ReferenceEquals(p, parameter)))
                    continue;
                float[] gradient = parameter.grad is { } found ? found.data<float>().ToArray() : new float[parameter.numel()];
                Assert.AreEqual(
                    absorbed?.Contains(name) != true, gradient.Any(g => Math.Abs(g) > 1e-5), $"{name} in update {update}");
                // A loss with the statistics of four rows in it is curved: differences are no more exact than this.
                for (int i = 0; i < gradient.Length; i++)
                {
                    Assert.AreEqual(
                        Difference(update, parameter, i), gradient[i], 5e-3 * Math.Max(1, Math.Abs(gradient[i])),
                        $"{name}[{i}] in update {update}");
                }
            }
        }

        torch.Tensor Loss(int update)
        {
            random.Seed(9);
            var ops = new TorchOps(layers.Tensors) { Random = random };
            IReadOnlyList<LossTerm> terms = network.Loss(
                new(ops.Root, input, condition, update, new StepContext(0, 1, random)));
            return terms.Select(t => t.Value).Aggregate((a, b) => a.Plus(b));
        }

        double Difference(int update, torch.Tensor parameter, int element)
        {
            using DisposeScope inner = torch.NewDisposeScope();
            using IDisposable noGradient = torch.no_grad();
            torch.Tensor one = parameter.detach().view(-1).narrow(0, element, 1);
            float value = one.item<float>();
            one.Fill(value + step);
            double up = Loss(update).item<float>();
            one.Fill(value - step);
            double down = Loss(update).item<float>();
            one.Fill(value);
            return (up - down) / (2 * step);
        }
    }
}
