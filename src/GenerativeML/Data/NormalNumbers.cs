namespace GenerativeML;

/// <summary>Normal numbers with mean 0 and deviation 1 that follow from a seed, without torch and on any device.</summary>
internal static class NormalNumbers
{
    /// <summary>Draws numbers in pairs (Box and Muller 1958).</summary>
    public static void Fill(ref SplitMix64 random, Span<float> values)
    {
        for (int i = 0; i < values.Length; i += 2)
        {
            double radius = Math.Sqrt(-2 * Math.Log(1 - random.NextDouble()));
            (double sine, double cosine) = Math.SinCos(2 * Math.PI * random.NextDouble());
            values[i] = (float)(radius * cosine);
            if (i + 1 < values.Length)
                values[i + 1] = (float)(radius * sine);
        }
    }
}
