namespace AnomalyDetection;

/// <summary>One of the strangest rows, with what made it strange.</summary>
/// <param name="Row">Its number in the file; the first after the header is 1.</param>
/// <param name="Score">How strange it is.</param>
/// <param name="Label">What the file says about it, or null.</param>
/// <param name="Reasons">The features that contributed most to the score, the first most of all.</param>
internal sealed record StrangeRow(int Row, float Score, string? Label, IReadOnlyList<Reason> Reasons);

/// <summary>A feature's part in a row's score.</summary>
/// <param name="Feature">The feature's name.</param>
/// <param name="Value">Its value in the row; NaN where the file has none.</param>
/// <param name="Usual">Its mean over the rows that are not flagged.</param>
/// <param name="Share">Which part of the row's score is its doing, from 0 to 1.</param>
internal sealed record Reason(string Feature, float Value, double Usual, double Share)
{
    /// <summary>The value as people read it.</summary>
    public string Shown => float.IsNaN(Value) ? "missing" : $"{Value:G4}";
}
