using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace GenerativeML;

/// <summary>Groups of features of a text, for a classifier that tells generated texts from genuine ones.</summary>
[Flags]
public enum GeneratedTextFeatures
{
    /// <summary>None: not a choice.</summary>
    None = 0,

    /// <summary>
    /// What the language model expected of the text: the statistics, how they spread, and the shares of tokens within the
    /// first 1, 10, 100 and 1000 ranks (Gehrmann 2019, GLTR).
    /// </summary>
    Likelihood = 1,

    /// <summary>
    /// How it is written: words and sentences by their lengths, how varied words are, marks, capitals and digits; with a
    /// byte-pair vocabulary, how common its tokens are.
    /// </summary>
    Style = 2,

    /// <summary>The mean of the language model's final hidden states.</summary>
    Embedding = 4,

    /// <summary>All of them.</summary>
    All = Likelihood | Style | Embedding,
}

/// <summary>The options of a detector of generated texts.</summary>
public sealed record GeneratedTextOptions
{
    /// <summary>The input: a column of text. Default <c>Text</c>.</summary>
    public string TextColumnName { get; init; } = "Text";

    /// <summary>
    /// A column of <see cref="bool"/>, or of <see cref="float"/>: true, or above zero, for generated texts, which the
    /// threshold is not told by; nor is it by those whose number is missing. Read in training only. Default: none, all
    /// texts of training are genuine.
    /// </summary>
    public string? LabelColumnName { get; init; }

    /// <summary>The number that is the score. Default <see cref="GeneratedTextStatistic.Curvature"/>.</summary>
    public GeneratedTextStatistic Statistic { get; init; }

    /// <summary>
    /// The share of genuine texts, like those of training, that are taken for generated ones. In (0, 0.5]. Default 0.05.
    /// </summary>
    public double FalseAlarmRate { get; init; } = 0.05;

    /// <summary>
    /// Whether line breaks and other runs of white space are taken for single spaces, and dropped at both ends. Where the
    /// texts of two kinds were laid out by different programs, line breaks alone tell them apart, and a classifier learns
    /// nothing else. Default: yes.
    /// </summary>
    public bool CollapseWhiteSpace { get; init; } = true;

    /// <summary>
    /// What is in the column of features. Default: <see cref="GeneratedTextFeatures.Likelihood"/> and
    /// <see cref="GeneratedTextFeatures.Style"/>.
    /// </summary>
    public GeneratedTextFeatures Features { get; init; } = GeneratedTextFeatures.Likelihood | GeneratedTextFeatures.Style;

    /// <summary>The column for the score. Default <c>Score</c>; null: none is added.</summary>
    public string? ScoreColumnName { get; init; } = "Score";

    /// <summary>
    /// The column for the predicted label, whether the text is generated. Default <c>PredictedLabel</c>; null: none is
    /// added.
    /// </summary>
    public string? PredictedLabelColumnName { get; init; } = "PredictedLabel";

    /// <summary>
    /// The column for the share of genuine texts, this one among them, that score as high or higher. Default: none is
    /// added.
    /// </summary>
    public string? PValueColumnName { get; init; }

    /// <summary>The column for the features, a vector with names. Default <c>Features</c>; null: none is added.</summary>
    public string? FeatureColumnName { get; init; } = "Features";

    /// <summary>Ends training with an <see cref="OperationCanceledException"/>.</summary>
    [JsonIgnore]
    public CancellationToken CancellationToken { get; init; }

    /// <summary>Told how many texts training has read.</summary>
    [JsonIgnore]
    public IProgress<long>? Progress { get; init; }

    /// <summary>Whether genuine texts are scored in training, to know what they score.</summary>
    internal bool Calibrates => PredictedLabelColumnName is not null || PValueColumnName is not null;

    internal void Validate()
    {
        ColumnNames.Check(
            LabelColumnName is null ? [TextColumnName] : [TextColumnName, LabelColumnName],
            [PredictedLabelColumnName, ScoreColumnName, PValueColumnName, FeatureColumnName]);
        OptionChecks.Defined(Statistic);
        OptionChecks.AboveZero<double>(FalseAlarmRate, 0.5);
        OptionChecks.Within((int)Features, 1, (int)GeneratedTextFeatures.All, nameof(Features));
    }
}

