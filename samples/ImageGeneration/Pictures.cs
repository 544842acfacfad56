using System.Buffers.Binary;
using System.IO.Compression;
using DataFiles;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms.Image;

namespace ImageGeneration;

/// <summary>A row of the training data.</summary>
internal sealed class Picture
{
    [ImageType(32, 32)] // ML.NET asks for a size here; pictures of others pass, too
    public MLImage? Image { get; set; }
}

/// <summary>Where the pictures come from.</summary>
internal static class Pictures
{
    /// <summary>The pictures of a folder or an IDX file such as MNIST's; without either, some that are drawn here.</summary>
    public static IDataView Load(MLContext ml, string? path, int seed)
    {
        if (path is null)
            return ml.Data.LoadFromEnumerable(Draw(seed).ToArray());
        if (!Directory.Exists(path))
            return ml.Data.LoadFromEnumerable(ReadIdx(path).ToArray());
        IDataView paths = ml.Data.LoadFromEnumerable(
            PictureFiles.In(path).ToArray().Select(file => new { Path = Path.GetFullPath(file) }));
        return ml.Transforms.LoadImages("Image", imageFolder: null, "Path").Fit(paths).Transform(paths);
    }

    // Disks and squares, in colours, at places and in sizes of their own, with soft edges.
    private static IEnumerable<Picture> Draw(int seed)
    {
        const int Side = 32;
        var random = new Random(seed);
        for (int i = 0; i < 4000; i++)
        {
            (double x, double y, double size) = (Next(9, Side - 9), Next(9, Side - 9), Next(4, 8));
            bool disk = random.Next(2) == 0;
            int hue = random.Next(3);
            byte[] pixels = new byte[4 * Side * Side];
            for (int p = 0; p < Side * Side; p++)
            {
                (double dx, double dy) = (Math.Abs(p % Side - x), Math.Abs(p / Side - y));
                double inside = Math.Clamp(size - (disk ? Math.Sqrt(dx * dx + dy * dy) : Math.Max(dx, dy)) + 0.5, 0, 1);
                for (int k = 0; k < 3; k++)
                    pixels[4 * p + k] = (byte)((k == hue ? 240 : disk ? 60 : 130) * inside);
                pixels[4 * p + 3] = byte.MaxValue;
            }
            yield return new Picture { Image = MLImage.CreateFromPixels(Side, Side, MLPixelFormat.Rgba32, pixels) };
        }

        double Next(double from, double to) => from + random.NextDouble() * (to - from);
    }

    private static IEnumerable<Picture> ReadIdx(string path)
    {
        using FileStream file = File.OpenRead(path);
        using var content = new BinaryReader(
            path.EndsWith(".gz", StringComparison.Ordinal) ? new GZipStream(file, CompressionMode.Decompress) : file);
        if (Next() != 0x803)
            throw new InvalidDataException($"{path} is neither a folder nor an IDX file of grey images.");
        (int count, int height, int width) = (Next(), Next(), Next());
        for (int i = 0; i < count; i++)
        {
            byte[] greys = content.ReadBytes(height * width);
            yield return new Picture
            {
                Image = MLImage.CreateFromPixels(
                    width, height, MLPixelFormat.Rgba32, [.. greys.SelectMany(g => new[] { g, g, g, byte.MaxValue })]),
            };
        }

        int Next() => BinaryPrimitives.ReadInt32BigEndian(content.ReadBytes(4));
    }
}
