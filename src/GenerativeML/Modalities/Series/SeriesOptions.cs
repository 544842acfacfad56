namespace GenerativeML;

/// <summary>What a network over time is made of.</summary>
public enum SequenceLayer
{
    /// <summary>
    /// Residual blocks of dilated convolutions (Bai 2018): each step is computed from the steps around it, or before it,
    /// at once for all of them; the dilation doubles from block to block.
    /// </summary>
    DilatedConvolution,

    /// <summary>Long short-term memory (Hochreiter and Schmidhuber 1997): one step after the other, with a memory.</summary>
    Lstm,
}

/// <summary>The options of a family that learns series of numbers in time, window by window.</summary>
/// <remarks>
/// Steps of one series stand next to each other, in the order of time, at equal distances: what is missing in between is
/// to be there as NaN. With <see cref="NonFiniteValues.Replace"/> such a step counts as not observed: nothing stands in
/// its place, it is not learned, and its score is NaN. With <see cref="NonFiniteValues.DropRow"/> it is left out of
/// training, so that its neighbours follow each other; in rows that are scored it counts as not observed. A series shorter than a window is learned as a window with steps that were not
/// observed.
/// </remarks>
public abstract record SeriesOptions : TrainingOptions
{
    /// <summary>The longest window.</summary>
    internal const int MaxWindow = 4096;

    private const int MaxLayers = 12, MaxKernel = 64, MaxLayerWidth = 4096;

    /// <summary>
    /// The input: in each row a step of a series, a Single or a vector of <see cref="float"/> of known size. Default
    /// <c>Features</c>.
    /// </summary>
    public string FeatureColumnName { get; init; } = "Features";

    /// <summary>
    /// The column, a text, key or number, that tells series apart: rows of one series have the same value and stand next
    /// to each other, in the order of time. Default: all rows are one series.
    /// </summary>
    public string? GroupColumnName { get; init; }

    /// <summary>
    /// Of how many features a step consists where each row is a whole series, a vector of one step after the other.
    /// Default: each row is one step.
    /// </summary>
    public int? FeaturesPerStep { get; init; }

    /// <summary>Steps that the network sees at once. From 2 to 4096. Default 32.</summary>
    public int WindowLength { get; init; } = 32;

    /// <summary>
    /// From one training window to the next of a series, in steps. From 1 to 4096. Default: the family decides.
    /// </summary>
    public int? WindowStride { get; init; }

    /// <summary>What the network is made of. Default <see cref="SequenceLayer.DilatedConvolution"/>.</summary>
    public SequenceLayer Layer { get; init; }

    /// <summary>
    /// Layers of LSTM cells, or blocks of two convolutions, of which the last one's dilation is 2 to the power of one less.
    /// From 1 to 12. Default: 1 of cells; of blocks as many as it takes to see half a window.
    /// </summary>
    public int? Layers { get; init; }

    /// <summary>Features of each layer. From 1 to 4096. Default 32.</summary>
    public int Width { get; init; } = 32;

    /// <summary>Steps that a convolution sees. From 2 to 64. Default 3.</summary>
    public int KernelSize { get; init; } = 3;

    /// <summary>The share of features left out at random behind each layer in a training step, in [0, 1). Default 0.</summary>
    public double Dropout { get; init; }

    /// <summary>
    /// The column for the score, the higher, the stranger the step; of a row that is a series, the mean of its steps.
    /// Default: <c>Score</c>.
    /// </summary>
    public string? ScoreColumnName { get; init; } = "Score";

    /// <summary>The column for whether the score is above the threshold. Default: the catalog decides.</summary>
    public string? PredictedLabelColumnName { get; init; }

    /// <summary>
    /// The column for the p-value, in (0, 1]: the share of ordinary rows, the row itself among them, that score as high
    /// or higher. Default: none is added.
    /// </summary>
    public string? PValueColumnName { get; init; }

    /// <summary>
    /// The column for what the network makes of each step, in the type of the input and in its units. Default: none is
    /// added.
    /// </summary>
    public string? ExpectedColumnName { get; init; }

    /// <summary>
    /// The share of ordinary steps to be predicted as anomalies, in (0, 0.5]. Default 0.1. The threshold is taken from
    /// steps that the model was not trained on: the last fifth of each series, or where there are ten series or more a
    /// fifth of them. Without a column for labels and one for p-values, all is trained on.
    /// </summary>
    public double Contamination { get; init; } = 0.1;

