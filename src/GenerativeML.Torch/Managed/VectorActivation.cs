using System.Numerics;
using System.Runtime.InteropServices;

namespace GenerativeML.Torch;

/// <summary>The non-linearities of layers, over vectors.</summary>
internal static class VectorActivation
{
    /// <summary>y = f(y + b), for rows of the same width.</summary>
    /// <param name="activation">f.</param>
    /// <param name="y">(rows × width): replaced by the result.</param>
    /// <param name="bias">(width), a multiple of <see cref="Vector{T}.Count"/>.</param>
    public static void Apply(Activation activation, Span<float> y, ReadOnlySpan<float> bias)
    {
        switch (activation)
        {
            case Activation.Relu: Rows<Relu>(y, bias); break;
            case Activation.LeakyRelu: Rows<LeakyRelu>(y, bias); break;
            case Activation.Elu: Rows<Elu>(y, bias); break;
            case Activation.Gelu: Rows<Gelu>(y, bias); break;
            case Activation.Silu: Rows<Silu>(y, bias); break;
            case Activation.Tanh: Rows<Tanh>(y, bias); break;
            case Activation.Sigmoid: Rows<Sigmoid>(y, bias); break;
            case Activation.Identity: Rows<Identity>(y, bias); break;
            default: throw new ArgumentOutOfRangeException(nameof(activation), activation, null);
        }
    }

    private static void Rows<TFunction>(Span<float> y, ReadOnlySpan<float> bias)
        where TFunction : struct, IFunction
    {
        ReadOnlySpan<Vector<float>> b = MemoryMarshal.Cast<float, Vector<float>>(bias);
        for (Span<float> rest = y; rest.Length > 0; rest = rest[bias.Length..])
        {
            Span<Vector<float>> row = MemoryMarshal.Cast<float, Vector<float>>(rest[..bias.Length]);
            for (int i = 0; i < row.Length; i++)
                row[i] = TFunction.Compute(row[i] + b[i]);
        }
    }

    private interface IFunction
    {
        static abstract Vector<float> Compute(Vector<float> x);
    }

    private readonly struct Identity : IFunction
    {
        public static Vector<float> Compute(Vector<float> x) => x;
    }

    private readonly struct Relu : IFunction
    {
        public static Vector<float> Compute(Vector<float> x) => Vector.Max(x, Vector<float>.Zero);
    }

    private readonly struct LeakyRelu : IFunction
    {
        public static Vector<float> Compute(Vector<float> x) => Vector.Max(x, x * 0.01f);
    }

    private readonly struct Elu : IFunction
    {
        public static Vector<float> Compute(Vector<float> x)
        {
            Vector<float> below = VectorExp.Compute(Vector.Min(x, Vector<float>.Zero)) - Vector<float>.One;
            return Vector.ConditionalSelect(Vector.GreaterThan(x, Vector<float>.Zero), x, below);
        }
    }

    private readonly struct Gelu : IFunction
    {
        public static Vector<float> Compute(Vector<float> x) => GaussianErrorUnit.Erf(x);
    }

    private readonly struct Silu : IFunction
    {
        public static Vector<float> Compute(Vector<float> x) => x / (Vector<float>.One + VectorExp.Compute(-x));
    }

    private readonly struct Sigmoid : IFunction
    {
        public static Vector<float> Compute(Vector<float> x) =>
            Vector<float>.One / (Vector<float>.One + VectorExp.Compute(-x));
    }

    // tanh x = 1 − 2 / (1 + e^2x).
    private readonly struct Tanh : IFunction
    {
        public static Vector<float> Compute(Vector<float> x) =>
            Vector<float>.One - new Vector<float>(2) / (Vector<float>.One + VectorExp.Compute(x + x));
    }
}
