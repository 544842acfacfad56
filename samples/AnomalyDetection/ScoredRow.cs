namespace AnomalyDetection;

/// <summary>A row of the detector's output, as <c>CreateEnumerable</c> fills it in.</summary>
internal sealed class ScoredRow
{
    /// <summary>What the file says about the row; null in a file without a label column.</summary>
    public string? Label { get; set; }

    /// <summary>The features as they stand in the file.</summary>
    public float[] Readings { get; set; } = [];

    /// <summary>How strange the row is.</summary>
    public float Score { get; set; }

    /// <summary>Whether the score is above the detector's threshold.</summary>
    public bool PredictedLabel { get; set; }

    /// <summary>How much each feature contributed to the score.</summary>
    public float[] FeatureScore { get; set; } = [];
}
