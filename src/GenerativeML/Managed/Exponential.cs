using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace GenerativeML;

/// <summary>eˣ in Single, to two units in the last place; the framework's goes through Double.</summary>
internal static class Exponential
{
    // Beyond these the result is not a normal number: it becomes zero and infinity.
    private const float Least = -87.33654f, Most = 88.72283f;

    /// <summary>eˣ, lane by lane.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Of<TLanes, TVector>(TVector x)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct
    {
        // x = n·ln 2 + r: eˣ = 2ⁿ·eʳ, and r is at most ln 2 / 2. ln 2 comes in two parts, the first without rounding.
        TVector n = TLanes.Round(TLanes.Multiply(x, TLanes.All(1.44269504f)));
        n = TLanes.Max(TLanes.Min(n, TLanes.All(127f)), TLanes.All(-126f));
        TVector r = TLanes.MultiplyAdd(n, TLanes.All(-0.693359375f), x);
        r = TLanes.MultiplyAdd(n, TLanes.All(2.12194440e-4f), r);
        // The first terms of the series, the last ones adjusted to the interval.
        TVector p = TLanes.All(1.9875691e-4f);
        p = TLanes.MultiplyAdd(p, r, TLanes.All(1.3981999e-3f));
        p = TLanes.MultiplyAdd(p, r, TLanes.All(8.3334519e-3f));
        p = TLanes.MultiplyAdd(p, r, TLanes.All(4.1665796e-2f));
        p = TLanes.MultiplyAdd(p, r, TLanes.All(1.6666665e-1f));
        p = TLanes.MultiplyAdd(p, r, TLanes.All(0.5f));
        p = TLanes.MultiplyAdd(TLanes.Multiply(r, r), p, TLanes.Add(r, TLanes.All(1f)));
        TVector result = TLanes.Multiply(p, TLanes.PowerOfTwo(n));
        result = TLanes.Select(x, TLanes.All(Most), TLanes.All(float.PositiveInfinity), result);
        // What is no number is not below any either: its result is none, by the sum above.
        return TLanes.Select(TLanes.All(Least), x, TLanes.All(0f), result);
    }

    /// <summary>eˣ, lane by lane, of the framework's vectors.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<float> Of(Vector<float> x)
    {
        if (Vector<float>.Count == Lanes512.Count)
            return Of<Lanes512, Vector512<float>>(x.AsVector512()).AsVector();
        return Vector<float>.Count == Lanes256.Count
            ? Of<Lanes256, Vector256<float>>(x.AsVector256()).AsVector()
            : Of<Lanes128, Vector128<float>>(x.AsVector128()).AsVector();
    }
}
