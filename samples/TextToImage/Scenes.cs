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
    /// What a scene shows of its caption, told by its colours: whether what is asked for is there at the right places, and
    /// whether it has the right shapes, too. A square fills its bounds, a circle four fifths, a triangle half of them.
    /// </summary>
    public static (bool Places, bool Shapes) Judge(MLImage image, string caption)
    {
        string? relation = Array.Find(Relations, r => caption.Contains($" {r} ", StringComparison.Ordinal));
        string[] parts = relation is null ? [caption] : caption.Split($" {relation} ");
        ((double X, double Y)? Center, bool Shape)[] seen = [.. parts.Select(part => Find(image, part.Split(' ')))];
        if (Array.Exists(seen, thing => thing.Center is null))
            return (false, false);
        (double x, double y) = seen.Length == 1 ? (0, 0)
            : (seen[1].Center!.Value.X - seen[0].Center!.Value.X, seen[1].Center!.Value.Y - seen[0].Center!.Value.Y);
        bool places = relation switch { null => true, "above" => y > 4, "below" => y < -4, "left of" => x > 4, _ => x < -4 };
        return (places, places && Array.TrueForAll(seen, thing => thing.Shape));
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

    // Where what is of a colour has its centre, null for nothing; and whether its shape is the one that words say.
    private static ((double X, double Y)? Center, bool Shape) Find(MLImage image, string[] words)
    {
        (byte R, byte G, byte B) color = Colors[words.First(Colors.ContainsKey)];
        bool two = words[0] == "two";
        ReadOnlySpan<byte> pixels = image.Pixels;
        bool redFirst = image.PixelFormat == MLPixelFormat.Rgba32;
        var mine = new List<(int X, int Y)>();
        for (int p = 0; p < Side * Side; p++)
        {
            (byte r, byte g, byte b) = (pixels[4 * p + (redFirst ? 0 : 2)], pixels[4 * p + 1], pixels[4 * p + (redFirst ? 2 : 0)]);
            if (Distance(color) < 90 * 90 && Colors.Values.All(other => Distance(other) >= Distance(color)))
                mine.Add((p % Side, p / Side));

            int Distance((byte R, byte G, byte B) of) =>
                (of.R - r) * (of.R - r) + (of.G - g) * (of.G - g) + (of.B - b) * (of.B - b);
        }
        if (mine.Count < 8)
            return (null, false);
        List<List<(int X, int Y)>> parts = Parts(mine);
        string shape = words[^1].TrimEnd('s');
        bool right = parts.Count == (two ? 2 : 1) && parts.TrueForAll(part => Named(part) == shape);
        return ((mine.Average(p => (double)p.X), mine.Average(p => (double)p.Y)), right);
    }

    private static string Named(List<(int X, int Y)> part)
    {
        (int width, int height) = (part.Max(p => p.X) - part.Min(p => p.X) + 1, part.Max(p => p.Y) - part.Min(p => p.Y) + 1);
        double filled = part.Count / (double)(width * height);
        return filled > 0.9 ? "square" : filled > 0.68 ? "circle" : "triangle";
    }

    // Pixels that touch each other; specks do not count.
    private static List<List<(int X, int Y)>> Parts(List<(int X, int Y)> pixels)
    {
        var left = pixels.ToHashSet();
        var parts = new List<List<(int X, int Y)>>();
        while (left.Count > 0)
        {
            var part = new List<(int X, int Y)>();
            var next = new Queue<(int X, int Y)>([left.First()]);
            while (next.TryDequeue(out (int X, int Y) at))
            {
                if (!left.Remove(at))
                    continue;
                part.Add(at);
                foreach ((int x, int y) in (ReadOnlySpan<(int, int)>)[(1, 0), (-1, 0), (0, 1), (0, -1)])
                    next.Enqueue((at.X + x, at.Y + y));
            }
            if (part.Count >= 5)
                parts.Add(part);
        }
        return parts;
    }
}