    /// <summary>Whether what is usual of ordinary rows has to be known.</summary>
    internal bool Calibrates => (PredictedLabelColumnName ?? PValueColumnName) is not null;

    /// <summary>The columns that are added; what is expected has so many numbers, or is none where there are zero.</summary>
    internal IReadOnlyList<OutputColumn> Outputs(int width)
    {
        OutputColumn?[] columns =
        [
            PredictedLabelColumnName is null
                ? null
                : new(PredictedLabelColumnName, OutputKind.Boolean) { Score = ScoreAnnotation.AnomalyLabel, IfUnknown = true },
            ScoreColumnName is null ? null : new(ScoreColumnName, OutputKind.Single) { Score = ScoreAnnotation.AnomalyScore },
            PValueColumnName is null ? null : new(PValueColumnName, OutputKind.Single),
            ExpectedColumnName is null
                ? null
                : new(ExpectedColumnName, OutputKind.Single, width) { SlotNamesFrom = width > 0 ? FeatureColumnName : null },
        ];
        return [.. columns.OfType<OutputColumn>()];
    }

    /// <summary>The same options with everything decided that they left open, for so many training windows.</summary>
    internal abstract SeriesOptions Resolve(long windows, int stepWidth);

    /// <summary>The layers of a network.</summary>
    private protected int ResolvedLayers
    {
        get
        {
            if (Layers is int given)
                return given;
            int blocks = 1;
            while (Layer == SequenceLayer.DilatedConvolution && blocks < MaxLayers
                && DilatedConvolution.ReceptiveField(blocks, KernelSize) < WindowLength / 2)
                blocks++;
            return blocks;
        }
    }

    /// <summary>Passes over so many windows that make so many optimizer steps, and two at least.</summary>
    private protected static int EpochsFor(long steps, long windows, int batch) =>
        (int)Math.Max(2, steps / ((windows + batch - 1) / batch));

    /// <summary>The scaler of steps, by their moments and some of them.</summary>
    internal virtual VectorScaler ScalerOf(ColumnMoments moments, RowSample sample, Action<string>? warning)
    {
        var scaler = VectorScaler.Of(moments, sample);
        if (scaler.Constants.Length == 0)
            return scaler;
        warning?.Invoke(
            $"Column '{FeatureColumnName}' is constant in feature {string.Join(", ", scaler.Constants.Take(20))} of the training "
            + "rows: how far other values are from that is taken in the column's own units.");
        int width = scaler.Width;
        float[] mean = [.. scaler.Means], scale = new float[width], limit = new float[width];
        scaler.CopyTo(mean, scale, limit);
        foreach (int j in scaler.Constants)
            scale[j] = 1;
        return new(mean, scale, limit);
    }

    /// <inheritdoc />
    /// <exception cref="ArgumentException">
    /// A column's name is empty or given twice, or options contradict each other.
    /// </exception>
    public override void Validate()
    {
        base.Validate();
        OptionChecks.Within(FeaturesPerStep, 1, VectorInput.MaxWidth);
        OptionChecks.Within(WindowLength, 2, MaxWindow);
        OptionChecks.Within(WindowStride, 1, MaxWindow);
        OptionChecks.Defined(Layer);
        OptionChecks.Within(Layers, 1, MaxLayers);
        OptionChecks.Within(Width, 1, MaxLayerWidth);
        OptionChecks.Within(KernelSize, 2, MaxKernel);
        OptionChecks.WithinHalfOpen(Dropout, 0, 1);
        OptionChecks.PositiveFinite(Contamination);
        OptionChecks.Within(Contamination, 0, 0.5);
        if (FeaturesPerStep is not null && GroupColumnName is not null)
        {
            throw new ArgumentException(
                $"Options {nameof(FeaturesPerStep)} and {nameof(GroupColumnName)} contradict each other: a row is either a "
                + "whole series, or a step of one.");
        }
        ColumnNames.Check(
            GroupColumnName is null ? [FeatureColumnName] : [FeatureColumnName, GroupColumnName],
            Outputs(1).Select(c => c.Name));
    }
}
