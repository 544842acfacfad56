using Microsoft.ML.Data;

namespace GenerativeML;

/// <summary>Between the bytes of an <see cref="MLImage"/> and numbers from 0 to 1, channel by channel.</summary>
internal static class ImagePixels
{
    private const int BytesOfPixel = 4;

    /// <summary>
    /// Writes an image as (C, H, W), resized: each pixel is a mean of those within reach, weighted by a triangle as wide
    /// as the scale, so that fine patterns do not alias. Beside the result it takes the memory of one line.
    /// </summary>
    public static void Read(MLImage image, ImageFormat format, Span<float> values)
    {
        ImageShape shape = format.Shape!;
        (int c, int h, int w) = (shape.Channels, shape.Height, shape.Width);
        (double scaleX, double scaleY) = ((double)image.Width / w, (double)image.Height / h);
        if (format.Resize == ImageResize.Crop)
            scaleX = scaleY = Math.Min(scaleX, scaleY);
        else if (format.Resize == ImageResize.Pad)
            scaleX = scaleY = Math.Max(scaleX, scaleY);
        (int First, float[] Weights)[] across = Windows(w, image.Width, scaleX), down = Windows(h, image.Height, scaleY);
        values.Clear();
        ReadOnlySpan<byte> pixels = image.Pixels;
        bool redFirst = image.PixelFormat == MLPixelFormat.Rgba32;
        float[] line = new float[c * w];
        for (int y = 0, begin = 0; y < image.Height; y++)
        {
            while (begin < h && down[begin].First + down[begin].Weights.Length <= y)
                begin++;
            if (begin == h)
                break;
            if (y < down[begin].First)
                continue;
            ReadLine(pixels.Slice(y * image.Width * BytesOfPixel, image.Width * BytesOfPixel), redFirst, c, across, line);
            for (int to = begin; to < h && down[to].First <= y; to++)
            {
                int at = y - down[to].First;
                if (at >= down[to].Weights.Length)
                    continue;
                float weight = down[to].Weights[at];
                for (int channel = 0; channel < c; channel++)
                {
                    Span<float> target = values.Slice((channel * h + to) * w, w);
                    for (int x = 0; x < w; x++)
                        target[x] += weight * line[channel * w + x];
                }
            }
        }
    }

    /// <summary>An image of (C, H, W), whose numbers are clamped to 0 … 1; null where they are NaN.</summary>
    public static MLImage? ToImage(ReadOnlySpan<float> values, ImageShape shape)
    {
        if (float.IsNaN(values[0]))
            return null;
        int size = shape.Height * shape.Width;
        byte[] pixels = new byte[size * BytesOfPixel];
        for (int i = 0; i < size; i++)
        {
            Span<byte> pixel = pixels.AsSpan(i * BytesOfPixel, BytesOfPixel);
            for (int k = 0; k < 3; k++)
                pixel[k] = ToByte(values[(shape.Channels < 3 ? 0 : k) * size + i]);
            pixel[3] = shape.Channels % 2 == 0 ? ToByte(values[(shape.Channels - 1) * size + i]) : byte.MaxValue;
        }
        return MLImage.CreateFromPixels(shape.Width, shape.Height, MLPixelFormat.Rgba32, pixels);

        static byte ToByte(float value) => (byte)MathF.Round(255 * Math.Clamp(value, 0, 1));
    }

    // One line of the image, resized, (C, W).
    private static void ReadLine(
        ReadOnlySpan<byte> pixels, bool redFirst, int channels, (int First, float[] Weights)[] across, Span<float> line)
    {
        (int red, int blue) = redFirst ? (0, 2) : (2, 0);
        int width = across.Length;
        for (int x = 0; x < width; x++)
        {
            (int first, float[] weights) = across[x];
            float r = 0, g = 0, b = 0, a = 0;
            for (int i = 0; i < weights.Length; i++)
            {
                ReadOnlySpan<byte> pixel = pixels.Slice((first + i) * BytesOfPixel, BytesOfPixel);
                float weight = weights[i];
                r += weight * pixel[red];
                g += weight * pixel[1];
                b += weight * pixel[blue];
                a += weight * pixel[3];
            }
            (r, g, b, a) = (r / 255, g / 255, b / 255, a / 255);
            line[x] = channels < 3 ? 0.299f * r + 0.587f * g + 0.114f * b : r; // brightness as television has it (BT.601)
            if (channels >= 3)
                (line[width + x], line[2 * width + x]) = (g, b);
            if (channels % 2 == 0)
                line[(channels - 1) * width + x] = a;
        }
    }

    /// <summary>For each of so many pixels of a line, those of the image that it is a mean of, and their weights; none in a margin.</summary>
    public static (int First, float[] Weights)[] Windows(int count, int size, double scale)
    {
        var windows = new (int, float[])[count];
        double reach = Math.Max(1, scale), begin = size / 2.0 - count * scale / 2;
        for (int i = 0; i < count; i++)
        {
            double center = begin + (i + 0.5) * scale;
            if (center < 0 || center > size)
            {
                windows[i] = (center < 0 ? 0 : size, []);
                continue;
            }
            int first = Math.Max(0, (int)Math.Ceiling(center - reach - 0.5));
            int last = Math.Min(size - 1, (int)Math.Floor(center + reach - 0.5));
            double[] weights =
                [.. Enumerable.Range(first, last - first + 1).Select(s => Math.Max(0, 1 - Math.Abs(s + 0.5 - center) / reach))];
            double sum = weights.Sum();
            windows[i] = (first, [.. weights.Select(weight => (float)(weight / sum))]);
        }
        return windows;
    }
}
