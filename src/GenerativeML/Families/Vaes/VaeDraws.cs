namespace GenerativeML;

/// <summary>The random numbers that codes are drawn by for a score: the same for every row, call and device.</summary>
internal static class VaeDraws
{
    /// <summary>(samples × latent).</summary>
    public static float[] Of(VaeShape shape, int samples)
    {
        var random = new SplitMix64(SplitMix64.Derive(shape.Seed, RandomPurpose.Scoring));
        var draws = new float[samples * shape.LatentDimension];
        NormalNumbers.Fill(ref random, draws);
        return draws;
    }
}
