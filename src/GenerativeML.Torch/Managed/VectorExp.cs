using System.Numerics;
using System.Runtime.CompilerServices;

namespace GenerativeML.Torch;

/// <summary>The exponential of vectors, to about one unit in the last place, in a quarter of the library's time.</summary>
internal static class VectorExp
{
    private const float Least = -87.3f, Most = 88.3f; // what is beyond counts as these

    /// <summary>
    /// eˣ = 2ⁿ·eʳ with n the integer nearest to x/ln 2, so that |r| ≤ ln 2 / 2, where a polynomial of degree six is
    /// exact enough.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<float> Compute(Vector<float> x)
    {
        // With x as second argument, what is no number stays none.
        x = Vector.MinNative(new(Most), Vector.MaxNative(new(Least), x));
        Vector<float> n = Vector.Round(x * 1.44269504f);
        // ln 2 in two pieces: n times the first is exact.
        Vector<float> r = Vector.FusedMultiplyAdd(n, new(-0.693359375f), x);
        r = Vector.FusedMultiplyAdd(n, new(2.12194440e-4f), r);
        Vector<float> sum = new(1f / 720);
        sum = Vector.FusedMultiplyAdd(sum, r, new(1f / 120));
        sum = Vector.FusedMultiplyAdd(sum, r, new(1f / 24));
        sum = Vector.FusedMultiplyAdd(sum, r, new(1f / 6));
        sum = Vector.FusedMultiplyAdd(sum, r, new(0.5f));
        sum = Vector.FusedMultiplyAdd(sum, r, Vector<float>.One);
        sum = Vector.FusedMultiplyAdd(sum, r, Vector<float>.One);
        Vector<int> exponent = Vector.ConvertToInt32(n) + new Vector<int>(127);
        return sum * Vector.AsVectorSingle(Vector.ShiftLeft(exponent, 23));
    }
}
