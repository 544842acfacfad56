namespace GenerativeML;

/// <summary>
/// A trained GPT. On the CPU ONNX Runtime computes, without torch; on a CUDA device, and on the CPU where ONNX Runtime
/// is not there, torch does. The engine is chosen, and its form of the weights made, when it is first needed.
/// </summary>
/// <param name="network">The network.</param>
/// <param name="weights">Its weights; they have to stay as they are.</param>
/// <param name="device">Where to compute.</param>
/// <param name="fallbackToCpu">Whether the CPU may stand in for a CUDA device that is not there.</param>
/// <param name="threads">The most threads that one call uses. Default: the processors.</param>
internal sealed class TrainedGpt(
    GptNetwork network, HostWeights weights, ComputeDevice device = default, bool fallbackToCpu = false,
    int? threads = null) : TokenModel
{
    // Products with smaller matrices gain nothing by a second thread: then texts share out the threads.
    private const long LargeParameterCount = 1 << 24;

    // Above it, weights are neither copied nor packed, for 1.3 times the time.
    private const long MaxPackedBytes = 1L << 30;

    // Texts that are stepped on together: each takes memory for keys and values.
    private const int MaxTexts = 64;
    private const long MaxCacheBytes = 1L << 29;

    private readonly int _threads = threads ?? Environment.ProcessorCount;
    private readonly Lock _opening = new();
    private SequenceModel? _sequences;

    /// <summary>The network.</summary>
    public GptNetwork Network => network;

    /// <summary>Its weights.</summary>
    public HostWeights Weights => weights;

    public override int VocabularySize => network.VocabularySize;

    public override int ContextLength => network.Options.ContextLength;

    public override int Width => network.Options.Width;

    public override int Decoders => IsLarge(network) || device != ComputeDevice.Cpu ? 1 : _threads;

    public override ITokenDecoder NewDecoder(int slots, int capacity)
    {
        lock (_opening)
        {
            _sequences ??= new SequenceModel(
                new TokenPass(network), weights, network.Options.Width, network.VocabularySize, device, fallbackToCpu,
                IsLarge(network) ? _threads : 1, borrow: network.ParameterCount * sizeof(float) > MaxPackedBytes);
            return _sequences.Start(slots, capacity);
        }
    }

    public override int MaxSlots(int capacity)
    {
        long bytes = 2L * sizeof(float) * network.Options.Layers * network.Options.Width * Math.Max(1, capacity);
        return (int)Math.Clamp(MaxCacheBytes / bytes, 1, MaxTexts);
    }

    public override void Dispose()
    {
        lock (_opening)
        {
            _sequences?.Dispose();
            _sequences = null;
        }
    }

    private static bool IsLarge(GptNetwork network) => network.ParameterCount >= LargeParameterCount;

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
}
