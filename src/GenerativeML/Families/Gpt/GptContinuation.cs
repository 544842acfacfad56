namespace GenerativeML;

/// <summary>A sequence on its way from a prompt to its end.</summary>
internal sealed class GptContinuation : IDisposable
{
    private readonly GenerationOptions _options;
    private readonly TokenSampler _sampler;
    private int _generated;

    public GptContinuation(IGptDecoder decoder, IReadOnlyList<int> prompt, GenerationOptions options)
    {
        GptShape shape = decoder.Shape;
        _options = options;
        _sampler = new TokenSampler(options, shape.VocabularySize, options.Seed ?? Random.Shared.Next());
        Sequence = new DecodingSequence(decoder);
        foreach (int token in prompt)
            _sampler.AddPrompt(token);
        // Of a long prompt, what is left of it in a full window: earlier tokens would never be looked at.
        foreach (int token in prompt.Skip(prompt.Count - shape.ContextLength))
            Sequence.Add(token);
    }

    /// <summary>The tokens that are looked at.</summary>
    public DecodingSequence Sequence { get; }

    /// <summary>The token that the last step has added to the text, if it has added one.</summary>
    public GeneratedToken? Newest { get; private set; }

    /// <summary>Whether no more tokens follow.</summary>
    public bool IsFinished { get; private set; }

    /// <summary>Why not, where that is so.</summary>
    public FinishReason Reason { get; private set; }

    /// <summary>Ends the text because of what is in it.</summary>
    public void Stop() => (IsFinished, Reason) = (true, FinishReason.StopString);

    /// <summary>Lets go of what was kept of the tokens.</summary>
    public void Dispose() => Sequence.Dispose();

    /// <summary>Draws the next token.</summary>
    /// <param name="logits">(vocabulary): changed.</param>
    public void Advance(Span<float> logits)
    {
        // The sampler changes logits: what the model thought of a token must be read before.
        bool asked = _options.LogProbabilities;
        float logSum = asked ? Softmax.LogSumOfExponentials(logits) : float.NaN;
        TokenAlternative[] alternatives = _options.Alternatives > 0 ? Alternatives(logits, logSum) : [];
        float[] before = asked ? logits.ToArray() : [];
        int token = _sampler.Next(logits);
        if (_options.StopTokens.Contains(token))
        {
            (Newest, IsFinished, Reason) = (null, true, FinishReason.StopToken);
            return;
        }
        Newest = new GeneratedToken(token, asked ? before[token] - logSum : float.NaN, alternatives);
        Sequence.Add(token);
        (IsFinished, Reason) = (++_generated == _options.MaxNewTokens, FinishReason.Length);
    }

    private TokenAlternative[] Alternatives(ReadOnlySpan<float> logits, float logSum)
    {
        var all = new Candidate[logits.Length];
        for (int token = 0; token < all.Length; token++)
            all[token] = new(token, logits[token]);
        Span<Candidate> largest = TokenSampler.Largest(all, Math.Min(_options.Alternatives, all.Length));
        var alternatives = new TokenAlternative[largest.Length];
        for (int i = 0; i < alternatives.Length; i++)
            alternatives[i] = new(largest[i].Token, largest[i].Weight - logSum);
        return alternatives;
    }
}
