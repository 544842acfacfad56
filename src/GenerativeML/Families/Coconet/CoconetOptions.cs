namespace GenerativeML;

/// <summary>
/// The options of a Coconet: its columns, its network and its training. A step trains on
/// <see cref="TrainingOptions.BatchSize"/> windows, each from a place drawn at random in a piece; of each a part of the
/// notes, as large a part as chance has it, is hidden and predicted from the rest.
/// </summary>
/// <remarks>
/// <see cref="TrainingOptions.LearningRate"/> and <see cref="TrainingOptions.WeightDecay"/> are AdamW's; by default 0.003
/// and 0.01. <see cref="TrainingOptions.ValidationFraction"/> holds back pieces;
/// <see cref="TrainingOptions.CacheBudgetBytes"/> is the most memory that the pieces may take.
/// <see cref="TrainingOptions.NonFiniteValues"/> and <see cref="TrainingOptions.ShuffleBufferRows"/> have no meaning for
/// music.
/// </remarks>
public sealed record CoconetOptions : TrainingOptions
{
    private const int DefaultBatchSize = 16, DefaultSteps = 3000, DefaultMetreSteps = 4;

    /// <summary>Options with the defaults of convolutions: gradients are clipped at 1.</summary>
    public CoconetOptions() => GradientClipNorm = 1;

    /// <summary>
    /// The input: a column of text, each row a piece as <see cref="VoiceGrid.Parse"/> reads it. Default <c>Music</c>.
    /// </summary>
    public string MusicColumnName { get; init; } = "Music";

    /// <summary>
    /// The column for the piece with all that is unknown in it filled in, a text as the input. Default <c>Infilled</c>;
    /// null: none is added.
    /// </summary>
    public string? InfilledColumnName { get; init; } = "Infilled";

    /// <summary>
    /// The column for the score: −log p of a note, in nats, given those that are left where a random part of the piece is
    /// hidden; the mean over the hidden notes and over <see cref="ScoreMasks"/> such parts, the same for every row. The
    /// higher, the stranger the piece. Unknown notes count for nothing. Default: none is added.
    /// </summary>
    public string? ScoreColumnName { get; init; }

    /// <summary>Random parts that are hidden for a score. From 1 to 1000. Default 16.</summary>
    public int ScoreMasks { get; init; } = 16;

    /// <summary>
    /// Steps of a window: what the network sees at once, and the length of generated pieces. Longer pieces are seen window
    /// by window, of which each two overlap by half. From 2 to 1024. Default 32.
    /// </summary>
    public int Window { get; init; } = 32;

    /// <summary>
    /// Steps of a beat or of a bar, after which the metre begins anew: the network is told where in it a step is, counted from
    /// the first step of the piece, so that music with an upbeat needs rests before it where bars are to begin alike. With 1
    /// it is told nothing. From 1 to 1024. Default 4, the beat of sixteenths and the bar of quarters in common time; music in
    /// triple time is told something wrong by it.
    /// </summary>
    public int? MetreSteps { get; init; }

    /// <summary>Features of a step in the network. From 1 to 8192. Default 256.</summary>
    public int Width { get; init; } = 256;

    /// <summary>
    /// Residual blocks of two convolutions over three steps each, whose dilation doubles from block to block. From 1 to 10.
    /// Default 4, which see 30 steps to either side.
    /// </summary>
    public int Blocks { get; init; } = 4;

    /// <summary>The share of features that blocks leave out at random in a training step. In [0, 1). Default 0.3.</summary>
    public double Dropout { get; init; } = 0.3;

    /// <summary>
    /// In training, pieces are moved up or down by as many semitones as chance has it, up to so many, as far as the pitches
    /// of training go. From 0 to 24. Default 6.
    /// </summary>
    public int Transposition { get; init; } = 6;

    /// <summary>
    /// Rounds of Gibbs sampling that fill in what is unknown (Yao 2014): each draws anew an ever smaller part of it, given
    /// all else. From 1 to 10,000. Default 64.
    /// </summary>
    public int GibbsSteps { get; init; } = 64;

