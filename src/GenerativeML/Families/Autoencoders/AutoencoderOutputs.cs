namespace GenerativeML;

/// <summary>Where an autoencoder writes what it computes of a batch of rows. What is empty is not computed.</summary>
internal readonly struct AutoencoderOutputs
{
    /// <summary>(rows): how strange, zero or more.</summary>
    public Memory<float> Score { get; init; }

    /// <summary>(rows × D): each slot's contribution to the score.</summary>
    public Memory<float> FeatureScore { get; init; }

    /// <summary>(rows × D): what the networks make of the row, in the units of the data.</summary>
    public Memory<float> Reconstruction { get; init; }

    /// <summary>(rows × latent): the first network's code.</summary>
    public Memory<float> Latent { get; init; }

    /// <summary>
    /// (rows × <see cref="AutoencoderShape.Parts"/>): what the score is made of, before it is weighted. On the CPU only.
    /// </summary>
    public Memory<float> Parts { get; init; }
}
