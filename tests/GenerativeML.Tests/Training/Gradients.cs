using TorchSharp;

namespace GenerativeML.Tests;

/// <summary>Compares gradients with finite differences.</summary>
internal static class Gradients
{
    private const float Step = 5e-3f;

    /// <summary>
    /// Every element of every tensor has the gradient that central differences of the loss give, and every tensor but
    /// the <paramref name="still"/> ones is moved by the loss.
    /// </summary>
    public static void Check(
        IEnumerable<(string Name, torch.Tensor Value)> parameters, Func<torch.Tensor> loss, double tolerance = 2e-3,
        params string[] still)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        loss().backward();
        foreach ((string name, torch.Tensor parameter) in parameters.Where(p => p.Value.requires_grad))
        {
            if (still.Contains(name) && (object?)parameter.grad is null)
                continue;
            Assert.IsNotNull((object?)parameter.grad, $"{name} has no gradient");
            float[] gradient = new float[parameter.numel()];
            HostTensors.CopyTo(parameter.grad!, gradient);
            Assert.AreEqual(!still.Contains(name), gradient.Any(g => Math.Abs(g) > 1e-5), $"{name} is not moved");
            for (int i = 0; i < gradient.Length; i++)
            {
                double expected = Difference(parameter, i, loss);
                Assert.AreEqual(expected, gradient[i], tolerance * Math.Max(1, Math.Abs(expected)), $"{name}[{i}]");
            }
            parameter.grad = null;
        }
    }

    private static double Difference(torch.Tensor parameter, int element, Func<torch.Tensor> loss)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        torch.Tensor one = parameter.detach().view(-1).narrow(0, element, 1);
        float value = one.item<float>();
        one.fill_(value + Step);
        double up = loss().item<float>();
        one.fill_(value - Step);
        double down = loss().item<float>();
        one.fill_(value);
        return (up - down) / (2 * Step);
    }
}
