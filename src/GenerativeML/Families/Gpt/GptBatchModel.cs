
namespace GenerativeML;

/// <summary>Between the row mapper and a trained GPT: which output goes to which column.</summary>
internal sealed class GptBatchModel : IBatchModel
{
    private const int MostRows = 64;

    private readonly TrainedGpt _model;
    private readonly ITokenCodec _codec;
    private readonly TextGenerator _generator;
    private readonly GenerationOptions _generation;
    private readonly float _threshold;
    private readonly int _label, _score, _perplexity, _generatedText, _embedding;

    /// <param name="model">The model; belongs to this object from now on.</param>
    /// <param name="codec">Its tokenizer.</param>
    /// <param name="columns">The columns.</param>
    /// <param name="generation">How text is generated; with a seed.</param>
    /// <param name="threshold">Rows with a higher score are predicted to be anomalies.</param>
    public GptBatchModel(
        TrainedGpt model, ITokenCodec codec, GptColumns columns, GenerationOptions generation, float threshold)
    {
        _model = model;
        _codec = codec;
        _generator = new TextGenerator(model, codec);
        _generation = generation;
        _threshold = threshold;
        Inputs = [new RowField(columns.Text, FieldKind.Text, Width: 1)];
        Outputs = columns.Outputs(model.Shape.Width);
        _label = IndexOf(columns.PredictedLabel);
        _score = IndexOf(columns.Score);
        _perplexity = IndexOf(columns.Perplexity);
        _generatedText = IndexOf(columns.GeneratedText);
        _embedding = IndexOf(columns.Embedding);
    }

    /// <inheritdoc/>
    public IReadOnlyList<RowField> Inputs { get; }

    /// <inheritdoc/>
    public IReadOnlyList<OutputColumn> Outputs { get; }

    /// <inheritdoc/>
    public int BatchSize => MostRows;

    /// <inheritdoc/>
    public NonFiniteReplacement? Replacement => null;

    /// <summary>
    /// The mean of −log p over a text's tokens. Where the vocabulary has a token between documents, the text is the
    /// beginning of one, and its first token counts too. NaN for a text without a token that counts.
    /// </summary>
    public static void Score(
        TrainedGpt model, ITokenCodec codec, ReadOnlySpan<string> texts, Memory<float> scores, Memory<float> embeddings)
    {
        var sequences = new int[texts.Length][];
        for (int i = 0; i < sequences.Length; i++)
        {
            int[] tokens = codec.Encode(texts[i]);
            sequences[i] = codec.EndOfText is int start ? [start, .. tokens] : tokens;
        }
        model.Evaluate(sequences, scores, embeddings);
    }

    /// <inheritdoc/>
    public void Run(RowBlock inputs, int rows, OutputBlock outputs)
    {
        ReadOnlySpan<string> texts = inputs.Texts(0)[..rows];
        float[] scores = Wanted(_label) || Wanted(_score) || Wanted(_perplexity) ? new float[rows] : [];
        float[] embeddings = Wanted(_embedding) ? new float[rows * _model.Shape.Width] : [];
        if (scores.Length > 0 || embeddings.Length > 0)
            Score(_model, _codec, texts, scores, embeddings);
        if (Wanted(_score))
            scores.CopyTo(outputs.Singles(_score));
        if (Wanted(_embedding))
            embeddings.CopyTo(outputs.Singles(_embedding));
        for (int row = 0; row < rows; row++)
        {
            if (Wanted(_perplexity))
                outputs.Singles(_perplexity)[row] = MathF.Exp(scores[row]);
            if (Wanted(_label))
                outputs.Booleans(_label)[row] = scores[row] > _threshold;
        }
        if (Wanted(_generatedText))
            Generate(texts, outputs.Texts(_generatedText));

        bool Wanted(int column) => column >= 0 && outputs.IsWanted(column);
    }

    /// <inheritdoc/>
    public void Dispose() => _model.Dispose();

    private void Generate(ReadOnlySpan<string> prompts, Span<string> texts)
    {
        // Without a token to begin from, nothing follows on nothing.
        int[] rows = [.. Enumerable.Range(0, prompts.Length)];
        string[] given = prompts.ToArray();
        if (_codec.EndOfText is null)
            rows = [.. rows.Where(row => given[row].Length > 0)];
        texts[..prompts.Length].Fill("");
        IReadOnlyList<GeneratedText> generated = _generator.Generate([.. rows.Select(row => given[row])], _generation);
        for (int i = 0; i < rows.Length; i++)
            texts[rows[i]] = generated[i].Text;
    }

    private int IndexOf(string? name)
    {
        for (int i = 0; i < Outputs.Count; i++)
        {
            if (Outputs[i].Name == name)
                return i;
        }
        return -1;
    }
}
