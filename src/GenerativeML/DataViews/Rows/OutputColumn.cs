namespace GenerativeML;

/// <summary>The type of an output column's elements.</summary>
internal enum OutputKind
{
    Single,
    Boolean,
    Text,
}

/// <summary>A column that a model adds to each row.</summary>
/// <param name="Name">The column's name.</param>
/// <param name="Kind">The type of its elements.</param>
/// <param name="Width">Zero for a scalar, otherwise the vector's known size.</param>
internal sealed record OutputColumn(string Name, OutputKind Kind, int Width = 0)
{
    /// <summary>
    /// The input column whose slot names this vector carries as its own, or null. A slot without a name there is
    /// named by the input column and its number: <c>Features.3</c>.
    /// </summary>
    public string? SlotNamesFrom { get; init; }

    /// <summary>
    /// What a Boolean says of a row that cannot be computed, since it holds NaN or infinity: a predicted label says that
    /// such a row is an anomaly. Numbers are NaN then, and texts empty.
    /// </summary>
    public bool IfUnknown { get; init; }

    /// <summary>What ML.NET's evaluators and tools need to know of a score; null for other columns.</summary>
    public ScoreAnnotation? Score { get; init; }
}

/// <summary>The annotations of a column that belongs to a score.</summary>
/// <param name="ColumnKind">The task: the value of <c>ScoreColumnKind</c>, as <c>AnomalyDetection</c>.</param>
/// <param name="ValueKind">The column's part in it: the value of <c>ScoreValueKind</c>, as <c>Score</c>.</param>
internal sealed record ScoreAnnotation(string ColumnKind, string ValueKind)
{
    public static ScoreAnnotation AnomalyScore { get; } = new("AnomalyDetection", "Score");

    public static ScoreAnnotation AnomalyLabel { get; } = new("AnomalyDetection", "PredictedLabel");
}
