using System.Text.Json;
using Microsoft.ML;
using Microsoft.ML.Runtime;

namespace GenerativeML;

/// <summary>
/// A trained model that turns texts into others, with its tokenizers; as a step of a pipeline it adds what it makes of each
/// row's text, or scores pairs. On the CPU ONNX Runtime computes, without torch: the encoder once for each source, and each
/// token with the keys and values of those before it; on a CUDA device, and where ONNX Runtime is not there, torch does.
/// </summary>
/// <remarks><inheritdoc cref="GenerativeTransformer" path="/remarks"/></remarks>
public sealed class SequenceToSequenceTransformer : GenerativeTransformer
{
    /// <summary>The name in saved models, and how one is loaded.</summary>
    internal static readonly ModelFamily SavedFamily = new("sequence to sequence", Load);

    private readonly SequenceToSequenceModel _model;

    internal SequenceToSequenceTransformer(SequenceToSequenceModel model)
        : base(model) => _model = model;

    /// <summary>What turns sources into tokens.</summary>
    public GptTokenizer SourceTokenizer => Options.SourceTokenizer!;

    /// <summary>What turns targets into tokens, and back.</summary>
    public GptTokenizer TargetTokenizer => Options.TargetTokenizer!;

    /// <summary>The most tokens of a source.</summary>
    public int MaxSourceTokens => Options.MaxSourceTokens!.Value;

    /// <summary>The most tokens of a target.</summary>
    public int MaxTargetTokens => Options.MaxTargetTokens!.Value;

    /// <summary>The number of weights.</summary>
    public long ParameterCount => Trained.Network.ParameterCount;

    /// <summary>What computes.</summary>
    internal TrainedSequenceToSequence Trained => _model.Trained;

    private SequenceToSequenceOptions Options => Trained.Network.Options;

    /// <summary>Makes a text of another.</summary>
    /// <param name="source">The text that is given; not empty.</param>
    /// <param name="options">How to search. Default: as the model was trained with.</param>
    /// <param name="cancellationToken">Looked at before each token.</param>
    /// <returns>The best text that was found, with the beam's others.</returns>
    /// <exception cref="ArgumentException">
    /// The source is empty; or options are out of range, or allow more tokens than the window for targets.
    /// </exception>
    /// <exception cref="InvalidOperationException">
    /// The source has characters that the vocabulary cannot express, or more tokens than the window for sources.
    /// </exception>
    public TargetText Generate(
        string source, BeamSearchOptions? options = null, CancellationToken cancellationToken = default) =>
        Generate([source], options, cancellationToken)[0];

    /// <summary>Makes texts of others, of any lengths. What one becomes does not depend on the others.</summary>
    /// <param name="sources">The texts that are given; none is empty.</param>
    /// <param name="options">How to search. Default: as the model was trained with.</param>
    /// <param name="cancellationToken">Looked at before each token.</param>
    /// <returns>For each source the best text that was found, with the beam's others.</returns>
    /// <inheritdoc cref="Generate(string, BeamSearchOptions?, CancellationToken)" path="/exception"/>
    public IReadOnlyList<TargetText> Generate(
        IReadOnlyList<string> sources, BeamSearchOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(sources);
        // Where the model's own options ask for longer targets than it has learned to make, its window counts.
        options ??= Options.Generation with
        {
            MaxTokens = Options.Generation.MaxTokens is int most ? Math.Min(most, MaxTargetTokens) : null,
        };
        options.Validate();
        if (options.MaxTokens > MaxTargetTokens)
            throw new ArgumentOutOfRangeException(
                nameof(options), options.MaxTokens,
                $"Option {nameof(options.MaxTokens)} is {options.MaxTokens}, and the window for targets is {MaxTargetTokens}.");
        return _model.Generate([.. sources.Select((source, i) => Encode(_model.Sources, source, i))], options, cancellationToken);
    }

    /// <summary>
    /// Scores pairs: the mean of −log p over each target's tokens and its end, in nats, given its source. The higher, the
    /// stranger the pair; its exponential is the perplexity.
    /// </summary>
    /// <param name="sources">The texts that are given; none is empty.</param>
    /// <param name="targets">As many texts that could be made of them; none is empty.</param>
    /// <exception cref="ArgumentException">There are not as many of the one as of the other, or one is empty.</exception>
    /// <exception cref="InvalidOperationException">
    /// A text has characters that its vocabulary cannot express, or more tokens than its window.
    /// </exception>
    public IReadOnlyList<float> Score(IReadOnlyList<string> sources, IReadOnlyList<string> targets)
    {
        ArgumentNullException.ThrowIfNull(sources);
        ArgumentNullException.ThrowIfNull(targets);
        if (sources.Count != targets.Count)
            throw new ArgumentException($"There are {sources.Count} sources and {targets.Count} targets.", nameof(targets));
        return _model.Score(
            [.. sources.Select((text, i) => Encode(_model.Sources, text, i))],
            [.. targets.Select((text, i) => Encode(_model.Targets, text, i))]);
    }

