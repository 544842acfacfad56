using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace GenerativeML;

/// <summary>Layer normalisation (Ba 2016): a row has mean 0 and variance 1, then a gain and a bias.</summary>
internal static unsafe class LayerNormalization
{
    /// <summary>y = (x − mean) / √(variance + ε) · gain + bias; the variance is the population's.</summary>
    /// <param name="x">(width).</param>
    /// <param name="gain">(width).</param>
    /// <param name="bias">(width), or empty for none.</param>
    /// <param name="epsilon">ε.</param>
    /// <param name="y">(width): overwritten; may be <paramref name="x"/>.</param>
    /// <returns>The mean, and 1 / √(variance + ε).</returns>
    public static (float Mean, float Scale) Apply(
        ReadOnlySpan<float> x, ReadOnlySpan<float> gain, ReadOnlySpan<float> bias, float epsilon, Span<float> y)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(Math.Min(gain.Length, y.Length), x.Length);
        fixed (float* from = x, gains = gain, biases = bias, to = y)
        {
            return Avx512F.IsSupported
                ? Apply<Lanes512, Vector512<float>>(from, x.Length, gains, biases, epsilon, to)
                : Vector256.IsHardwareAccelerated
                ? Apply<Lanes256, Vector256<float>>(from, x.Length, gains, biases, epsilon, to)
                : Apply<Lanes128, Vector128<float>>(from, x.Length, gains, biases, epsilon, to);
        }
    }

    /// <summary>The way back: from a loss's gradient by y to those by x, gain and bias, which are added to.</summary>
    /// <param name="x">(width).</param>
    /// <param name="mean">What <see cref="Apply"/> gave.</param>
    /// <param name="scale">What <see cref="Apply"/> gave.</param>
    /// <param name="gain">(width).</param>
    /// <param name="slope">(width): the gradient by y.</param>
    /// <param name="xSlope">(width): the gradient by x is added.</param>
    /// <param name="gainSlope">(width): the gradient by the gain is added.</param>
    /// <param name="biasSlope">(width): the gradient by the bias is added; empty for none.</param>
    public static void Back(
        ReadOnlySpan<float> x, float mean, float scale, ReadOnlySpan<float> gain, ReadOnlySpan<float> slope,
        Span<float> xSlope, Span<float> gainSlope, Span<float> biasSlope)
    {
        int least = Math.Min(Math.Min(gain.Length, slope.Length), Math.Min(xSlope.Length, gainSlope.Length));
        ArgumentOutOfRangeException.ThrowIfLessThan(least, x.Length);
        fixed (float* from = x, gains = gain, slopes = slope, to = xSlope, gainTo = gainSlope)
        {
            if (Avx512F.IsSupported)
                Back<Lanes512, Vector512<float>>(from, x.Length, mean, scale, gains, slopes, to, gainTo);
            else if (Vector256.IsHardwareAccelerated)
                Back<Lanes256, Vector256<float>>(from, x.Length, mean, scale, gains, slopes, to, gainTo);
            else
                Back<Lanes128, Vector128<float>>(from, x.Length, mean, scale, gains, slopes, to, gainTo);
        }
        if (!biasSlope.IsEmpty)
            VectorSum.AddTo(biasSlope, slope);
    }

    private static (float Mean, float Scale) Apply<TLanes, TVector>(
        float* x, int width, float* gain, float* bias, float epsilon, float* y)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct
    {
        int whole = width - width % TLanes.Count;
        TVector sums = TLanes.All(0f);
        for (int i = 0; i < whole; i += TLanes.Count)
            sums = TLanes.Add(sums, TLanes.Load(x + i));
        float sum = TLanes.Sum(sums);
        for (int i = whole; i < width; i++)
            sum += x[i];
        float mean = sum / width;

        sums = TLanes.All(0f);
        for (int i = 0; i < whole; i += TLanes.Count)
        {
            TVector centered = TLanes.Subtract(TLanes.Load(x + i), TLanes.All(mean));
            sums = TLanes.MultiplyAdd(centered, centered, sums);
        }
        float squares = TLanes.Sum(sums);
        for (int i = whole; i < width; i++)
            squares += (x[i] - mean) * (x[i] - mean);
        float scale = 1 / MathF.Sqrt(squares / width + epsilon);

        for (int i = 0; i < whole; i += TLanes.Count)
        {
            TVector scaled = TLanes.Multiply(Normal<TLanes, TVector>(x + i, mean, scale), TLanes.Load(gain + i));
            TLanes.Store(bias == null ? scaled : TLanes.Add(scaled, TLanes.Load(bias + i)), y + i);
        }
        for (int i = whole; i < width; i++)
        {
            float scaled = (x[i] - mean) * scale * gain[i];
            y[i] = bias == null ? scaled : scaled + bias[i];
        }
        return (mean, scale);
    }

    private static void Back<TLanes, TVector>(
        float* x, int width, float mean, float scale, float* gain, float* slope, float* xSlope, float* gainSlope)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct
    {
        int whole = width - width % TLanes.Count;
        TVector sums = TLanes.All(0f), products = TLanes.All(0f);
        for (int i = 0; i < whole; i += TLanes.Count)
        {
            TVector normal = Normal<TLanes, TVector>(x + i, mean, scale), dy = TLanes.Load(slope + i);
            TVector dn = TLanes.Multiply(dy, TLanes.Load(gain + i));
            sums = TLanes.Add(sums, dn);
            products = TLanes.MultiplyAdd(dn, normal, products);
            TLanes.Store(TLanes.MultiplyAdd(dy, normal, TLanes.Load(gainSlope + i)), gainSlope + i);
        }
        float sum = TLanes.Sum(sums), product = TLanes.Sum(products);
        for (int i = whole; i < width; i++)
        {
            float normal = (x[i] - mean) * scale;
            sum += slope[i] * gain[i];
            product += slope[i] * gain[i] * normal;
            gainSlope[i] += slope[i] * normal;
        }

        // Neither moving x as a whole nor stretching it would change y.
        float constant = sum / width, stretch = product / width;
        for (int i = 0; i < whole; i += TLanes.Count)
        {
            TVector normal = Normal<TLanes, TVector>(x + i, mean, scale);
            TVector dn = TLanes.Multiply(TLanes.Load(slope + i), TLanes.Load(gain + i));
            TVector free = TLanes.Subtract(
                TLanes.Subtract(dn, TLanes.All(constant)), TLanes.Multiply(normal, TLanes.All(stretch)));
            TLanes.Store(TLanes.MultiplyAdd(free, TLanes.All(scale), TLanes.Load(xSlope + i)), xSlope + i);
        }
        for (int i = whole; i < width; i++)
        {
            float normal = (x[i] - mean) * scale;
            xSlope[i] += (slope[i] * gain[i] - constant - normal * stretch) * scale;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TVector Normal<TLanes, TVector>(float* x, float mean, float scale)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct =>
        TLanes.Multiply(TLanes.Subtract(TLanes.Load(x), TLanes.All(mean)), TLanes.All(scale));
}
