namespace GenerativeML.Torch;

/// <summary>
/// Causal attention of one head over one sequence in a training step, forward and back; one for each thread. What the
/// backward pass needs of the weights is computed again: it would be the square of the context for each head.
/// </summary>
/// <param name="length">Tokens of a sequence, T.</param>
/// <param name="width">Slots of the head, D.</param>
/// <param name="stride">From one token's queries, keys and values to the next's, 3·C.</param>
internal sealed unsafe class GptAttentionStep(int length, int width, int stride)
{
    // So many tokens ask at a time; what lies behind the last of them is not computed.
    private const int Block = 48;

    private readonly float _scale = 1 / MathF.Sqrt(width);
    private readonly int _columns = VectorMatrix.PadToLanes(length); // of the weights: whole vectors
    private readonly AlignedBuffer<float> _weights = new(Math.Min(Block, length) * VectorMatrix.PadToLanes(length));
    private readonly AlignedBuffer<float> _slopes = new(Math.Min(Block, length) * VectorMatrix.PadToLanes(length));
    private readonly AlignedBuffer<float> _keys = new((int)PackedFactor.Length(width, length)); // transposed
    private readonly AlignedBuffer<float> _values = new(
        (int)Math.Max(PackedFactor.Length(length, width), PackedFactor.Length(width, length)));
    private readonly AlignedBuffer<float> _rows = new((int)PackedFactor.Length(length, width));
    private readonly AlignedBuffer<float> _block = new((int)PackedFactor.Length(Block, width));

    /// <summary>What the tokens take from those before them.</summary>
    /// <param name="queries">The head's part of the first token's; keys are C on, values 2·C.</param>
    /// <param name="keys">The same.</param>
    /// <param name="values">The same.</param>
    /// <param name="mixed">Overwritten: the head's part of the first token's result.</param>
    /// <param name="mixedStride">From one token's result to the next's, C.</param>
    public void Forward(float* queries, float* keys, float* values, float* mixed, int mixedStride)
    {
        PackedFactor.PackTransposed(keys, stride, width, length, _keys.Address);
        PackedFactor.Pack(values, stride, length, width, _values.Address);
        for (int first = 0; first < length; first += Block)
        {
            int rows = Math.Min(Block, length - first), seen = first + rows;
            Weights(queries, first, rows, seen);
            MatrixProduct.Multiply(
                _weights.Address, _columns, 1, _values.Address, PackedFactor.Panel(length),
                mixed + (nint)first * mixedStride, mixedStride, rows, width, seen, add: false);
        }
    }

    /// <summary>From a loss's gradient by the result to those by queries, keys and values, which are overwritten.</summary>
    /// <param name="queries">As in <see cref="Forward"/>.</param>
    /// <param name="keys">As in <see cref="Forward"/>.</param>
    /// <param name="values">As in <see cref="Forward"/>.</param>
    /// <param name="mixed">The gradient by the result.</param>
    /// <param name="mixedStride">As in <see cref="Forward"/>.</param>
    /// <param name="querySlopes">The gradient by the queries.</param>
    /// <param name="keySlopes">The gradient by the keys.</param>
    /// <param name="valueSlopes">The gradient by the values.</param>
    public void Back(
        float* queries, float* keys, float* values, float* mixed, int mixedStride, float* querySlopes,
        float* keySlopes, float* valueSlopes)
    {
        PackedFactor.PackTransposed(keys, stride, width, length, _keys.Address);
        PackedFactor.PackTransposed(values, stride, width, length, _values.Address);
        PackedFactor.Pack(keys, stride, length, width, _rows.Address);
        // The last block sees all tokens: it writes the gradients that the others add to.
        for (int first = (length - 1) / Block * Block; first >= 0; first -= Block)
        {
            int rows = Math.Min(Block, length - first), seen = first + rows, wide = VectorMatrix.PadToLanes(seen);
            bool adds = seen < length;
            float* asked = queries + (nint)first * stride, got = mixed + (nint)first * mixedStride;
            Weights(queries, first, rows, seen);
            MatrixProduct.Multiply(
                got, mixedStride, 1, _values.Address, PackedFactor.Panel(width), _slopes.Address, _columns, rows,
                wide, width, add: false);

            PackedFactor.Pack(got, mixedStride, rows, width, _block.Address);
            MatrixProduct.Multiply(
                _weights.Address, 1, _columns, _block.Address, PackedFactor.Panel(rows), valueSlopes, stride, seen,
                width, rows, adds);

            for (int row = 0; row < rows; row++)
            {
                Softmax.Back(
                    _weights.Span.Slice(row * _columns, wide), _slopes.Span.Slice(row * _columns, wide), _scale);
            }
            MatrixProduct.Multiply(
                _slopes.Address, _columns, 1, _rows.Address, PackedFactor.Panel(length),
                querySlopes + (nint)first * stride, stride, rows, width, seen, add: false);
            PackedFactor.Pack(asked, stride, rows, width, _block.Address);
            MatrixProduct.Multiply(
                _slopes.Address, 1, _columns, _block.Address, PackedFactor.Panel(rows), keySlopes, stride, seen, width,
                rows, adds);
        }
    }

    /// <summary>
    /// How much some tokens take from each, of which the first so many are seen. The last vector of a row may reach
    /// beyond those: to tokens that come later, of which none is taken.
    /// </summary>
    private void Weights(float* queries, int first, int rows, int seen)
    {
        MatrixProduct.Multiply(
            queries + (nint)first * stride, stride, 1, _keys.Address, PackedFactor.Panel(width), _weights.Address,
            _columns, rows, VectorMatrix.PadToLanes(seen), width, add: false);
        for (int row = 0; row < rows; row++)
        {
            Span<float> weights = _weights.Span.Slice(row * _columns, VectorMatrix.PadToLanes(seen));
            int before = first + row + 1, whole = VectorMatrix.PadToLanes(before);
            weights[before..whole].Fill(float.NegativeInfinity);
            weights[whole..].Clear();
            Softmax.Apply(weights[..whole], _scale);
        }
    }
}
