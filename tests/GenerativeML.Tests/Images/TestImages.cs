using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms.Image;

namespace GenerativeML.Tests.Images;

/// <summary>A row with a small picture, and what it shows: a bar that lies or stands.</summary>
internal sealed class BarPicture
{
    [ImageType(8, 8)]
    public MLImage? Image { get; set; }

    public bool Stands { get; set; }
}

/// <summary>Pictures that tests draw.</summary>
internal static class TestImages
{
    /// <summary>Greys, row by row.</summary>
    public static MLImage Grey(int width, params byte[] greys) => MLImage.CreateFromPixels(
        width, greys.Length / width, MLPixelFormat.Rgba32, [.. greys.SelectMany(g => new[] { g, g, g, byte.MaxValue })]);

    /// <summary>Bars of 8 × 8 at changing places, every other one standing.</summary>
    public static BarPicture[] Bars(int count) => [.. Enumerable.Range(0, count).Select(i =>
    {
        byte[] greys = new byte[64];
        for (int k = 0; k < 16; k++)
        {
            (int along, int across) = (k / 2, i / 2 % 7 + k % 2);
            greys[i % 2 == 0 ? across * 8 + along : along * 8 + across] = (byte)(200 + i % 5);
        }
        return new BarPicture { Image = Grey(8, greys), Stands = i % 2 == 1 };
    })];

    /// <summary>The numbers of a picture as a model reads them.</summary>
    public static float[] Read(MLImage image, ImageShape shape, ImageResize resize = default)
    {
        float[] values = new float[shape.Length];
        ImagePixels.Read(image, new ImageFormat(shape, resize, IsPicture: true), values);
        return values;
    }
}