/// <summary>
/// Makes a detector of generated texts from a trained language model. Training scores genuine texts, so that the threshold
/// and p-values tell how often such a text is taken for a generated one; nothing is learned from generated texts. Where
/// there are some, a trainer of <c>mlContext.BinaryClassification</c> learns from the features.
/// </summary>
/// <remarks>
/// <para>
/// To create this estimator, use <see cref="GenerativeCatalog.GeneratedTextDetector(LanguageModelTransformer, GeneratedTextOptions)"/>.
/// </para>
/// <list type="table">
/// <listheader><term>Column</term><description>Type and meaning</description></listheader>
/// <item><term><c>PredictedLabel</c></term><description><see cref="bool"/>: whether the score is above
/// <see cref="GeneratedTextDetector.Threshold"/>. False for a text that has no score.</description></item>
/// <item><term><c>Score</c></term><description><see cref="float"/>: the higher, the more likely generated. NaN for a text
/// without a token that the model had an expectation of: an empty one, or one of a single token where no token of the
/// vocabulary is the beginning of a document.</description></item>
/// <item><term><c>PValue</c></term><description>On request, <see cref="float"/> in (0, 1].</description></item>
/// <item><term><c>Features</c></term><description>A vector of <see cref="float"/>, on scales of their own:
/// <c>NormalizeMeanVariance</c> suits them. NaN for a text without a word or a token, which trainers pass
/// over.</description></item>
/// </list>
/// <para>
/// A model that scores is best the one that is suspected, or larger. What a small one finds strange it finds strange in
/// people's texts, too: the shares of false alarms are those of texts like the training ones, and of no others.
/// </para>
/// </remarks>
public sealed class GeneratedTextEstimator : IEstimator<GeneratedTextDetector>
{
    private readonly IHost _host;
    private readonly TextModel _scorer;
    private readonly LanguageModelTransformer _languageModel;
    private readonly GeneratedTextOptions _options;

    internal GeneratedTextEstimator(
        IHostEnvironment environment, LanguageModelTransformer languageModel, GeneratedTextOptions options)
    {
        ArgumentNullException.ThrowIfNull(languageModel);
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        _host = environment.Register(nameof(GeneratedTextEstimator));
        (_languageModel, _scorer, _options) = (languageModel, languageModel.Text, options);
    }

    /// <summary>Scores genuine texts, to know what they score.</summary>
    /// <param name="input">Genuine texts, and generated ones where there is a label.</param>
    /// <returns>The detector, which goes on using the language model.</returns>
    /// <exception cref="ArgumentOutOfRangeException">An input column is missing or of the wrong type.</exception>
    /// <exception cref="InvalidOperationException">
    /// There are fewer than ten genuine texts with a score, or a text has characters that the vocabulary cannot express.
    /// </exception>
    /// <exception cref="OperationCanceledException">The options' token was cancelled.</exception>
    public GeneratedTextDetector Fit(IDataView input)
    {
        ArgumentNullException.ThrowIfNull(input);
        CheckInput(MLNetInternals.ShapeOf(input.Schema), nameof(input));
        var model = new GeneratedTextModel(_scorer, _options);
        using IChannel channel = _host.Start("Training");
        if (_options.Calibrates)
        {
            model.Calibration = Thinned(new CalibrationScores(Scores(input, model)));
            if (model.Calibration.Sorted.Count < CalibrationPlan.MinRows)
            {
                throw new InvalidOperationException(
                    $"Column '{_options.TextColumnName}' has {model.Calibration.Sorted.Count} genuine texts with a score; at "
                    + $"least {CalibrationPlan.MinRows} are needed to tell what genuine ones score.");
            }
            model.Threshold = model.Calibration.Threshold(_options.FalseAlarmRate);
            channel.Info(
                MessageSensitivity.None, $"{model.Calibration.Sorted.Count} genuine texts; threshold {model.Threshold}.");
        }
        return new(_languageModel, model);
    }

