using Microsoft.ML.Data;
using Microsoft.ML.Transforms.Image;

namespace AnomalyDetection;

/// <summary>A picture of a thing, and what is wrong with it.</summary>
internal sealed class Photograph
{
    [ImageType(Plates.Side, Plates.Side)] // ML.NET asks for a size here; pictures of others pass, too
    public MLImage? Image { get; set; }

    public string Kind { get; set; } = Plates.Sound;
}

/// <summary>
/// Photographs of brushed metal plates with four holes, in light from any side; some are scratched, stained or lack a hole.
/// </summary>
internal static class Plates
{
    public const int Side = 64;
    public const string Sound = "good";

    private static readonly string[] s_kinds = [Sound, "scratch", "stain", "hole missing"];

    /// <summary>Sound plates to learn from.</summary>
    public static Photograph[] Train(int seed, int count) =>
        [.. Enumerable.Range(0, count).Select(i => Draw(new(seed * 100_003 + i), Sound))];

    /// <summary>Others to look at, every other one sound.</summary>
    public static Photograph[] Test(int seed, int count) => [.. Enumerable.Range(0, count).Select(
        i => Draw(new(seed * 100_003 - 1 - i), i % 2 == 0 ? Sound : s_kinds[1 + i / 2 % 3]))];

    private static Photograph Draw(Random random, string kind)
    {
        (double angle, double slope, double light) =
            (random.NextDouble() * Math.Tau, 0.5 * random.NextDouble(), 0.4 + 0.2 * random.NextDouble());
        (double x, double y, double turn) = (Next(12, 52), Next(12, 52), Next(0, Math.PI)); // of what is wrong
        int missing = random.Next(4);
        byte[] pixels = new byte[4 * Side * Side];
        for (int row = 0; row < Side; row++)
        {
            double brushed = 0.05 * (random.NextDouble() - 0.5);
            for (int column = 0; column < Side; column++)
            {
                double value = light + brushed + 0.03 * (random.NextDouble() - 0.5)
                    + slope * ((column - 32) * Math.Cos(angle) + (row - 32) * Math.Sin(angle)) / Side;
                for (int hole = 0; hole < 4; hole++)
                {
                    double distance = Math.Sqrt(Square(column - (hole % 2 == 0 ? 12 : 51)) + Square(row - (hole / 2 == 0 ? 12 : 51)));
                    if (kind != "hole missing" || hole != missing)
                        value *= 1 - 0.8 * Math.Clamp(4.5 - distance, 0, 1);
                }
                (double along, double across) = (
                    (column - x) * Math.Cos(turn) + (row - y) * Math.Sin(turn), (row - y) * Math.Cos(turn) - (column - x) * Math.Sin(turn));
                if (kind == "scratch" && Math.Abs(along) < 9)
                    value += 0.3 * Math.Clamp(1.2 - Math.Abs(across), 0, 1);
                if (kind == "stain")
                    value *= 1 - 0.3 * Math.Clamp(5 - Math.Sqrt(along * along / 2 + across * across), 0, 1);
                byte grey = (byte)(255 * Math.Clamp(value, 0, 1));
                pixels.AsSpan(4 * (row * Side + column), 3).Fill(grey);
                pixels[4 * (row * Side + column) + 3] = byte.MaxValue;
            }
        }
        return new() { Image = MLImage.CreateFromPixels(Side, Side, MLPixelFormat.Rgba32, pixels), Kind = kind };

        double Next(double from, double to) => from + random.NextDouble() * (to - from);

        static double Square(double value) => value * value;
    }
}
