namespace GenerativeML.Tests.Bert;

/// <summary>
/// BERT with blocks that normalise after, written out in loops of double from its description (Devlin 2019; Vaswani 2017),
/// under Hugging Face's names.
/// </summary>
internal sealed class ReferenceBert(HostWeights weights, int layers, int heads, int width)
{
    /// <summary>Tokens → what each is before the first block.</summary>
    public double[][] First(int[] tokens) =>
        [
            .. tokens.Select((token, place) => Norm("embeddings.LayerNorm", [.. Enumerable.Range(0, width).Select(c =>
                weights["embeddings.word_embeddings.weight"][token * width + c]
                + (double)weights["embeddings.position_embeddings.weight"][place * width + c]
                + weights["embeddings.token_type_embeddings.weight"][c])])),
        ];

    /// <summary>Tokens → final hidden states of each.</summary>
    public double[][] Hidden(int[] tokens)
    {
        double[][] x = First(tokens);
        for (int layer = 0; layer < layers; layer++)
        {
            string name = $"encoder.layer.{layer}.";
            double[][] q = All(name + "attention.self.query", x), k = All(name + "attention.self.key", x), v = All(name + "attention.self.value", x);
            int each = width / heads;
            double[][] mixed = [.. x.Select(_ => new double[width])];
            for (int head = 0; head < heads; head++)
            {
                for (int i = 0; i < x.Length; i++)
                {
                    double[] scores = new double[x.Length];
                    for (int j = 0; j < x.Length; j++)
                    {
                        for (int c = head * each; c < (head + 1) * each; c++)
                            scores[j] += q[i][c] * k[j][c] / Math.Sqrt(each);
                    }
                    double sum = scores.Sum(Math.Exp);
                    for (int j = 0; j < x.Length; j++)
                    {
                        for (int c = head * each; c < (head + 1) * each; c++)
                            mixed[i][c] += Math.Exp(scores[j]) / sum * v[j][c];
                    }
                }
            }
            x = [.. x.Zip(All(name + "attention.output.dense", mixed), (a, b) => Norm(name + "attention.output.LayerNorm", Sum(a, b)))];
            double[][] inner = [.. All(name + "intermediate.dense", x).Select(row => (double[])[.. row.Select(Gelu)])];
            x = [.. x.Zip(All(name + "output.dense", inner), (a, b) => Norm(name + "output.LayerNorm", Sum(a, b)))];
        }
        return x;
    }

    /// <summary>The logarithms of all tokens' probabilities by a hidden state.</summary>
    public double[] LogProbabilities(double[] hidden)
    {
        double[] x = Norm(
            "cls.predictions.transform.LayerNorm",
            [.. All("cls.predictions.transform.dense", [hidden])[0].Select(Gelu)]);
        float[] bias = weights["cls.predictions.bias"], table = weights["embeddings.word_embeddings.weight"];
        double[] logits = [.. bias.Select((b, token) => b + x.Select((value, c) => value * table[token * width + c]).Sum())];
        double log = Math.Log(logits.Sum(Math.Exp));
        return [.. logits.Select(logit => logit - log)];
    }

    private double[][] All(string layer, double[][] rows)
    {
        float[] matrix = weights[layer + ".weight"], bias = weights[layer + ".bias"];
        return
        [
            .. rows.Select(row => (double[])
            [
                .. bias.Select((b, o) => b + row.Select((value, i) => value * matrix[o * row.Length + i]).Sum()),
            ]),
        ];
    }

    private double[] Norm(string layer, double[] row)
    {
        double mean = row.Average(), deviation = Math.Sqrt(row.Average(value => (value - mean) * (value - mean)) + 1e-12);
        return [.. row.Select((value, c) => (value - mean) / deviation * weights[layer + ".weight"][c] + weights[layer + ".bias"][c])];
    }

    private static double[] Sum(double[] a, double[] b) => [.. a.Zip(b, (x, y) => x + y)];

    private static double Gelu(double x) => x * 0.5 * (1 + Erf(x / Math.Sqrt(2)));

    // The power series, which converges everywhere and is exact to rounding for the small numbers here.
    private static double Erf(double x)
    {
        double sum = x, term = x;
        for (int n = 1; n < 200; n++)
        {
            term *= -x * x / n;
            sum += term / (2 * n + 1);
        }
        return 2 / Math.Sqrt(Math.PI) * sum;
    }
}

/// <summary>A BERT of random weights, and word pieces that go with it.</summary>
internal static class TinyBert
{
    public const int Layers = 2, Heads = 2, Width = 8;

    public static readonly string[] Pieces =
        ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cat", "sat", "on", "mat", "##s", "un", "##able", "##aff", ".", "dog", "ran"];

    public static WordPieceVocabulary WordPieces() => new(Pieces, lowerCase: true);

    /// <summary>Options of released weights' network, small.</summary>
    public static MaskedLanguageModelOptions Options() => new()
    {
        Layers = Layers, Heads = Heads, Width = Width, FeedForwardWidth = 12, ContextLength = 10, TokenTypes = 2,
        NormPlacement = NormPlacement.After, WordPieces = WordPieces(), Seed = 1,
    };

    public static BertNetwork Network(MaskedLanguageModelOptions? options = null)
    {
        options ??= Options();
        TokenCodec codec = options.WordPieces is { } pieces
            ? SavedMaskedVocabulary.CodecOf(pieces, options.VocabularySize)
            : TokenCodec.For(options.Tokenizer!);
        return new(options.Resolve(codec, 1));
    }

    /// <summary>Larger weights than training starts from, so that everything has an influence.</summary>
    public static HostWeights Weights(BertNetwork network, ulong seed = 5)
    {
        var weights = new HostWeights(network.Tensors);
        var random = new SplitMix64(seed);
        foreach (TensorSpec spec in network.Tensors)
        {
            bool scale = spec.Name.EndsWith("orm.weight", StringComparison.Ordinal);
            foreach (ref float value in weights[spec.Name].AsSpan())
                value = (float)((scale ? 1 : 0) + 1.2 * (random.NextDouble() - 0.5));
        }
        return weights;
    }

    public static MaskedVocabulary Vocabulary()
    {
        WordPieceVocabulary pieces = WordPieces();
        return new(SavedMaskedVocabulary.CodecOf(pieces, null), pieces);
    }
}
