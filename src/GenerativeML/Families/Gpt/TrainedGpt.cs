namespace GenerativeML;

/// <summary>
/// A trained GPT: continues token sequences, tells how likely they are, and gives their embeddings. On the CPU it does
/// so in managed code, without torch; on a CUDA device by the network that was trained. Safe to use from several
/// threads.
/// </summary>
internal sealed class TrainedGpt : IDisposable
{
    // Texts that a device steps on together: each has its cache there.
    private const int MostOnDevice = 256;

    private readonly Lock _gate = new();
    private readonly DeviceGpt? _device;
    private DecoderWeights? _weights;
    private DecoderWeights? _rounded;

    /// <summary>Takes over weights that are laid out for decoding.</summary>
    /// <param name="weights">The weights.</param>
    /// <param name="device">The same on a device, to compute there; null to compute on the CPU.</param>
    public TrainedGpt(DecoderWeights weights, DeviceGpt? device = null) =>
        (_weights, _device, Shape) = (weights, device, weights.Shape);

    /// <summary>Takes over what training or an import made; its memory is no longer needed afterwards.</summary>
    /// <param name="weights">The weights.</param>
    /// <param name="device">Where to compute.</param>
    /// <param name="fallbackToCpu">Whether the CPU may stand in for a CUDA device that is not there.</param>
    /// <exception cref="InvalidOperationException">The CUDA device, or torch for it, is not there.</exception>
    public TrainedGpt(GptWeights weights, ComputeDevice device = default, bool fallbackToCpu = false)
        : this(DecoderWeights.Pack(weights), device, fallbackToCpu)
    {
    }

    private TrainedGpt(DecoderWeights weights, ComputeDevice device, bool fallbackToCpu)
        : this(weights, DeviceGpt.On(device, fallbackToCpu, weights))
    {
    }

    /// <summary>Everything needed to build the network again.</summary>
    public GptShape Shape { get; }

    /// <summary>The most threads that one call uses. They do not change results. Default: the processors.</summary>
    public int Threads { get; init; } = Environment.ProcessorCount;

    /// <summary>A copy of the weights, for training on and for export.</summary>
    public GptWeights CopyWeights() => Weights.Unpack();

    /// <summary>Writes all tensors as safetensors, under GPT-2's names.</summary>
    public void Save(Stream stream) => Weights.Save(stream);

    /// <summary>Reads the weights of a model of a shape.</summary>
    /// <param name="shape">The shape.</param>
    /// <param name="stream">A safetensors file.</param>
    /// <param name="device">Where to compute.</param>
    /// <param name="fallbackToCpu">Whether the CPU may stand in for a CUDA device that is not there.</param>
    /// <exception cref="FormatException">
    /// The shape is out of range, or the file does not hold exactly its tensors.
    /// </exception>
    /// <exception cref="InvalidOperationException">The CUDA device, or torch for it, is not there.</exception>
    public static TrainedGpt Load(
        GptShape shape, Stream stream, ComputeDevice device = default, bool fallbackToCpu = false) =>
        new(DecoderWeights.Load(shape, stream), device, fallbackToCpu);

    /// <summary>Continues a sequence, token by token, as they are asked for.</summary>
    /// <param name="prompt">At least one token.</param>
    /// <param name="options">How.</param>
    /// <param name="cancellationToken">Looked at before each token.</param>
    /// <exception cref="ArgumentException">
    /// The prompt is empty, too long where the options say that this is an error, or has a token that does not exist;
    /// or the options are not sound.
    /// </exception>
    /// <exception cref="ObjectDisposedException">The model has been disposed.</exception>
    public IEnumerable<GeneratedToken> Stream(
        IReadOnlyList<int> prompt, GenerationOptions options, CancellationToken cancellationToken = default)
    {
        Check([prompt], options);
        return Tokens();

        IEnumerable<GeneratedToken> Tokens()
        {
            IGptDecoder decoder = NewDecoder(options, Threads);
            var batch = new DecodingBatch(decoder);
            using var continuation = new GptContinuation(decoder, prompt, options);
            GptContinuation[] alone = [continuation];
            while (!continuation.IsFinished)
            {
                cancellationToken.ThrowIfCancellationRequested();
                ObjectDisposedException.ThrowIf(_weights is null, this);
                batch.Step(alone);
                if (continuation.Newest is { } token)
                    yield return token;
            }
        }
    }

