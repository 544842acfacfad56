using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace GenerativeML.Torch;

/// <summary>What each <see cref="Activation"/> computes, and its derivative, for training steps.</summary>
internal static unsafe class ActivationStep
{
    /// <summary>y = f(x).</summary>
    /// <param name="activation">f.</param>
    /// <param name="x">The numbers.</param>
    /// <param name="y">As many: overwritten; may be <paramref name="x"/>.</param>
    /// <param name="count">How many.</param>
    public static void Forward(Activation activation, float* x, float* y, int count) =>
        Choose(activation, x, y, null, count);

    /// <summary>From a loss's gradient by f(x) to the one by x.</summary>
    /// <param name="activation">f.</param>
    /// <param name="x">The numbers.</param>
    /// <param name="slopes">The gradient by f(x), replaced by the one by x.</param>
    /// <param name="count">How many.</param>
    public static void Back(Activation activation, float* x, float* slopes, int count) =>
        Choose(activation, x, null, slopes, count);

    private static void Choose(Activation activation, float* x, float* y, float* slopes, int count)
    {
        switch (activation)
        {
            case Activation.Relu: Run<Relu>(x, y, slopes, count); break;
            case Activation.LeakyRelu: Run<LeakyRelu>(x, y, slopes, count); break;
            case Activation.Elu: Run<Elu>(x, y, slopes, count); break;
            case Activation.Gelu: Run<GaussianErrorUnit.ErfForm>(x, y, slopes, count); break;
            case Activation.Silu: Run<Silu>(x, y, slopes, count); break;
            case Activation.Tanh: Run<Tanh>(x, y, slopes, count); break;
            case Activation.Sigmoid: Run<Sigmoid>(x, y, slopes, count); break;
            case Activation.Identity when y == null || x == y: break;
            case Activation.Identity: new ReadOnlySpan<float>(x, count).CopyTo(new Span<float>(y, count)); break;
            default: throw new ArgumentOutOfRangeException(nameof(activation), activation, null);
        }
    }

    private static void Run<TFunction>(float* x, float* y, float* slopes, int count)
        where TFunction : struct, IDifferentiable
    {
        if (Avx512F.IsSupported)
            Run<TFunction, Lanes512, Vector512<float>>(x, y, slopes, count);
        else if (Vector256.IsHardwareAccelerated)
            Run<TFunction, Lanes256, Vector256<float>>(x, y, slopes, count);
        else
            Run<TFunction, Lanes128, Vector128<float>>(x, y, slopes, count);
    }

    private static void Run<TFunction, TLanes, TVector>(float* x, float* y, float* slopes, int count)
        where TFunction : struct, IDifferentiable
        where TLanes : struct, ILanes<TVector>
        where TVector : struct
    {
        int i = 0;
        for (; i <= count - TLanes.Count; i += TLanes.Count)
        {
            TVector value = TFunction.Compute<TLanes, TVector>(TLanes.Load(x + i), out TVector slope);
            if (slopes == null)
                TLanes.Store(value, y + i);
            else
                TLanes.Store(TLanes.Multiply(TLanes.Load(slopes + i), slope), slopes + i);
        }
        float* one = stackalloc float[TLanes.Count];
        for (; i < count; i++)
        {
            TVector value = TFunction.Compute<TLanes, TVector>(TLanes.All(x[i]), out TVector slope);
            TLanes.Store(slopes == null ? value : slope, one);
            if (slopes == null)
                y[i] = one[0];
            else
                slopes[i] *= one[0];
        }
    }

    // As in torch, the derivative at 0 is the one below it.
    private readonly struct Relu : IDifferentiable
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static TVector Compute<TLanes, TVector>(TVector x, out TVector slope)
            where TLanes : struct, ILanes<TVector>
            where TVector : struct
        {
            TVector zero = TLanes.All(0f);
            slope = TLanes.Select(zero, x, zero, TLanes.All(1f));
            return TLanes.Max(x, zero);
        }
    }

    private readonly struct LeakyRelu : IDifferentiable
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static TVector Compute<TLanes, TVector>(TVector x, out TVector slope)
            where TLanes : struct, ILanes<TVector>
            where TVector : struct
        {
            slope = TLanes.Select(TLanes.All(0f), x, TLanes.All(0.01f), TLanes.All(1f));
            return TLanes.Multiply(x, slope);
        }
    }

    private readonly struct Elu : IDifferentiable
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static TVector Compute<TLanes, TVector>(TVector x, out TVector slope)
            where TLanes : struct, ILanes<TVector>
            where TVector : struct
        {
            TVector zero = TLanes.All(0f), one = TLanes.All(1f);
            TVector power = Exponential.Of<TLanes, TVector>(TLanes.Min(x, zero));
            slope = power; // 1 from 0 on
            return TLanes.Select(x, zero, x, TLanes.Subtract(power, one));
        }
    }

    private readonly struct Silu : IDifferentiable
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static TVector Compute<TLanes, TVector>(TVector x, out TVector slope)
            where TLanes : struct, ILanes<TVector>
            where TVector : struct
        {
            TVector share = Logistic<TLanes, TVector>(x), value = TLanes.Multiply(x, share);
            slope = TLanes.MultiplyAdd(value, TLanes.Subtract(TLanes.All(1f), share), share);
            return value;
        }
    }

    private readonly struct Sigmoid : IDifferentiable
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static TVector Compute<TLanes, TVector>(TVector x, out TVector slope)
            where TLanes : struct, ILanes<TVector>
            where TVector : struct
        {
            TVector share = Logistic<TLanes, TVector>(x);
            slope = TLanes.Multiply(share, TLanes.Subtract(TLanes.All(1f), share));
            return share;
        }
    }

    // tanh x = 2σ(2x) − 1.
    private readonly struct Tanh : IDifferentiable
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static TVector Compute<TLanes, TVector>(TVector x, out TVector slope)
            where TLanes : struct, ILanes<TVector>
            where TVector : struct
        {
            TVector share = Logistic<TLanes, TVector>(TLanes.Add(x, x));
            slope = TLanes.Multiply(
                TLanes.All(4f), TLanes.Multiply(share, TLanes.Subtract(TLanes.All(1f), share)));
            return TLanes.Subtract(TLanes.Add(share, share), TLanes.All(1f));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TVector Logistic<TLanes, TVector>(TVector x)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct
    {
        TVector one = TLanes.All(1f);
        TVector power = Exponential.Of<TLanes, TVector>(TLanes.Subtract(TLanes.All(0f), x));
        return TLanes.Divide(one, TLanes.Add(one, power));
    }
}

/// <summary>A function of one number, with its derivative.</summary>
internal interface IDifferentiable
{
    /// <summary>f(x) and f′(x), lane by lane.</summary>
    static abstract TVector Compute<TLanes, TVector>(TVector x, out TVector slope)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct;
}
