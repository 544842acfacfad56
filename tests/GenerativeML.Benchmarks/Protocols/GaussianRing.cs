
namespace GenerativeML.Benchmarks;

/// <summary>
/// A ring of equal Gaussians in the plane, on which GANs show whether they keep to all modes of their data.
/// </summary>
/// <param name="Modes">How many there are.</param>
/// <param name="Radius">Their distance from the origin.</param>
/// <param name="Deviation">Their standard deviation in each direction.</param>
internal sealed record GaussianRing(int Modes = 8, double Radius = 2, double Deviation = 0.1)
{
    private const double Near = 4; // deviations within which a row belongs to a mode
    private const double LeastShare = 0.25; // of its fair share of the rows, for a mode to count as hit

    /// <summary>Rows drawn from it.</summary>
    public float[][] Sample(int rows, int seed)
    {
        var random = new SplitMix64((ulong)seed);
        return [.. Enumerable.Range(0, rows).Select(_ => Draw(ref random))];
    }

    /// <summary>How many modes are hit, and the share of rows that lie within four deviations of one.</summary>
    public (int ModesHit, double NearShare) Judge(IReadOnlyList<float[]> rows)
    {
        int[] near = new int[Modes];
        foreach (float[] row in rows)
        {
            for (int m = 0; m < Modes; m++)
            {
                (double x, double y) = Center(m);
                if (Math.Sqrt((row[0] - x) * (row[0] - x) + (row[1] - y) * (row[1] - y)) <= Near * Deviation)
                    near[m]++;
            }
        }
        int least = (int)Math.Ceiling(LeastShare * rows.Count / Modes);
        return (near.Count(n => n >= least), near.Sum() / (double)rows.Count);
    }

    private float[] Draw(ref SplitMix64 random)
    {
        (double x, double y) = Center(random.Next(Modes));
        double length = Deviation * Math.Sqrt(-2 * Math.Log(1 - random.NextDouble()));
        double angle = 2 * Math.PI * random.NextDouble();
        return [(float)(x + length * Math.Cos(angle)), (float)(y + length * Math.Sin(angle))];
    }

    private (double X, double Y) Center(int mode) =>
        (Radius * Math.Cos(2 * Math.PI * mode / Modes), Radius * Math.Sin(2 * Math.PI * mode / Modes));
}
