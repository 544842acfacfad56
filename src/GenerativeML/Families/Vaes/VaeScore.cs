namespace GenerativeML;

/// <summary>What a VAE gives as a row's score.</summary>
public enum VaeScore
{
    /// <summary>
    /// The negative logarithm of the row's density, in nats, estimated by importance sampling with
    /// <see cref="VaeOptions.ScoreSamples"/> codes (Burda 2016); with one code it is the negative ELBO. The default of
    /// a VAE that is no detector.
    /// Where a Bernoulli slot holds a value between zero and one, such as a grey, the value's own entropy is taken off:
    /// a row is strange by how it differs from what was expected, not by how grey it is.
    /// </summary>
    NegativeLogLikelihood,

    /// <summary>
    /// The negative logarithm of the row's density given the mean of its code, in nats: how badly it is reconstructed,
    /// whatever its code.
    /// </summary>
    Reconstruction,

    /// <summary>
    /// How unlike the training rows, by four parts, each divided by its usual size on them (their median, and a tenth of
    /// their mean). First, the negative ELBO for the mean of the row's code, as far as it lies above the least that any
    /// decoder could reach. Second, how differently the encoder sees the row and its reconstruction: the mean squared
    /// difference of its last hidden units, each in units of its usual one (Kim 2020, RaPP); for a reconstruction may
    /// be close slot by slot only for want of anything to get wrong. Third and fourth, squared distances to stored
    /// training rows, <see cref="VaeDetectorOptions.MemoryRows"/>: to the nearest few, which see small gaps, and to the
    /// nearest many of a few, which see past clusters of anomalies. The default of a detector.
    /// </summary>
    Novelty,
}
