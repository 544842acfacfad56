using TorchSharp;
using static TorchSharp.torch;

namespace GenerativeML;

/// <summary>
/// Tensors and numbers. TorchSharp makes a <see cref="Scalar"/> of each number, and nothing keeps it from being
/// finalised while native code still reads it, which then ends the process. That happens, too, within
/// <c>a + b</c>, <c>a.add(b)</c>, <c>a.square()</c> and <c>softplus(a)</c>, which bring a number of their own. Here it
/// lives as long as the call. Nouns give a new tensor; verbs change the tensor and return it.
/// </summary>
internal static class TorchArithmetic
{
    // Never finalised, since they are held for good.
    private static readonly Scalar One = 1L.ToScalar(), MinusOne = (-1L).ToScalar(), Zero = 0L.ToScalar();

    /// <summary>a + b.</summary>
    public static Tensor Plus(this Tensor a, Tensor b) => a.add(b, One);

    /// <summary>a + factor·b.</summary>
    public static Tensor Plus(this Tensor a, Tensor b, double factor)
    {
        using Scalar s = factor.ToScalar();
        return a.add(b, s);
    }

    /// <summary>a + number.</summary>
    public static Tensor Plus(this Tensor a, double number)
    {
        using Scalar s = number.ToScalar();
        return a.add(s, One);
    }

    /// <summary>a − b.</summary>
    public static Tensor Minus(this Tensor a, Tensor b) => a.add(b, MinusOne);

    /// <summary>a·number.</summary>
    public static Tensor Scaled(this Tensor a, double number)
    {
        using Scalar s = number.ToScalar();
        return a.mul(s);
    }

    /// <summary>a / number.</summary>
    public static Tensor Over(this Tensor a, double number)
    {
        using Scalar s = number.ToScalar();
        return a.div(s);
    }

    /// <summary>a².</summary>
    public static Tensor Squared(this Tensor a) => a.mul(a);

    /// <summary>a to a power.</summary>
    public static Tensor Power(this Tensor a, double exponent)
    {
        using Scalar s = exponent.ToScalar();
        return a.pow(s);
    }

    /// <summary>Between the limits.</summary>
    public static Tensor Clamped(this Tensor a, double low, double high)
    {
        using Scalar from = low.ToScalar(), to = high.ToScalar();
        return a.clamp(from, to);
    }

    /// <summary>At least <paramref name="low"/>.</summary>
    public static Tensor AtLeast(this Tensor a, double low)
    {
        using Scalar s = low.ToScalar();
        return a.clamp_min(s);
    }

    /// <summary>log(1 + eᵃ).</summary>
    public static Tensor Softplus(this Tensor a) => logaddexp(a, zeros_like(a));

    /// <summary>a where positive, otherwise slope·a.</summary>
    public static Tensor LeakyRelu(this Tensor a, double slope)
    {
        using Scalar s = slope.ToScalar();
        return a.leaky_relu(s);
    }

    /// <summary>a where positive, otherwise eᵃ − 1.</summary>
    public static Tensor Elu(this Tensor a) => a.elu(One, One, One);

    /// <summary>1 where positive, otherwise 0, as Single.</summary>
    public static Tensor IsPositive(this Tensor a) => a.gt(Zero).to(ScalarType.Float32);

    /// <summary>Where less than a number, as Boolean.</summary>
    public static Tensor Below(this Tensor a, double limit)
    {
        using Scalar s = limit.ToScalar();
        return a.lt(s);
    }

    /// <summary>Where greater than a number, as Boolean.</summary>
    public static Tensor Above(this Tensor a, double limit)
    {
        using Scalar s = limit.ToScalar();
        return a.gt(s);
    }

    /// <summary>a += b.</summary>
    public static Tensor Add(this Tensor a, Tensor b) => a.add_(b, One);

    /// <summary>a += factor·b.</summary>
    public static Tensor Add(this Tensor a, Tensor b, double factor)
    {
        using Scalar s = factor.ToScalar();
        return a.add_(b, s);
    }

    /// <summary>a += number.</summary>
    public static Tensor Add(this Tensor a, double number)
    {
        using Scalar s = number.ToScalar();
        return a.add_(s, One);
    }

    /// <summary>a *= number.</summary>
    public static Tensor Scale(this Tensor a, double number)
    {
        using Scalar s = number.ToScalar();
        return a.mul_(s);
    }

    /// <summary>Brings a between the limits.</summary>
    public static Tensor Clamp(this Tensor a, double low, double high)
    {
        using Scalar from = low.ToScalar(), to = high.ToScalar();
        return a.clamp_(from, to);
    }

    /// <summary>Brings a to at least <paramref name="low"/>.</summary>
    public static Tensor Raise(this Tensor a, double low)
    {
        using Scalar s = low.ToScalar();
        return a.clamp_min_(s);
    }

    /// <summary>Sets all elements.</summary>
    public static Tensor Fill(this Tensor a, double number)
    {
        using Scalar s = number.ToScalar();
        return a.fill_(s);
    }

    /// <summary>a += factor·b·c.</summary>
    public static Tensor AddProduct(this Tensor a, Tensor b, Tensor c, double factor)
    {
        using Scalar s = factor.ToScalar();
        return a.addcmul_(b, c, s);
    }

    /// <summary>a += factor·b / c.</summary>
    public static Tensor AddQuotient(this Tensor a, Tensor b, Tensor c, double factor)
    {
        using Scalar s = factor.ToScalar();
        return a.addcdiv_(b, c, s);
    }
}
