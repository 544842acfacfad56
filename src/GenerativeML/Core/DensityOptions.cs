namespace GenerativeML;

/// <summary>
/// The options of a family that learns a density: its score is a negative log-likelihood, and it encodes and generates.
/// </summary>
/// <remarks>
/// <para>
/// The input is one vector of <see cref="float"/> of known size; it is standardised inside. To train takes TorchSharp-cpu
/// or TorchSharp-cuda, beside Microsoft.ML; to score and to generate on the CPU, Microsoft.ML.OnnxRuntime.
/// </para>
/// <para>Added columns:</para>
/// <list type="table">
/// <listheader><term>Column</term><description>Type and meaning</description></listheader>
/// <item><term><c>Score</c></term><description><see cref="float"/>: −log p(row), in nats, of the row in the units of its
/// data, so that scores of models of the same columns can be compared whatever the family. It is negative where the
/// density is above one, as with features whose values are small.</description></item>
/// <item><term><c>PredictedLabel</c></term><description>Of a detector: <see cref="bool"/>, whether the score is above the
/// threshold, which <see cref="Contamination"/> decides.</description></item>
/// <item><term><c>Latent</c></term><description>On request, by <see cref="LatentColumnName"/>: a vector.
/// </description></item>
/// </list>
/// </remarks>
public abstract record DensityOptions : VectorOptions
{
    /// <summary>
    /// The column for the score, −log p(row). Default: <c>Score</c> if made by a catalog; none is added otherwise.
    /// </summary>
    public string? ScoreColumnName { get; init; }

    /// <summary>
    /// The column for the predicted label, whether the score is above the threshold. Default: <c>PredictedLabel</c> for
    /// a detector; none is added otherwise.
    /// </summary>
    public string? PredictedLabelColumnName { get; init; }

    /// <summary>The column for the latent vector. Default: none is added.</summary>
    public string? LatentColumnName { get; init; }

    /// <summary>
    /// The share of the training rows that are taken to be anomalies: the threshold of <c>PredictedLabel</c> is the
    /// score that this share of them exceeds. In (0, 0.5]. Default 0.1.
    /// </summary>
    public double Contamination { get; init; } = 0.1;

    internal override VectorColumns Columns => new()
    {
        Features = FeatureColumnName,
        Score = ScoreColumnName,
        PredictedLabel = PredictedLabelColumnName,
        Latent = LatentColumnName,
    };

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
internal static class DensityColumns
{
    /// <summary>The same options, with a score.</summary>
    public static T Scoring<T>(this T? options)
        where T : DensityOptions, new()
    {
        options ??= new();
        return (T)(options with { ScoreColumnName = options.ScoreColumnName ?? "Score" });
    }

    /// <summary>The same options, with a score and a predicted label.</summary>
    public static T Detecting<T>(this T? options)
        where T : DensityOptions, new()
    {
        options = options.Scoring();
        return (T)(options with { PredictedLabelColumnName = options.PredictedLabelColumnName ?? "PredictedLabel" });
    }
}
