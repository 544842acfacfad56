using System.Numerics.Tensors;

namespace GenerativeML;

/// <summary>
/// A trained BERT: tells hidden tokens, how likely texts are, and what they are embedded as. Each text is computed by
/// itself, so that none depends on its company. Safe to use from several threads.
/// </summary>
internal sealed class TrainedMaskedLanguageModel(
    BertNetwork network, HostWeights weights, MaskedVocabulary vocabulary, ComputeDevice device = default,
    bool fallbackToCpu = false) : IDisposable
{
    // Tokens that are read in a run: enough for products to be fast, few enough for memory.
    private const int MaxRead = 4096;

    // Logits of a run.
    private const int MaxLogits = 1 << 22;

    private readonly int _room = network.Options.Room;
    private readonly PassageRunner _runner = new(new MaskedPass(network), weights, device, fallbackToCpu);

    public BertNetwork Network => network;

    /// <summary>The weights; they have to stay as they are.</summary>
    public HostWeights Weights => weights;

    public MaskedVocabulary Vocabulary => vocabulary;

    public ComputeDevice Device => device;

    public void Dispose() => _runner.Dispose();

    /// <summary>The logarithms of all tokens' probabilities at places of a text that fits into the window, (places, V).</summary>
    public float[][] LogProbabilities(ReadOnlySpan<int> text, IReadOnlyList<int> places)
    {
        List<float[]> rows = [];
        long[] passage = Passage(text);
        foreach (int[] some in places.Chunk(Math.Max(1, MaxLogits / vocabulary.Size)))
        {
            float[] logits = new float[some.Length * vocabulary.Size];
            _runner.Model.Run(
                passage, 1, [.. some.Select(place => place + 1L)], (default, []), (logits, [some.Length, vocabulary.Size]));
            foreach (float[] row in logits.Chunk(vocabulary.Size))
            {
                TensorPrimitives.Subtract(row, TrainedLanguageModel.LogSumExp(row), row);
                rows.Add(row);
            }
        }
        return [.. rows];
    }

    /// <summary>
    /// The pseudo-log-likelihood's terms (Salazar 2020, arXiv:1910.14659): of each token of a text the logarithm of its
    /// probability where it alone is hidden; of a model of whole words, where the rest of its word behind it is hidden, too
    /// (Kauf and Ivanova 2023, arXiv:2305.10588): what a long rare word begins with would otherwise be told by its end.
    /// </summary>
    public float[] PseudoLogLikelihoods(ReadOnlySpan<int> text)
    {
        float[] terms = new float[text.Length];
        int window = Math.Min(text.Length, _room), length = window + 2;
        int most = Math.Max(1, Math.Min(MaxRead / length, MaxLogits / vocabulary.Size));
        for (int done = 0; done < text.Length; done += most)
        {
            int rows = Math.Min(most, text.Length - done);
            long[] tokens = new long[rows * length], results = new long[rows];
            for (int row = 0; row < rows; row++)
            {
                // The token stands in the middle, but for those near the text's ends.
                int place = done + row, first = Math.Clamp(place - window / 2, 0, text.Length - window);
                Write(text.Slice(first, window), tokens.AsSpan(row * length, length));
                results[row] = row * length + 1 + place - first;
                tokens[results[row]] = vocabulary.Mask;
                for (int i = place + 1; network.Options.WholeWords && i < first + window && vocabulary.GoesOn(text[i - 1], text[i]); i++)
                    tokens[results[row] + i - place] = vocabulary.Mask;
            }
            float[] logits = new float[rows * vocabulary.Size];
            _runner.Model.Run(tokens, rows, results, (default, []), (logits, [rows, vocabulary.Size]));
            for (int row = 0; row < rows; row++)
            {
                ReadOnlySpan<float> all = logits.AsSpan(row * vocabulary.Size, vocabulary.Size);
                terms[done + row] = all[text[done + row]] - TrainedLanguageModel.LogSumExp(all);
            }
        }
        return terms;
    }

    /// <summary>A text's embedding, (C); of a long one that of windows, each by the tokens that it counts.</summary>
    public void Embed(ReadOnlySpan<int> text, Span<float> embedding)
    {
        bool mean = network.Options.Pooling != TextPooling.FirstToken;
        int width = network.Width, windows = Math.Max(1, (text.Length + _room - 1) / _room), counted = 0;
        embedding.Clear();
        for (int i = 0; i < windows; i++)
        {
            ReadOnlySpan<int> part = text.Slice(i * _room, Math.Min(_room, text.Length - i * _room));
            int length = part.Length + 2, tokens = mean ? length : 1;
            float[] hidden = new float[length * width];
            _runner.Model.Run(Passage(part), 1, [0], (hidden, [1, length, width]), (default, []));
            for (int token = 0; token < tokens; token++)
                TensorPrimitives.Add(embedding, hidden.AsSpan(token * width, width), embedding);
            counted += tokens;
        }
        TensorPrimitives.Divide(embedding, counted, embedding);
    }

    /// <summary>Does something for each of some texts, on as many threads as pay.</summary>
    public void ForEach(int count, Action<int> body) => _runner.ForEach(count, body);

    /// <summary>
    /// Tokens (batch, sequence), and which of them count → logits of the tokens that stand there and final hidden states,
    /// as a graph.
    /// </summary>
    public OnnxExport ToOnnx()
    {
        var graph = new OnnxExport(weights);
        (OnnxTensor hidden, _) = AddHidden(graph, network);
        graph.Output("logits", network.Logits(graph.Root, hidden), OnnxType.Float, "batch", "sequence");
        graph.Output("hidden_states", hidden, OnnxType.Float, "batch", "sequence");
        graph.Describe("family", network.Family);
        graph.Describe("content", "logits");
        graph.Describe("context", FormattableString.Invariant($"{network.Options.ContextLength}"));
        return graph;
    }

    /// <summary>
    /// Adds hidden states to a graph whose inputs are <c>input_ids</c>, <c>attention_mask</c> and, where there are token
    /// types, <c>token_type_ids</c>; gives those that a pooling takes, (B, T, C), and one for tokens that count, (B, T).
    /// </summary>
    public static (OnnxTensor Hidden, OnnxTensor Seen) AddHidden(
        OnnxExport graph, BertNetwork network, TextPooling pooling = TextPooling.Mean)
    {
        OnnxTensor tokens = Input("input_ids"), mask = Input("attention_mask");
        OnnxTensor? types = network.Options.TokenTypes > 0 ? Input("token_type_ids") : null;
        OnnxTensor none = graph.Constant<long>("none", OnnxType.Int64, [], [0]);
        OnnxTensor places = graph.Range(none, tokens.Sizes(1, 2).Squeeze(0));
        OnnxTensor seen = graph.Node("Cast", [-1, -1], [mask], ("to", (int)OnnxType.Float));
        return (BertNetwork.Pooled(network.States(graph.Root, tokens, places, seen, types), pooling), seen);

        OnnxTensor Input(string name) => graph.Input(name, OnnxType.Int64, [-1, -1], ["batch", "sequence"]);
    }

    private long[] Passage(ReadOnlySpan<int> text)
    {
        long[] tokens = new long[text.Length + 2];
        Write(text, tokens);
        return tokens;
    }

    private void Write(ReadOnlySpan<int> text, Span<long> passage) => Passages.Write(vocabulary, text, passage);

    /// <summary>Tokens, places and the numbers of wanted results → all states that embeddings are made of, and logits of those.</summary>
    private sealed class MaskedPass(BertNetwork network) : IForwardPass
    {
        public T[] Run<T>(Scope<T> w, T[] inputs)
            where T : struct, ITensor<T>
        {
            (T First, T Last) states = network.States(w, inputs[0], inputs[1]);
            return
            [
                BertNetwork.Pooled(states, network.Options.Pooling),
                network.Logits(w, states.Last.Reshape(-1, network.Width).Embed(inputs[2])),
            ];
        }
    }
}

