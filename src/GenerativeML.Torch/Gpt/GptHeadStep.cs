namespace GenerativeML.Torch;

/// <summary>
/// The end of a training step's way forward and the start of its way back: last normalisation, logits, cross-entropy.
/// Logits exist for so many rows at a time as fit into a fixed amount of memory.
/// </summary>
internal sealed unsafe class GptHeadStep
{
    private const int MostLogits = 1 << 24;

    private readonly GptShape _shape;
    private readonly NormStep _norm;
    private readonly DenseStep _output;
    private readonly AlignedBuffer<float> _normal, _logits;
    private readonly double[] _losses; // of each thread
    private readonly int _part;

    public GptHeadStep(GptShape shape, int rows, int threads)
    {
        _shape = shape;
        _norm = new(shape.Width, GptShape.NormEpsilon, rows, threads);
        _output = new(shape.VocabularySize, shape.Width);
        _part = Math.Clamp(MostLogits / shape.VocabularySize, 1, rows);
        Input = new(rows * shape.Width);
        _normal = new(rows * shape.Width);
        _logits = new(checked(_part * shape.VocabularySize));
        _losses = new double[threads];
    }

    /// <summary>The hidden states after the last block, (N, C).</summary>
    public AlignedBuffer<float> Input { get; }

    /// <summary>The sum of all rows' losses, in nats.</summary>
    public double Loss => _losses.Sum();

    /// <summary>Takes the output weights, gain and bias.</summary>
    public void Take(TrainedArray weight, TrainedArray gain, TrainedArray? bias)
    {
        _output.Take(weight, bias: null);
        _norm.Take(gain, bias);
        Array.Clear(_losses);
    }

    /// <summary>A thread's part of laying out the weights.</summary>
    public void Pack(WorkTeam team, int worker) => _output.Pack(team, worker);

    /// <summary>A thread's part of loss and gradients; the threads wait for one another within.</summary>
    /// <param name="tokens">(sequences × (T + 1)): each row's successor is the row's target.</param>
    /// <param name="length">T.</param>
    /// <param name="rows">Sequences times T.</param>
    /// <param name="scale">What a row's gradient is multiplied by.</param>
    /// <param name="slopes">Overwritten: the gradient by <see cref="Input"/>, (N, C).</param>
    /// <param name="team">The threads.</param>
    /// <param name="worker">This one.</param>
    /// <param name="scratch">Its memory.</param>
    public void Run(
        long* tokens, int length, int rows, float scale, float* slopes, WorkTeam team, int worker,
        GptStepScratch scratch)
    {
        int chunk = GptBlockStep.Chunk(_shape), width = _shape.Width, vocabulary = _shape.VocabularySize;
        for (int start = 0; start < rows; start += _part)
        {
            int count = Math.Min(_part, rows - start);
            (int first, int end) = team.Share(count, worker, 12);
            for (int at = first; at < end; at += chunk)
            {
                int some = Math.Min(chunk, end - at), row = start + at;
                float* normal = _normal.Address + (nint)row * width, logits = _logits.Address + (nint)at * vocabulary;
                float* input = Input.Address + (nint)row * width, slope = slopes + (nint)row * width;
                _norm.Forward(input, normal, row, some);
                _output.Forward(normal, logits, some);
                for (int i = 0; i < some; i++)
                {
                    (int sequence, int position) = Math.DivRem(row + i, length);
                    long target = tokens[sequence * (length + 1L) + position + 1];
                    _losses[worker] += LossAndSlope(
                        new Span<float>(logits + (nint)i * vocabulary, vocabulary), (int)target, scale);
                }
                _output.Back(logits, scratch.Narrow, some);
                new Span<float>(slope, some * width).Clear();
                _norm.Back(input, scratch.Narrow, slope, row, some, worker);
            }
            team.Wait();
            _output.Gradient(
                _logits.Address, _normal.Address + (nint)start * width, count, team, worker, scratch.Factor);
            team.Wait();
        }
    }

    /// <summary>Adds up what the threads found for gain and bias.</summary>
    public void Finish() => _norm.Finish();

    // The gradient of a row's logits: the probabilities, less one at the token that came.
    private static double LossAndSlope(Span<float> logits, int target, float scale)
    {
        float right = logits[target], max = Softmax.Max(logits);
        Softmax.Apply(logits);
        // From the probability, unless that is too small to be told from zero.
        double loss = logits[target] > 1e-30f ? -Math.Log(logits[target]) : max - right;
        logits[target] -= 1;
        VectorSum.Scale(logits, scale);
        return loss;
    }
}
