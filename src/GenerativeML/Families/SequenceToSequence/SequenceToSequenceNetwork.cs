using TorchSharp;

namespace GenerativeML;

/// <summary>
/// The transformer of Vaswani 2017, without weights, norms first (Xiong 2020): an encoder reads a source at once, a decoder
/// writes the target, token by token, and looks at what the encoder made of the source. A source's last token, and a
/// target's first and last, is the one that ends texts. Output weights are the target's embeddings, which are the source's,
/// too, where the vocabulary is one.
/// </summary>
internal sealed class SequenceToSequenceNetwork : Network
{
    /// <summary>Where the loss does not count what a batch has behind a target.</summary>
    public const long Ignored = -100;

    private const string Embeddings = "decoder.token.weight", SourceEmbeddings = "encoder.token.weight";
    private const string Places = "decoder.position.weight", SourcePlaces = "encoder.position.weight";

    // As GPT-2's training begins.
    private const double Deviation = 0.02;

    private const long MaxElements = int.MaxValue / sizeof(float);

    // AdamW's second moment follows faster than usual, for short runs, as of language models.
    private static readonly AdamSettings s_adam = new(0.9, 0.99);

    private readonly string _sourceEmbeddings;
    private readonly int _sources; // tokens of a source that there are

    /// <param name="options">Options that are decided.</param>
    /// <exception cref="FormatException">The sizes are out of every sensible range.</exception>
    public SequenceToSequenceNetwork(SequenceToSequenceOptions options)
    {
        Options = options;
        VocabularySize = options.TargetTokenizer!.VocabularySize;
        _sources = options.SourceTokenizer!.VocabularySize;
        _sourceEmbeddings = options.SharedVocabulary ? Embeddings : SourceEmbeddings;
        long most = new long[]
        {
            VocabularySize, _sources, options.MaxSourceTokens!.Value + 1, options.MaxTargetTokens!.Value + 1,
            3 * options.Width, FeedForwardWidth,
        }.Max();
        if (most * options.Width > MaxElements)
            throw new FormatException(
                $"A transformer of {_sources} and {VocabularySize} tokens, windows of {options.MaxSourceTokens} and "
                + $"{options.MaxTargetTokens} and width {options.Width} has tensors of more than {MaxElements} elements.");
        Tensors = Declared().Tensors;
        SourceReader = new(
            new SourcePass(this),
            [
                [1, 1, -1],
                .. Enumerable.Range(0, options.DecoderLayers).SelectMany(
                    _ => (long[][])[[options.Heads, HeadWidth, -1], [options.Heads, -1, HeadWidth]]),
            ]);
    }

    public SequenceToSequenceOptions Options { get; }

    /// <summary>Tokens of a target that there are, V.</summary>
    public int VocabularySize { get; }

    /// <summary>The tensors of a trained model.</summary>
    public IReadOnlyList<TensorSpec> Tensors { get; }

    public long ParameterCount => Tensors.Sum(t => t.Length / sizeof(float));

    /// <summary>What is made of a source, once: what hides its padding, and each decoder layer's keys and values.</summary>
    public SourceReader SourceReader { get; }

    public override int PositionsPerRow => Options.MaxSourceTokens!.Value + Options.MaxTargetTokens!.Value;

    // Queries, keys, values, hidden features and norms of each layer; scores; logits with their gradients.
    public override long NumbersPerRow
    {
        get
        {
            long source = Options.MaxSourceTokens!.Value + 1, target = Options.MaxTargetTokens!.Value + 1;
            long each = 8L * Options.Width + 2L * FeedForwardWidth;
            return source * Options.EncoderLayers * each + target * Options.DecoderLayers * (each + 4L * Options.Width)
                + Options.Heads * (source * source * Options.EncoderLayers + 2 * target * source * Options.DecoderLayers)
                + 3 * target * VocabularySize;
        }
    }

    private int FeedForwardWidth => Options.FeedForwardWidth ?? 4 * Options.Width;

    private int HeadWidth => Options.Width / Options.Heads;

    public override void Declare(Layers layers)
    {
        int width = Options.Width;
        if (!Options.SharedVocabulary)
            layers.Parameter(SourceEmbeddings, 0, _sources, width);
        layers.Parameter(SourcePlaces, 0, Options.MaxSourceTokens!.Value + 1, width);
        for (int i = 0; i < Options.EncoderLayers; i++)
        {
            Attention($"encoder.{i}", "norm_1");
            Dense($"encoder.{i}", "norm_2");
        }
        layers.LayerNorm("encoder.norm", width);
        layers.Parameter(Embeddings, 0, VocabularySize, width);
        layers.Parameter(Places, 0, Options.MaxTargetTokens!.Value + 1, width);
        for (int i = 0; i < Options.DecoderLayers; i++)
        {
            Attention($"decoder.{i}", "norm_1");
            layers.LayerNorm($"decoder.{i}.norm_2", width);
            layers.Linear($"decoder.{i}.source_query", width, width);
            layers.Linear($"decoder.{i}.source_key_value", width, 2 * width);
            layers.Linear($"decoder.{i}.source_projection", width, width);
            Dense($"decoder.{i}", "norm_3");
        }
        layers.LayerNorm("decoder.norm", width);

        void Attention(string layer, string norm)
        {
            layers.LayerNorm($"{layer}.{norm}", width);
            layers.Linear($"{layer}.query_key_value", width, 3 * width);
            layers.Linear($"{layer}.projection", width, width);
        }

        void Dense(string layer, string norm)
        {
            layers.LayerNorm($"{layer}.{norm}", width);
            layers.Stack($"{layer}.dense", [width, FeedForwardWidth, width]);
        }
    }

