using System.Buffers.Binary;
using System.IO.Compression;

namespace GenerativeML.Benchmarks;

/// <summary>Reads IDX files, compressed or not: unsigned bytes in an array of any number of dimensions.</summary>
internal static class IdxFile
{
    private const int UnsignedBytes = 8;

    /// <summary>Images as rows of greys from 0 to 1.</summary>
    public static float[][] Images(string path)
    {
        (byte[] values, int[] shape) = Read(path);
        int width = shape.Skip(1).Aggregate(1, (product, n) => product * n);
        return [.. values.Chunk(width).Select(image => image.Select(grey => grey / 255f).ToArray())];
    }

    /// <summary>
    /// Images as greys or colours from 0 to 1, channel by channel, with their shape: of a file of (N, H, W), or (N, H, W, C).
    /// </summary>
    public static (float[][] Images, ImageShape Shape) Pictures(string path)
    {
        (byte[] values, int[] size) = Read(path);
        if (size.Length is not (3 or 4))
            throw new InvalidDataException($"{path} holds no images: it has {size.Length} dimensions.");
        int pixels = size[1] * size[2], channels = size.Length == 4 ? size[3] : 1;
        float[][] images =
        [
            .. values.Chunk(pixels * channels).Select(image => Enumerable.Range(0, pixels * channels)
                .Select(i => image[i % pixels * channels + i / pixels] / 255f).ToArray()),
        ];
        return (images, new ImageShape(channels, size[1], size[2]));
    }

    /// <summary>One label for each image.</summary>
    public static byte[] Labels(string path) => Read(path).Values;

    /// <exception cref="InvalidDataException">The file is no IDX file of bytes, or is truncated.</exception>
    private static (byte[] Values, int[] Shape) Read(string path)
    {
        using FileStream file = File.OpenRead(path);
        using Stream content = path.EndsWith(".gz", StringComparison.Ordinal)
            ? new GZipStream(file, CompressionMode.Decompress)
            : file;
        try
        {
            byte[] head = new byte[4];
            content.ReadExactly(head);
            if (head is not [0, 0, UnsignedBytes, > 0 and < 5])
                throw new InvalidDataException($"{path} is no IDX file of unsigned bytes.");
            byte[] sizes = new byte[4 * head[3]];
            content.ReadExactly(sizes);
            int[] shape =
                [.. Enumerable.Range(0, head[3]).Select(d => BinaryPrimitives.ReadInt32BigEndian(sizes.AsSpan(4 * d)))];
            byte[] values = new byte[shape.Aggregate(1, (product, n) => checked(product * n))];
            content.ReadExactly(values);
            return (values, shape);
        }
        catch (EndOfStreamException)
        {
            throw new InvalidDataException($"{path} is truncated.");
        }
    }
}
