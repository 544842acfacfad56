namespace GenerativeML;

/// <summary>
/// Keys and values of one sequence's tokens in every layer, so that a further token costs one row and not the whole
/// context. Grows with the sequence, by doubling, up to the context length.
/// </summary>
/// <remarks>
/// A head's keys are (slots × positions), its values (positions × slots): so scores and weighted sums are both products
/// of a row with a matrix, without a sum across lanes.
/// </remarks>
internal sealed class KeyValueCache(GptShape shape) : ISequenceCache
{
    private const int LeastCapacity = 64;

    private readonly int _headWidth = shape.HeadWidth;
    private readonly int _valueWidth = VectorMatrix.PadToLanes(shape.HeadWidth);
    private AlignedBuffer<float>[] _keys = [];
    private AlignedBuffer<float>[] _values = [];
    private int _capacity;

    /// <summary>
    /// From one slot of a head's keys to the next. Not a power of two: such rows would share few cache sets.
    /// </summary>
    private int KeyStride => _capacity + VectorMatrix.Lanes;

    /// <summary>Makes room for positions up to, without, this one.</summary>
    public void Reserve(int positions)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(positions, shape.ContextLength);
        if (positions <= _capacity)
            return;
        AlignedBuffer<float>[] oldKeys = _keys, oldValues = _values;
        int old = _capacity, oldStride = KeyStride;
        _capacity = VectorMatrix.PadToLanes(
            Math.Min(shape.ContextLength, Math.Max(positions, Math.Max(LeastCapacity, 2 * old))));
        _keys = [.. Layers(shape.Width * KeyStride)];
        _values = [.. Layers(shape.Heads * _capacity * _valueWidth)];
        for (int layer = 0; layer < oldKeys.Length; layer++)
        {
            for (int slot = 0; slot < shape.Width; slot++)
                oldKeys[layer].Span.Slice(slot * oldStride, old).CopyTo(_keys[layer].Span[(slot * KeyStride)..]);
            int length = old * _valueWidth;
            for (int head = 0; head < shape.Heads; head++)
                oldValues[layer].Span.Slice(head * length, length).CopyTo(Values(layer, head));
        }
    }

    /// <summary>Stores a token's key and value.</summary>
    /// <param name="layer">The layer.</param>
    /// <param name="position">The token's position, for which there is room.</param>
    /// <param name="key">(width), head after head.</param>
    /// <param name="value">(width), head after head.</param>
    public void Set(int layer, int position, ReadOnlySpan<float> key, ReadOnlySpan<float> value)
    {
        Span<float> keys = _keys[layer].Span;
        for (int slot = 0, to = position; slot < key.Length; slot++, to += KeyStride)
            keys[to] = key[slot];
        for (int head = 0; head < shape.Heads; head++)
            value.Slice(head * _headWidth, _headWidth).CopyTo(Values(layer, head)[(position * _valueWidth)..]);
    }

    /// <summary>Causal attention of one token: to itself and to those before it.</summary>
    /// <param name="layer">The layer.</param>
    /// <param name="position">The token's position; it and all before it have keys and values.</param>
    /// <param name="query">(width), head after head.</param>
    /// <param name="scratch">For scores: the position + 1, padded to lanes, and a head's padded width.</param>
    /// <param name="result">(width), head after head: overwritten.</param>
    public void Attend(int layer, int position, ReadOnlySpan<float> query, Span<float> scratch, Span<float> result)
    {
        int count = position + 1, padded = VectorMatrix.PadToLanes(count);
        Span<float> scores = scratch[..padded], sum = scratch.Slice(padded, _valueWidth);
        float scale = 1 / MathF.Sqrt(_headWidth);
        for (int head = 0; head < shape.Heads; head++)
        {
            ReadOnlySpan<float> keys = _keys[layer].Span.Slice(head * _headWidth * KeyStride, _headWidth * KeyStride);
            VectorMatrix.Multiply(query.Slice(head * _headWidth, _headWidth), keys, KeyStride, padded, scores);
            Softmax.Apply(scores[..count], scale);
            VectorMatrix.Multiply(scores[..count], Values(layer, head), _valueWidth, _valueWidth, sum);
            sum[.._headWidth].CopyTo(result[(head * _headWidth)..]);
        }
    }

    /// <summary>Numbers that <see cref="Attend"/> needs for its scratch.</summary>
    public int ScratchLength(int position) => VectorMatrix.PadToLanes(position + 1) + _valueWidth;

    public void Dispose() => (_keys, _values, _capacity) = ([], [], 0);

    private Span<float> Values(int layer, int head) =>
        _values[layer].Span.Slice(head * _capacity * _valueWidth, _capacity * _valueWidth);

    private IEnumerable<AlignedBuffer<float>> Layers(int length) =>
        Enumerable.Range(0, shape.Layers).Select(_ => new AlignedBuffer<float>(length));
}