    /// <summary>
    /// What logits are divided by where notes are drawn: the less, the likelier they are. It can be changed afterwards:
    /// <see cref="CoconetTransformer.Temperature"/>. Above 0 and at most 10. Default 0.8.
    /// </summary>
    public double Temperature { get; init; } = 0.8;

    /// <summary>
    /// Optimizer steps. Default: as many as <see cref="TrainingOptions.Epochs"/> asks for; where that is not set either,
    /// 3000. Not both.
    /// </summary>
    public int? Steps { get; init; }

    /// <summary>All that is left open, decided.</summary>
    internal CoconetOptions Resolve(int seed) => this with
    {
        Seed = seed,
        BatchSize = BatchSize ?? DefaultBatchSize,
        MetreSteps = MetreSteps ?? DefaultMetreSteps,
        Steps = Steps ?? (Epochs is null ? DefaultSteps : null),
        LearningRate = LearningRate ?? 3e-3,
        WeightDecay = WeightDecay ?? 0.01,
    };

    /// <summary>The added columns, in the order of the schema.</summary>
    internal IReadOnlyList<OutputColumn> Outputs()
    {
        OutputColumn?[] columns =
        [
            ScoreColumnName is string score ? new(score, OutputKind.Single) { Score = ScoreAnnotation.AnomalyScore } : null,
            InfilledColumnName is string infilled ? new(infilled, OutputKind.Text) : null,
        ];
        return [.. columns.OfType<OutputColumn>()];
    }

    /// <inheritdoc />
    public override void Validate()
    {
        base.Validate();
        ColumnNames.Check([MusicColumnName], [ScoreColumnName, InfilledColumnName]);
        OptionChecks.Within(ScoreMasks, 1, 1000);
        OptionChecks.Within(Window, 2, 1024);
        OptionChecks.Within(MetreSteps, 1, 1024);
        OptionChecks.Within(Width, 1, 8192);
        OptionChecks.Within(Blocks, 1, 10);
        OptionChecks.WithinHalfOpen(Dropout, 0, 1);
        OptionChecks.Within(Transposition, 0, 24);
        OptionChecks.Within(GibbsSteps, 1, 10_000);
        OptionChecks.Temperature(Temperature);
        OptionChecks.StepsOrEpochs(Steps, Epochs);
    }
}

/// <summary>
/// What a Coconet knows of its pieces, as saved: voices and the lowest and highest pitch, each of which is a class of a
/// note, with one more for rests.
/// </summary>
internal sealed record MusicRange(int Voices, int Lowest, int Highest)
{
    /// <summary>Classes of a note: pitches, and the rest behind them.</summary>
    [System.Text.Json.Serialization.JsonIgnore]
    public int Classes => Highest - Lowest + 2;

    /// <summary>The class of a pitch.</summary>
    public int ClassOf(int pitch) => pitch == VoiceGrid.Rest ? Classes - 1 : pitch - Lowest;

    /// <summary>The pitch of a class.</summary>
    public int PitchOf(int number) => number == Classes - 1 ? VoiceGrid.Rest : number + Lowest;

    /// <summary>Steps of the longest piece.</summary>
    private const int MaxSteps = 100_000;

    /// <summary>Checks a piece against it.</summary>
    /// <exception cref="InvalidOperationException">It has other voices, a pitch that training did not have, or too many steps.</exception>
    public void Check(VoiceGrid music)
    {
        if (music.Steps > MaxSteps)
            throw new InvalidOperationException($"It has {music.Steps} steps, and up to {MaxSteps} are computed.");
        if (music.Steps > 0 && music.Voices != Voices)
            throw new InvalidOperationException($"It has {music.Voices} voices, and those of training had {Voices}.");
        for (int step = 0; step < music.Steps; step++)
        {
            for (int voice = 0; voice < Voices; voice++)
            {
                int pitch = music[step, voice];
                if (pitch >= 0 && (pitch < Lowest || pitch > Highest))
                    throw new InvalidOperationException(
                        $"Voice {voice} of step {step} (both counted from 0) has the pitch {pitch}, and those of training were from {Lowest} to {Highest}.");
            }
        }
    }
}