    /// <summary>Says which columns the detector will add.</summary>
    /// <param name="inputSchema">What is known of the columns that come in.</param>
    /// <exception cref="ArgumentOutOfRangeException">An input column is missing or of the wrong type.</exception>
    public SchemaShape GetOutputSchema(SchemaShape inputSchema)
    {
        ArgumentNullException.ThrowIfNull(inputSchema);
        CheckInput(inputSchema, nameof(inputSchema));
        SchemaShape added = OutputAnnotations.Promise(new GeneratedTextModel(_scorer, _options).Outputs);
        return new SchemaShape(inputSchema.Where(c => added.All(a => a.Name != c.Name)).Concat(added));
    }

    private void CheckInput(SchemaShape schema, string parameter)
    {
        InputColumns.Check(schema, _options.TextColumnName, InputKind.Text, parameter);
        if (_options.LabelColumnName is not string label)
            return;
        InputColumns.Check(schema, label, InputKind.Label, parameter);
        if (schema.First(column => column.Name == label).IsKey)
            throw new ArgumentOutOfRangeException(
                parameter, $"Column '{label}' is a key: a Boolean, or a Single above zero for generated texts, is expected.");
    }

    // Evenly, the least and the highest among them: a model's file holds them.
    private static CalibrationScores Thinned(CalibrationScores all)
    {
        const int most = 10_000;
        int count = all.Sorted.Count;
        return count <= most ? all
            : new(Enumerable.Range(0, most).Select(i => all.Sorted[(int)(i * (count - 1L) / (most - 1))]));
    }

    // Of the genuine rows.
    private List<float> Scores(IDataView input, GeneratedTextModel model)
    {
        RowField[] fields = [.. model.Inputs, .. _options.LabelColumnName is string name
            ? [new RowField(name, FieldKind.Single, Width: 1) { IsCondition = true }] : (RowField[])[]];
        DataViewSchema.Column[] columns = [.. fields.Select(f => InputColumns.Find(input.Schema, f, nameof(input)))];
        var rows = new RowBlock(fields, model.BatchSize);
        List<float> scores = [];
        using DataViewRowCursor cursor = input.GetRowCursor(columns);
        FieldReader[] readers = [.. fields.Select((field, f) => FieldReaders.Open(cursor, columns[f], field))];
        long read = 0;
        int count = 0;
        while (cursor.MoveNext())
        {
            _options.CancellationToken.ThrowIfCancellationRequested();
            for (int f = 0; f < readers.Length; f++)
                readers[f](rows, f, count);
            read++;
            bool genuine = fields.Length == 1 || rows.SingleRow(1, count)[0] <= 0;
            count += genuine ? 1 : 0;
            if (count == model.BatchSize)
                Score();
        }
        Score();
        return scores;

        void Score()
        {
            try
            {
                scores.AddRange(model.Score(rows, count));
            }
            catch (RowException unknown)
            {
                throw new InvalidOperationException($"A text of {unknown.Message}", unknown.InnerException);
            }
            _options.Progress?.Report(read);
            count = 0;
        }
    }
}

/// <summary>
/// Tells generated texts from genuine ones by what a language model expects, as a step of a pipeline that adds a score, a
/// predicted label and features; and shows a text token by token.
/// </summary>
/// <remarks><inheritdoc cref="GenerativeTransformer" path="/remarks"/></remarks>
public sealed class GeneratedTextDetector : GenerativeTransformer, IAnomalyDetector
{
    /// <summary>The name in saved models, and how one is loaded.</summary>
    internal static readonly ModelFamily SavedFamily = new("generated text", Load);

    private readonly GeneratedTextModel _model;

    internal GeneratedTextDetector(LanguageModelTransformer languageModel, GeneratedTextModel model)
        : base(model) => (LanguageModel, _model) = (languageModel, model);

    /// <summary>The language model that texts are scored by.</summary>
    public LanguageModelTransformer LanguageModel { get; }

    /// <inheritdoc/>
    public float Threshold
    {
        get => _model.Threshold;
        set => _model.Threshold = OptionChecks.Threshold(value);
    }

