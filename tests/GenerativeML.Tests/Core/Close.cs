namespace GenerativeML.Tests;

/// <summary>What two ways to compute the same have to agree to.</summary>
internal static class Close
{
    /// <summary>To 1e-5 of the larger of a number and the usual size of its kind.</summary>
    public static void AreClose(Memory<float> expected, Memory<float> found, string name)
    {
        double usual = expected.ToArray().Select(v => Math.Abs((double)v)).Order().ElementAt(expected.Length / 2);
        for (int i = 0; i < expected.Length; i++)
        {
            double value = expected.Span[i];
            Assert.AreEqual(
                value, found.Span[i], 1e-5 * Math.Max(Math.Abs(value), usual), $"{name}, number {i}");
        }
    }
}
