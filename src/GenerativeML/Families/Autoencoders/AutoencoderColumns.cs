
namespace GenerativeML;

/// <summary>The columns that an autoencoder reads and adds; null: not added.</summary>
internal sealed record AutoencoderColumns
{
    public required string Features { get; init; }

    public string? Score { get; init; }

    public string? PredictedLabel { get; init; }

    public string? Reconstruction { get; init; }

    public string? Latent { get; init; }

    public string? FeatureScore { get; init; }

    /// <summary>
    /// The added columns, in the order of the schema, for an input of <paramref name="width"/> slots and codes of
    /// <paramref name="latent"/>.
    /// </summary>
    public IReadOnlyList<OutputColumn> Outputs(int width, int latent)
    {
        var columns = new List<OutputColumn>();
        if (PredictedLabel is not null)
            columns.Add(new(PredictedLabel, OutputKind.Boolean) { Score = ScoreAnnotation.AnomalyLabel });
        if (Score is not null)
            columns.Add(new(Score, OutputKind.Single) { Score = ScoreAnnotation.AnomalyScore });
        if (FeatureScore is not null)
            columns.Add(new(FeatureScore, OutputKind.Single, width) { SlotNamesFrom = Features });
        if (Reconstruction is not null)
            columns.Add(new(Reconstruction, OutputKind.Single, width) { SlotNamesFrom = Features });
        if (Latent is not null)
            columns.Add(new(Latent, OutputKind.Single, latent));
        return columns;
    }

    /// <summary>Checks that every name can be one and that no two columns would be added under the same.</summary>
    /// <exception cref="ArgumentException">A name is empty, or given twice.</exception>
    public void Validate() =>
        ColumnNames.Check([Features], [Score, PredictedLabel, Reconstruction, Latent, FeatureScore]);
}
