namespace GenerativeML;

/// <summary>What the first pass over the training rows found.</summary>
/// <param name="Input">The widths.</param>
/// <param name="Fields">The columns: the vector first.</param>
/// <param name="Moments">Of each field.</param>
/// <param name="Samples">Of each field, all of the same rows.</param>
/// <param name="TrainingRows">Rows to train on.</param>
internal sealed record RowStatistics(
    VectorInput Input, IReadOnlyList<RowField> Fields, ColumnMoments[] Moments, RowSample[] Samples, long TrainingRows)
{
    /// <summary>Which features of the vector hold nothing but zeros and ones.</summary>
    public bool[] Binary => Moments[0].IsBinary;

    /// <summary>The epochs after which at least so many rows were presented, within limits.</summary>
    public int EpochsFor(long presented, int least, int most) =>
        (int)Math.Clamp((presented + TrainingRows - 1) / TrainingRows, least, most);

    /// <summary>The scaler of the vectors where all features are scaled.</summary>
    public VectorScaler Scaler => VectorScaler.Of(Moments[0], Samples[0]);

    /// <summary>The sample of the vectors, standardised, (count × D).</summary>
    public float[] StandardizedSample()
    {
        float[] rows = Samples[0].ToArray();
        Scaler.Apply(rows, rows);
        return rows;
    }
}

/// <summary>What a network is calibrated by after training: rows, and itself.</summary>
/// <param name="model">The trained network.</param>
/// <param name="trained">A sample of the rows that it was trained on.</param>
/// <param name="fresh">A sample of rows that it was not trained on; the same where there are none.</param>
internal sealed class VectorCalibration(TrainedVector model, RowSample[] trained, RowSample[] fresh)
{
    /// <summary>Rows that the network was trained on, standardised, (Count × D).</summary>
    public float[] Rows { get; } = Standardized(model, trained);

    /// <summary>The number of these rows.</summary>
    public int Count => trained[0].Count;

    /// <summary>The tensors of the model, to be completed.</summary>
    public HostWeights Weights => model.Weights;

    /// <summary>
    /// Computes something of rows that the network was not trained on: one array (rows × width) for each width.
    /// </summary>
    public float[][] Run(IForwardPass pass, params int[] widths) =>
        model.Run(pass, Standardized(model, fresh), model.Join(fresh), fresh[0].Count, widths);

    /// <summary>The same of <see cref="Rows"/>, which it was trained on.</summary>
    public float[][] RunOnTrained(IForwardPass pass, params int[] widths) =>
        model.Run(pass, Rows, model.Join(trained), Count, widths);

    /// <summary>
    /// One over a part's usual size on ordinary rows, so that the parts of a score count alike. The median ignores
    /// anomalies among them; a share of the mean keeps it from zero where most rows have equals.
    /// </summary>
    public static float PartWeight(float[] part)
    {
        float[] sorted = [.. part.Order()];
        double size = sorted[sorted.Length / 2] + 0.1 * part.Average(v => (double)v);
        return size > 0 ? (float)(1 / size) : 0;
    }

    private static float[] Standardized(TrainedVector model, RowSample[] samples)
    {
        float[] rows = samples[0].ToArray();
        model.Features.Apply(rows, rows);
        return rows;
    }
}