    internal override OnnxExport ToOnnx(OnnxContent? content) => (content ?? OnnxContent.Logits) switch
    {
        OnnxContent.Logits or OnnxContent.Encode or OnnxContent.LogitsWithCache =>
            _model.Trained.ToOnnx(content ?? OnnxContent.Logits),
        _ => throw new NotSupportedException(
            $"A sequence-to-sequence model's {content} cannot be written as an ONNX graph: it computes {OnnxContent.Logits} of "
            + $"tokens, of a source and of a target's beginning, or apart {OnnxContent.Encode} and {OnnxContent.LogitsWithCache}."),
    };

    private protected override string Family => SavedFamily.Name;

    private protected override void WriteOptions(Utf8JsonWriter writer) => JsonSerializer.Serialize(
        writer,
        new SavedSequenceToSequence
        {
            Options = Options,
            SourceTokenizer = SourceTokenizer.ToSaved(),
            TargetTokenizer = Options.SharedVocabulary ? null : TargetTokenizer.ToSaved(),
        },
        ModelJson.Options);

    private protected override void WriteWeights(Stream stream) => _model.Trained.Weights.Save(stream);

    private static int[] Encode(TokenWindowOf window, string text, int number)
    {
        ArgumentNullException.ThrowIfNull(text);
        if (text.Length == 0)
            throw new ArgumentException($"Text {number} (counted from 0) is empty.");
        return window.Encode(text);
    }

    private static SequenceToSequenceTransformer Load(IHostEnvironment environment, JsonElement json, Stream weights)
    {
        SavedSequenceToSequence saved = ModelJson.Read<SavedSequenceToSequence>(json);
        return ModelJson.Checked(() =>
        {
            GptTokenizer source = saved.SourceTokenizer.Restore();
            SequenceToSequenceOptions options = saved.Options with
            {
                SourceTokenizer = source,
                TargetTokenizer = saved.Options.SharedVocabulary ? source : saved.TargetTokenizer?.Restore(),
            };
            options.Validate();
            if (options.TargetTokenizer is null || options.MaxSourceTokens is null || options.MaxTargetTokens is null)
                throw new FormatException("The saved model's options have no tokenizer of targets, or no windows.");
            var network = new SequenceToSequenceNetwork(options);
            return new SequenceToSequenceTransformer(new SequenceToSequenceModel(new TrainedSequenceToSequence(
                network, HostWeights.Load(weights, network.Tensors), HostDefaults.LoadingDevice(environment),
                MLNetInternals.FallbackToCpuOf(environment))));
        });
    }
}

/// <summary>What <c>options.json</c> holds of a sequence-to-sequence model.</summary>
internal sealed record SavedSequenceToSequence
{
    public required SequenceToSequenceOptions Options { get; init; }

    public required SavedTokenizer SourceTokenizer { get; init; }

    /// <summary>Null: it is the sources'.</summary>
    public required SavedTokenizer? TargetTokenizer { get; init; }
}

/// <summary>
/// A trained transformer with its tokenizers, which knows which output goes to which column. Safe to use from several
/// threads.
/// </summary>
internal sealed class SequenceToSequenceModel(TrainedSequenceToSequence trained) : IBatchModel
{
    private readonly SequenceToSequenceOptions _options = trained.Network.Options;

    public TrainedSequenceToSequence Trained => trained;

    /// <summary>Sources as tokens.</summary>
    public TokenWindowOf Sources { get; } = SourceWindow(trained.Network.Options);

    /// <summary>Targets as tokens.</summary>
    public TokenWindowOf Targets { get; } = TargetWindow(trained.Network.Options);

    public IReadOnlyList<RowField> Inputs { get; } =
    [
        new RowField(trained.Network.Options.SourceColumnName, FieldKind.Text, Width: 1),
        .. trained.Network.Options.ScoreColumnName is null
            ? (RowField[])[] : [new RowField(trained.Network.Options.TargetColumnName, FieldKind.Text, Width: 1)],
    ];