    /// <summary>
    /// Writes one HTML page, which needs no other file, of texts whose tokens are coloured by their ranks (Gehrmann 2019,
    /// GLTR), with each text's score.
    /// </summary>
    /// <param name="path">The file; it appears under this name when it is complete.</param>
    /// <param name="texts">The texts, in order, by what is to stand above each.</param>
    /// <exception cref="InvalidOperationException">A text has characters that the vocabulary cannot express.</exception>
    public void SavePage(string path, IEnumerable<KeyValuePair<string, string>> texts)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        ArgumentNullException.ThrowIfNull(texts);
        InspectedText[] inspected =
        [
            .. texts.Select(text =>
            {
                string read = _model.Read(text.Value);
                return new InspectedText(text.Key, LanguageModel.Inspect(read), _model.Score([read])[0]);
            }),
        ];
        string page = new GeneratedTextPage(inspected, _model.Options.Statistic, Threshold).Write();
        AtomicFile.Write(path, stream => stream.Write(Encoding.UTF8.GetBytes(page)));
    }

    private protected override string Family => SavedFamily.Name;

    private protected override void WriteOptions(Utf8JsonWriter writer) => JsonSerializer.Serialize(
        writer,
        new SavedGeneratedText
        {
            Options = _model.Options,
            Threshold = ModelJson.Threshold(Threshold),
            Calibration = _model.Options.PValueColumnName is null ? null : _model.Calibration?.Sorted,
            LanguageModel = LanguageModel.ToSaved(),
        },
        ModelJson.Options);

    private protected override void WriteWeights(Stream stream) => LanguageModel.SaveWeightsTo(stream);

    private static GeneratedTextDetector Load(IHostEnvironment environment, JsonElement json, Stream weights)
    {
        SavedGeneratedText saved = ModelJson.Read<SavedGeneratedText>(json);
        ModelJson.Check(saved.Options.Validate);
        if (saved.LanguageModel.Family != GptTransformer.SavedFamily.Name
            && saved.LanguageModel.Family != RecurrentLanguageModelTransformer.SavedFamily.Name)
        {
            throw new FormatException($"A model of the family '{saved.LanguageModel.Family}' does not continue texts.");
        }
        var languageModel = (LanguageModelTransformer)saved.LanguageModel.Load(environment, weights);
        return new(languageModel, new GeneratedTextModel(languageModel.Text, saved.Options)
        {
            Threshold = saved.Threshold ?? float.PositiveInfinity,
            Calibration = CalibrationScores.Load(saved.Calibration, saved.Options.PValueColumnName),
        });
    }
}

/// <summary>What <c>options.json</c> holds of a detector of generated texts.</summary>
internal sealed record SavedGeneratedText
{
    public required GeneratedTextOptions Options { get; init; }

    /// <summary>Null: no text is taken for a generated one.</summary>
    public float? Threshold { get; init; }

    /// <summary>What genuine texts score, where there is a column of p-values.</summary>
    public IReadOnlyList<float>? Calibration { get; init; }

    public required SavedPart LanguageModel { get; init; }
}

/// <summary>Texts in; scores, labels and features out.</summary>
internal sealed class GeneratedTextModel : IBatchModel
{
    private readonly TextModel _scorer;
    private readonly int _width;

    public GeneratedTextModel(TextModel scorer, GeneratedTextOptions options)
    {
        (_scorer, Options) = (scorer, options);
        Inputs = [new RowField(options.TextColumnName, FieldKind.Text, Width: 1)];
        string[] names =
        [
            .. Has(GeneratedTextFeatures.Likelihood) ? TokenEvidence.Names : [],
            .. Has(GeneratedTextFeatures.Style) ? TextStyle.Names(scorer.Codec) : [],
            .. Has(GeneratedTextFeatures.Embedding)
                ? Enumerable.Range(0, scorer.Model.Width).Select(i => $"Embedding.{i}") : [],
        ];
        _width = names.Length;
        OutputColumn?[] columns =
        [
            options.PredictedLabelColumnName is string label
                ? new(label, OutputKind.Boolean) { Score = ScoreAnnotation.AnomalyLabel } : null,
            options.ScoreColumnName is string score
                ? new(score, OutputKind.Single) { Score = ScoreAnnotation.AnomalyScore } : null,
            options.PValueColumnName is string pValue ? new(pValue, OutputKind.Single) : null,
            options.FeatureColumnName is string features
                ? new(features, OutputKind.Single, _width) { SlotNames = names } : null,
        ];
        Outputs = [.. columns.OfType<OutputColumn>()];
    }