    /// <summary>
    /// Draws matrices as GPT-2's training begins with them: those whose results are added to the hidden state smaller, so
    /// that many additions do not make it grow. Biases are zero.
    /// </summary>
    public void Initialize(HostWeights weights, ulong seed)
    {
        var random = new SeededRandom(torch.CPU, seed);
        foreach (TensorSpec spec in weights.Specs)
        {
            if (spec.Shape.Length == 1)
            {
                if (spec.Name.EndsWith(".bias", StringComparison.Ordinal))
                    weights[spec.Name].AsSpan().Clear();
                continue;
            }
            bool adds = spec.Name.EndsWith("projection.weight", StringComparison.Ordinal)
                || spec.Name.EndsWith("dense.1.weight", StringComparison.Ordinal);
            double halves = spec.Name.StartsWith("encoder", StringComparison.Ordinal)
                ? 2 * Options.EncoderLayers : 3 * Options.DecoderLayers;
            using torch.Tensor drawn = random.Normal(spec.Shape.ToArray(), adds ? Deviation / Math.Sqrt(halves) : Deviation);
            HostTensors.CopyTo(drawn, weights[spec.Name]);
        }
    }

    /// <summary>AdamW, or Muon for the layers' matrices, which counts its rate in shares of AdamW's.</summary>
    public override IReadOnlyList<UpdateRule> Updates(TorchLayers layers)
    {
        MuonSettings? muon = Options.Optimizer == LanguageModelOptimizer.Muon
            ? new([.. MuonMatrices(layers)], Options.MatrixLearningRate!.Value / Options.LearningRate!.Value)
            : null;
        return [new UpdateRule(SequenceToSequenceTransformer.SavedFamily.Name, layers.Parameters(), Adam: s_adam, Muon: muon)];
    }

    /// <summary>
    /// Source tokens (B, S), their positions (S), and ones for those that count, else zeros, (B, S) → what
    /// <see cref="SourceReader"/> keeps of a source.
    /// </summary>
    public T[] Encode<T>(Scope<T> w, T tokens, T positions, T counts)
        where T : struct, ITensor<T>
    {
        int width = Options.Width;
        T hidden = Attention.Hide(counts, -1);
        T x = w.Dropout(w[_sourceEmbeddings].Embed(tokens) + w[SourcePlaces].Embed(positions), Options.Dropout);
        for (int i = 0; i < Options.EncoderLayers; i++)
        {
            Scope<T> layer = w.Of($"encoder.{i}");
            T all = layer.Linear("query_key_value", layer.LayerNorm("norm_1", x));
            T seen = Attention.Attend(
                all.Slice(2, 0, width), Keys(all.Slice(2, width, width)), Values(all.Slice(2, 2 * width, width)),
                Options.Heads, -1, width, hidden);
            x += layer.Dropout(layer.Linear("projection", seen), Options.Dropout);
            x += Dense(layer, layer.LayerNorm("norm_2", x));
        }
        x = w.LayerNorm("encoder.norm", x);
        List<T> made = [hidden];
        for (int i = 0; i < Options.DecoderLayers; i++)
        {
            T both = w.Linear($"decoder.{i}.source_key_value", x);
            made.AddRange([Keys(both.Slice(2, 0, width)), Values(both.Slice(2, width, width))]);
        }
        return [.. made];

        T Keys(T x) => Attention.Keys(x, Options.Heads, -1, width);

        T Values(T x) => Attention.Split(x, Options.Heads, -1, width);
    }

