using System.Text.Json.Serialization;

namespace GenerativeML;

/// <summary>
/// The options of a WaveNet: its columns, its network and its training. A step trains on
/// <see cref="TrainingOptions.BatchSize"/> windows from places drawn at random in the sounds; each sample is predicted from
/// the right ones before it.
/// </summary>
/// <remarks>
/// <see cref="TrainingOptions.LearningRate"/> and <see cref="TrainingOptions.WeightDecay"/> are AdamW's; by default 0.002
/// and 0.01. <see cref="TrainingOptions.ValidationFraction"/> holds back sounds;
/// <see cref="TrainingOptions.CacheBudgetBytes"/> is the most memory that the sounds may take.
/// <see cref="TrainingOptions.NonFiniteValues"/> and <see cref="TrainingOptions.ShuffleBufferRows"/> have no meaning for
/// sound.
/// </remarks>
public sealed record WaveNetOptions : TrainingOptions
{
    private const int DefaultBatchSize = 4, DefaultSteps = 3000, MaxReceptiveField = 1 << 16;

    /// <summary>Options with the default of networks of many layers: gradients are clipped at 1.</summary>
    public WaveNetOptions() => GradientClipNorm = 1;

    /// <summary>The input: a column of text, each row the path of a WAV file. Default <c>Path</c>.</summary>
    public string PathColumnName { get; init; } = "Path";

    /// <summary>
    /// The folder that paths are relative to. Default: the program's current one. It is not saved with the model:
    /// <see cref="WaveNetTransformer.Folder"/>.
    /// </summary>
    [JsonIgnore]
    public string? Folder { get; init; }

    /// <summary>
    /// A column of text that says what a sound is of, such as the speaker or the word: of each different text the network
    /// learns how its sounds differ. Default: none is read.
    /// </summary>
    public string? ConditionColumnName { get; init; }

    /// <summary>
    /// Bands of a spectrogram that the network is told beside the samples before: how loud each frame is, and the one before
    /// and the next, in so many triangles on the mel scale. Such a model does not make sound of its own, and its Generate throws;
    /// it makes sound for a spectrogram, that of another sound: <see cref="WaveNetTransformer.Resynthesize"/>. From 0, without
    /// one, to 512, and no more than windows of <see cref="SpectrogramHop"/> tell apart. Default 0; 40 are usual for speech at
    /// 8,000 Hz.
    /// </summary>
    public int SpectrogramBands { get; init; }

    /// <summary>
    /// Samples of a frame of the spectrogram; windows are of the power of two that is four or more of them, and training
    /// windows are cut to whole frames. From 8 to 8192. Default 128.
    /// </summary>
    public int SpectrogramHop { get; init; } = 128;

    /// <summary>
    /// The column for the score: the mean of −log p over a sound's samples, each given those before it, in nats. The higher,
    /// the stranger. Default <c>Score</c>; null: none is added.
    /// </summary>
    public string? ScoreColumnName { get; init; } = "Score";

    /// <summary>
    /// The column of generated sounds, a vector of <see cref="GeneratedSamples"/>. Default <c>Sound</c>. It has no meaning with
    /// <see cref="SpectrogramBands"/>.
    /// </summary>
    public string SoundColumnName { get; init; } = "Sound";

    /// <summary>
    /// Samples of a generated sound. From 1 to 10,000,000. Default 8000. It has no meaning with <see cref="SpectrogramBands"/>:
    /// a sound that is made anew is as long as the one that it is made for.
    /// </summary>
    public int GeneratedSamples { get; init; } = 8000;

    /// <summary>
    /// Samples in a second that the network reads and makes. Files of other rates are brought to it. Default 8000.
    /// </summary>
    public int SampleRate { get; init; } = 8000;

    /// <summary>Levels of the µ-law by which samples become classes. From 2 to 4096. Default 256.</summary>
    public int QuantizationLevels { get; init; } = 256;

    /// <summary>
    /// Layers of dilated convolutions, whose dilation doubles from one to the next. From 1 to 20; all cycles together may
    /// look back 65,536 samples. Default 9.
    /// </summary>
    public int Layers { get; init; } = 9;

    /// <summary>How often the layers are repeated, with dilations from 1 again. From 1 to 20. Default 2.</summary>
    public int Cycles { get; init; } = 2;

