using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML;

/// <summary>A trained model that generates rows like those that it was trained on.</summary>
public interface IDataGenerator
{
    /// <summary>The columns of generated rows, with the types and annotations of the training data.</summary>
    DataViewSchema GeneratedSchema { get; }

    /// <summary>Generates rows. Nothing is computed before they are read.</summary>
    /// <remarks>
    /// Rows are made in batches as a cursor asks for them, and made again for each cursor, so that any number of them
    /// takes no memory: <c>mlContext.Data.Cache</c> keeps them. The same seed gives the same rows, by any cursor, set of
    /// cursors or number of threads; with more rows, the first are those of fewer. A shuffled cursor reads them in
    /// another order.
    /// </remarks>
    /// <param name="rows">How many; zero or more.</param>
    /// <param name="seed">Other seeds give other rows.</param>
    /// <param name="where">What every row meets, exactly. Default: as in the training rows.</param>
    /// <returns>The rows, with <see cref="GeneratedSchema"/>.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The number of rows is negative.</exception>
    /// <exception cref="ArgumentException">No row can meet the condition; the message says why.</exception>
    IDataView Generate(long rows, int seed = 0, RowCondition? where = null);
}

/// <summary>
/// A trained model that predicts anomalies, if it adds a predicted label: rows whose score is above a threshold, or NaN.
/// </summary>
public interface IAnomalyDetector
{
    /// <summary>
    /// Rows with a higher score than this are predicted to be anomalies. Training sets it by the option
    /// <c>Contamination</c>; it can be changed at any time, is saved with the model, and counts for rows that are scored
    /// from then on. Positive infinity: no row is an anomaly. Of a model that adds no predicted label, such as a denoiser,
    /// a featurizer or a GAN, it has no effect.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The value set is NaN.</exception>
    float Threshold { get; set; }
}

/// <summary>What can be done with detectors beside scoring.</summary>
public static class AnomalyDetectorExtensions
{
    /// <summary>Moves the threshold to where a share of scored rows lies above it.</summary>
    /// <param name="detector">The detector.</param>
    /// <param name="scored">Rows that it scored: what <c>Transform</c> returned.</param>
    /// <param name="share">The share of them to be predicted as anomalies, in (0, 1).</param>
    /// <param name="scoreColumnName">The column of the score.</param>
    /// <exception cref="ArgumentOutOfRangeException">The share is out of its range, or there is no such column.</exception>
    /// <exception cref="InvalidOperationException">No row has a score that is a number.</exception>
    public static void SetThreshold(
        this IAnomalyDetector detector, IDataView scored, double share, string scoreColumnName = "Score")
    {
        ArgumentNullException.ThrowIfNull(detector);
        ArgumentNullException.ThrowIfNull(scored);
        if (!(share > 0 && share < 1))
            throw new ArgumentOutOfRangeException(nameof(share), share, $"The share is {share}; above 0 and below 1 is expected.");
        if (scored.Schema.GetColumnOrNull(scoreColumnName) is not { Type: NumberDataViewType { RawType: Type raw } } column
            || raw != typeof(float))
        {
            throw new ArgumentOutOfRangeException(
                nameof(scoreColumnName), $"Column '{scoreColumnName}' is missing, or is no Single: a score is expected there.");
        }
        float[] scores = [.. scored.GetColumn<float>(column).Where(s => !float.IsNaN(s)).Order()];
        if (scores.Length == 0)
            throw new InvalidOperationException("There are no scored rows to set the threshold by.");
        detector.Threshold = scores[Math.Max(0, scores.Length - 1 - (int)Math.Round(share * scores.Length))];
    }
}
