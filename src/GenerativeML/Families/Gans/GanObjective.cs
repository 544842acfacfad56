namespace GenerativeML;

/// <summary>What a GAN's two networks try to make of each other.</summary>
public enum GanObjective
{
    /// <summary>
    /// The discriminator is a classifier, and the generator lowers log(1 − D(G(z))), the game of the first paper
    /// (Goodfellow 2014). Its gradient fades while the discriminator wins; for comparison rather than for use.
    /// </summary>
    Minimax,

    /// <summary>
    /// The discriminator is a classifier, and the generator raises log D(G(z)) (Goodfellow 2014, section 3).
    /// </summary>
    NonSaturating,

    /// <summary>Squared distances from the labels 1 and 0 in the place of logarithms (Mao 2017).</summary>
    LeastSquares,

    /// <summary>
    /// The discriminator estimates the Wasserstein distance; its weights are clipped to keep it from being steep, and
    /// both networks are trained by RMSprop (Arjovsky 2017).
    /// </summary>
    Wasserstein,

    /// <summary>
    /// The same, with a penalty on the discriminator's gradient between real and generated rows instead of clipping
    /// (Gulrajani 2017).
    /// </summary>
    WassersteinGradientPenalty,

    /// <summary>A hinge loss with spectrally normalised weights of the discriminator (Miyato 2018).</summary>
    Hinge,
}
