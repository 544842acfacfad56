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

/// <summary>
/// The scale of anomaly maps: zero is the mean of an ordinary image's map, the median over them, and one the strangest place
/// of one of a hundred.
/// </summary>
internal static class AnomalyMapScale
{
    private const double Quantile = 0.99;
    private const float Same = 1e-6f; // shares of a number that rounding may be

    /// <summary>The tensors that are calibrated.</summary>
    public static IReadOnlyList<string> Tensors => ["map_floor", "map_scale"];

    public static void Declare(Layers layers)
    {
        foreach (string name in Tensors)
            layers.Buffer(name, 1);
    }

    /// <summary>Sets them by ordinary images; the pass gives a map, (B, places).</summary>
    public static void Calibrate(VectorCalibration calibration, IForwardPass map)
    {
        float[][] maps = calibration.Run(new PeaksPass(map), 1, 1);
        float[] peaks = [.. maps[0].Order()], means = [.. maps[1].Order()];
        float usual = peaks[Math.Max(0, (int)Math.Ceiling(Quantile * peaks.Length) - 1)], floor = means[means.Length / 2];
        if (usual - floor <= Same * usual)
            floor = 0; // maps are the same all over: what rounding leaves between them is no scale
        calibration.Weights["map_floor"][0] = floor;
        calibration.Weights["map_scale"][0] = usual > floor ? 1 / (usual - floor) : 0;
    }

    public static T Apply<T>(Scope<T> w, T map)
        where T : struct, ITensor<T> => (map - w["map_floor"]) * w["map_scale"];

    // The strangest place of each map, and the mean.
    private sealed class PeaksPass(IForwardPass map) : IForwardPass
    {
        public T[] Run<T>(Scope<T> w, T[] inputs)
            where T : struct, ITensor<T>
        {
            T places = map.Run(w, inputs)[0];
            return [places.Reduce(Reduction.Max, 1), places.Reduce(Reduction.Mean, 1)];
        }
    }
}
