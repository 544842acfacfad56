namespace GenerativeML;

/// <summary>
/// How images of one set lie in their frame, against those of another: how large what they show is, and where. It is told by
/// where pixels vary within a set: the mean and the deviation of a side's places, each weighed by its pixels' variance.
/// </summary>
internal sealed class ImageFraming
{
    // The share of a side that edges have to differ by. Less is left as it is: pixels between others would be blurred, and
    // so much lies between sets of some hundred photographs that are framed alike.
    private const double Least = 0.1;

    // Of fewer images chance decides where they vary, and what varies over less than this, in places, has no extent to compare.
    private const int FewestImages = 32;
    private const double LeastDeviation = 0.25;

    private readonly ImageShape _shape;
    private readonly double[] _mean; // of each pixel
    private readonly (double Mean, double Deviation) _rows, _columns;

    /// <param name="shape">The shape of an image.</param>
    /// <param name="images">Images of the set, one after the other.</param>
    /// <param name="isOf">Which of them are of the set.</param>
    public ImageFraming(ImageShape shape, ReadOnlySpan<float> images, ReadOnlySpan<bool> isOf)
    {
        _shape = shape;
        int width = images.Length / isOf.Length, count = 0;
        double[] mean = new double[width], squares = new double[width];
        for (int i = 0; i < isOf.Length; i++)
        {
            if (!isOf[i])
                continue;
            count++;
            for (int d = 0; d < width; d++)
            {
                double off = images[i * width + d] - mean[d];
                mean[d] += off / count;
                squares[d] += off * (images[i * width + d] - mean[d]);
            }
        }
        _mean = mean;
        if (count < FewestImages)
            return; // extents of zero, which are brought nowhere
        _rows = Extent(squares, d => d / shape.Width % shape.Height);
        _columns = Extent(squares, d => d % shape.Width);
    }

    /// <summary>
    /// What brings images of this set, (C, H, W) each, into the frame of another: rows · image · columns + outside, with
    /// (H, H), (W, W), and the other set's mean image, (C, H, W), as far as there is nothing of this one's.
    /// </summary>
    public (float[] Rows, float[] Columns, float[] Outside) To(ImageFraming other)
    {
        float[] rows = Places(_shape.Height, _rows, other._rows), columns = Places(_shape.Width, _columns, other._columns);
        float[] outside = new float[_mean.Length], transposed = new float[columns.Length];
        double[] inRows = Sums(rows, _shape.Height), inColumns = Sums(columns, _shape.Width);
        for (int d = 0; d < outside.Length; d++)
            outside[d] = (float)(other._mean[d] * (1 - inRows[d / _shape.Width % _shape.Height] * inColumns[d % _shape.Width]));
        for (int i = 0; i < columns.Length; i++)
            transposed[i % _shape.Width * _shape.Width + i / _shape.Width] = columns[i];
        return (rows, transposed, outside);

        static double[] Sums(float[] matrix, int side) => [.. matrix.Chunk(side).Select(row => row.Sum(v => (double)v))];
    }

    // Of places along a side, weighed.
    private static (double Mean, double Deviation) Extent(double[] weights, Func<int, int> place)
    {
        double all = weights.Sum(), mean = weights.Select((w, d) => w * place(d)).Sum() / all;
        return (mean, Math.Sqrt(weights.Select((w, d) => w * Math.Pow(place(d) - mean, 2)).Sum() / all));
    }

    // Each place is the mean of those about the one that it is from, over as many as one of its own covers.
    private static float[] Places(int side, (double Mean, double Deviation) from, (double Mean, double Deviation) to)
    {
        // Where all of a side vary alike, they end so far from the middle.
        double edges = Math.Abs(from.Mean - to.Mean) + Math.Sqrt(3) * Math.Abs(from.Deviation - to.Deviation);
        bool moves = edges > Least * side && from.Deviation >= LeastDeviation && to.Deviation >= LeastDeviation;
        double ratio = moves ? from.Deviation / to.Deviation : 1, reach = Math.Max(1, ratio);
        float[] matrix = new float[side * side];
        for (int i = 0; i < side; i++)
        {
            double place = moves ? from.Mean + (i - to.Mean) * ratio : i, sum = 0;
            for (int j = (int)Math.Ceiling(place - reach); j <= place + reach; j++)
                sum += Weight(j);
            for (int j = 0; j < side; j++)
                matrix[i * side + j] = (float)(Weight(j) / sum);

            double Weight(int j) => Math.Max(0, 1 - Math.Abs(place - j) / reach);
        }
        return matrix;
    }
}
