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
    private const int MaxPixels = 1 << 24; // of one whose images may be made smaller
    private const int Gap = 1; // between images

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
        foreach ((float[]? pixels, ImageShape shape) in Read(view, columnName, imageShape, int.MaxValue, sheet: null))
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
    /// Writes the first images side by side, row by row, as one picture on black: a contact sheet. All pictures are brought to the
    /// size of the first, or a smaller one where the sheet would have more than 4,096 × 4,096 pixels; vectors are shown as they
    /// are. A row without an image, or with one that cannot be read, leaves its place black.
    /// </summary>
    /// <param name="view">The rows.</param>
    /// <param name="columnName">A column of images, or of vectors that are images.</param>
    /// <param name="path">
    /// The file, whose ending says what it is: <c>.png</c>, <c>.jpg</c>, <c>.jpeg</c>, <c>.webp</c>. Its folder is made if it is not
    /// there.
    /// </param>
    /// <param name="rows">Rows of the sheet; those that would stay empty are left out.</param>
    /// <param name="columns">Images side by side.</param>
    /// <param name="imageShape">
    /// The shape of vectors, if they are no square of one or three channels and do not have three dimensions; of pictures the one
    /// that they are brought to. Default for pictures: as above.
    /// </param>
    /// <exception cref="ArgumentOutOfRangeException">
    /// The column is missing, or holds no images; or there are no images, or too many to be one picture.
    /// </exception>
    /// <exception cref="ArgumentException">The path's ending is none of these.</exception>
    public static void SaveGrid(
        this IDataView view, string columnName, string path, int rows = 8, int columns = 8,
        ImageShape? imageShape = null)
    {
        ArgumentNullException.ThrowIfNull(view);
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(rows);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(columns);
        if (!s_endings.Contains(Path.GetExtension(path), StringComparer.OrdinalIgnoreCase))
            throw new ArgumentException($"The file '{path}' must end in one of {string.Join(", ", s_endings)}.", nameof(path));
        int most = Count(view, (int)Math.Min((long)rows * columns, int.MaxValue));
        columns = Math.Clamp(most, 1, columns);
        rows = Math.Max(1, (most + columns - 1) / columns);
        byte[]? sheet = null;
        int width = 0, height = 0, at = 0;
        foreach ((float[]? pixels, ImageShape cell) in Read(view, columnName, imageShape, most, (rows, columns)))
        {
            int place = at++;
            if (pixels is null)
                continue;
            if (sheet is null)
            {
                (long w, long h) = (columns * (cell.Width + (long)Gap) - Gap, rows * (cell.Height + (long)Gap) - Gap);
                if (w > MaxSide || h > MaxSide)
                {
                    throw new ArgumentOutOfRangeException(
                        nameof(rows), $"The sheet would have {w} × {h} pixels; at most {MaxSide} each way are possible.");
                }
                (width, height, sheet) = ((int)w, (int)h, new byte[4 * w * h]);
                for (int i = 3; i < sheet.Length; i += 4)
                    sheet[i] = byte.MaxValue;
            }
            using MLImage image = ImagePixels.ToImage(pixels, cell)!;
            ReadOnlySpan<byte> own = image.Pixels;
            for (int y = 0; y < cell.Height; y++)
            {
                int to = 4 * ((place / columns * (cell.Height + Gap) + y) * width + place % columns * (cell.Width + Gap));
                ReadOnlySpan<byte> line = own.Slice(4 * y * cell.Width, 4 * cell.Width);
                for (int i = 0; i < line.Length; i++)
                    sheet[to + i] = i % 4 == 3 ? byte.MaxValue : (byte)((line[i] * line[i | 3] + 127) / 255);
            }
        }
        if (sheet is null)
            throw new ArgumentOutOfRangeException(nameof(view), $"Column '{columnName}' holds no image to show.");
        Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
        using MLImage picture = MLImage.CreateFromPixels(width, height, MLPixelFormat.Rgba32, sheet);
        picture.Save(path);
    }

    private static int Count(IDataView view, int most)
    {
        if (view.GetRowCount() is long all)
            return (int)Math.Min(all, most);
        int count = 0;
        using DataViewRowCursor cursor = view.GetRowCursor([]);
        while (count < most && cursor.MoveNext())
            count++;
        return count;
    }

    // The first images as numbers from 0 to 1, null for none; in the shape of the first, for a sheet of so many, or each in its own.
    private static IEnumerable<(float[]? Pixels, ImageShape Shape)> Read(
        IDataView view, string columnName, ImageShape? shape, int most, (int Rows, int Columns)? sheet)
    {
        ArgumentNullException.ThrowIfNull(view);
        if (view.Schema.GetColumnOrNull(columnName) is not DataViewSchema.Column column)
            throw InputColumns.Missing(columnName, InputColumns.Expected(InputKind.Image), view.Schema, nameof(columnName));
        return column.Type is ImageDataViewType
            ? Pictures(view, column, shape, most, sheet)
            : Vectors(view, column, new ImageFormat(shape).Of(column.Type, columnName, nameof(columnName)).Shape!, most);
    }

    private static IEnumerable<(float[]?, ImageShape)> Pictures(
        IDataView view, DataViewSchema.Column column, ImageShape? shape, int most, (int Rows, int Columns)? sheet)
    {
        using DataViewRowCursor cursor = view.GetRowCursor([column]);
        ValueGetter<MLImage> getter = cursor.GetGetter<MLImage>(column);
        MLImage? image = null;
        for (int i = 0; i < most && cursor.MoveNext(); i++)
        {
            FieldReaders.Read(getter, ref image);
            ImageShape own = shape ?? (image is null ? new(4, 1, 1)
                : sheet is { } places ? Fitting(image.Height, image.Width, places)
                : new(4, image.Height, image.Width));
            shape = sheet is not null && image is not null ? own : shape;
            float[]? pixels = image is null ? null : new float[own.Length];
            if (image is not null)
                ImagePixels.Read(image, new ImageFormat(own, ImageResize.Pad), pixels);
            yield return (pixels, own);
        }
    }

    // As large as the first, but no larger than a sheet has room for.
    private static ImageShape Fitting(int height, int width, (int Rows, int Columns) places)
    {
        double down = places.Rows * (height + (double)Gap), across = places.Columns * (width + (double)Gap);
        double scale = Math.Min(Math.Sqrt(MaxPixels / (down * across)), MaxSide / Math.Max(down, across));
        return new(4, Scaled(height), Scaled(width));

        int Scaled(int length) => scale >= 1 ? length : Math.Max(1, (int)((length + Gap) * scale) - Gap);
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
