namespace GenerativeML;

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
