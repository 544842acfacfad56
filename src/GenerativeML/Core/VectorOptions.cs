namespace GenerativeML;

/// <summary>
/// The options of a family that learns vectors of numbers. A trained model keeps them, with what training decided in
/// the place of what they left open.
/// </summary>
public abstract record VectorOptions : TrainingOptions
{
    /// <summary>The input: a vector of <see cref="float"/> of known size. Default <c>Features</c>.</summary>
    public string FeatureColumnName { get; init; } = "Features";

    /// <summary>
    /// Label columns that rows depend on: rows are generated with labels that are asked for, and scored by how unlikely
    /// they are among rows with theirs. Each is a Single, a Boolean or a key; a Single of at most twenty different
    /// values, all whole, is taken for a category: other values than these cannot be asked for. Autoencoders,
    /// Gaussian mixtures, Boltzmann machines and PatchCore read none. Default: none.
    /// </summary>
    public IReadOnlyList<string> ConditionColumnNames { get; init; } = [];

    /// <summary>
    /// The column for the score: the higher, the stranger the row. Default: <c>Score</c> of detectors and GANs;
    /// otherwise the catalog decides.
    /// </summary>
    public string? ScoreColumnName { get; init; }

    /// <summary>
    /// The column for each feature's share of the score, a vector. GANs, Gaussian mixtures, Boltzmann
    /// machines and PatchCore have none. Default: none is added.
    /// </summary>
    public string? FeatureScoreColumnName { get; init; }

    /// <summary>
    /// The column for what the model makes of the row, a vector in the units of the input: what an autoencoder gives
    /// (one without a latent column leaves out up to three features that do not fit the others, which they would spoil),
    /// the decoder for the mean of a VAE's latent distribution, the nearest row that a GAN can make, found by latent
    /// search. Flows, Gaussian mixtures, PatchCore, deep belief networks
    /// and machines whose units are all joined have none. Default: none is added.
    /// </summary>
    public string? ReconstructionColumnName { get; init; }

    /// <summary>The columns that are read and added.</summary>
    internal virtual VectorColumns Columns => new(FeatureColumnName, ScoreColumnName)
    {
        Conditions = ConditionColumnNames,
        FeatureScore = FeatureScoreColumnName,
        Reconstruction = ReconstructionColumnName,
    };

    /// <summary>Which of these columns the family has.</summary>
    private protected abstract OptionalColumns Supported { get; }

    /// <summary>How texts are read that are conditions; null for a family whose conditions are labels alone.</summary>
    internal virtual CaptionReading? Captions => null;

    /// <summary>How the input is read where it is a column of images; null for a vector of numbers.</summary>
    internal virtual ImageFormat? Images => null;

    /// <summary>Whether training is told which values were missing before they were replaced.</summary>
    internal virtual bool MarksMissing => false;

    /// <summary>The share of ordinary rows to be predicted as anomalies; null for a model that predicts none.</summary>
    internal virtual double? AnomalyShare => null;

    /// <summary>How rows are generated, where that is chosen after training; null where there is nothing to choose.</summary>
    internal virtual IRowSampling? RowSampling => null;

    /// <summary>
    /// The same options with everything decided that they left open, also batch size, epochs, learning rate and decay.
    /// </summary>
    /// <exception cref="InvalidOperationException">The rows do not fit the options; the message says why.</exception>
    internal abstract VectorOptions Resolve(RowStatistics rows);

    /// <summary>The same without what training alone needs.</summary>
    internal virtual VectorOptions Trained => this;

    /// <inheritdoc />
    /// <exception cref="ArgumentException">
    /// A column's name is empty or given twice, or names a column that such models do not have.
    /// </exception>
    public override void Validate()
    {
        base.Validate();
        ArgumentNullException.ThrowIfNull(ConditionColumnNames);
        Columns.Validate();
        Require(OptionalColumns.Conditions, ConditionColumnNames.Count > 0, nameof(ConditionColumnNames));
        Require(OptionalColumns.FeatureScore, FeatureScoreColumnName is not null, nameof(FeatureScoreColumnName));
        Require(OptionalColumns.Reconstruction, ReconstructionColumnName is not null, nameof(ReconstructionColumnName));

        void Require(OptionalColumns column, bool wanted, string option)
        {
            if (wanted && !Supported.HasFlag(column))
                throw new ArgumentException($"Option {option} is set, and {GetType().Name} has no such column.");
        }
    }
}

/// <summary>How a family reads texts: the most tokens of a vocabulary, and of a text where that is given.</summary>
internal sealed record CaptionReading(int VocabularySize, int? Window);

/// <summary>Columns that not every family of vectors has.</summary>
[Flags]
internal enum OptionalColumns
{
    None = 0,
    Conditions = 1,
    FeatureScore = 2,
    Reconstruction = 4,
}

/// <summary>The options of a family that scores and encodes rows, and can so detect anomalies.</summary>
public abstract record DetectorOptions : VectorOptions
{
    /// <summary>
    /// The column for the predicted label, whether the score is above the threshold. Default: <c>PredictedLabel</c> of a
    /// detector; none is added otherwise.
    /// </summary>
    public string? PredictedLabelColumnName { get; init; }

    /// <summary>
    /// The column for the p-value, in (0, 1]: the share of ordinary rows, the row itself among them, that score as high
    /// or higher. Of fresh rows like those of training it is uniform, so that a share p of them has a p-value of p or
    /// less; NaN where the score is. It is told by the rows that <see cref="Contamination"/> is calibrated by, at most
    /// some 4000, whose scores a saved model holds: none is smaller than one over their number and one. Default: none is
    /// added.
    /// </summary>
    public string? PValueColumnName { get; init; }

