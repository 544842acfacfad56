using Microsoft.ML.Data;
using Microsoft.ML.Transforms.Image;

namespace TextToImage;

/// <summary>A row: a picture and what it shows.</summary>
internal sealed class Captioned
{
    [ImageType(32, 32)] // ML.NET asks for a size here; pictures of others pass, too
    public MLImage? Image { get; set; }

    public string Caption { get; set; } = "";
}

/// <summary>Things of a scene: one, or two side by side.</summary>
internal sealed record Thing(int Count, string Size, string Color, string Shape)
{
    public override string ToString() =>
        string.Join(' ', new[] { Count == 1 ? "a" : "two", Size, Color, Count == 1 ? Shape : Shape + "s" }.Where(word => word.Length > 0));
}

/// <summary>Scenes of one thing, or of two in a relation, which the sample draws: shapes, colours, sizes, places.</summary>
internal static class Scenes
{
    public const int Side = 32;

    public static readonly string[] Shapes = ["circle", "square", "triangle"];
    public static readonly string[] Relations = ["above", "below", "left of", "right of"];

    private static readonly Dictionary<string, (byte R, byte G, byte B)> Colors = new()
    {
        ["red"] = (230, 40, 40), ["green"] = (40, 200, 60), ["blue"] = (50, 80, 240), ["yellow"] = (240, 220, 50),
    };

    /// <summary>
    /// Scenes by a seed. A caption of two things belongs to those that are held out by its words together, one of ten, and
    /// not by its parts: each of them is in others.
    /// </summary>
    public static IEnumerable<Captioned> Draw(int count, int seed, bool heldOut)
    {
        var random = new Random(seed);
        while (count > 0)
        {
            Thing first = Any(random), second = Any(random);
            string relation = Relations[random.Next(Relations.Length)];
            bool alone = !heldOut && random.Next(4) == 0;
            if (!alone && (first.Color == second.Color || IsHeldOut(first, relation, second) != heldOut))
                continue;
            yield return alone ? Scene(first, null, null, random) : Scene(first, relation, second, random);
            count--;
        }
    }

    /// <summary>
    /// What a caption answers to a judge: which colour is where, and for each colour how many things of which shape have it.
    /// </summary>
    public static string[] Answers(string caption)
    {
        string? relation = Array.Find(Relations, r => caption.Contains($" {r} ", StringComparison.Ordinal));
        Dictionary<string, string> things = (relation is null ? [caption] : caption.Split($" {relation} ")).Select(part => part.Split(' '))
            .ToDictionary(words => words.First(Colors.ContainsKey), words => $"{words[0]} {words[^1]}");
        string[] colors = [.. things.Keys];
        // Left of and right of, above and below say the same of two things.
        string place = relation switch
        {
            null => colors[0],
            "below" or "right of" => $"{colors[1]} {(relation == "below" ? "above" : "left of")} {colors[0]}",
            _ => $"{colors[0]} {relation} {colors[1]}",
        };
        return [place, .. Colors.Keys.Select(color => things.GetValueOrDefault(color, "nothing"))];
    }

    private static bool IsHeldOut(Thing first, string relation, Thing second)
    {
        uint hash = 2166136261; // FNV-1a: the same in every process
        foreach (char c in $"{first.Color} {first.Shape} {relation} {second.Color} {second.Shape}")
            hash = (hash ^ c) * 16777619;
        return hash % 10 == 0;
    }

    private static Thing Any(Random random) => new(
        random.Next(4) == 0 ? 2 : 1, random.Next(2) == 0 ? "" : random.Next(2) == 0 ? "small" : "large",
        Colors.Keys.ElementAt(random.Next(Colors.Count)), Shapes[random.Next(Shapes.Length)]);

    private static Captioned Scene(Thing first, string? relation, Thing? second, Random random)
    {
        byte[] pixels = new byte[4 * Side * Side];
        for (int i = 3; i < pixels.Length; i += 4)
            pixels[i] = byte.MaxValue;
        bool upright = relation is "above" or "below";
        double ahead = relation is "above" or "left of" ? Next(7, 9) : Next(23, 25), across = Next(13, 19);
        if (relation is null)
            ahead = Next(11, 21);
        Place(first, ahead, across);
        if (second is not null)
            Place(second, Side - ahead, Next(13, 19));
        return new Captioned
        {
            Image = MLImage.CreateFromPixels(Side, Side, MLPixelFormat.Rgba32, pixels),
            Caption = second is null ? $"{first}" : $"{first} {relation} {second}",
        };

        double Next(double from, double to) => from + random.NextDouble() * (to - from);

        // Two of a kind are side by side, across the relation.
        void Place(Thing thing, double along, double side)
        {
            double size = thing.Size switch { "small" => Next(2.4, 3.2), "large" => Next(5.2, 6), _ => Next(3.8, 4.6) };
            for (int i = 0; i < thing.Count; i++)
            {
                double at = side + (thing.Count == 1 ? 0 : (2 * i - 1) * (size + 1));
                Fill(thing, size, upright ? at : along, upright ? along : at);
            }
        }

        void Fill(Thing thing, double size, double x, double y)
        {
            (byte R, byte G, byte B) color = Colors[thing.Color];
            for (int p = 0; p < Side * Side; p++)
            {
                (double dx, double dy) = (Math.Abs(p % Side + 0.5 - x), p / Side + 0.5 - y);
                double outside = thing.Shape switch
                {
                    "circle" => Math.Sqrt(dx * dx + dy * dy) - size,
                    "square" => Math.Max(dx, Math.Abs(dy)) - size,
                    _ => Math.Max(dy - size, (2 * dx - (dy + size)) / Math.Sqrt(5)), // its tip is up
                };
                double share = Math.Clamp(0.5 - outside, 0, 1);
                for (int k = 0; k < 3; k++)
                {
                    byte full = k == 0 ? color.R : k == 1 ? color.G : color.B;
                    pixels[4 * p + k] = (byte)(pixels[4 * p + k] * (1 - share) + full * share);
                }
            }
        }
    }
}
