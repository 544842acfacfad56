namespace GenerativeML;

/// <summary>
/// Runs whole sequences through a GPT: how likely each token was after those before it, and the mean hidden state. A
/// sequence longer than the window is looked at as <see cref="DecodingSequence"/> says, just as if it were generated.
/// Used by one thread at a time.
/// </summary>
internal sealed class GptEvaluation(IGptDecoder decoder) : IDisposable
{
    // Logits of a whole block would not fit into a cache where the vocabulary is large.
    private const int LogitRows = 12;

    private readonly DecodingSequence _sequence = new(decoder);
    private readonly DecoderRow[] _rows = new DecoderRow[decoder.MostRows];
    private readonly float[] _logits = new float[LogitRows * decoder.LogitStride];

    /// <summary>Evaluates a sequence. An empty span is not computed.</summary>
    /// <param name="tokens">The sequence.</param>
    /// <param name="logProbabilities">(tokens − 1): log p of each token but the first.</param>
    /// <param name="pooled">(width): the mean of the tokens' final hidden states.</param>
    public void Run(IReadOnlyList<int> tokens, Span<float> logProbabilities, Span<float> pooled)
    {
        GptShape shape = decoder.Shape;
        _sequence.Clear();
        pooled.Clear();
        int next = 0;
        while (next < tokens.Count)
        {
            int first = next;
            do
                _sequence.Add(tokens[next++]);
            while (next < tokens.Count && _sequence.Count < shape.ContextLength);

            // What slid along in the window was counted before: those rows come first.
            int row = next - _sequence.Pending;
            while (_sequence.Pending > 0)
            {
                int count = Math.Min(_rows.Length, _sequence.Pending);
                for (int i = 0; i < count; i++)
                    _rows[i] = _sequence.Take();
                decoder.Run(_rows.AsSpan(0, count));
                int known = Math.Clamp(first - row, 0, count);
                for (int i = known; i < count && !pooled.IsEmpty; i++)
                    VectorSum.AddTo(pooled, decoder.Hidden.Slice(i * shape.Width, shape.Width));
                if (!logProbabilities.IsEmpty)
                    Score(tokens, row, known, count, logProbabilities);
                row += count;
            }
        }
        for (int i = 0; i < pooled.Length; i++)
            pooled[i] /= tokens.Count;
    }

    /// <summary>Lets go of what was kept of the last sequence.</summary>
    public void Dispose() => _sequence.Dispose();

    // Of the rows of the last run, of which the first holds token number 'start': what those from 'from' up to 'end'
    // say of the tokens that follow them.
    private void Score(IReadOnlyList<int> tokens, int start, int from, int end, Span<float> logProbabilities)
    {
        end = Math.Min(end, tokens.Count - 1 - start);
        for (int first = from; first < end; first += LogitRows)
        {
            int count = Math.Min(LogitRows, end - first);
            decoder.Logits(first, count, _logits);
            for (int i = 0; i < count; i++)
            {
                ReadOnlySpan<float> logits =
                    _logits.AsSpan(i * decoder.LogitStride, decoder.Shape.VocabularySize);
                int token = start + first + i;
                logProbabilities[token] = logits[tokens[token + 1]] - Softmax.LogSumOfExponentials(logits);
            }
        }
    }
}