    /// <summary>The column for the latent vector. Default: none is added, unless the catalog says otherwise.</summary>
    public string? LatentColumnName { get; init; }

    /// <summary>
    /// The share of the training rows that are taken to be anomalies: the threshold of <c>PredictedLabel</c> is the
    /// score that this share of them exceeds. In (0, 0.5]. Default 0.1.
    /// </summary>
    /// <remarks>
    /// A model scores rows that it was trained on lower than others, so the threshold is taken from rows that are new
    /// to the model that scores them. Of 2000 rows or more a fifth, at most some 4000, is held back from training for
    /// that. Of fewer, none is: ten more models are trained, each on nine tenths of the rows, to score the last tenth, and
    /// discarded, so that training takes several times as long; progress tells of all of them, checkpoints are those of the
    /// model that is returned. Such few rows are read once and held in memory, as far as
    /// <see cref="TrainingOptions.CacheBudgetBytes"/> allows.
    /// </remarks>
    public double Contamination { get; init; } = 0.1;

    internal override VectorColumns Columns =>
        base.Columns with { PredictedLabel = PredictedLabelColumnName, PValue = PValueColumnName, Latent = LatentColumnName };

    /// <summary>Whether anomalies are to be found.</summary>
    internal bool Detects => (ScoreColumnName ?? PredictedLabelColumnName ?? PValueColumnName ?? FeatureScoreColumnName) is not null;

    internal override double? AnomalyShare =>
        PredictedLabelColumnName is null && PValueColumnName is null ? null : Contamination;

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
internal sealed record VectorColumns(string Features, string? Score = null)
{
    public string? PredictedLabel { get; init; }

    public string? PValue { get; init; }

    public string? Latent { get; init; }

    public string? FeatureScore { get; init; }

    public string? Reconstruction { get; init; }

    public string? LatentDeviation { get; init; }

    public string? AnomalyMap { get; init; }

    public string? Translation { get; init; }

    /// <summary>The labels that rows depend on; they are read.</summary>
    public IReadOnlyList<string> Conditions { get; init; } = [];

    /// <inheritdoc cref="RowField.IfMissing"/>
    public string? IfConditionMissing { get; init; }

    /// <summary>The label that training reads, and that scores and predicted labels are of; null for none.</summary>
    public string? Class { get; init; }

    /// <summary>What is read, for a vector and conditions of these widths: the vector first.</summary>
    public IReadOnlyList<RowField> Inputs(VectorInput input) =>
    [
        new RowField(Features, FieldKind.Single, input.Width) { Image = input.Image },
        .. Conditions.Zip(input.ConditionWidths).Select((condition, c) =>
            new RowField(condition.First, FieldKind.Single, condition.Second)
            {
                IsCondition = true,
                Categories = input.ConditionCategories.ElementAtOrDefault(c),
                Caption = input.ConditionCaptions.ElementAtOrDefault(c),
                IfMissing = IfConditionMissing,
            }),
    ];

    /// <summary>The added columns, in the order of the schema.</summary>
    /// <param name="width">Features of the input.</param>
    /// <param name="latent">Features of a latent vector.</param>
    /// <param name="images">The format of the input where it is one of images.</param>
    /// <param name="label">The label, where there is one.</param>
    public IReadOnlyList<OutputColumn> Outputs(
        int width, int latent, ImageFormat? images = null, VectorSchemaColumn? label = null)
    {
        bool pictures = images?.IsPicture == true;
        OutputColumn?[] columns =
        [
            PredictedLabel is null
                ? null
                : label is not null ? new(PredictedLabel, OutputKind.Key) { Score = ScoreAnnotation.ClassLabel, Class = label }
                : new(PredictedLabel, OutputKind.Boolean) { Score = ScoreAnnotation.AnomalyLabel, IfUnknown = true },
            Score is null ? null
                : label is not null ? new(Score, OutputKind.Single, (int)label.Type.KeyCount) { Score = ScoreAnnotation.ClassScore }
                : new(Score, OutputKind.Single) { Score = ScoreAnnotation.AnomalyScore },
            PValue is null ? null : new(PValue, OutputKind.Single),
            FeatureScore is null ? null : new(FeatureScore, OutputKind.Single, width) { SlotNamesFrom = Features },
            Reconstruction is null ? null
                : pictures ? Picture(Reconstruction, images!)
                : new(Reconstruction, OutputKind.Single, width) { SlotNamesFrom = Features },
            Translation is null ? null
                : pictures ? Picture(Translation, images!)
                : new(Translation, OutputKind.Single, width) { SlotNamesFrom = Features },
            AnomalyMap is null ? null
                : pictures ? Picture(AnomalyMap, images!.Grey)
                : new(AnomalyMap, OutputKind.Single, (int)(images?.Grey.Shape!.Length ?? 1)),
            Latent is null ? null : new(Latent, OutputKind.Single, latent),
            LatentDeviation is null ? null : new(LatentDeviation, OutputKind.Single, latent),
        ];
        return [.. columns.OfType<OutputColumn>()];

        static OutputColumn Picture(string name, ImageFormat format) =>
            new(name, OutputKind.Image, (int)format.Shape!.Length) { Image = format };
    }

    /// <summary>Checks that every name can be one and that no two columns would be added under the same.</summary>
    /// <exception cref="ArgumentException">A name is empty, or given twice.</exception>
    public void Validate() => ColumnNames.Check(
        [Features, .. Conditions, .. Class is null ? (string[])[] : [Class]],
        [Score, PredictedLabel, PValue, FeatureScore, Reconstruction, Translation, AnomalyMap, Latent, LatentDeviation]);
}
