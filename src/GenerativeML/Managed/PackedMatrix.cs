namespace GenerativeML;

/// <summary>
/// A layer's weights (outputs, inputs), laid out for <see cref="VectorMatrix"/>: panels of neighbouring outputs, and in
/// a panel, input by input, the weights of its outputs side by side. The last panel is filled up with zeros.
/// </summary>
internal sealed class PackedMatrix
{
    private readonly AlignedBuffer<float>? _singles;
    private readonly AlignedBuffer<ushort>? _halves;

    /// <param name="outputs">Numbers that come out.</param>
    /// <param name="inputs">Numbers that go in.</param>
    /// <param name="bfloat16">Keep the upper halves only, rounded: half the memory, 8 bits of precision.</param>
    public PackedMatrix(int outputs, int inputs, bool bfloat16 = false)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(outputs, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(inputs, 1);
        Outputs = outputs;
        Inputs = inputs;
        PaddedOutputs = Pad(outputs);
        int length = checked(PaddedOutputs * inputs);
        if (bfloat16)
            _halves = new(length);
        else
            _singles = new(length);
    }

    /// <summary>Numbers that come out.</summary>
    public int Outputs { get; }

    /// <summary>Numbers that go in.</summary>
    public int Inputs { get; }

    /// <summary>Numbers that are computed: <see cref="Outputs"/> and zeros up to whole panels.</summary>
    public int PaddedOutputs { get; }

    /// <summary>The next whole number of panels, in outputs.</summary>
    public static int Pad(int outputs) =>
        checked((outputs + VectorMatrix.TileWidth - 1) / VectorMatrix.TileWidth * VectorMatrix.TileWidth);

    /// <summary>Takes the weights of neighbouring outputs.</summary>
    /// <param name="first">The first output.</param>
    /// <param name="weights">(outputs × inputs).</param>
    public void SetRows(int first, ReadOnlySpan<float> weights)
    {
        for (int at = 0, output = first; at < weights.Length; at += Inputs, output++)
        {
            ReadOnlySpan<float> row = weights.Slice(at, Inputs);
            if (_halves is null)
            {
                Span<float> to = _singles!.Span[Position(output)..];
                for (int i = 0; i < row.Length; i++)
                    to[i * VectorMatrix.TileWidth] = row[i];
            }
            else
            {
                Span<ushort> to = _halves.Span[Position(output)..];
                for (int i = 0; i < row.Length; i++)
                    to[i * VectorMatrix.TileWidth] = BFloat16Bits.Round(row[i]);
            }
        }
    }

    /// <summary>Reads the weights of one output.</summary>
    /// <param name="output">Which.</param>
    /// <param name="row">(inputs).</param>
    public void GetRow(int output, Span<float> row)
    {
        if (_halves is null)
        {
            ReadOnlySpan<float> from = _singles!.Span[Position(output)..];
            for (int i = 0; i < Inputs; i++)
                row[i] = from[i * VectorMatrix.TileWidth];
        }
        else
        {
            ReadOnlySpan<ushort> from = _halves.Span[Position(output)..];
            for (int i = 0; i < Inputs; i++)
                row[i] = BFloat16Bits.Widen(from[i * VectorMatrix.TileWidth]);
        }
    }

    /// <summary>y = x·Wᵀ, in the padded width.</summary>
    /// <param name="x">(rows × <paramref name="xStride"/>), of which the first columns are the inputs.</param>
    /// <param name="xStride">From one row of x to the next.</param>
    /// <param name="rows">How many.</param>
    /// <param name="y">(rows × <see cref="PaddedOutputs"/>): overwritten.</param>
    /// <param name="threads">The most threads to use; they do not change the result.</param>
    public void Multiply(ReadOnlyMemory<float> x, int xStride, int rows, Memory<float> y, int threads)
    {
        int panels = PaddedOutputs / VectorMatrix.TileWidth;
        int parts = Parallelism.Parts(panels, (long)rows * Inputs * VectorMatrix.TileWidth, threads);
        if (parts == 1)
            Panels(x.Span, xStride, rows, y.Span, 0, panels);
        else
            MultiplyInParts(x, xStride, rows, y, parts);
    }

    // Apart, for what a lambda captures is allocated wherever it stands.
    private void MultiplyInParts(ReadOnlyMemory<float> x, int xStride, int rows, Memory<float> y, int parts) =>
        Parallelism.For(
            PaddedOutputs / VectorMatrix.TileWidth, parts,
            (first, end) => Panels(x.Span, xStride, rows, y.Span, first, end));

    private void Panels(ReadOnlySpan<float> x, int xStride, int rows, Span<float> y, int first, int end)
    {
        for (int panel = first; panel < end; panel++)
        {
            if (_halves is null)
                Panel<float>(_singles!.Span, x, xStride, rows, y, panel);
            else
                Panel<ushort>(_halves.Span, x, xStride, rows, y, panel);
        }
    }

    private void Panel<TWeight>(
        ReadOnlySpan<TWeight> weights, ReadOnlySpan<float> x, int xStride, int rows, Span<float> y, int panel)
        where TWeight : unmanaged
    {
        int width = VectorMatrix.TileWidth;
        VectorMatrix.Multiply(
            x, xStride, Inputs, rows, weights.Slice(panel * width * Inputs, width * Inputs), width, width,
            y[(panel * width)..], PaddedOutputs);
    }

    private int Position(int output)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(output);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(output, Outputs);
        (int panel, int lane) = Math.DivRem(output, VectorMatrix.TileWidth);
        return panel * VectorMatrix.TileWidth * Inputs + lane;
    }
}
