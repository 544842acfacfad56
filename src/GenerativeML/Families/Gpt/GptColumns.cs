
namespace GenerativeML;

/// <summary>The columns that a GPT reads and adds; null: not added.</summary>
internal sealed record GptColumns
{
    public required string Text { get; init; }

    public string? PredictedLabel { get; init; }

    public string? Score { get; init; }

    public string? Perplexity { get; init; }

    public string? GeneratedText { get; init; }

    public string? Embedding { get; init; }

    /// <summary>
    /// The added columns, in the order of the schema, for embeddings of <paramref name="width"/> slots.
    /// </summary>
    public IReadOnlyList<OutputColumn> Outputs(int width)
    {
        var columns = new List<OutputColumn>();
        if (PredictedLabel is not null)
            columns.Add(new(PredictedLabel, OutputKind.Boolean) { Score = ScoreAnnotation.AnomalyLabel });
        if (Score is not null)
            columns.Add(new(Score, OutputKind.Single) { Score = ScoreAnnotation.AnomalyScore });
        if (Perplexity is not null)
            columns.Add(new(Perplexity, OutputKind.Single));
        if (GeneratedText is not null)
            columns.Add(new(GeneratedText, OutputKind.Text));
        if (Embedding is not null)
            columns.Add(new(Embedding, OutputKind.Single, width));
        return columns;
    }

    /// <summary>Checks that every name can be one and that no two columns would be added under the same.</summary>
    /// <exception cref="ArgumentException">A name is empty, or given twice.</exception>
    public void Validate() => ColumnNames.Check([Text], [PredictedLabel, Score, Perplexity, GeneratedText, Embedding]);
}
