namespace GenerativeML;

/// <summary>What a GAN gives as a row's score.</summary>
public enum GanScore
{
    /// <summary>How much the discriminator takes the row for a generated one: −D(x). The default.</summary>
    Discriminator,

    /// <summary>
    /// How far the row is from the nearest row that the generator can make, found by moving the noise down the gradient
    /// of the distance (Schlegl 2017, AnoGAN): nine tenths of it the mean absolute difference of the standardised slots,
    /// one tenth that of the discriminator's last hidden layer. Slow: it takes a training of its own for each row.
    /// </summary>
    LatentSearch,
}
