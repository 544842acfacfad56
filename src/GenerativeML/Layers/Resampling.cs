namespace GenerativeML;

/// <summary>
/// A linear map of the lines of an image, (To, From) row by row, as resizing and smoothing are: an image is multiplied by one
/// for its columns and by another for its rows.
/// </summary>
internal sealed record Resampling(int To, int From, float[] Values)
{
    /// <summary>
    /// Resizing: between the nearest two, or where pixels become larger the mean of those within, by a triangle.
    /// </summary>
    public static Resampling Resize(int to, int from)
    {
        float[] values = new float[to * from];
        (int First, float[] Weights)[] windows = ImagePixels.Windows(to, from, (double)from / to);
        for (int i = 0; i < to; i++)
            windows[i].Weights.CopyTo(values, i * from + windows[i].First);
        return new(to, from, values);
    }

    /// <summary>
    /// The mean of what lies around each place, by weights that depend on how far: within the line, or where the sum of all
    /// weights is given, with zeros beyond it.
    /// </summary>
    public static Resampling Mean(int length, Func<int, double> weight, double? whole = null)
    {
        float[] values = new float[length * length];
        for (int i = 0; i < length; i++)
        {
            double sum = whole ?? Enumerable.Range(0, length).Sum(j => weight(Math.Abs(i - j)));
            for (int j = 0; j < length; j++)
                values[i * length + j] = (float)(weight(Math.Abs(i - j)) / sum);
        }
        return new(length, length, values);
    }

    /// <summary>This map after another.</summary>
    public Resampling After(Resampling first)
    {
        float[] values = new float[To * first.From];
        for (int i = 0; i < values.Length; i++)
        {
            double sum = 0;
            for (int k = 0; k < From; k++)
                sum += Values[i / first.From * From + k] * (double)first.Values[k * first.From + i % first.From];
            values[i] = (float)sum;
        }
        return new(To, first.From, values);
    }

    /// <summary>The transpose, (From, To), by which lines are multiplied from the right.</summary>
    public Resampling Transpose()
    {
        float[] values = new float[Values.Length];
        for (int i = 0; i < values.Length; i++)
            values[i] = Values[i % To * From + i / To];
        return new(From, To, values);
    }
}
