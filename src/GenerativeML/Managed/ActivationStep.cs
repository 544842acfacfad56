using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace GenerativeML;

/// <summary>What each <see cref="Activation"/> computes, and its derivative, for training steps.</summary>
internal static unsafe class ActivationStep
{
    /// <summary>y = f(x).</summary>
    /// <param name="activation">f.</param>
    /// <param name="x">The numbers.</param>
    /// <param name="y">As many: overwritten; may be <paramref name="x"/>.</param>
    /// <param name="count">How many.</param>
    public static void Forward(Activation activation, float* x, float* y, int count)
    {
        if (activation != Activation.Identity || x != y)
            Choose(activation, new Numbers(x, y, null, count));
    }

    /// <summary>y = f(y + b), for rows of the same width.</summary>
    /// <param name="activation">f.</param>
    /// <param name="y">(rows × width): replaced by the result.</param>
    /// <param name="bias">(width).</param>
    /// <param name="rows">How many rows.</param>
    /// <param name="width">Of a row; whole vectors.</param>
    public static void Forward(Activation activation, float* y, float* bias, int rows, int width) =>
        Choose(activation, new Rows(y, bias, rows, width));

    /// <summary>From a loss's gradient by f(x) to the one by x.</summary>
    /// <param name="activation">f.</param>
    /// <param name="x">The numbers.</param>
    /// <param name="slopes">The gradient by f(x), replaced by the one by x.</param>
    /// <param name="count">How many.</param>
    public static void Back(Activation activation, float* x, float* slopes, int count)
    {
        if (activation != Activation.Identity)
            Choose(activation, new Numbers(x, null, slopes, count));
    }

    private static void Choose<TUse>(Activation activation, TUse use)
        where TUse : struct, IFunctionUse
    {
        switch (activation)
        {
            case Activation.Relu: Run<TUse, Relu>(use); break;
            case Activation.LeakyRelu: Run<TUse, LeakyRelu>(use); break;
            case Activation.Elu: Run<TUse, Elu>(use); break;
            case Activation.Gelu: Run<TUse, GaussianErrorUnit.ErfForm>(use); break;
            case Activation.Silu: Run<TUse, Silu>(use); break;
            case Activation.Tanh: Run<TUse, Tanh>(use); break;
            case Activation.Sigmoid: Run<TUse, Sigmoid>(use); break;
            case Activation.Identity: Run<TUse, Identity>(use); break;
            default: throw new ArgumentOutOfRangeException(nameof(activation), activation, null);
        }
    }

    private static void Run<TUse, TFunction>(TUse use)
        where TUse : struct, IFunctionUse
        where TFunction : struct, IDifferentiable
    {
        if (Avx512F.IsSupported)
            use.Run<TFunction, Lanes512, Vector512<float>>();
        else if (Vector256.IsHardwareAccelerated)
            use.Run<TFunction, Lanes256, Vector256<float>>();
        else
            use.Run<TFunction, Lanes128, Vector128<float>>();
    }

    /// <summary>What a function is computed for.</summary>
    private interface IFunctionUse
    {
        void Run<TFunction, TLanes, TVector>()
            where TFunction : struct, IDifferentiable
            where TLanes : struct, ILanes<TVector>
            where TVector : struct;
    }

    /// <summary>Values of any count of numbers, or where there are slopes, those times the derivatives.</summary>
    private readonly struct Numbers(float* x, float* y, float* slopes, int count) : IFunctionUse
    {
        public void Run<TFunction, TLanes, TVector>()
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
    }

    /// <summary>Values of rows, with a bias added to each before.</summary>
    private readonly struct Rows(float* y, float* bias, int rows, int width) : IFunctionUse
    {
        public void Run<TFunction, TLanes, TVector>()
            where TFunction : struct, IDifferentiable
            where TLanes : struct, ILanes<TVector>
            where TVector : struct
        {
            float* row = y;
            for (int r = 0; r < rows; r++, row += width)
            {
                for (int i = 0; i < width; i += TLanes.Count)
                {
                    TVector x = TLanes.Add(TLanes.Load(row + i), TLanes.Load(bias + i));
                    TLanes.Store(TFunction.Compute<TLanes, TVector>(x, out _), row + i);
                }
            }
        }
    }

    private readonly struct Identity : IDifferentiable
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static TVector Compute<TLanes, TVector>(TVector x, out TVector slope)
            where TLanes : struct, ILanes<TVector>
            where TVector : struct
        {
            slope = TLanes.All(1f);
            return x;
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
