namespace GenerativeML;

/// <summary>
/// The options of a family that learns vectors of numbers. A trained model keeps them, with what training decided in
/// the place of what they left open.
/// </summary>
public abstract record VectorOptions : TrainingOptions
{
    /// <summary>The input: a vector of <see cref="float"/> of known size. Default <c>Features</c>.</summary>
    public string FeatureColumnName { get; init; } = "Features";

    /// <summary>The columns that are read and added.</summary>
    internal abstract VectorColumns Columns { get; }

    /// <summary>The share of ordinary rows to be predicted as anomalies; null for a model that predicts none.</summary>
    internal virtual double? AnomalyShare => null;

    /// <summary>How much of the weights' running mean an update keeps; zero: no mean is kept.</summary>
    internal virtual double AverageDecay => 0;

    /// <summary>
    /// The same options with everything decided that they left open, also batch size, epochs, learning rate and decay.
    /// </summary>
    /// <exception cref="InvalidOperationException">The rows do not fit the options; the message says why.</exception>
    internal abstract VectorOptions Resolve(RowStatistics rows);

    /// <inheritdoc />
    public override void Validate()
    {
        base.Validate();
        Columns.Validate();
    }
}

/// <summary>The options of a family that scores and encodes rows, and can so detect anomalies.</summary>
public abstract record DetectorOptions : VectorOptions
{
    /// <summary>The column for the score. Default: <c>Score</c> of a detector; otherwise the catalog decides.</summary>
    public string? ScoreColumnName { get; init; }

    /// <summary>
    /// The column for the predicted label, whether the score is above the threshold. Default: <c>PredictedLabel</c> of a
    /// detector; none is added otherwise.
    /// </summary>
    public string? PredictedLabelColumnName { get; init; }

    /// <summary>The column for the latent vector. Default: none is added, unless the catalog says otherwise.</summary>
    public string? LatentColumnName { get; init; }

    /// <summary>
    /// The share of the training rows that are taken to be anomalies: the threshold of <c>PredictedLabel</c> is the
    /// score that this share of them exceeds. In (0, 0.5]. Default 0.1.
    /// </summary>
    public double Contamination { get; init; } = 0.1;

    internal override VectorColumns Columns =>
        new(FeatureColumnName, ScoreColumnName, PredictedLabelColumnName, LatentColumnName);

    internal override double? AnomalyShare => PredictedLabelColumnName is null ? null : Contamination;

    /// <inheritdoc />
    public override void Validate()
    {
        base.Validate();
        OptionChecks.PositiveFinite(Contamination);
        OptionChecks.Within(Contamination, 0, 0.5);
    }
}

/// <summary>What catalogs make of such options.</summary>
internal static class DetectorColumns
{
    /// <summary>The same options with a score, and of a detector a predicted label.</summary>
    public static T Scoring<T>(this T? options, bool detects = false)
        where T : DetectorOptions, new()
    {
        options ??= new();
        return (T)(options with
        {
            ScoreColumnName = options.ScoreColumnName ?? "Score",
            PredictedLabelColumnName = options.PredictedLabelColumnName ?? (detects ? "PredictedLabel" : null),
        });
    }
}

/// <summary>The columns that a model of vectors reads and adds; null: not added.</summary>
internal sealed record VectorColumns(
    string Features, string? Score = null, string? PredictedLabel = null, string? Latent = null)
{
    public string? FeatureScore { get; init; }

    public string? Reconstruction { get; init; }

    public string? LatentDeviation { get; init; }

    /// <summary>The labels that rows depend on; they are read.</summary>
    public IReadOnlyList<string> Conditions { get; init; } = [];

    /// <summary>What is read, for a vector and conditions of these widths: the vector first.</summary>
    public IReadOnlyList<RowField> Inputs(VectorInput input) =>
    [
        new RowField(Features, FieldKind.Single, input.Width),
        .. Conditions.Zip(input.ConditionWidths).Select((condition, c) =>
            new RowField(condition.First, FieldKind.Single, condition.Second)
            {
                IsCondition = true,
                Categories = input.ConditionCategories.ElementAtOrDefault(c),
            }),
    ];

    /// <summary>The added columns, in the order of the schema.</summary>
    /// <param name="width">Features of the input.</param>
    /// <param name="latent">Features of a latent vector.</param>
    public IReadOnlyList<OutputColumn> Outputs(int width, int latent)
    {
        OutputColumn?[] columns =
        [
            PredictedLabel is null
                ? null
                : new(PredictedLabel, OutputKind.Boolean) { Score = ScoreAnnotation.AnomalyLabel, IfUnknown = true },
            Score is null ? null : new(Score, OutputKind.Single) { Score = ScoreAnnotation.AnomalyScore },
            FeatureScore is null ? null : new(FeatureScore, OutputKind.Single, width) { SlotNamesFrom = Features },
            Reconstruction is null ? null : new(Reconstruction, OutputKind.Single, width) { SlotNamesFrom = Features },
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