    public GeneratedTextOptions Options { get; }

    /// <summary>Texts with a higher score are taken for generated ones.</summary>
    public float Threshold { get; set; } = float.PositiveInfinity;

    /// <summary>What genuine texts score.</summary>
    public CalibrationScores? Calibration { get; set; }

    public IReadOnlyList<RowField> Inputs { get; }

    public IReadOnlyList<OutputColumn> Outputs { get; }

    public int BatchSize => _scorer.BatchSize;

    public NonFiniteReplacement? Replacement => null;

    /// <summary>A text as it is looked at.</summary>
    public string Read(string text) =>
        Options.CollapseWhiteSpace ? string.Join(' ', text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)) : text;

    /// <summary>The scores of texts that were read.</summary>
    public float[] Score(string[] texts) => Score(Inspect(Encode(texts)));

    /// <summary>The scores of rows.</summary>
    public float[] Score(RowBlock inputs, int rows) => Score(ReadRows(inputs, rows));

    public void Run(RowBlock inputs, int rows, OutputBlock outputs)
    {
        string[] texts = ReadRows(inputs, rows);
        int[][] tokens = Encode(texts);
        TokenExpectation[][] expected = Inspect(tokens);
        float[] scores = Score(expected);
        for (int column = 0; column < Outputs.Count; column++)
        {
            if (!outputs.IsWanted(column))
                continue;
            string name = Outputs[column].Name;
            if (name == Options.FeatureColumnName)
                Features(texts, tokens, expected, outputs.Singles(column));
            else if (name == Options.ScoreColumnName)
                scores.CopyTo(outputs.Singles(column));
            for (int row = 0; row < rows; row++)
            {
                if (name == Options.PValueColumnName)
                    outputs.Singles(column)[row] = Calibration!.PValue(scores[row]);
                else if (name == Options.PredictedLabelColumnName)
                    outputs.Booleans(column)[row] = scores[row] > Threshold; // nobody is accused without a score
            }
        }
    }

    public void Dispose() => _scorer.Dispose();

    private void Features(string[] texts, int[][] tokens, TokenExpectation[][] expected, Span<float> features)
    {
        float[] embeddings = new float[Has(GeneratedTextFeatures.Embedding) ? texts.Length * _scorer.Model.Width : 0];
        if (embeddings.Length > 0)
            _scorer.Score(tokens, default, embeddings);
        int style = TextStyle.Names(_scorer.Codec).Count;
        for (int row = 0; row < texts.Length; row++)
        {
            Span<float> rest = features.Slice(row * _width, _width);
            if (Has(GeneratedTextFeatures.Likelihood))
                TokenEvidence.Fill(expected[row], Take(ref rest, TokenEvidence.Names.Count));
            if (Has(GeneratedTextFeatures.Style))
                TextStyle.Fill(texts[row], tokens[row], _scorer.Codec, Take(ref rest, style));
            if (Has(GeneratedTextFeatures.Embedding))
                embeddings.AsSpan(row * rest.Length, rest.Length).CopyTo(rest);
        }

        static Span<float> Take(ref Span<float> all, int count)
        {
            Span<float> first = all[..count];
            all = all[count..];
            return first;
        }
    }

    private bool Has(GeneratedTextFeatures group) => Options.Features.HasFlag(group);

    private string[] ReadRows(RowBlock inputs, int rows) => [.. inputs.Texts(0)[..rows].ToArray().Select(Read)];

    private int[][] Encode(string[] texts) =>
        [.. texts.Select((text, row) => _scorer.EncodeRow(text, row, Options.TextColumnName))];

    private TokenExpectation[][] Inspect(int[][] tokens) => _scorer.Inspect(tokens);

    private float[] Score(TokenExpectation[][] texts) =>
        [.. texts.Select(text => TokenEvidence.Statistic(Options.Statistic, text))];
}