/// <summary>Texts between the special tokens.</summary>
internal static class Passages
{
    /// <summary>
    /// Texts of a batch, one after the other and padded to the longest; one for tokens that count, zero for others; and how
    /// long each is.
    /// </summary>
    public static (long[] Tokens, float[] Seen, int Length) Pad(MaskedVocabulary vocabulary, int[][] texts)
    {
        int length = 2 + texts.Max(t => t.Length);
        long[] tokens = new long[texts.Length * length];
        float[] seen = new float[tokens.Length];
        Array.Fill(tokens, vocabulary.Padding);
        for (int row = 0; row < texts.Length; row++)
        {
            Write(vocabulary, texts[row], tokens.AsSpan(row * length, length));
            seen.AsSpan(row * length, texts[row].Length + 2).Fill(1);
        }
        return (tokens, seen, length);
    }

    /// <summary>Writes [CLS], a text's tokens and [SEP].</summary>
    public static void Write(MaskedVocabulary vocabulary, ReadOnlySpan<int> text, Span<long> passage)
    {
        (passage[0], passage[text.Length + 1]) = (vocabulary.Class, vocabulary.Separator);
        for (int i = 0; i < text.Length; i++)
            passage[i + 1] = text[i];
    }
}

/// <summary>What reads passages by a network's weights, on as many threads as pay.</summary>
internal sealed class PassageRunner : IDisposable
{
    private readonly int _texts;

    public PassageRunner(IForwardPass pass, HostWeights weights, ComputeDevice device, bool fallbackToCpu)
    {
        long bytes = weights.Specs.Sum(spec => spec.Length);
        int threads = Environment.ProcessorCount;
        _texts = bytes >= TrainedLanguageModel.LargeBytes || device != ComputeDevice.Cpu ? 1 : threads;
        Model = new(
            pass, weights, device, fallbackToCpu, bytes >= TrainedLanguageModel.LargeBytes ? threads : 1,
            borrow: bytes > TrainedLanguageModel.MaxPackedBytes);
    }

    public PassageModel Model { get; }

    public void Dispose() => Model.Dispose();

    /// <summary>Does something for each of some texts; the first exception is thrown as it is.</summary>
    public void ForEach(int count, Action<int> body) => TrainedLanguageModel.ForEach(count, _texts, body);
}
