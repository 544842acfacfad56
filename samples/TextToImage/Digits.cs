using System.Buffers.Binary;
using System.IO.Compression;
using Microsoft.ML.Data;

namespace TextToImage;

/// <summary>MNIST in words: each digit's name, with how thick and how slanted it is, told by the moments of its image.</summary>
internal static class Digits
{
    private static readonly string[] Names = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];

    /// <summary>The digits of a folder with MNIST's files, to train on or to test with.</summary>
    public static IEnumerable<Captioned> Read(string folder, bool test = false)
    {
        string set = test ? "t10k" : "train";
        byte[] images = File($"{set}-images-idx3-ubyte"), labels = File($"{set}-labels-idx1-ubyte");
        int side = BinaryPrimitives.ReadInt32BigEndian(images.AsSpan(8)), length = side * side;
        for (int i = 0; i < labels.Length - 8; i++)
        {
            byte[] greys = images[(16 + i * length)..(16 + (i + 1) * length)];
            yield return new Captioned
            {
                Image = MLImage.CreateFromPixels(
                    side, side, MLPixelFormat.Rgba32, [.. greys.SelectMany(g => new[] { g, g, g, byte.MaxValue })]),
                Caption = Words(greys, side) + Names[labels[8 + i]],
            };
        }

        byte[] File(string name)
        {
            string path = Directory.GetFiles(folder, name + "*") is [string found, ..]
                ? found
                : throw new FileNotFoundException($"There is no {name} in {folder}.");
            using FileStream file = System.IO.File.OpenRead(path);
            using Stream content = path.EndsWith(".gz", StringComparison.Ordinal) ? new GZipStream(file, CompressionMode.Decompress) : file;
            using var memory = new MemoryStream();
            content.CopyTo(memory);
            return memory.ToArray();
        }
    }

    /// <summary>What a caption answers to a judge: the digit, its last word.</summary>
    public static string[] Answers(string caption) => [caption.Split(' ')[^1]];

    // "a thick slanted ", "a thin upright ", "a " …: the quarters at either end are named.
    private static string Words(byte[] greys, int side)
    {
        double mass = 0, x = 0, y = 0, edge = 0;
        for (int p = 0; p < greys.Length; p++)
        {
            (int column, int row) = (p % side, p / side);
            mass += greys[p];
            x += greys[p] * column;
            y += greys[p] * row;
            edge += column > 0 ? Math.Abs(greys[p] - greys[p - 1]) : 0;
        }
        (x, y) = (x / mass, y / mass);
        double shared = 0, vertical = 0;
        for (int p = 0; p < greys.Length; p++)
        {
            shared += greys[p] * (p % side - x) * (p / side - y);
            vertical += greys[p] * (p / side - y) * (p / side - y);
        }
        // Pixels of a stroke from one edge to the other, and columns to the right for each row up.
        (double thickness, double slant) = (2 * mass / edge, -shared / vertical);
        string thick = thickness > 4.7 ? "thick " : thickness < 3.2 ? "thin " : "";
        string slanted = slant > 0.41 ? "slanted " : slant < -0.03 ? "upright " : "";
        return $"a {thick}{slanted}";
    }
}
