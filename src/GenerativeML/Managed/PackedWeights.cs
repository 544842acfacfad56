namespace GenerativeML;

/// <summary>
/// A layer's weights (outputs, inputs), packed for products with rows, few or many. A row gets the same bits alone and
/// among others.
/// </summary>
internal sealed unsafe class PackedWeights
{
    private const int FewRows = 4;

    private readonly AlignedBuffer<float> _packed;

    /// <param name="weights">(outputs × inputs).</param>
    /// <param name="outputs">Numbers that come out.</param>
    public PackedWeights(ReadOnlySpan<float> weights, int outputs)
    {
        Inputs = weights.Length / outputs;
        PaddedOutputs = VectorMatrix.PadToLanes(outputs);
        _packed = new(checked((int)PackedFactor.Length(Inputs, outputs)));
        fixed (float* from = weights, to = _packed.Span)
            PackedFactor.PackTransposed(from, Inputs, Inputs, outputs, to);
    }

    /// <summary>Numbers that go in.</summary>
    public int Inputs { get; }

    /// <summary>Numbers that are computed: outputs, and zeros up to whole vectors.</summary>
    public int PaddedOutputs { get; }

    /// <summary>y = x·Wᵀ, in the padded width, on this thread.</summary>
    /// <param name="x">(rows × <paramref name="xStride"/>), of which the first columns are the inputs.</param>
    /// <param name="xStride">From one row of x to the next.</param>
    /// <param name="rows">How many.</param>
    /// <param name="y">(rows × <see cref="PaddedOutputs"/>): overwritten.</param>
    public void Multiply(ReadOnlySpan<float> x, int xStride, int rows, Span<float> y)
    {
        // The kernels read and write without further checks.
        if (rows < 1 || Inputs > xStride || x.Length < (rows - 1L) * xStride + Inputs
            || y.Length < (long)rows * PaddedOutputs)
            throw new ArgumentException($"{rows} rows of {Inputs} inputs do not fit the spans.");
        int many = rows - rows % FewRows;
        fixed (float* from = x, weights = _packed.Span, to = y)
        {
            MatrixProduct.Multiply(
                from, xStride, 1, weights, PackedFactor.Panel(Inputs), to, PaddedOutputs, many, PaddedOutputs, Inputs,
                add: false);
            for (int row = many; row < rows; row++)
            {
                RowProduct.Multiply(
                    from + (nint)row * xStride, weights, to + (nint)row * PaddedOutputs, PaddedOutputs, Inputs);
            }
        }
    }
}
