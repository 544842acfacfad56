namespace GenerativeML;

/// <summary>Where a VAE writes what it computes of a batch of rows. What is empty is not computed.</summary>
internal readonly struct VaeOutputs
{
    /// <summary>(rows): how strange.</summary>
    public Memory<float> Score { get; init; }

    /// <summary>
    /// (rows × D): each slot's share of the score; where that is the negative log-likelihood, its own given the mean
    /// code, in nats.
    /// </summary>
    public Memory<float> FeatureScore { get; init; }

    /// <summary>(rows × D): what the decoder makes of the mean code, in the units of the data.</summary>
    public Memory<float> Reconstruction { get; init; }

    /// <summary>(rows × Z): the mean of the code.</summary>
    public Memory<float> Latent { get; init; }

    /// <summary>(rows × Z): the deviation of the code.</summary>
    public Memory<float> Deviation { get; init; }
}
