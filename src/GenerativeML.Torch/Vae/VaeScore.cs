namespace GenerativeML;

/// <summary>What a VAE gives as a row's score.</summary>
public enum VaeScore
{
    /// <summary>
    /// The negative logarithm of the row's density, in nats, estimated by importance sampling with
    /// <see cref="VaeOptions.ScoreSamples"/> codes (Burda 2016); with one code it is the negative ELBO. The default.
    /// </summary>
    NegativeLogLikelihood,

    /// <summary>
    /// The negative logarithm of the row's density given the mean of its code, in nats: how badly it is reconstructed,
    /// whatever its code.
    /// </summary>
    Reconstruction,
}
