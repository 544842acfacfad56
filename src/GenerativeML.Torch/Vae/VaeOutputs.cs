namespace GenerativeML.Torch;

/// <summary>Where a VAE writes what it computes of a batch of rows. An empty span is not computed.</summary>
internal readonly ref struct VaeOutputs
{
    /// <summary>(rows): how strange.</summary>
    public Span<float> Score { get; init; }

    /// <summary>
    /// (rows × D): each slot's share of the score; where that is the negative log-likelihood, its own given the mean
    /// code, in nats.
    /// </summary>
    public Span<float> FeatureScore { get; init; }

    /// <summary>(rows × D): what the decoder makes of the mean code, in the units of the data.</summary>
    public Span<float> Reconstruction { get; init; }

    /// <summary>(rows × Z): the mean of the code.</summary>
    public Span<float> Latent { get; init; }

    /// <summary>(rows × Z): the deviation of the code.</summary>
    public Span<float> Deviation { get; init; }
}
