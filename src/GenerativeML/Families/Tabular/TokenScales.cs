namespace GenerativeML;

/// <summary>Where the tokens of a column of numbers lie among each other, as smooth functions of it.</summary>
internal static class TokenScales
{
    private const int Waves = 6;

    /// <summary>Features of a token.</summary>
    public const int Features = Waves + 3;

    /// <summary>
    /// For each token: its rank and waves of it, its value, and whether it stands for a missing value; (Count ×
    /// <see cref="Features"/>).
    /// </summary>
    public static float[] Of(NumberTokens tokens)
    {
        double[] centres =
        [
            .. tokens.Segments.Select(s => s.Length == 0
                ? double.NaN
                : s.Sum(part => (part.Low / 2 + part.High / 2) * (part.Weight / s.Sum(other => other.Weight)))),
        ];
        double[] sorted = [.. centres.Where(c => !double.IsNaN(c)).Order()];
        float[] features = new float[centres.Length * Features];
        for (int token = 0; token < centres.Length; token++)
        {
            Span<float> to = features.AsSpan(token * Features, Features);
            if (double.IsNaN(centres[token]))
            {
                to[^1] = 1;
                continue;
            }
            double rank = Array.BinarySearch(sorted, centres[token]) / Math.Max(1.0, sorted.Length - 1);
            double span = sorted[^1] / 2 - sorted[0] / 2;
            to[0] = (float)(2 * rank - 1);
            for (int wave = 1; wave <= Waves; wave++)
                to[wave] = (float)Math.Cos(Math.PI * wave * rank);
            to[^2] = span > 0 ? (float)(2 * (centres[token] / 2 - sorted[0] / 2) / span - 1) : 0;
        }
        return features;
    }
}
