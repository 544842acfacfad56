namespace GenerativeML.Torch;

/// <summary>
/// Layer normalisation in a training step that a <see cref="WorkTeam"/> computes: forward and back for the rows of each
/// thread; what gain and bias get from each thread's rows is added up at the end.
/// </summary>
internal sealed unsafe class NormStep
{
    private readonly int _width;
    private readonly float _epsilon;
    private readonly AlignedBuffer<float> _means, _scales;
    private readonly AlignedBuffer<float> _gainSlopes, _biasSlopes; // (threads × width)
    private TrainedArray _gain;
    private TrainedArray? _bias;

    public NormStep(int width, float epsilon, int rows, int threads)
    {
        _width = width;
        _epsilon = epsilon;
        _means = new(rows);
        _scales = new(rows);
        _gainSlopes = new(threads * width);
        _biasSlopes = new(threads * width);
    }

    /// <summary>Takes the layer's tensors, before all else.</summary>
    public void Take(TrainedArray gain, TrainedArray? bias)
    {
        (_gain, _bias) = (gain, bias);
        _gainSlopes.Span.Clear();
        _biasSlopes.Span.Clear();
    }

    /// <summary>Normalises some rows.</summary>
    /// <param name="x">The first of them.</param>
    /// <param name="y">Where it goes.</param>
    /// <param name="first">Its number in the step.</param>
    /// <param name="rows">How many.</param>
    public void Forward(float* x, float* y, int first, int rows)
    {
        ReadOnlySpan<float> bias = _bias is TrainedArray given ? given.Values : [];
        for (int row = 0; row < rows; row++, x += _width, y += _width)
        {
            (_means.Span[first + row], _scales.Span[first + row]) = LayerNormalization.Apply(
                new ReadOnlySpan<float>(x, _width), _gain.Values, bias, _epsilon, new Span<float>(y, _width));
        }
    }

    /// <summary>From a loss's gradient by some rows' results to the one by the rows, which is added.</summary>
    /// <param name="x">The first row.</param>
    /// <param name="dy">The gradient by its result.</param>
    /// <param name="dx">What the gradient by it is added to.</param>
    /// <param name="first">Its number in the step.</param>
    /// <param name="rows">How many.</param>
    /// <param name="worker">This thread.</param>
    public void Back(float* x, float* dy, float* dx, int first, int rows, int worker)
    {
        Span<float> gainSlopes = _gainSlopes.Span.Slice(worker * _width, _width);
        Span<float> biasSlopes = _bias is null ? [] : _biasSlopes.Span.Slice(worker * _width, _width);
        for (int row = 0; row < rows; row++, x += _width, dy += _width, dx += _width)
        {
            LayerNormalization.Back(
                new ReadOnlySpan<float>(x, _width), _means.Span[first + row], _scales.Span[first + row], _gain.Values,
                new ReadOnlySpan<float>(dy, _width), new Span<float>(dx, _width), gainSlopes, biasSlopes);
        }
    }

    /// <summary>Adds up the gradients of gain and bias, when all threads are done.</summary>
    public void Finish()
    {
        for (int at = 0; at < _gainSlopes.Length; at += _width)
        {
            VectorSum.AddTo(_gain.Gradients, _gainSlopes.Span.Slice(at, _width));
            if (_bias is TrainedArray bias)
                VectorSum.AddTo(bias.Gradients, _biasSlopes.Span.Slice(at, _width));
        }
    }
}
