namespace GanLab;

/// <summary>Distributions in the plane, each within about two units of the origin.</summary>
internal static class Shapes
{
    public static IReadOnlyList<string> Names { get; } = ["ring", "line", "gaussians", "grid", "spiral"];

    /// <summary>Points drawn from the shape of a name.</summary>
    public static float[][] Sample(string shape, int count, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => Point(shape, random))];
    }

    private static float[] Point(string shape, Random random)
    {
        double u = random.NextDouble();
        (double x, double y, double noise) = shape switch
        {
            "ring" => OnRing(random.Next(8)),
            "line" => (4 * u - 2, 2 * u - 1, 0.08),
            "gaussians" => random.Next(3) switch { 0 => (-1.5, -0.5, 0.25), 1 => (1, 1.2, 0.4), _ => (1, -1.5, 0.15) },
            "grid" => (random.Next(5) - 2, random.Next(5) - 2, 0.07),
            "spiral" => (2 * u * Math.Cos(Turn(1.5 * u)), 2 * u * Math.Sin(Turn(1.5 * u)), 0.04),
            _ => throw new ArgumentException($"There is no shape '{shape}'; there are {string.Join(", ", Names)}."),
        };
        return [(float)(x + noise * Normal(random)), (float)(y + noise * Normal(random))];
    }

    private static (double X, double Y, double Noise) OnRing(int mode) =>
        (2 * Math.Cos(Turn(mode / 8.0)), 2 * Math.Sin(Turn(mode / 8.0)), 0.1);

    private static double Turn(double share) => 2 * Math.PI * share;

    private static double Normal(Random random) =>
        Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(Turn(random.NextDouble()));
}
