namespace GenerativeML;

/// <summary>A trained GPT.</summary>
internal sealed class TrainedGpt(
    GptNetwork network, HostWeights weights, ComputeDevice device = default, bool fallbackToCpu = false,
    int? threads = null) : TrainedLanguageModel(network, weights, device, fallbackToCpu, threads)
{
    public new GptNetwork Network => network;

    /// <summary>
    /// The adapters that training made, which belong to the weights that it started from; in <c>Weights</c> they are
    /// merged.
    /// </summary>
    public GptAdapters? Adapters { get; init; }
}
