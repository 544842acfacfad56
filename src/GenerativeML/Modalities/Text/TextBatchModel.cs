namespace GenerativeML;

/// <summary>
/// What a model of texts gives of rows: knows which output goes to which column. Safe to use from several threads.
/// </summary>
internal abstract class TextBatchModel(TextModelOptions options, TokenCodec codec, int width) : IBatchModel
{
    /// <summary>Rows with a higher score are predicted to be anomalies.</summary>
    public float Threshold { get; set; } = float.PositiveInfinity;

    /// <summary>What p-values are told by; null where there is no column of them.</summary>
    public CalibrationScores? Calibration { get; set; }

    public TokenCodec Codec => codec;

    public IReadOnlyList<RowField> Inputs { get; } = [new RowField(options.TextColumnName, FieldKind.Text, Width: 1)];

    public IReadOnlyList<OutputColumn> Outputs { get; } = options.Outputs(width);

    public int BatchSize => 64;

    public NonFiniteReplacement? Replacement => null;

    /// <summary>
    /// Scores of texts, the mean of −log p over their tokens, NaN for a text without a token that counts; and embeddings,
    /// one after the other. What is empty is not computed.
    /// </summary>
    public abstract void Score(int[][] texts, Memory<float> scores, Memory<float> embeddings);

    /// <summary>Tells p-values by texts that were not trained on, and sets the threshold to what a share of them exceeds.</summary>
    public void Calibrate(IReadOnlyList<string> texts, double share)
    {
        float[] scores = new float[texts.Count];
        Score([.. texts.Select(codec.Encode)], scores, default);
        Calibration = new(scores);
        Threshold = Calibration.Threshold(share);
    }

    public void Run(RowBlock inputs, int rows, OutputBlock outputs)
    {
        int[][] texts = [.. inputs.Texts(0)[..rows].ToArray().Select((text, row) => EncodeRow(text, row, Inputs[0].Name))];
        int label = Wanted(options.PredictedLabelColumnName), score = Wanted(options.ScoreColumnName);
        int perplexity = Wanted(options.PerplexityColumnName), pValue = Wanted(options.PValueColumnName);
        int embedding = Wanted(options.EmbeddingColumnName);
        float[] scores = new float[Math.Max(Math.Max(label, pValue), Math.Max(score, perplexity)) >= 0 ? rows : 0];
        float[] embeddings = new float[embedding >= 0 ? rows * width : 0];
        if (scores.Length + embeddings.Length > 0)
            Score(texts, scores, embeddings);
        if (score >= 0)
            scores.CopyTo(outputs.Singles(score));
        if (embedding >= 0)
            embeddings.CopyTo(outputs.Singles(embedding));
        for (int row = 0; row < scores.Length; row++)
        {
            if (perplexity >= 0)
                outputs.Singles(perplexity)[row] = MathF.Exp(scores[row]);
            if (pValue >= 0)
                outputs.Singles(pValue)[row] = Calibration!.PValue(scores[row]);
            if (label >= 0)
                outputs.Booleans(label)[row] = !(scores[row] <= Threshold); // a score of NaN is strange, too
        }
        Continue(texts, outputs, Wanted);

        int Wanted(string? name) => outputs.NumberOf(name);
    }

    public abstract void Dispose();

    /// <summary>Fills a column of text that continues rows', of models that do so; the function gives a column's number.</summary>
    protected virtual void Continue(int[][] texts, OutputBlock outputs, Func<string?, int> wanted)
    {
    }

    /// <summary>The tokens of a row of a batch.</summary>
    /// <exception cref="RowException">The text has characters that the vocabulary cannot express.</exception>
    public int[] EncodeRow(string text, int row, string column) => codec.EncodeRow(text, row, column);
}
