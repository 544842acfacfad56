namespace AnomalyDetection;

/// <summary>What the detector said of a row that it was not trained on, and what the file says.</summary>
/// <param name="Score">How strange the row is.</param>
/// <param name="Flagged">Whether the detector calls it an anomaly.</param>
/// <param name="Label">The label as it stands in the file, such as a fault's name; null where there is none.</param>
internal sealed record Outcome(float Score, bool Flagged, string? Label)
{
    /// <summary>Whether the file calls the row an anomaly.</summary>
    public bool IsAnomaly { get; } = Label is not null && CsvFile.IsAnomaly(Label);
}

/// <summary>The shape in which <c>AnomalyDetection.Evaluate</c> expects an <see cref="Outcome"/>.</summary>
internal sealed class GradedRow
{
    /// <summary>How strange the row is.</summary>
    public float Score { get; set; }

    /// <summary>Whether the detector calls it an anomaly.</summary>
    public bool PredictedLabel { get; set; }

    /// <summary>One where the file calls it an anomaly, otherwise zero: a Boolean is refused.</summary>
    public float Label { get; set; }
}
