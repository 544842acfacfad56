namespace GenerativeML;

/// <summary>Steps sequences on together: what is to be evaluated of all of them shares runs of the network.</summary>
internal sealed class DecodingBatch(IGptDecoder decoder)
{
    private readonly DecoderRow[] _rows = new DecoderRow[decoder.MostRows];
    private readonly List<(int Row, GptContinuation Text)> _ends = [];
    private float[] _logits = [];

    /// <summary>Evaluates what is pending of each text and draws its next token.</summary>
    public void Step(IReadOnlyList<GptContinuation> texts)
    {
        int count = 0;
        foreach (GptContinuation text in texts)
        {
            for (int left = text.Sequence.Pending; left > 0; left--)
            {
                if (left == 1)
                    _ends.Add((count, text));
                _rows[count++] = text.Sequence.Take();
                if (count == _rows.Length)
                {
                    Run(count);
                    count = 0;
                }
            }
        }
        if (count > 0)
            Run(count);
    }

    private void Run(int count)
    {
        decoder.Run(_rows.AsSpan(0, count));
        int stride = decoder.LogitStride, first = 0;
        while (first < _ends.Count)
        {
            // Neighbouring rows share the reading of the output layer.
            int end = first + 1;
            while (end < _ends.Count && _ends[end].Row == _ends[end - 1].Row + 1)
                end++;
            if (_logits.Length < (end - first) * stride)
                _logits = new float[(end - first) * stride];
            decoder.Logits(_ends[first].Row, end - first, _logits);
            for (int i = first; i < end; i++)
                _ends[i].Text.Advance(_logits.AsSpan((i - first) * stride, decoder.Shape.VocabularySize));
            first = end;
        }
        _ends.Clear();
    }
}
