using System.Numerics;
using System.Runtime.InteropServices;

namespace GenerativeML;

/// <summary>What <see cref="RobustScale"/> does to tensors, for rows in managed memory.</summary>
internal sealed class RowScale
{
    private readonly float[] _mean, _scale, _deviation; // (stride), zero behind the slots

    /// <param name="mean">The mean of each slot.</param>
    /// <param name="scale">One over its deviation; zero where it is constant.</param>
    public RowScale(ReadOnlySpan<float> mean, ReadOnlySpan<float> scale)
    {
        Width = mean.Length;
        Stride = VectorMatrix.PadToLanes(Width);
        _mean = new float[Stride];
        _scale = new float[Stride];
        _deviation = new float[Stride];
        mean.CopyTo(_mean);
        scale.CopyTo(_scale);
        for (int i = 0; i < Width; i++)
            _deviation[i] = scale[i] > 0 ? 1 / scale[i] : 0;
    }

    /// <summary>Slots of a row.</summary>
    public int Width { get; }

    /// <summary>Slots of a standardised row, with zeros up to whole vectors.</summary>
    public int Stride { get; }

    /// <summary>A row in the units of the data → the standardised row.</summary>
    /// <param name="row">(<see cref="Width"/>).</param>
    /// <param name="z">(<see cref="Stride"/>).</param>
    public void Apply(ReadOnlySpan<float> row, Span<float> z)
    {
        if (row.Length != Width || z.Length != Stride)
            throw new ArgumentException($"{row.Length} slots and {z.Length} do not fit {Width} and {Stride}.");
        int lanes = Vector<float>.Count, whole = Width - Width % lanes;
        if (whole < Stride)
        {
            row[whole..].CopyTo(z[whole..]);
            z[Width..].Clear();
        }
        ref float from = ref MemoryMarshal.GetReference(row), to = ref MemoryMarshal.GetReference(z);
        ref float mean = ref MemoryMarshal.GetArrayDataReference(_mean);
        ref float scale = ref MemoryMarshal.GetArrayDataReference(_scale);
        Vector<float> limit = new(RobustScale.Limit), linear = new(RobustScale.Linear);
        for (int at = 0; at < Stride; at += lanes)
        {
            nuint i = (nuint)at;
            Vector<float> value = at < whole ? Vector.LoadUnsafe(ref from, i) : Vector.LoadUnsafe(ref to, i);
            Vector<float> x = Clamp(value - Vector.LoadUnsafe(ref mean, i), limit);
            x = Clamp(x * Vector.LoadUnsafe(ref scale, i), limit);
            Clamp(x, linear).StoreUnsafe(ref to, i);
            if (Vector.GreaterThanAny(Vector.Abs(x), linear))
                AddBeyond(x, z.Slice(at, lanes));
        }
    }

    /// <summary>What lies beyond the linear range counts by its logarithm.</summary>
    private static void AddBeyond(Vector<float> x, Span<float> z)
    {
        for (int i = 0; i < z.Length; i++)
        {
            float beyond = MathF.Abs(x[i]) - RobustScale.Linear;
            if (beyond > 0)
                z[i] += MathF.CopySign((float)Math.Log(1 + (double)beyond), x[i]);
        }
    }

    /// <summary>A standardised row → the row in the units of the data.</summary>
    /// <param name="z">At least <see cref="Width"/> slots.</param>
    /// <param name="row">(<see cref="Width"/>).</param>
    public void Undo(ReadOnlySpan<float> z, Span<float> row)
    {
        for (int i = 0; i < row.Length; i++)
        {
            float x = Math.Clamp(z[i], -RobustScale.Linear, RobustScale.Linear);
            float beyond = Math.Min(MathF.Abs(z[i]) - RobustScale.Linear, RobustScale.MostBeyond);
            if (beyond > 0)
                x += MathF.CopySign((float)(Math.Exp(beyond) - 1), z[i]);
            row[i] = x * _deviation[i] + _mean[i];
        }
    }

    private static Vector<float> Clamp(Vector<float> x, Vector<float> limit) =>
        Vector.MinNative(limit, Vector.MaxNative(-limit, x));
}
