namespace GenerativeML;

/// <summary>What a VAE gives as a row's score.</summary>
public enum VaeScore
{
    /// <summary>
    /// The negative logarithm of the row's density, in nats, estimated by importance sampling with
    /// <see cref="VaeOptions.ScoreSamples"/> codes (Burda 2016); with one code it is the negative ELBO. The default.
    /// Where a Bernoulli slot holds a value between zero and one, such as a grey, the value's own entropy is taken off:
    /// a row is strange by how it differs from what was expected, not by how grey it is.
    /// </summary>
    NegativeLogLikelihood,

    /// <summary>
    /// The negative logarithm of the row's density given the mean of its code, in nats: how badly it is reconstructed,
    /// whatever its code.
    /// </summary>
    Reconstruction,
}