    /// <summary>
    /// Continues several sequences of any lengths. What each becomes does not depend, to the bit, on the others.
    /// </summary>
    /// <param name="prompts">Each with at least one token.</param>
    /// <param name="options">How.</param>
    /// <param name="accept">
    /// Told each token of each sequence, by the sequence's number, as they come; says whether to go on with the
    /// sequence. May be called for different sequences at once from different threads.
    /// </param>
    /// <param name="cancellationToken">Looked at before each token.</param>
    /// <returns>Why each sequence ended; <see cref="FinishReason.StopString"/> where it was not to go on.</returns>
    /// <exception cref="ArgumentException">As for <see cref="Stream"/>.</exception>
    /// <exception cref="ObjectDisposedException">The model has been disposed.</exception>
    public FinishReason[] Generate(
        IReadOnlyList<IReadOnlyList<int>> prompts, GenerationOptions options, Func<int, GeneratedToken, bool> accept,
        CancellationToken cancellationToken = default)
    {
        Check(prompts, options);
        var reasons = new FinishReason[prompts.Count];
        // Each thread has sequences of its own; more sequences than threads share each step's reading of the weights.
        int groups = _device is null
            ? Math.Min(prompts.Count, Math.Max(Threads, Parts(GptDecoder.Rows)))
            : Parts(MostOnDevice);
        Parallelism.ForEach(groups, Threads, Generate, cancellationToken);
        return reasons;

        int Parts(int most) => (prompts.Count + most - 1) / most;

        void Generate(int group)
        {
            IGptDecoder decoder = NewDecoder(options, Math.Max(1, Threads / groups));
            var batch = new DecodingBatch(decoder);
            List<(int Number, GptContinuation Text)> open = [];
            try
            {
                for (int i = group; i < prompts.Count; i += groups)
                    open.Add((i, new GptContinuation(decoder, prompts[i], options)));
                while (open.Count > 0)
                {
                    cancellationToken.ThrowIfCancellationRequested();
                    batch.Step([.. open.Select(s => s.Text)]);
                    foreach ((int number, GptContinuation text) in open)
                    {
                        if (text.Newest is { } token && !accept(number, token))
                            text.Stop();
                        reasons[number] = text.Reason;
                        if (text.IsFinished)
                            text.Dispose();
                    }
                    open.RemoveAll(s => s.Text.IsFinished);
                }
            }
            finally
            {
                foreach ((_, GptContinuation text) in open)
                    text.Dispose();
            }
        }
    }

    /// <summary>
    /// Looks at sequences of any lengths, on several threads. An empty span is not computed. A sequence's results do
    /// not depend, to the bit, on the others.
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
    /// <exception cref="ObjectDisposedException">The model has been disposed.</exception>
    public void Evaluate(IReadOnlyList<IReadOnlyList<int>> sequences, Memory<float> losses, Memory<float> embeddings)
    {
        ArgumentNullException.ThrowIfNull(sequences);
        foreach (IReadOnlyList<int> sequence in sequences)
            CheckTokens(sequence, nameof(sequences));
        int groups = _device is null ? Math.Min(Threads, sequences.Count) : 1;
        Parallelism.ForEach(groups, Threads, group =>
        {
            IGptDecoder decoder = NewDecoder(new GenerationOptions(), Math.Max(1, Threads / groups));
            using var evaluation = new GptEvaluation(decoder);
            for (int i = group; i < sequences.Count; i += groups)
            {
                var logProbabilities = new float[losses.IsEmpty ? 0 : Math.Max(0, sequences[i].Count - 1)];
                Span<float> pooled = embeddings.IsEmpty ? [] : embeddings.Span.Slice(i * Shape.Width, Shape.Width);
                evaluation.Run(sequences[i], logProbabilities, pooled);
                if (!losses.IsEmpty)
                    losses.Span[i] = (float)(logProbabilities.Sum(p => (double)-p) / logProbabilities.Length);
            }
        });
    }

    private DecoderWeights Weights => _weights ?? throw new ObjectDisposedException(nameof(TrainedGpt));

    private IGptDecoder NewDecoder(GenerationOptions options, int threads)
    {
        DecoderWeights weights = Weights;
        if (_device is not null)
            return _device.NewDecoder();
        if (!options.BFloat16Weights)
            return new GptDecoder(weights, threads);
        lock (_gate)
            return new GptDecoder(_rounded ??= weights.ToBFloat16(), threads);
    }

    private void Check(IReadOnlyList<IReadOnlyList<int>> prompts, GenerationOptions options)
    {
        ObjectDisposedException.ThrowIf(_weights is null, this);
        ArgumentNullException.ThrowIfNull(prompts);
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        options.CheckTokens(Shape.VocabularySize);
        foreach (IReadOnlyList<int> prompt in prompts)
        {
            ArgumentNullException.ThrowIfNull(prompt);
            if (prompt.Count == 0)
                throw new ArgumentException(
                    "The prompt is empty: a GPT continues from at least one token.", nameof(prompts));
            if (options.LongPrompts == LongPrompts.Error && prompt.Count > Shape.ContextLength)
                throw new ArgumentException(
                    $"The prompt has {prompt.Count} tokens, and the model looks at {Shape.ContextLength}. With "
                    + "LongPrompts = KeepEnd, its end would be used.", nameof(prompts));
            CheckTokens(prompt, nameof(prompts));
        }
    }

    private void CheckTokens(IReadOnlyList<int> tokens, string parameter)
    {
        foreach (int token in tokens)
        {
            if (token < 0 || token >= Shape.VocabularySize)
                throw new ArgumentOutOfRangeException(
                    parameter, token,
                    $"There is no token {token}: the model has tokens 0 to {Shape.VocabularySize - 1}.");
        }
    }

    /// <summary>Lets go of the weights. A second call does nothing.</summary>
    public void Dispose()
    {
        _weights = _rounded = null;
        _device?.Dispose();
    }
}