    /// <summary>Channels that residual layers hand on. From 1 to 4096. Default 48.</summary>
    public int ResidualChannels { get; init; } = 48;

    /// <summary>Channels that layers hand on past all others. From 1 to 4096. Default 96.</summary>
    public int SkipChannels { get; init; } = 96;

    /// <summary>
    /// The share of the gates' results that are left out in training, at random. In [0, 1). Default 0.1.
    /// </summary>
    public double Dropout { get; init; } = 0.1;

    /// <summary>Samples of a training window. From 2 to 10,000,000. Default 2048.</summary>
    public int WindowLength { get; init; } = 2048;

    /// <summary>
    /// What logits are divided by where samples are drawn. It can be changed afterwards:
    /// <see cref="WaveNetTransformer.Temperature"/>. Above 0 and at most 10. Default 1.
    /// </summary>
    public double Temperature { get; init; } = 1;

    /// <summary>
    /// Optimizer steps. Default: as many as <see cref="TrainingOptions.Epochs"/> asks for; where that is not set either,
    /// 3000. Not both.
    /// </summary>
    public int? Steps { get; init; }

    /// <summary>Samples before one that it is predicted from.</summary>
    [JsonIgnore]
    internal long ReceptiveField => 1 + Cycles * ((1L << Layers) - 1);

    /// <summary>All that is left open, decided.</summary>
    internal WaveNetOptions Resolve(int seed) => this with
    {
        Seed = seed,
        BatchSize = BatchSize ?? DefaultBatchSize,
        Steps = Steps ?? (Epochs is null ? DefaultSteps : null),
        LearningRate = LearningRate ?? 2e-3,
        WeightDecay = WeightDecay ?? 0.01,
        WindowLength = SpectrogramBands > 0 ? Math.Max(1, WindowLength / SpectrogramHop) * SpectrogramHop : WindowLength,
    };

    /// <summary>The added columns.</summary>
    internal IReadOnlyList<OutputColumn> Outputs() => ScoreColumnName is string score
        ? [new(score, OutputKind.Single) { Score = ScoreAnnotation.AnomalyScore }] : [];

    /// <summary>The columns that are read.</summary>
    internal IReadOnlyList<string> Inputs() => ConditionColumnName is string condition ? [PathColumnName, condition] : [PathColumnName];

    /// <inheritdoc />
    public override void Validate()
    {
        base.Validate();
        ColumnNames.Check(Inputs(), [ScoreColumnName]);
        ColumnNames.Check([], [SoundColumnName, ConditionColumnName]);
        OptionChecks.Within(GeneratedSamples, 1, 10_000_000);
        OptionChecks.Within(SampleRate, 1, 768_000);
        OptionChecks.Within(QuantizationLevels, 2, 1 << 12);
        OptionChecks.Within(Layers, 1, 20);
        OptionChecks.Within(Cycles, 1, 20);
        if (ReceptiveField > MaxReceptiveField)
            throw new ArgumentOutOfRangeException(nameof(Layers), Layers, FormattableString.Invariant(
                $"Options Layers and Cycles, {Layers} and {Cycles}, look back {ReceptiveField} samples, and {MaxReceptiveField} is the most."));
        OptionChecks.Within(ResidualChannels, 1, 4096);
        OptionChecks.Within(SkipChannels, 1, 4096);
        OptionChecks.WithinHalfOpen(Dropout, 0, 1);
        OptionChecks.Within(WindowLength, 2, 10_000_000);
        OptionChecks.Within(SpectrogramBands, 0, 512);
        OptionChecks.Within(SpectrogramHop, 8, 8192);
        if (SpectrogramBands > 0 && MelSpectrogram.MostBands(SpectrogramBands, SpectrogramHop, SampleRate) is int most && most < SpectrogramBands)
            throw new ArgumentOutOfRangeException(nameof(SpectrogramBands), SpectrogramBands, FormattableString.Invariant(
                $"Option SpectrogramBands is {SpectrogramBands}, but frames of {SpectrogramHop} samples, option SpectrogramHop, tell {most} bands apart."));
        OptionChecks.Temperature(Temperature);
        OptionChecks.StepsOrEpochs(Steps, Epochs);
    }
}
