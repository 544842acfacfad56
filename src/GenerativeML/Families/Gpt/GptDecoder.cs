using System.Buffers;

namespace GenerativeML;

/// <summary>
/// A GPT in managed code, on the CPU, without torch. What a token gets does not depend, to the bit, on which tokens run
/// with it. Holds scratch memory, so each thread needs its own.
/// </summary>
/// <param name="weights">The weights; shared.</param>
/// <param name="threads">The most threads to use within a run; they do not change the result.</param>
internal sealed class GptDecoder(DecoderWeights weights, int threads) : IGptDecoder
{
    /// <summary>
    /// Tokens in a run: enough to read each weight from memory once for many, few enough for their scratch memory to
    /// stay in the cache.
    /// </summary>
    internal const int Rows = 48;

    private readonly GptShape _shape = weights.Shape;
    private readonly DecoderRow[] _rows = new DecoderRow[Rows];
    private float[] _state = [];
    private float[] _normed = [];
    private float[] _wide = [];
    private float[] _narrow = [];

    public GptShape Shape => _shape;

    public int MostRows => Rows;

    public int LogitStride => weights.TokenEmbedding.PaddedOutputs;

    public ReadOnlySpan<float> Hidden => _normed;

    public ISequenceCache NewCache() => new KeyValueCache(_shape);

    public void Run(ReadOnlySpan<DecoderRow> rows)
    {
        int count = rows.Length, width = _shape.Width;
        rows.CopyTo(_rows);
        Reserve(count);
        Span<float> state = _state.AsSpan(0, count * width), normed = _normed.AsSpan(0, count * width);
        Embed(count);
        for (int i = 0; i < weights.Blocks.Count; i++)
        {
            DecoderBlock block = weights.Blocks[i];
            block.AttentionNorm.Apply(state, normed);
            block.Attention.Apply(_normed, width, count, _wide, threads);
            Attend(i, count, block.Attention.Weights.PaddedOutputs);
            block.AttentionOut.Apply(_normed, width, count, _narrow, threads);
            AddToState(count);

            block.PerceptronNorm.Apply(state, normed);
            block.Hidden.Apply(_normed, width, count, _wide, threads);
            int stride = block.Hidden.Weights.PaddedOutputs;
            Span<float> hidden = _wide.AsSpan(0, count * stride);
            GaussianErrorUnit.Apply(_shape.Gelu, hidden, hidden);
            block.HiddenOut.Apply(_wide, stride, count, _narrow, threads);
            AddToState(count);
        }
        weights.FinalNorm.Apply(state, normed);
    }

    public void Logits(int first, int count, Memory<float> logits) => weights.TokenEmbedding.Multiply(
        _normed.AsMemory(first * _shape.Width), _shape.Width, count, logits, threads);

    private KeyValueCache CacheOf(int row) => (KeyValueCache)_rows[row].Cache;

    private void Embed(int count)
    {
        int width = _shape.Width;
        for (int row = 0; row < count; row++)
        {
            (_, int token, int position) = _rows[row];
            CacheOf(row).Reserve(position + 1);
            Span<float> state = _state.AsSpan(row * width, width);
            weights.TokenEmbedding.GetRow(token, state);
            VectorSum.AddTo(state, weights.PositionEmbedding.AsSpan(position * width, width));
        }
    }

    // From queries, keys and values, side by side in the wide rows, to the normed ones.
    private void Attend(int layer, int count, int stride)
    {
        int width = _shape.Width;
        long cost = 0;
        for (int row = 0; row < count; row++)
        {
            DecoderRow at = _rows[row];
            ReadOnlySpan<float> wide = _wide.AsSpan(row * stride, 3 * width);
            CacheOf(row).Set(layer, at.Position, wide.Slice(width, width), wide[(2 * width)..]);
            cost += 2L * width * (at.Position + 1);
        }
        int parts = Parallelism.Parts(count, cost / count, threads);
        if (parts == 1)
            AttendRows(layer, 0, count, stride);
        else
            AttendInParts(layer, count, stride, parts);
    }

    private void AttendInParts(int layer, int count, int stride, int parts) =>
        Parallelism.For(count, parts, (first, end) => AttendRows(layer, first, end, stride));

    private void AttendRows(int layer, int first, int end, int stride)
    {
        int width = _shape.Width;
        int most = 0;
        for (int row = first; row < end; row++)
            most = Math.Max(most, CacheOf(row).ScratchLength(_rows[row].Position));
        float[] scratch = ArrayPool<float>.Shared.Rent(most);
        for (int row = first; row < end; row++)
        {
            ReadOnlySpan<float> query = _wide.AsSpan(row * stride, width);
            CacheOf(row).Attend(layer, _rows[row].Position, query, scratch, _normed.AsSpan(row * width, width));
        }
        ArrayPool<float>.Shared.Return(scratch);
    }

    private void AddToState(int count)
    {
        int width = _shape.Width, padded = PackedMatrix.Pad(width);
        for (int row = 0; row < count; row++)
            VectorSum.AddTo(_state.AsSpan(row * width, width), _narrow.AsSpan(row * padded, width));
    }

    private void Reserve(int count)
    {
        int width = _shape.Width;
        if (_state.Length >= count * width)
            return;
        _state = new float[count * width];
        _normed = new float[count * width];
        _narrow = new float[count * PackedMatrix.Pad(width)];
        _wide = new float[count * PackedMatrix.Pad(_shape.HiddenWidth)];
    }
}
