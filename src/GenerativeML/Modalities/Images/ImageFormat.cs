using System.Text.Json.Serialization;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms.Image;

namespace GenerativeML;

/// <summary>
/// The shape of images as networks see them. As a vector an image is all pixels of the first channel row by row, then
/// those of the next, as <c>ExtractPixels</c> gives them by default.
/// </summary>
/// <param name="Channels">
/// Numbers of a pixel: 1 for grey, 3 for red, green and blue; 2 and 4 for these with alpha, which the others drop. A
/// column of vectors may have any number.
/// </param>
/// <param name="Height">Rows of pixels.</param>
/// <param name="Width">Pixels of a row.</param>
public sealed record ImageShape(int Channels, int Height, int Width)
{
    /// <summary>Numbers of an image.</summary>
    internal long Length => (long)Channels * Height * Width;

    /// <summary>A square image of one or three channels that has so many numbers; null where there is none.</summary>
    internal static ImageShape? OfSquare(int length)
    {
        foreach (int channels in (ReadOnlySpan<int>)[1, 3])
        {
            int side = (int)Math.Sqrt(length / channels);
            if (channels * side * side == length)
                return new(channels, side, side);
        }
        return null;
    }

    /// <summary>Checks each size.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no pixel, or there are too many numbers.</exception>
    internal void Validate()
    {
        OptionChecks.Within(Channels, 1, VectorInput.MaxWidth, "ImageShape.Channels");
        OptionChecks.Within(Height, 1, VectorInput.MaxWidth, "ImageShape.Height");
        OptionChecks.Within(Width, 1, VectorInput.MaxWidth, "ImageShape.Width");
    }
}

/// <summary>How images of other sizes and proportions become those of an <see cref="ImageShape"/>.</summary>
public enum ImageResize
{
    /// <summary>The largest part in the middle that has the proportions, scaled. The default.</summary>
    Crop,

    /// <summary>All of the image, scaled, in the middle of black or, where there is alpha, transparent margins.</summary>
    Pad,

    /// <summary>All of the image, whose proportions change.</summary>
    Stretch,
}

/// <summary>
/// What a family of images reads: before there are columns, what its options say; for a column, and in saved models,
/// with everything decided.
/// </summary>
/// <param name="Shape">The images as networks see them; null where the column decides.</param>
/// <param name="Resize">How images become so.</param>
/// <param name="IsPicture">Whether the column holds <see cref="MLImage"/>, and not vectors.</param>
internal sealed record ImageFormat(ImageShape? Shape, ImageResize Resize = default, bool IsPicture = false)
{
    /// <summary>Pictures of one channel, of the same height and width.</summary>
    [JsonIgnore]
    public ImageFormat Grey => this with { Shape = Shape! with { Channels = 1 } };

    /// <summary>The type of a column of such images.</summary>
    [JsonIgnore]
    public DataViewType Type => IsPicture
        ? new ImageDataViewType(Shape!.Height, Shape.Width)
        : new VectorDataViewType(NumberDataViewType.Single, (int)Shape!.Length);

    /// <summary>The format of a column, where it is a column of images.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is none, or none of this shape.</exception>
    public ImageFormat Of(DataViewType type, string column, string parameter)
    {
        ArgumentOutOfRangeException Wrong(string why) => new(parameter, $"Column '{column}' {why}.");
        if (type is ImageDataViewType image)
        {
            ImageShape shape = Shape ?? (image.Height > 0 && image.Width > 0
                ? new ImageShape(3, image.Height, image.Width)
                : throw Wrong("holds images of any size: set the option ImageShape, or bring them to one size before, by ResizeImages"));
            return shape.Channels <= 4
                ? this with { Shape = shape, IsPicture = true }
                : throw Wrong($"holds images, of one to four channels, not {shape.Channels}");
        }
        var vector = type as VectorDataViewType;
        if (vector is not { IsKnownSize: true } || !NumberDataViewType.Single.Equals(vector.ItemType))
            throw InputColumns.Mismatch(
                column, InputColumns.Expected(InputKind.Image), type.ToString()!, vector is { IsKnownSize: false }, parameter);
        return this with { Shape = OfVector(vector, Wrong) };
    }

    /// <summary>The same where only an estimator's input schema is known, and so no vector's size.</summary>
    public ImageFormat? Of(SchemaShape shape, string column, string parameter)
    {
        InputColumns.Check(shape, column, InputKind.Image, parameter);
        DataViewType type = shape.First(c => c.Name == column).ItemType;
        return type is ImageDataViewType ? Of(type, column, parameter) : null;
    }

    private ImageShape OfVector(VectorDataViewType vector, Func<string, Exception> wrong)
    {
        ImageShape? shape = Shape ?? (vector.Dimensions is [int channels, int height, int width]
            ? new(channels, height, width)
            : ImageShape.OfSquare(vector.Size));
        if (shape is null)
            throw wrong($"has {vector.Size} features, no square image of one or three channels; set the option ImageShape");
        return shape.Length == vector.Size
            ? shape
            : throw wrong(
                $"has {vector.Size} features, not the {shape.Length} of an image of "
                + $"{shape.Channels} × {shape.Height} × {shape.Width}");
    }
}

/// <summary>
/// What black and white are in the units of the data: 0 and 1, or 0 and the largest number of all training images where
/// that is above one, such as 255; the least and the largest where some are negative.
/// </summary>
internal readonly record struct ImageRange(float Low, float High)
{
    public static ImageRange Of(ColumnMoments pixels)
    {
        float low = Math.Min(0, pixels.Minimum.Min()), high = pixels.Maximum.Max();
        return new(low, low < 0 ? high : Math.Max(1, high));
    }

    /// <summary>
    /// Images less their mean, in units of what pixels deviate by all together: a border that is black in all training
    /// images is no feature of its own, whose least change would count.
    /// </summary>
    public static VectorScaler Standardize(ColumnMoments pixels)
    {
        double[] deviations = pixels.Deviation;
        double spread = Math.Sqrt(deviations.Average(d => d * d));
        return VectorScaler.Of([.. pixels.Mean.Select(mean => (float)mean)], spread > 0 ? 1 / spread : 0);
    }

    /// <summary>By which numbers are multiplied so that the range is so wide; zero where all are the same.</summary>
    public double ScaleTo(double width) => High > Low ? width / (High - (double)Low) : 0;
}
