using System.Buffers;
using System.Globalization;
using System.Numerics.Tensors;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;

namespace GenerativeML;

/// <summary>
/// A trained network of tokens: continues sequences of them, tells how likely they are, and gives their embeddings. Safe
/// to use from several threads. The engine is chosen, and its form of the weights made, when it is first needed.
/// </summary>
internal class TrainedLanguageModel(
    LanguageNetwork network, HostWeights weights, ComputeDevice device = default, bool fallbackToCpu = false,
    int? threads = null) : IDisposable
{
    /// <summary>
    /// Products with smaller matrices gain nothing by a second thread: with fewer weights, texts share out the threads.
    /// </summary>
    internal const long LargeBytes = 1L << 26;

    // Above it, weights are neither copied nor packed, for 1.3 times the time.
    internal const long MaxPackedBytes = 1L << 30;

    // Texts that are stepped on together: each takes memory for keys and values.
    private const int MaxTexts = 64;
    private const long MaxCacheBytes = 1L << 29;

    // Tokens that are read at once of a text without end.
    private const int MaxRead = 4096;

    private readonly Lock _opening = new();
    private readonly int _threads = threads ?? Environment.ProcessorCount;
    private readonly long _bytes = network.ParameterCount * sizeof(float);
    private SequenceModel? _sequences;

    public LanguageNetwork Network => network;

    /// <summary>The weights; they have to stay as they are.</summary>
    public HostWeights Weights => weights;

    public int VocabularySize => network.VocabularySize;

    public int ContextLength => network.ContextLength;

    public int Width => network.Width;

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

    /// <summary>
    /// Tokens (B, T) → logits of those that follow, (B, T, V), and final hidden states, (B, T, C), as a graph; with a
    /// cache, after P earlier tokens.
    /// </summary>
    public OnnxExport ToOnnx(bool cached)
    {
        var graph = new OnnxExport(weights);
        OnnxTensor tokens = graph.Input("input_ids", OnnxType.Int64, [-1, -1], ["batch", "sequence"]);
        OnnxTensor positions = network.AddPast(graph, tokens, cached);
        OnnxTensor hidden = network.Hidden(graph.Root, tokens, positions);
        graph.Output("logits", network.Logits(graph.Root, hidden), OnnxType.Float, "batch", "sequence");
        graph.Output("hidden_states", hidden, OnnxType.Float, "batch", "sequence");
        graph.Describe("family", network.Family);
        graph.Describe("content", cached ? "logits with cache" : "logits");
        if (ContextLength < int.MaxValue)
            graph.Describe("context", ContextLength.ToString(CultureInfo.InvariantCulture));
        return graph;
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
    public IEnumerable<GeneratedToken> Stream(
        int[] prompt, GenerationOptions options, CancellationToken cancellationToken = default)
    {
        Check([prompt], options);
        IEnumerable<Continuation> alone = new[] { prompt }.Select((p, i) => new Continuation(this, i, p, options));
        return Steps(alone, options, cancellationToken).Select(text => text.Newest).OfType<GeneratedToken>();
    }

    /// <summary>
    /// Continues several sequences of any lengths. What each becomes does not depend on the others.
    /// <paramref name="accept"/> is told each token of each sequence, by the sequence's number, as they come, and says
    /// whether to go on with it; for different sequences it may be called at once from different threads.
    /// </summary>
    /// <returns>Why each sequence ended; <see cref="FinishReason.StopString"/> where it was not to go on.</returns>
    public FinishReason[] Generate(
        int[][] prompts, GenerationOptions options, Func<int, GeneratedToken, bool> accept,
        CancellationToken cancellationToken = default)
    {
        Check(prompts, options);
        var reasons = new FinishReason[prompts.Length];
        long cached = sizeof(float) * network.CacheNumbers(
            Capacity(prompts.Select(p => p.Length).DefaultIfEmpty().Max(), options));
        int most = (int)Math.Clamp(MaxCacheBytes / cached, 1, MaxTexts);
        // Each thread has sequences of its own; more sequences than threads share each step's reading of the weights.
        int groups = Math.Min(prompts.Length, Math.Max(Decoders, (prompts.Length + most - 1) / most));
        ForEach(groups, group =>
        {
            IEnumerable<Continuation> texts = Enumerable.Range(0, prompts.Length).Where(i => i % groups == group)
                .Select(i => new Continuation(this, i, prompts[i], options));
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
    /// Looks at sequences of any lengths, each for itself; at one that is longer than the window as if it were generated.
    /// Losses, (sequences), are the mean of −log p over all tokens but the first, NaN without a second; embeddings,
    /// (sequences × width), the mean of the tokens' final hidden states, NaN without one. What is empty is not computed.
    /// </summary>
    public void Evaluate(int[][] sequences, Memory<float> losses, Memory<float> embeddings)
    {
        EachDecoded(sequences, (decoder, i) =>
        {
            Memory<float> pooled = embeddings.IsEmpty ? default : embeddings.Slice(i * Width, Width);
            double sum = Evaluate(decoder, sequences[i], !losses.IsEmpty, pooled);
            if (!losses.IsEmpty)
                losses.Span[i] = (float)(sum / Math.Max(0, sequences[i].Length - 1));
        });
    }

    /// <summary>
    /// What the model expected at each token of some sequences but their first; of a sequence that is longer than the
    /// window, as if it were generated.
    /// </summary>
    public TokenExpectation[][] Inspect(int[][] sequences)
    {
        TokenExpectation[][] found = [.. sequences.Select(tokens => new TokenExpectation[Math.Max(0, tokens.Length - 1)])];
        EachDecoded(sequences, (decoder, i) =>
        {
            float[] room = ArrayPool<float>.Shared.Rent(2 * VocabularySize);
            Read(decoder, sequences[i], (row, position) =>
            {
                if (position < found[i].Length)
                    found[i][position] = TokenExpectation.Of(decoder.Logits(row), sequences[i][position + 1], room);
            });
            ArrayPool<float>.Shared.Return(room);
        });
        return found;
    }

    // Sequences, each by a decoder with room for it.
    private void EachDecoded(int[][] sequences, Action<SequenceState, int> action)
    {
        int groups = Math.Min(Decoders, sequences.Length);
        int longest = sequences.Select(s => s.Length).DefaultIfEmpty().Max();
        ForEach(groups, group =>
        {
            using SequenceState decoder = NewDecoder(1, Math.Clamp(longest, 1, ContextLength));
            for (int i = group; i < sequences.Length; i += groups)
                action(decoder, i);
        });
    }

    // The sum of −log p, and the mean hidden state where there is room for it.
    private double Evaluate(SequenceState decoder, int[] tokens, bool loss, Memory<float> pooled)
    {
        pooled.Span.Clear();
        double sum = 0;
        Read(decoder, tokens, (row, position) =>
        {
            if (!pooled.IsEmpty)
                TensorPrimitives.Add(pooled.Span, decoder.Hidden(row), pooled.Span);
            if (loss && position + 1 < tokens.Length)
                sum += LogSumExp(decoder.Logits(row)) - decoder.Logits(row)[tokens[position + 1]];
        });
        TensorPrimitives.Divide(pooled.Span, tokens.Length, pooled.Span);
        return sum;
    }

    // Reads a sequence, and tells of each token which of the decoder's results is its own.
    private void Read(SequenceState decoder, int[] tokens, Action<int, int> read)
    {
        var window = new TokenWindow(ContextLength);
        for (int next = 0; next < tokens.Length;)
        {
            int first = next;
            do
                window.Add(tokens[next++]);
            while (next < tokens.Length && window.Count < ContextLength);

            // What slid along in the window was counted before: those rows come first.
            int row = next - window.Pending.Length;
            while (window.Pending.Length > 0)
            {
                ReadOnlySpan<int> part =
                    window.Pending[..Math.Min(Math.Min(decoder.MaxResults, MaxRead), window.Pending.Length)];
                decoder.Read(0, window.Position, part, all: true);
                for (int i = Math.Clamp(first - row, 0, part.Length); i < part.Length; i++)
                    read(i, row + i);
                row += part.Length;
                window.Advance(part.Length);
            }
        }
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
                    while (window.Pending.Length > 0)
                    {
                        int length = Math.Min(MaxRead, window.Pending.Length);
                        decoder.Read(slot, window.Position, window.Pending[..length], all: false);
                        window.Advance(length);
                    }
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

    private void ForEach(int count, Action<int> body) => ForEach(count, Decoders, body);

    /// <summary>So many at once; the first exception is thrown as it is.</summary>
    internal static void ForEach(int count, int threads, Action<int> body)
    {
        try
        {
            Parallel.For(0, count, new ParallelOptions { MaxDegreeOfParallelism = threads }, body);
        }
        catch (AggregateException several)
        {
            ExceptionDispatchInfo.Throw(several.Flatten().InnerExceptions[0]);
        }
    }

    private void Check(int[][] prompts, GenerationOptions options)
    {
        options.CheckTokens(VocabularySize);
        if (options.LongPrompts == LongPrompts.Error && Array.Find(prompts, p => p.Length > ContextLength) is { } prompt)
            throw new ArgumentException(
                $"The prompt has {prompt.Length} tokens, and the model looks at {ContextLength}. With "
                + "LongPrompts = KeepEnd, its end would be used.", nameof(prompts));
    }

    /// <summary>log Σ eˣ.</summary>
    internal static float LogSumExp(ReadOnlySpan<float> x)
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
    private sealed class TokenPass(LanguageNetwork network) : IForwardPass
    {
        public T[] Run<T>(Scope<T> w, T[] inputs)
            where T : struct, ITensor<T>
        {
            T hidden = network.Hidden(w, inputs[0], inputs[1]).Reshape(-1, network.Width).Embed(inputs[2]);
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
        private readonly List<int> _tokens = [];

        public int Count => _tokens.Count;

        /// <summary>Where the first token stands that was not read yet.</summary>
        public int Position { get; private set; }

        /// <summary>The tokens that were not read yet.</summary>
        public ReadOnlySpan<int> Pending => CollectionsMarshal.AsSpan(_tokens)[Position..];

        public void Add(int token)
        {
            if (Count == context)
            {
                _tokens.RemoveRange(0, context - (Math.Max(1, context / 2) - 1));
                Position = 0;
            }
            _tokens.Add(token);
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

        public Continuation(TrainedLanguageModel model, int number, int[] prompt, GenerationOptions options)
        {
            (Number, _options, Window) = (number, options, new TokenWindow(model.ContextLength));
            _sampler = new TokenSampler(options, model.VocabularySize, options.Seed ?? Random.Shared.Next());
            foreach (int token in prompt)
                _sampler.AddPrompt(token);
            // Of a long prompt, what is left of it in a full window: earlier tokens would never be looked at.
            foreach (int token in prompt.TakeLast(model.ContextLength))
                Window.Add(token);
        }

        public int Number { get; }

        public TokenWindow Window { get; }

        /// <summary>The token that the last step has added to the text, if it has added one.</summary>
        public GeneratedToken? Newest { get; private set; }

        public bool IsFinished { get; private set; }

        /// <summary>Why no more tokens follow, where that is so.</summary>
        public FinishReason Reason { get; private set; }

        /// <summary>Ends the text because of what is in it.</summary>
        public void Stop() => (IsFinished, Reason) = (true, FinishReason.StopString);

        /// <summary>Draws the next token from logits, which are changed.</summary>
        public void Draw(Span<float> logits)
        {
            // The sampler changes logits: what the model thought of a token must be read before.
            float[] before = _options.LogProbabilities ? [.. logits] : [];
            float logSum = _options.LogProbabilities ? LogSumExp(before) : float.NaN;
            int token = _sampler.Next(logits);
            if (_options.StopTokens.Contains(token))
            {
                (Newest, IsFinished, Reason) = (null, true, FinishReason.StopToken);
                return;
            }
            float logProbability = _options.LogProbabilities ? before[token] - logSum : float.NaN;
            TokenAlternative[] alternatives = _options.Alternatives == 0 ? [] :
            [
                .. before.Select((logit, id) => new TokenAlternative(id, logit - logSum))
                    .OrderByDescending(a => before[a.Id]).ThenBy(a => a.Id).Take(_options.Alternatives),
            ];
            Newest = new(token, logProbability, alternatives);
            Window.Add(token);
            (IsFinished, Reason) = (++_generated == _options.MaxNewTokens, FinishReason.Length);
        }
    }
}
