
using GenerativeML;
namespace Microsoft.ML;

/// <summary>GPTs among the trainers of <see cref="AnomalyDetectionCatalog"/>.</summary>
public static class GptCatalog
{
    /// <summary>
    /// Creates a <see cref="GptTrainer"/> that scores texts, such as lines of a log, by how unlikely they are: the
    /// columns <c>Score</c> and <c>PredictedLabel</c>. All options are those of
    /// <see cref="GenerativeCatalog.Gpt(GptOptions)"/>.
    /// </summary>
    /// <param name="catalog"><c>mlContext.AnomalyDetection.Trainers</c>.</param>
    /// <param name="textColumnName">The input: a column of text, each row a document.</param>
    /// <param name="contamination">The share of the training rows that are taken to be anomalies, in (0, 0.5].</param>
    /// <param name="contextLength">The most tokens that are looked at together.</param>
    /// <param name="steps">Optimizer steps. Default: 2000.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it.</exception>
    /// <exception cref="ArgumentException">A column's name is empty.</exception>
    public static GptTrainer Gpt(
        this AnomalyDetectionCatalog.AnomalyDetectionTrainers catalog,
        string textColumnName = "Text",
        double contamination = 0.1,
        int contextLength = 64,
        int? steps = null) => new(MLNetInternals.EnvironmentOf(catalog), new GptOptions
        {
            TextColumnName = textColumnName,
            Contamination = contamination,
            ContextLength = contextLength,
            Steps = steps,
            GeneratedTextColumnName = null,
            ScoreColumnName = "Score",
            PredictedLabelColumnName = "PredictedLabel",
        });
}