    public IReadOnlyList<OutputColumn> Outputs { get; } = trained.Network.Options.Outputs();

    public int BatchSize => 128;

    public NonFiniteReplacement? Replacement => null;

    /// <summary>Sources as tokens, by options of which the tokenizers are known.</summary>
    public static TokenWindowOf SourceWindow(SequenceToSequenceOptions options) => new(
        TokenCodec.For(options.SourceTokenizer!), options.MaxSourceTokens, options.LongTexts, nameof(options.MaxSourceTokens));

    /// <summary>Targets as tokens, by options of which the tokenizers are known.</summary>
    public static TokenWindowOf TargetWindow(SequenceToSequenceOptions options) => new(
        TokenCodec.For(options.TargetTokenizer!), options.MaxTargetTokens, options.LongTexts, nameof(options.MaxTargetTokens));

    /// <summary>Searches for what sources become.</summary>
    public TargetText[] Generate(int[][] sources, BeamSearchOptions search, CancellationToken cancellation) =>
    [
        .. trained.Generate(sources, search, cancellation).Select(found =>
        {
            TargetText[] texts = [.. found.Select(ToText)];
            return texts[0] with { Alternatives = texts[1..] };
        }),
    ];

    /// <summary>The mean of −log p over targets' tokens and their ends.</summary>
    public float[] Score(int[][] sources, int[][] targets) =>
        [.. trained.LogProbabilities(sources, targets).Zip(targets, (sum, target) => (float)(-sum / (target.Length + 1)))];

    public void Run(RowBlock inputs, int rows, OutputBlock outputs)
    {
        int[]?[] sources = Encode(inputs, 0, rows, Sources);
        int score = Wanted(_options.ScoreColumnName), probability = Wanted(_options.LogProbabilityColumnName);
        int text = Wanted(_options.GeneratedTextColumnName), others = Wanted(_options.AlternativesColumnName);
        if (score >= 0)
        {
            int[]?[] targets = Encode(inputs, 1, rows, Targets);
            int[] pairs = [.. Enumerable.Range(0, rows).Where(row => sources[row] is not null && targets[row] is not null)];
            float[] scores = Score([.. pairs.Select(row => sources[row]!)], [.. pairs.Select(row => targets[row]!)]);
            outputs.Singles(score)[..rows].Fill(float.NaN);
            for (int i = 0; i < pairs.Length; i++)
                outputs.Singles(score)[pairs[i]] = scores[i];
        }
        if (Math.Max(probability, Math.Max(text, others)) < 0)
            return;
        int[] given = [.. Enumerable.Range(0, rows).Where(row => sources[row] is not null)];
        TargetText[] generated = Generate([.. given.Select(row => sources[row]!)], _options.Generation, default);
        for (int row = 0, i = 0; row < rows; row++)
            Write(row, sources[row] is null ? null : generated[i++]);

        void Write(int row, TargetText? made)
        {
            if (probability >= 0)
                outputs.Singles(probability)[row] = made is null ? float.NaN : made.LogProbability / made.TokenCount;
            if (text >= 0)
                outputs.Texts(text)[row] = made?.Text ?? "";
            for (int i = 0; others >= 0 && i < _options.Generation.Beams - 1; i++)
                outputs.Texts(others)[row * (_options.Generation.Beams - 1) + i] = made?.Alternatives.ElementAtOrDefault(i)?.Text ?? "";
        }

        int Wanted(string? name) => outputs.NumberOf(name);
    }

    public void Dispose() => trained.Dispose();

    private TargetText ToText(FoundSequence found)
    {
        var text = new TextInProgress(_options.TargetTokenizer!, [], []);
        string whole = string.Concat(found.Tokens.Select(text.Add)) + text.End();
        return new(whole, (float)found.LogProbability, (float)found.Score, found.Tokens.Length + 1, found.IsComplete);
    }

    // Rows' tokens; null where a text is empty.
    private int[]?[] Encode(RowBlock inputs, int field, int rows, TokenWindowOf window)
    {
        var tokens = new int[]?[rows];
        for (int row = 0; row < rows; row++)
        {
            try
            {
                string text = inputs.Texts(field)[row];
                tokens[row] = text.Length > 0 ? window.Encode(text) : null;
            }
            catch (InvalidOperationException wrong)
            {
                throw new RowException(row, Inputs[field].Name, wrong);
            }
        }
        return tokens;
    }
}
