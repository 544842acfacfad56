using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace GenerativeML.Torch;

/// <summary>The non-linearities of layers, over vectors.</summary>
internal static unsafe class VectorActivation
{
    /// <summary>y = f(y + b), for rows of the same width.</summary>
    /// <param name="activation">f.</param>
    /// <param name="y">(rows × width): replaced by the result.</param>
    /// <param name="bias">(width), a multiple of <see cref="VectorMatrix.Lanes"/>.</param>
    public static void Apply(Activation activation, Span<float> y, ReadOnlySpan<float> bias)
    {
        switch (activation)
        {
            case Activation.Relu: Rows<Relu>(y, bias); break;
            case Activation.LeakyRelu: Rows<LeakyRelu>(y, bias); break;
            case Activation.Elu: Rows<Elu>(y, bias); break;
            case Activation.Silu: Rows<Silu>(y, bias); break;
            case Activation.Tanh: Rows<Tanh>(y, bias); break;
            case Activation.Sigmoid: Rows<Sigmoid>(y, bias); break;
            case Activation.Identity: Rows<Identity>(y, bias); break;
            case Activation.Gelu:
                Rows<Identity>(y, bias);
                GaussianErrorUnit.ApplyErf(y);
                break;
            default: throw new ArgumentOutOfRangeException(nameof(activation), activation, null);
        }
    }

    private static void Rows<TFunction>(Span<float> y, ReadOnlySpan<float> bias)
        where TFunction : struct, IFunction
    {
        // The loops write without further checks.
        if (bias.Length % VectorMatrix.Lanes != 0 || y.Length % bias.Length != 0)
            throw new ArgumentException($"{y.Length} numbers are no rows of {bias.Length} in whole vectors.");
        fixed (float* to = y, add = bias)
        {
            if (Avx512F.IsSupported)
                Rows<TFunction, Lanes512, Vector512<float>>(to, add, y.Length, bias.Length);
            else if (Vector256.IsHardwareAccelerated)
                Rows<TFunction, Lanes256, Vector256<float>>(to, add, y.Length, bias.Length);
            else
                Rows<TFunction, Lanes128, Vector128<float>>(to, add, y.Length, bias.Length);
        }
    }

    private static void Rows<TFunction, TLanes, TVector>(float* y, float* bias, int length, int width)
        where TFunction : struct, IFunction
        where TLanes : struct, ILanes<TVector>
        where TVector : struct
    {
        for (float* end = y + length; y < end; y += width)
        {
            for (int i = 0; i < width; i += TLanes.Count)
            {
                TVector x = TLanes.Add(TLanes.Load(y + i), TLanes.Load(bias + i));
                TLanes.Store(TFunction.Compute<TLanes, TVector>(x), y + i);
            }
        }
    }

    private interface IFunction
    {
        static abstract TVector Compute<TLanes, TVector>(TVector x)
            where TLanes : struct, ILanes<TVector>
            where TVector : struct;
    }

    private readonly struct Identity : IFunction
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static TVector Compute<TLanes, TVector>(TVector x)
            where TLanes : struct, ILanes<TVector>
            where TVector : struct => x;
    }

    private readonly struct Relu : IFunction
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static TVector Compute<TLanes, TVector>(TVector x)
            where TLanes : struct, ILanes<TVector>
            where TVector : struct => TLanes.Max(TLanes.All(0f), x);
    }

    private readonly struct LeakyRelu : IFunction
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static TVector Compute<TLanes, TVector>(TVector x)
            where TLanes : struct, ILanes<TVector>
            where TVector : struct => TLanes.Max(TLanes.Multiply(x, TLanes.All(0.01f)), x);
    }

    private readonly struct Elu : IFunction
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static TVector Compute<TLanes, TVector>(TVector x)
            where TLanes : struct, ILanes<TVector>
            where TVector : struct
        {
            TVector zero = TLanes.All(0f), power = Exponential.Of<TLanes, TVector>(TLanes.Min(zero, x));
            return TLanes.Select(x, zero, x, TLanes.Subtract(power, TLanes.All(1f)));
        }
    }

    private readonly struct Silu : IFunction
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static TVector Compute<TLanes, TVector>(TVector x)
            where TLanes : struct, ILanes<TVector>
            where TVector : struct => TLanes.Divide(x, OneAndPower<TLanes, TVector>(x, -1));
    }

    private readonly struct Sigmoid : IFunction
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static TVector Compute<TLanes, TVector>(TVector x)
            where TLanes : struct, ILanes<TVector>
            where TVector : struct => TLanes.Divide(TLanes.All(1f), OneAndPower<TLanes, TVector>(x, -1));
    }

    // tanh x = 1 − 2 / (1 + e^2x).
    private readonly struct Tanh : IFunction
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static TVector Compute<TLanes, TVector>(TVector x)
            where TLanes : struct, ILanes<TVector>
            where TVector : struct =>
            TLanes.Subtract(TLanes.All(1f), TLanes.Divide(TLanes.All(2f), OneAndPower<TLanes, TVector>(x, 2)));
    }

    /// <summary>1 + e^(factor·x).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TVector OneAndPower<TLanes, TVector>(TVector x, float factor)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct =>
        TLanes.Add(TLanes.All(1f), Exponential.Of<TLanes, TVector>(TLanes.Multiply(x, TLanes.All(factor))));
}
