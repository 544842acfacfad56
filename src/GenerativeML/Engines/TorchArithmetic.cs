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
    private static readonly Scalar One = 1L.ToScalar(), MinusOne = (-1L).ToScalar();

    /// <summary>a + b.</summary>
    public static Tensor Plus(this Tensor a, Tensor b) => a.add(b, One);

    /// <summary>a + factor·b.</summary>
    public static Tensor Plus(this Tensor a, Tensor b, double factor) =>
        With(factor, (a, b), static (t, s) => t.a.add(t.b, s));

    /// <summary>a + number.</summary>
    public static Tensor Plus(this Tensor a, double number) => With(number, a, static (a, s) => a.add(s, One));

    /// <summary>a − b.</summary>
    public static Tensor Minus(this Tensor a, Tensor b) => a.add(b, MinusOne);

    /// <summary>a·number.</summary>
    public static Tensor Scaled(this Tensor a, double number) => With(number, a, static (a, s) => a.mul(s));

    /// <summary>a / number.</summary>
    public static Tensor Over(this Tensor a, double number) => With(number, a, static (a, s) => a.div(s));

    /// <summary>a².</summary>
    public static Tensor Squared(this Tensor a) => a.mul(a);

    /// <summary>Between the limits.</summary>
    public static Tensor Clamped(this Tensor a, double low, double high) =>
        With(low, (a, high), static (t, from) => With(t.high, (t.a, from), static (t, to) => t.a.clamp(t.from, to)));

    /// <summary>At least <paramref name="low"/>.</summary>
    public static Tensor AtLeast(this Tensor a, double low) => With(low, a, static (a, s) => a.clamp_min(s));

    /// <summary>log(1 + eᵃ).</summary>
    public static Tensor Softplus(this Tensor a) => logaddexp(a, zeros_like(a));

    /// <summary>a where positive, otherwise slope·a.</summary>
    public static Tensor LeakyRelu(this Tensor a, double slope) => With(slope, a, static (a, s) => a.leaky_relu(s));

    /// <summary>a where positive, otherwise eᵃ − 1.</summary>
    public static Tensor Elu(this Tensor a) => a.elu(One, One, One);

    /// <summary>a += b.</summary>
    public static Tensor Add(this Tensor a, Tensor b) => a.add_(b, One);

    /// <summary>a += factor·b.</summary>
    public static Tensor Add(this Tensor a, Tensor b, double factor) =>
        With(factor, (a, b), static (t, s) => t.a.add_(t.b, s));

    /// <summary>a += number.</summary>
    public static Tensor Add(this Tensor a, double number) => With(number, a, static (a, s) => a.add_(s, One));

    /// <summary>a *= number.</summary>
    public static Tensor Scale(this Tensor a, double number) => With(number, a, static (a, s) => a.mul_(s));

    /// <summary>Sets all elements.</summary>
    public static Tensor Fill(this Tensor a, double number) => With(number, a, static (a, s) => a.fill_(s));

    /// <summary>a += factor·b·c.</summary>
    public static Tensor AddProduct(this Tensor a, Tensor b, Tensor c, double factor) =>
        With(factor, (a, b, c), static (t, s) => t.a.addcmul_(t.b, t.c, s));

    /// <summary>a += factor·b / c.</summary>
    public static Tensor AddQuotient(this Tensor a, Tensor b, Tensor c, double factor) =>
        With(factor, (a, b, c), static (t, s) => t.a.addcdiv_(t.b, t.c, s));

    // The number lives until the call has returned.
    private static Tensor With<T>(double number, T tensors, Func<T, Scalar, Tensor> call)
    {
        using Scalar scalar = number.ToScalar();
        return call(tensors, scalar);
    }
}
