using System.Runtime.Intrinsics;

namespace GenerativeML.Tests;

/// <summary>The managed kernels that work on one row, against their formulas in double precision.</summary>
[TestClass]
public sealed class RowFunctionTests
{
    [TestMethod]
    [DataRow(1)]
    [DataRow(3)]
    [DataRow(8)]
    [DataRow(37)]
    public void Softmax_is_its_formula_whatever_the_size_of_the_numbers(int width)
    {
        float[] x = [.. Row(width, 6).Select(v => 200 * v)];
        double[] powers = [.. x.Select(v => Math.Exp(0.5 * ((double)v - x.Max())))];
        double logSum = Math.Log(x.Sum(v => Math.Exp((double)v - x.Max()))) + x.Max();

        Assert.AreEqual(logSum, Softmax.LogSumOfExponentials(x), 1e-4);
        Softmax.Apply(x, 0.5f);
        for (int i = 0; i < width; i++)
            Assert.AreEqual(powers[i] / powers.Sum(), x[i], 1e-6);
    }

    [TestMethod]
    public void A_number_of_negative_infinity_has_no_share()
    {
        float[] x = [1, float.NegativeInfinity, 1, 1, 1, float.NegativeInfinity, 1, 1, 1, float.NegativeInfinity];
        Softmax.Apply(x);
        for (int i = 0; i < x.Length; i++)
            Assert.AreEqual(i is 1 or 5 or 9 ? 0 : 1f / 7, x[i], 1e-7f);
    }

    [TestMethod]
    public void Both_forms_of_GELU_are_their_formulas()
    {
        float[] x = [.. Enumerable.Range(-2000, 4003).Select(i => i / 137f), 80, -80, 1e10f, -1e10f];
        float[] tanh = [.. x], erf = new float[x.Length];
        GaussianErrorUnit.Apply(GeluForm.Tanh, tanh, tanh);
        GaussianErrorUnit.Apply(GeluForm.Erf, x, erf);
        for (int i = 0; i < x.Length; i++)
        {
            double v = x[i];
            double expected = 0.5 * v * (1 + Math.Tanh(Math.Sqrt(2 / Math.PI) * (v + 0.044715 * v * v * v)));
            Assert.AreEqual(expected, tanh[i], 1e-6 * Math.Max(1, Math.Abs(v)), $"tanh form of {v}");
            Assert.AreEqual(v * NormalDistribution(v), erf[i], 4e-7 * Math.Max(1, Math.Abs(v)), $"erf form of {v}");
        }
    }

    [TestMethod]
    public void Exponentials_are_right_to_a_millionth_from_zero_to_infinity()
    {
        Exponentials<Lanes128, Vector128<float>>();
        Exponentials<Lanes256, Vector256<float>>();
        Exponentials<Lanes512, Vector512<float>>();
    }

    [TestMethod]
    [DataRow(GeluForm.Tanh)]
    [DataRow(GeluForm.Erf)]
    public void The_way_back_through_GELU_is_its_derivative(GeluForm form)
    {
        float[] x = [.. Enumerable.Range(-1000, 2003).Select(i => i / 137f)];
        float[] y = new float[x.Length], slope = [.. x.Select((_, i) => 1 + i % 3f)], expected = new float[x.Length];
        GaussianErrorUnit.Back(form, x, y, slope);
        GaussianErrorUnit.Apply(form, x, expected);
        CollectionAssert.AreEqual(expected, y);
        for (int i = 0; i < x.Length; i++)
        {
            double rise = (Gelu(form, x[i] + 1e-4) - Gelu(form, x[i] - 1e-4)) / 2e-4;
            Assert.AreEqual((1 + i % 3) * rise, slope[i], 1e-5, $"at {x[i]}");
        }
    }

    [TestMethod]
    [DataRow(1)]
    [DataRow(16)]
    [DataRow(37)]
    public void The_way_back_through_softmax_is_its_derivative(int width)
    {
        const double scale = 0.7;
        float[] x = Row(width, 10), shares = [.. x], slope = Row(width, 11), found = [.. slope];
        Softmax.Apply(shares, (float)scale);
        Softmax.Back(shares, found, (float)scale);
        for (int i = 0; i < width; i++)
        {
            double Loss(double step)
            {
                double[] powers = [.. x.Select((v, j) => Math.Exp(scale * (v + (i == j ? step : 0))))];
                return powers.Zip(slope, (p, s) => p * s).Sum() / powers.Sum();
            }
            Assert.AreEqual((Loss(1e-4) - Loss(-1e-4)) / 2e-4, found[i], 1e-5, $"x[{i}]");
        }
    }

    private static double Gelu(GeluForm form, double x) => form == GeluForm.Tanh
        ? 0.5 * x * (1 + Math.Tanh(Math.Sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x)))
        : x * NormalDistribution(x);

    private static unsafe void Exponentials<TLanes, TVector>()
        where TLanes : struct, ILanes<TVector>
        where TVector : struct
    {
        static float At(float x)
        {
            float* result = stackalloc float[TLanes.Count];
            TLanes.Store(Exponential.Of<TLanes, TVector>(TLanes.All(x)), result);
            return result[TLanes.Count - 1];
        }
        for (float x = -87.3f; x < 88.7f; x += 0.0137f)
            Assert.AreEqual(1, At(x) / Math.Exp(x), 1e-6, $"e^{x}");
        Assert.AreEqual(1, At(0));
        Assert.AreEqual(0, At(-88));
        Assert.AreEqual(0, At(float.NegativeInfinity));
        Assert.AreEqual(float.PositiveInfinity, At(89));
        Assert.AreEqual(float.PositiveInfinity, At(float.PositiveInfinity));
        Assert.AreEqual(float.NaN, At(float.NaN));
    }

    // Φ(x) = ½ + φ(x)·(x + x³/3 + x⁵/(3·5) + …), which converges everywhere; far out it is 0 or 1.
    private static double NormalDistribution(double x)
    {
        if (Math.Abs(x) > 8)
            return x > 0 ? 1 : 0;
        double term = x, sum = x;
        for (int k = 3; Math.Abs(term) > 1e-18; k += 2)
            sum += term *= x * x / k;
        return 0.5 + sum * Math.Exp(-x * x / 2) / Math.Sqrt(2 * Math.PI);
    }

    private static float[] Row(int width, ulong seed)
    {
        var random = new SplitMix64(seed);
        return [.. Enumerable.Range(0, width).Select(_ => (float)(random.NextDouble() * 4 - 2))];
    }
}
