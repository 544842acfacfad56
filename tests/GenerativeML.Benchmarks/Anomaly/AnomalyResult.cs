namespace GenerativeML.Benchmarks;

/// <summary>A detector's quality on one data set, over the seeds.</summary>
/// <param name="Dataset">The data set's name.</param>
/// <param name="Protocol"><c>semi</c> or <c>unsup</c>.</param>
/// <param name="Auroc">Mean area under the ROC curve.</param>
/// <param name="AurocStd">Population deviation of that area.</param>
/// <param name="Aucpr">Mean average precision.</param>
/// <param name="Seconds">Mean time of a fit and its scores.</param>
internal sealed record AnomalyResult(
    string Dataset, string Protocol, double Auroc, double AurocStd, double Aucpr, double Seconds);
