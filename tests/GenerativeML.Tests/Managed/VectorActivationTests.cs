using System.Numerics;

namespace GenerativeML.Tests;

/// <summary>The managed non-linearities, against their formulas in double precision.</summary>
[TestClass]
public sealed class VectorActivationTests
{
    [TestMethod]
    [DataRow(Activation.Relu)]
    [DataRow(Activation.LeakyRelu)]
    [DataRow(Activation.Elu)]
    [DataRow(Activation.Gelu)]
    [DataRow(Activation.Silu)]
    [DataRow(Activation.Tanh)]
    [DataRow(Activation.Sigmoid)]
    [DataRow(Activation.Identity)]
    public void Each_is_its_formula(Activation activation)
    {
        float[] bias = [.. Enumerable.Range(0, 2 * VectorMatrix.Lanes).Select(i => i * 0.01f)];
        float[] x = [.. Enumerable.Range(-1600, 3200).Select(i => i / 100f), 1e4f, -1e4f, 1e30f, -1e30f, 0, -0f, 88, -88];
        Array.Resize(ref x, (x.Length + bias.Length - 1) / bias.Length * bias.Length);
        float[] y = [.. x];
        VectorActivation.Apply(activation, y, bias);
        for (int i = 0; i < x.Length; i++)
        {
            double at = x[i] + bias[i % bias.Length], expected = Formula(activation, at);
            Assert.AreEqual(expected, y[i], 4e-7 * Math.Max(1, Math.Abs(at)), $"at {at}");
        }
    }

    [TestMethod]
    public void The_exponential_is_exact_to_a_unit_in_the_last_place_or_so()
    {
        for (float x = -87; x < 88; x += 0.013f)
            Assert.AreEqual(Math.Exp(x), Exponential.Of(new Vector<float>(x))[0], 2.5e-7 * Math.Exp(x), $"at {x}");
        Assert.AreEqual(0, Exponential.Of(new Vector<float>(float.NegativeInfinity))[0]);
        Assert.AreEqual(float.PositiveInfinity, Exponential.Of(new Vector<float>(float.PositiveInfinity))[0]);
        Assert.AreEqual(float.NaN, Exponential.Of(new Vector<float>(float.NaN))[0]);
    }

    private static double Formula(Activation activation, double x) => activation switch
    {
        Activation.Relu => Math.Max(0, x),
        Activation.LeakyRelu => x > 0 ? x : 0.01 * x,
        Activation.Elu => x > 0 ? x : Math.Exp(x) - 1,
        Activation.Gelu => x * Phi(x),
        Activation.Silu => x / (1 + Math.Exp(-x)),
        Activation.Tanh => Math.Tanh(x),
        Activation.Sigmoid => 1 / (1 + Math.Exp(-x)),
        _ => x,
    };

    // The normal distribution function by its density's sum, which converges everywhere that a test looks.
    private static double Phi(double x)
    {
        if (Math.Abs(x) > 8)
            return x > 0 ? 1 : 0;
        double term = x, sum = x;
        for (int n = 1; n < 400; n++)
            sum += term *= x * x / (2 * n + 1);
        return 0.5 + sum * Math.Exp(-x * x / 2) / Math.Sqrt(2 * Math.PI);
    }
}
