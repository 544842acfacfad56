using System.Buffers;
using System.Numerics.Tensors;
using System.Runtime.ExceptionServices;

namespace GenerativeML;

/// <summary>
/// A trained GPT: continues sequences of tokens, tells how likely they are, and gives their embeddings. Safe to use from
/// several threads. The engine is chosen, and its form of the weights made, when it is first needed.
/// </summary>
/// <param name="network">The network.</param>
/// <param name="weights">Its weights; they have to stay as they are.</param>
/// <param name="device">Where to compute.</param>
/// <param name="fallbackToCpu">Whether the CPU may stand in for a CUDA device that is not there.</param>
/// <param name="threads">The most threads that one call uses. Default: the processors.</param>
internal sealed class TrainedGpt(
    GptNetwork network, HostWeights weights, ComputeDevice device = default, bool fallbackToCpu = false,
    int? threads = null) : IDisposable
{
    // Products with smaller matrices gain nothing by a second thread: then texts share out the threads.
    private const long LargeBytes = 1L << 26;

    // Above it, weights are neither copied nor packed, for 1.3 times the time.
    private const long MaxPackedBytes = 1L << 30;

    // Texts that are stepped on together: each takes memory for keys and values.
    private const int MaxTexts = 64;
    private const long MaxCacheBytes = 1L << 29;

    private readonly Lock _opening = new();
    private readonly int _threads = threads ?? Environment.ProcessorCount;
    private readonly long _bytes = network.ParameterCount * sizeof(float);
    private SequenceModel? _sequences;

    public GptNetwork Network => network;

    public HostWeights Weights => weights;

    public int VocabularySize => network.VocabularySize;

    public int ContextLength => network.Options.ContextLength;

    public int Width => network.Options.Width;

    // Decoders that are worth running at once.
    private int Decoders => _bytes >= LargeBytes || device != ComputeDevice.Cpu ? 1 : _threads;

    /// <summary>A decoder for some sequences of at most so many tokens.</summary>
    public SequenceState NewDecoder(int slots, int capacity)
    {
        lock (_opening)
        {
            _sequences ??= new SequenceModel(
                new TokenPass(network), weights, Width, VocabularySize, device, fallbackToCpu,
                _bytes >= LargeBytes ? _threads : 1, borrow: _bytes > MaxPackedBytes);
            return _sequences.Start(slots, capacity);
        }
    }

    /// <summary>Lets go of what computes, with the device's memory; it is made anew if it is needed after all.</summary>
    public void Dispose()
    {
        lock (_opening)
        {
            _sequences?.Dispose();
            _sequences = null;
        }
    }

    /// <summary>Continues a sequence of at least one token, token by token, as they are asked for.</summary>
    /// <exception cref="ArgumentException">
    /// The prompt is empty, too long where the options say that this is an error, or has a token that does not exist;
    /// or the options are not sound.
    /// </exception>
    public IEnumerable<GeneratedToken> Stream(
        IReadOnlyList<int> prompt, GenerationOptions options, CancellationToken cancellationToken = default)
    {
        Check([prompt], options);
        return Tokens();

        IEnumerable<GeneratedToken> Tokens()
        {
            Continuation[] alone = [new Continuation(this, 0, prompt, options)];
            foreach (Continuation text in Steps(alone, options, cancellationToken))
            {
                if (text.Newest is { } token)
                    yield return token;
            }
        }
    }

    /// <summary>
    /// Continues several sequences of any lengths. What each becomes does not depend on the others.
    /// <paramref name="accept"/> is told each token of each sequence, by the sequence's number, as they come, and says
    /// whether to go on with it; for different sequences it may be called at once from different threads.
    /// </summary>
    /// <returns>Why each sequence ended; <see cref="FinishReason.StopString"/> where it was not to go on.</returns>
    /// <exception cref="ArgumentException">As for <see cref="Stream"/>.</exception>
    public FinishReason[] Generate(
        IReadOnlyList<IReadOnlyList<int>> prompts, GenerationOptions options, Func<int, GeneratedToken, bool> accept,
        CancellationToken cancellationToken = default)
    {
        Check(prompts, options);
        var reasons = new FinishReason[prompts.Count];
        long cached = 2L * sizeof(float) * network.Options.Layers * Width
            * Capacity(prompts.Select(p => p.Count).DefaultIfEmpty().Max(), options);
        int most = (int)Math.Clamp(MaxCacheBytes / cached, 1, MaxTexts);
        // Each thread has sequences of its own; more sequences than threads share each step's reading of the weights.
        int groups = Math.Min(prompts.Count, Math.Max(Decoders, (prompts.Count + most - 1) / most));
        ForEach(groups, group =>
        {
            Continuation[] texts =
            [
                .. Enumerable.Range(0, prompts.Count).Where(i => i % groups == group)
                    .Select(i => new Continuation(this, i, prompts[i], options)),
            ];
            foreach (Continuation text in Steps(texts, options, cancellationToken))
            {
                if (text.Newest is { } token && !accept(text.Number, token))
                    text.Stop();
                reasons[text.Number] = text.Reason;
            }
        });
        return reasons;
    }

    /// <summary>
    /// Looks at sequences of any lengths, each for itself. An empty span is not computed. One that is longer than the
    /// window is looked at as if it were generated.
    /// </summary>
    /// <param name="sequences">The sequences.</param>
    /// <param name="losses">
    /// (sequences): the mean of −log p over all tokens but the first, each after those before it in the window; NaN
    /// without a second token.
    /// </param>
    /// <param name="embeddings">
    /// (sequences × width): the mean of the tokens' final hidden states; NaN without a token.
    /// </param>
    /// <exception cref="ArgumentOutOfRangeException">A token does not exist.</exception>
    public void Evaluate(IReadOnlyList<IReadOnlyList<int>> sequences, Memory<float> losses, Memory<float> embeddings)
    {
        ArgumentNullException.ThrowIfNull(sequences);
        foreach (IReadOnlyList<int> sequence in sequences)
            CheckTokens(sequence, nameof(sequences));
        int groups = Math.Min(Decoders, sequences.Count);
        int longest = sequences.Select(s => s.Count).DefaultIfEmpty().Max();
        ForEach(groups, group =>
        {
            using SequenceState decoder = NewDecoder(1, Math.Clamp(longest, 1, ContextLength));
            for (int i = group; i < sequences.Count; i += groups)
            {
                Span<float> pooled = embeddings.IsEmpty ? [] : embeddings.Span.Slice(i * Width, Width);
                double sum = Evaluate(decoder, sequences[i], !losses.IsEmpty, pooled);
                if (!losses.IsEmpty)
                    losses.Span[i] = (float)(sum / Math.Max(0, sequences[i].Count - 1));
            }
        });
    }

    // The sum of −log p, and the mean hidden state where there is room for it.
    private double Evaluate(SequenceState decoder, IReadOnlyList<int> tokens, bool loss, Span<float> pooled)
    {
        var window = new TokenWindow(ContextLength);
        pooled.Clear();
        double sum = 0;
        for (int next = 0; next < tokens.Count;)
        {
            int first = next;
            do
                window.Add(tokens[next++]);
            while (next < tokens.Count && window.Count < ContextLength);

            // What slid along in the window was counted before: those rows come first.
            int row = next - window.Pending.Length;
            while (window.Pending.Length > 0)
            {
                ReadOnlySpan<int> part = window.Pending[..Math.Min(decoder.MaxResults, window.Pending.Length)];
                decoder.Read(0, window.Position, part, all: true);
                for (int i = Math.Clamp(first - row, 0, part.Length); i < part.Length; i++)
                {
                    if (!pooled.IsEmpty)
                        TensorPrimitives.Add(pooled, decoder.Hidden(i), pooled);
                    if (loss && row + i + 1 < tokens.Count)
                        sum += LogSumExp(decoder.Logits(i)) - decoder.Logits(i)[tokens[row + i + 1]];
                }
                row += part.Length;
                window.Advance(part.Length);
            }
        }
        TensorPrimitives.Divide(pooled, tokens.Count, pooled);
        return sum;
    }

    // Steps sequences on, all of them each time: gives those that have, or have ended.
    private IEnumerable<Continuation> Steps(
        IEnumerable<Continuation> texts, GenerationOptions options, CancellationToken cancellationToken)
    {
        List<Continuation> open = [.. texts];
        using SequenceState decoder = NewDecoder(open.Count, Capacity(open.Max(t => t.Window.Count), options));
        while (open.Count > 0)
        {
            cancellationToken.ThrowIfCancellationRequested();
            // Prompts, and windows that have slid, by themselves; then the newest token of all together.
            for (int slot = 0; slot < open.Count; slot++)
            {
                TokenWindow window = open[slot].Window;
                while (window.Pending.Length > 1 && !open[slot].IsFinished)
                {
                    decoder.Read(slot, window.Position, window.Pending, all: false);
                    window.Advance(window.Pending.Length);
                    open[slot].Draw(decoder.Logits(0));
                    yield return open[slot];
                }
            }
            Close();
            if (open.Count == 0)
                break;
            decoder.Read([.. open.Select(t => t.Window.Pending[0])], [.. open.Select(t => t.Window.Position)]);
            for (int slot = 0; slot < open.Count; slot++)
            {
                open[slot].Window.Advance(1);
                open[slot].Draw(decoder.Logits(slot));
                yield return open[slot];
            }
            Close();
        }

        // Slots are used without gaps.
        void Close()
        {
            for (int slot = open.Count - 1; slot >= 0; slot--)
            {
                if (!open[slot].IsFinished)
                    continue;
                if (slot < open.Count - 1)
                    decoder.Copy(open.Count - 1, slot, open[^1].Window.Position);
                open[slot] = open[^1];
                open.RemoveAt(open.Count - 1);
            }
        }
    }

    private int Capacity(int prompt, GenerationOptions options) =>
        (int)Math.Min(ContextLength, (long)prompt + options.MaxNewTokens);

    // The first exception is thrown as it is.
    private void ForEach(int count, Action<int> body)
    {
        try
        {
            Parallel.For(0, count, new ParallelOptions { MaxDegreeOfParallelism = Decoders }, body);
        }
        catch (AggregateException several)
        {
            ExceptionDispatchInfo.Throw(several.Flatten().InnerExceptions[0]);
        }
    }

    private void Check(IReadOnlyList<IReadOnlyList<int>> prompts, GenerationOptions options)
    {
        ArgumentNullException.ThrowIfNull(prompts);
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        options.CheckTokens(VocabularySize);
        foreach (IReadOnlyList<int> prompt in prompts)
        {
            ArgumentNullException.ThrowIfNull(prompt);
            if (prompt.Count == 0)
                throw new ArgumentException(
                    "The prompt is empty: a model continues from at least one token.", nameof(prompts));
            if (options.LongPrompts == LongPrompts.Error && prompt.Count > ContextLength)
                throw new ArgumentException(
                    $"The prompt has {prompt.Count} tokens, and the model looks at {ContextLength}. With "
                    + "LongPrompts = KeepEnd, its end would be used.", nameof(prompts));
            CheckTokens(prompt, nameof(prompts));
        }
    }

    private void CheckTokens(IReadOnlyList<int> tokens, string parameter)
    {
        foreach (int token in tokens)
        {
            if (token < 0 || token >= VocabularySize)
                throw new ArgumentOutOfRangeException(
                    parameter, token, $"There is no token {token}: the model has tokens 0 to {VocabularySize - 1}.");
        }
    }

    private static float LogSumExp(ReadOnlySpan<float> x)
    {
        float[] powers = ArrayPool<float>.Shared.Rent(x.Length);
        Span<float> shifted = powers.AsSpan(0, x.Length);
        float most = TensorPrimitives.Max(x);
        TensorPrimitives.Subtract(x, most, shifted);
        TensorPrimitives.Exp(shifted, shifted);
        float sum = TensorPrimitives.Sum(shifted);
        ArrayPool<float>.Shared.Return(powers);
        return most + MathF.Log(sum);
    }

    /// <summary>Tokens, positions and the numbers of wanted results → their hidden states and logits.</summary>
    private sealed class TokenPass(GptNetwork network) : IForwardPass
    {
        public T[] Run<T>(Scope<T> w, T[] inputs)
            where T : struct, ITensor<T>
        {
            T all = network.Hidden(w, inputs[0], inputs[1]).Reshape(-1, network.Options.Width);
            T hidden = all.Embed(inputs[2]);
            return [hidden, network.Logits(w, hidden)];
        }
    }

    /// <summary>
    /// The tokens of one sequence that a model looks at. When the window is full and a token is added, only the newest
    /// half stays, the new one included, and is read anew from position 0: positions are part of what keys and values
    /// were computed from, so they cannot move. A token then costs two on average, and memory stays what a window takes.
    /// </summary>
    private sealed class TokenWindow(int context)
    {
        private readonly int[] _tokens = new int[context];

        /// <summary>Tokens in the window.</summary>
        public int Count { get; private set; }

        /// <summary>Where the first token stands that was not read yet.</summary>
        public int Position { get; private set; }

        /// <summary>The tokens that were not read yet.</summary>
        public ReadOnlySpan<int> Pending => _tokens.AsSpan(Position, Count - Position);

        /// <summary>Adds a token, to be read.</summary>
        public void Add(int token)
        {
            if (Count == context)
            {
                int kept = Math.Max(1, context / 2) - 1;
                _tokens.AsSpan(context - kept).CopyTo(_tokens);
                (Count, Position) = (kept, 0);
            }
            _tokens[Count++] = token;
        }

        /// <summary>Takes tokens as read.</summary>
        public void Advance(int tokens) => Position += tokens;
    }

    /// <summary>A sequence on its way from a prompt to its end.</summary>
    private sealed class Continuation
    {
        private readonly GenerationOptions _options;
        private readonly TokenSampler _sampler;
        private int _generated;

        public Continuation(TrainedGpt model, int number, IReadOnlyList<int> prompt, GenerationOptions options)
        {
            Number = number;
            _options = options;
            _sampler = new TokenSampler(options, model.VocabularySize, options.Seed ?? Random.Shared.Next());
            Window = new TokenWindow(model.ContextLength);
            foreach (int token in prompt)
                _sampler.AddPrompt(token);
            // Of a long prompt, what is left of it in a full window: earlier tokens would never be looked at.
            foreach (int token in prompt.Skip(prompt.Count - model.ContextLength))
                Window.Add(token);
        }

        /// <summary>Which of the sequences it is.</summary>
        public int Number { get; }

        /// <summary>The tokens that are looked at.</summary>
        public TokenWindow Window { get; }

        /// <summary>The token that the last step has added to the text, if it has added one.</summary>
        public GeneratedToken? Newest { get; private set; }

        /// <summary>Whether no more tokens follow.</summary>
        public bool IsFinished { get; private set; }

        /// <summary>Why not, where that is so.</summary>
        public FinishReason Reason { get; private set; }

        /// <summary>Ends the text because of what is in it.</summary>
        public void Stop() => (IsFinished, Reason) = (true, FinishReason.StopString);

        /// <summary>Draws the next token from logits, which are changed.</summary>
        public void Draw(Span<float> logits)
        {
            // The sampler changes logits: what the model thought of a token must be read before.
            bool asked = _options.LogProbabilities;
            float logSum = asked ? LogSumExp(logits) : float.NaN;
            TokenAlternative[] alternatives = _options.Alternatives > 0 ? Alternatives(logits, logSum) : [];
            float[] before = asked ? logits.ToArray() : [];
            int token = _sampler.Next(logits);
            if (_options.StopTokens.Contains(token))
            {
                (Newest, IsFinished, Reason) = (null, true, FinishReason.StopToken);
                return;
            }
            Newest = new GeneratedToken(token, asked ? before[token] - logSum : float.NaN, alternatives);
            Window.Add(token);
            (IsFinished, Reason) = (++_generated == _options.MaxNewTokens, FinishReason.Length);
        }

        private TokenAlternative[] Alternatives(ReadOnlySpan<float> logits, float logSum)
        {
            var all = new Candidate[logits.Length];
            for (int token = 0; token < all.Length; token++)
                all[token] = new(token, logits[token]);
            return
            [
                .. TokenSampler.Largest(all, Math.Min(_options.Alternatives, all.Length)).ToArray()
                    .Select(c => new TokenAlternative(c.Token, c.Weight - logSum)),
            ];
        }
    }
}
