namespace GenerativeML.Benchmarks;

/// <summary>
/// Shifts and scales each column by the mean and the population deviation of the training rows; a column that is
/// constant in them becomes zero everywhere.
/// </summary>
internal sealed class Standardisation
{
    private readonly double[] _mean, _scale;

    /// <summary>Measures the training rows.</summary>
    public Standardisation(IReadOnlyCollection<double[]> training)
    {
        int width = training.First().Length;
        _mean = new double[width];
        _scale = new double[width];
        for (int i = 0; i < width; i++)
        {
            double mean = training.Average(row => row[i]);
            double deviation = Math.Sqrt(training.Average(row => (row[i] - mean) * (row[i] - mean)));
            // The deviation of equal numbers need not round to zero.
            bool constant = training.All(row => row[i] == training.First()[i]);
            (_mean[i], _scale[i]) = (mean, constant ? 0 : 1 / deviation);
        }
    }

    /// <summary>A row in standard units, as a detector gets it.</summary>
    public float[] Apply(double[] row)
    {
        float[] result = new float[row.Length];
        for (int i = 0; i < row.Length; i++)
            result[i] = (float)((row[i] - _mean[i]) * _scale[i]);
        return result;
    }
}
