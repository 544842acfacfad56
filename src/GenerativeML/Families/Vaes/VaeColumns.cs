
namespace GenerativeML;

/// <summary>The columns that a VAE reads and adds; null: not added.</summary>
internal sealed record VaeColumns
{
    public required string Features { get; init; }

    public IReadOnlyList<string> Conditions { get; init; } = [];

    public string? Score { get; init; }

    public string? PredictedLabel { get; init; }

    public string? FeatureScore { get; init; }

    public string? Reconstruction { get; init; }

    public string? Latent { get; init; }

    public string? LatentDeviation { get; init; }

    /// <summary>
    /// The added columns, in the order of the schema, for an input of <paramref name="width"/> slots and codes of
    /// <paramref name="latent"/>.
    /// </summary>
    public IReadOnlyList<OutputColumn> Outputs(int width, int latent)
    {
        OutputColumn?[] columns =
        [
            PredictedLabel is null
                ? null : new(PredictedLabel, OutputKind.Boolean) { Score = ScoreAnnotation.AnomalyLabel },
            Score is null ? null : new(Score, OutputKind.Single) { Score = ScoreAnnotation.AnomalyScore },
            FeatureScore is null
                ? null : new(FeatureScore, OutputKind.Single, width) { SlotNamesFrom = Features },
            Reconstruction is null
                ? null : new(Reconstruction, OutputKind.Single, width) { SlotNamesFrom = Features },
            Latent is null ? null : new(Latent, OutputKind.Single, latent),
            LatentDeviation is null ? null : new(LatentDeviation, OutputKind.Single, latent),
        ];
        return [.. columns.OfType<OutputColumn>()];
    }

    /// <summary>Checks that every name can be one and that no two columns would be added under the same.</summary>
    /// <exception cref="ArgumentException">A name is empty, or given twice.</exception>
    public void Validate() => ColumnNames.Check(
        [Features, .. Conditions], [Score, PredictedLabel, FeatureScore, Reconstruction, Latent, LatentDeviation]);
}
