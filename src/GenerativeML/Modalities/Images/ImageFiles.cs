using System.Globalization;
using GenerativeML;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms.Image;

namespace Microsoft.ML;

/// <summary>
/// Images of a data view as files, for people who look. Black and white of vectors are 0 and 1, or 0 and the largest number
/// of the first 64 where one is above one; the least and the largest where some are negative.
/// </summary>
public static class ImageFiles
{
    private const int MaxSide = 1 << 14; // of a sheet, in pixels
    private const int SheetSide = 1 << 11; // of one whose images may be made smaller

    // What ML.NET writes.
    private static readonly string[] s_endings = [".png", ".jpg", ".jpeg", ".webp"];

    private const int Ranged = 64; // vectors by which black and white are found

    /// <summary>
    /// Writes each row's image as a PNG file, <c>000000.png</c> and so on, numbered by rows; rows without an image, or
    /// with one that cannot be read, are left out.
    /// </summary>
    /// <param name="view">The rows.</param>
    /// <param name="columnName">A column of images, or of vectors that are images.</param>
    /// <param name="folder">Where files go; it is made if it is not there, and files of these names are replaced.</param>
    /// <param name="imageShape">
    /// The shape of vectors, if they are no square of one or three channels and do not have three dimensions.
    /// </param>
    /// <returns>The files, in the order of the rows.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The column is missing, or holds no images.</exception>
    public static IReadOnlyList<string> SaveImages(
        this IDataView view, string columnName, string folder, ImageShape? imageShape = null)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(folder);
        Directory.CreateDirectory(folder);
        var files = new List<string>();
        int row = 0;
        foreach ((float[]? pixels, ImageShape shape) in Read(view, columnName, imageShape, int.MaxValue, alike: false))
        {
            string file = Path.Combine(folder, (row++).ToString("D6", CultureInfo.InvariantCulture) + ".png");
            if (pixels is null)
                continue;
            using MLImage image = ImagePixels.ToImage(pixels, shape)!;
            image.Save(file);
            files.Add(file);
        }
        return files;
    }

    /// <summary>
    /// Writes the first images side by side, row by row, as one picture: a contact sheet. All are brought to the size of the first,
    /// which is itself made smaller where rows and columns of it would have more than 2,048 pixels. A row without an image, or
    /// with one that cannot be read, leaves its place black.
    /// </summary>
    /// <param name="view">The rows.</param>
    /// <param name="columnName">A column of images, or of vectors that are images.</param>
    /// <param name="path">
    /// The file, whose ending says what it is: <c>.png</c>, <c>.jpg</c>, <c>.webp</c>. Its folder is made if it is not there.
    /// </param>
    /// <param name="rows">Rows of the sheet; those that would stay empty are left out.</param>
    /// <param name="columns">Images side by side.</param>
    /// <param name="imageShape">
    /// The shape of vectors, if they are no square of one or three channels and do not have three dimensions.
    /// </param>
    /// <exception cref="ArgumentOutOfRangeException">
    /// The column is missing, or holds no images; or there are no images, or too many to be one picture.
    /// </exception>
    /// <exception cref="ArgumentException">The path's ending is none of a picture.</exception>
    public static void SaveGrid(
        this IDataView view, string columnName, string path, int rows = 8, int columns = 8,
        ImageShape? imageShape = null)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(rows);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(columns);
        if (!s_endings.Contains(Path.GetExtension(path), StringComparer.OrdinalIgnoreCase))
            throw new ArgumentException($"The file '{path}' must end in one of {string.Join(", ", s_endings)}.", nameof(path));
        const int Gap = 1;
        (float[]? Pixels, ImageShape Shape)[] images =
        [
            .. Read(
                view, columnName, imageShape, (int)Math.Min((long)rows * columns, int.MaxValue), alike: true,
                Math.Max(1, SheetSide / Math.Max(rows, columns))),
        ];
        if (Array.Find(images, image => image.Pixels is not null) is not { Pixels: not null, Shape: var cell })
            throw new ArgumentOutOfRangeException(nameof(view), $"Column '{columnName}' holds no image to show.");
        columns = Math.Min(columns, images.Length);
        rows = (images.Length + columns - 1) / columns;
        long width = (long)columns * (cell.Width + Gap) - Gap, height = (long)rows * (cell.Height + Gap) - Gap;
        if (width > MaxSide || height > MaxSide)
        {
            throw new ArgumentOutOfRangeException(
                nameof(rows), $"The sheet would have {width} × {height} pixels; at most {MaxSide} each way are possible.");
        }
        var sheet = new ImageShape(cell.Channels, (int)height, (int)width);
        float[] all = new float[sheet.Length];
        for (int i = 0; i < images.Length; i++)
        {
            (int top, int left) = (i / columns * (cell.Height + Gap), i % columns * (cell.Width + Gap));
            for (int line = 0; images[i].Pixels is { } pixels && line < cell.Channels * cell.Height; line++)
            {
                (int channel, int y) = Math.DivRem(line, cell.Height);
                pixels.AsSpan(line * cell.Width, cell.Width).CopyTo(
                    all.AsSpan((channel * sheet.Height + top + y) * sheet.Width + left));
            }
        }
        Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
        using MLImage picture = ImagePixels.ToImage(all, sheet)!;
        picture.Save(path);
    }

    // The first images as numbers from 0 to 1, null for none; all in the shape of the first, whose sides are at most so many pixels, or
    // each in its own.
    private static IEnumerable<(float[]? Pixels, ImageShape Shape)> Read(
        IDataView view, string columnName, ImageShape? shape, int most, bool alike, int side = int.MaxValue)
    {
        ArgumentNullException.ThrowIfNull(view);
        if (view.Schema.GetColumnOrNull(columnName) is not DataViewSchema.Column column)
            throw InputColumns.Missing(columnName, InputColumns.Expected(InputKind.Image), view.Schema, nameof(columnName));
        return column.Type is ImageDataViewType
            ? Pictures(view, column, shape, most, alike, side)
            : Vectors(view, column, new ImageFormat(shape).Of(column.Type, columnName, nameof(columnName)).Shape!, most);
    }

    private static IEnumerable<(float[]?, ImageShape)> Pictures(
        IDataView view, DataViewSchema.Column column, ImageShape? shape, int most, bool alike, int side)
    {
        using DataViewRowCursor cursor = view.GetRowCursor([column]);
        ValueGetter<MLImage> getter = cursor.GetGetter<MLImage>(column);
        MLImage? image = null;
        for (int i = 0; i < most && cursor.MoveNext(); i++)
        {
            FieldReaders.Read(getter, ref image);
            (int height, int width) = (image?.Height ?? 1, image?.Width ?? 1);
            double scale = Math.Min(1, (double)side / Math.Max(height, width));
            ImageShape own = shape ?? new(4, Scaled(height), Scaled(width));

            int Scaled(int length) => Math.Max(1, (int)Math.Round(length * scale));

            shape = alike && image is not null ? own : shape;
            float[]? pixels = image is null ? null : new float[own.Length];
            if (image is not null)
                ImagePixels.Read(image, new ImageFormat(own, ImageResize.Pad), pixels);
            yield return (pixels, own);
        }
    }

    private static IEnumerable<(float[]?, ImageShape)> Vectors(
        IDataView view, DataViewSchema.Column column, ImageShape shape, int most)
    {
        IEnumerable<float[]> rows = view.GetColumn<float[]>(column).Take(most);
        var pixels = new ColumnMoments(0, (int)shape.Length);
        foreach (float[] row in rows.Take(Ranged).Where(row => row.All(float.IsFinite)))
            pixels.Observe(row);
        var range = ImageRange.Of(pixels);
        foreach (float[] row in rows)
        {
            bool whole = row.All(float.IsFinite);
            yield return (whole ? [.. row.Select(v => (float)((v - range.Low) * range.ScaleTo(1)))] : null, shape);
        }
    }
}
