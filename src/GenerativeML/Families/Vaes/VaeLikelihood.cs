namespace GenerativeML;

/// <summary>What a VAE takes a slot's values to be, given the code.</summary>
public enum VaeLikelihood
{
    /// <summary>
    /// <see cref="Bernoulli"/> where the training rows hold both 0 and 1 and nothing else, otherwise
    /// <see cref="Gaussian"/>. The default.
    /// </summary>
    Auto,

    /// <summary>
    /// Normal, with a mean that depends on the code and a deviation of the slot's own, which is learned. A slot that is
    /// constant in the training rows counts for nothing.
    /// </summary>
    Gaussian,

    /// <summary>
    /// One with a probability that depends on the code, otherwise zero. Values in between, such as greys, count as that
    /// share of a one. All training values must lie in [0, 1].
    /// </summary>
    Bernoulli,
}
