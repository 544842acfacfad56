
namespace GenerativeML;

/// <summary>The columns that a GAN reads and adds; null: not added.</summary>
internal sealed record GanColumns
{
    public required string Features { get; init; }

    public IReadOnlyList<string> Conditions { get; init; } = [];

    public string? Score { get; init; }

    public string? Reconstruction { get; init; }

    /// <summary>The added columns, in the order of the schema, for an input of so many slots.</summary>
    public IReadOnlyList<OutputColumn> Outputs(int width)
    {
        OutputColumn?[] columns =
        [
            Score is null ? null : new(Score, OutputKind.Single) { Score = ScoreAnnotation.AnomalyScore },
            Reconstruction is null
                ? null : new(Reconstruction, OutputKind.Single, width) { SlotNamesFrom = Features },
        ];
        return [.. columns.OfType<OutputColumn>()];
    }

    /// <summary>Checks that every name can be one and that no two columns would be added under the same.</summary>
    /// <exception cref="ArgumentException">A name is empty, or given twice.</exception>
    public void Validate() => ColumnNames.Check([Features, .. Conditions], [Score, Reconstruction]);
}