    /// <summary>
    /// Target tokens and their positions, of which each sees those before it, and what <see cref="Encode"/> made of the
    /// sources → final hidden states, (…) → (…, W). So many targets in a row look at the same source as there are more of
    /// them.
    /// </summary>
    public T Decode<T>(Scope<T> w, T tokens, T positions, ReadOnlySpan<T> source)
        where T : struct, ITensor<T>
    {
        int width = Options.Width;
        T x = w.Dropout(w[Embeddings].Embed(tokens) + w[Places].Embed(positions), Options.Dropout);
        for (int i = 0; i < Options.DecoderLayers; i++)
        {
            Scope<T> layer = w.Of($"decoder.{i}");
            T queryKeyValue = layer.Linear("query_key_value", layer.LayerNorm("norm_1", x));
            T seen = layer.Attention(queryKeyValue, Options.Heads, HeadWidth);
            x += layer.Dropout(layer.Linear("projection", seen), Options.Dropout);
            T query = layer.Linear("source_query", layer.LayerNorm("norm_2", x)).GroupAs(source[0]);
            T found = Attention.Attend(query, source[2 * i + 1], source[2 * i + 2], Options.Heads, -1, width, source[0]);
            x += layer.Dropout(layer.Linear("source_projection", found.ReshapeAs(x)), Options.Dropout);
            x += Dense(layer, layer.LayerNorm("norm_3", x));
        }
        return w.LayerNorm("decoder.norm", x);
    }

    /// <summary>Final hidden states → logits of the tokens that follow, (…, W) → (…, V).</summary>
    public static T Logits<T>(Scope<T> w, T hidden)
        where T : struct, ITensor<T> => w.Ops.Linear(hidden, w[Embeddings], null);

    /// <summary>
    /// The mean cross-entropy of the targets' tokens, each after the right ones before it (Williams and Zipser's teacher
    /// forcing), with the labels smoothed (Szegedy 2016) as the options say.
    /// </summary>
    public override IReadOnlyList<LossTerm> Loss(Scope<TorchTensor> w, Batch batch, int update, StepContext step) =>
        [CrossEntropy(w, batch, Options.LabelSmoothing)];

    /// <summary>The same, with the labels as they are: its exponential is the perplexity.</summary>
    public override IReadOnlyList<LossTerm> ValidationLoss(Scope<TorchTensor> w, Batch batch, StepContext step) =>
        [CrossEntropy(w, batch, 0)];

    /// <summary>
    /// Source tokens and ones for those that count, both (B, S), and target tokens, (B, T), → final hidden states,
    /// (B, T, W).
    /// </summary>
    public torch.Tensor Hidden(Scope<TorchTensor> w, torch.Tensor source, torch.Tensor counts, torch.Tensor target)
    {
        TorchTensor[] made = Encode<TorchTensor>(w, source, Positions(source), counts);
        return Decode<TorchTensor>(w, target, Positions(target), made);

        static TorchTensor Positions(torch.Tensor tokens) =>
            HostTensors.Index([.. Enumerable.Range(0, (int)tokens.size(1))], tokens.device);
    }

    private LossTerm CrossEntropy(Scope<TorchTensor> w, Batch batch, double smoothing)
    {
        torch.Tensor hidden = Hidden(w, batch[0], batch[1], batch[2]);
        torch.Tensor following = batch[3].reshape(-1);
        // What is behind a target costs no logits.
        torch.Tensor counts = following.ge(torch.zeros_like(following)).nonzero().view(-1); // what is ignored is negative
        TorchTensor rows = hidden.reshape(-1, Options.Width).index_select(0, counts);
        return new("loss", torch.nn.functional.cross_entropy(
            Logits(w, rows), following.index_select(0, counts), label_smoothing: smoothing));
    }

    private T Dense<T>(Scope<T> layer, T x)
        where T : struct, ITensor<T> =>
        layer.Dropout(layer.Stack("dense", 2, x, Activation.Gelu), Options.Dropout);

    // Queries, keys and values are matrices of their own, whatever keeps them in one.
    private static IEnumerable<MuonMatrix> MuonMatrices(TorchLayers layers) =>
        from tensor in layers.Tensors
        where tensor.Value.dim() == 2 && !tensor.Key.Contains(".token.", StringComparison.Ordinal)
            && !tensor.Key.Contains(".position.", StringComparison.Ordinal)
        let parts = tensor.Key.Contains(".query_key_value.", StringComparison.Ordinal) ? 3
            : tensor.Key.Contains(".source_key_value.", StringComparison.Ordinal) ? 2 : 1
        select new MuonMatrix(tensor.Value, parts);

    /// <summary>Source tokens, their positions and what counts → what is kept of sources.</summary>
    private sealed class SourcePass(SequenceToSequenceNetwork network) : IForwardPass
    {
        public T[] Run<T>(Scope<T> w, T[] inputs)
            where T : struct, ITensor<T> => network.Encode(w, inputs[0], inputs[1], inputs[2]);
    }
}

/// <summary>Target tokens, positions, the numbers of wanted results and what is kept of sources → hidden states and logits.</summary>
internal sealed class TargetPass(SequenceToSequenceNetwork network) : IForwardPass
{
    public T[] Run<T>(Scope<T> w, T[] inputs)
        where T : struct, ITensor<T>
    {
        T hidden = network.Decode<T>(w, inputs[0], inputs[1], inputs.AsSpan(3)).Reshape(-1, network.Options.Width).Embed(inputs[2]);
        return [hidden, SequenceToSequenceNetwork.Logits(w, hidden)];
    }
}
