using TorchSharp;

namespace GenerativeML;

/// <summary>
/// BERT's network (Devlin 2019), without weights: embeddings of tokens, places and token types, normalised; blocks of
/// attention from all places to all and a perceptron; and the head that tells a hidden token, a layer, a normalisation and
/// the token embeddings. Names and shapes are those of Hugging Face's BertForMaskedLM, without <c>bert.</c> before them;
/// what normalises behind the last block where blocks normalise before, is <c>encoder.norm</c>.
/// </summary>
internal sealed class BertNetwork : TokenNetwork
{
    public const string Embeddings = "embeddings.word_embeddings.weight", HeadBias = "cls.predictions.bias";

    /// <summary>How the names of the head begin, which a text's hidden states are not made by.</summary>
    public const string Head = "cls.";

    private const string TokenTypes = "embeddings.token_type_embeddings.weight", Places = "embeddings.position_embeddings.weight";

    private const double Deviation = 0.02;

    // What cosines are divided by before a softmax, as of SimCLR (Chen 2020, arXiv:2002.05709).
    private const double Temperature = 0.1;

    private readonly float _epsilon;

    /// <param name="options">Options of which the vocabulary's size is known.</param>
    /// <exception cref="FormatException">The sizes are out of every sensible range.</exception>
    public BertNetwork(MaskedLanguageModelOptions options)
        : base(options)
    {
        (Options, _epsilon) = (options, (float)options.LayerNormEpsilon);
        if (Math.Max(options.TokenCount, options.ContextLength) * (long)options.Width > MaxElements
            || Math.Max(options.PerceptronWidth, options.Width) * (long)options.Width > MaxElements)
        {
            throw new FormatException(
                $"A BERT of {options.TokenCount} tokens, context {options.ContextLength}, width {options.Width} and "
                + $"perceptrons of {options.PerceptronWidth} has tensors of more than {MaxElements} elements.");
        }
        Tensors = Declared().Tensors;
    }

    public MaskedLanguageModelOptions Options { get; }

    public override string Family => MaskedLanguageModelTransformer.SavedFamily.Name;

    public override IReadOnlyList<TensorSpec> Tensors { get; }

    public override int Width => Options.Width;

    public override int PositionsPerRow => Options.ContextLength;

    // What each block keeps of a token, and the attention's shares.
    public override long NumbersPerRow => (long)Options.ContextLength * Options.Layers
        * (8L * Width + 2L * Options.PerceptronWidth + 2L * Options.Heads * Options.ContextLength);

    public override void Declare(Layers layers)
    {
        DeclareEncoder(layers);
        layers.Parameter(HeadBias, 0, Options.TokenCount);
        layers.Linear("cls.predictions.transform.dense", Width, Width);
        layers.LayerNorm("cls.predictions.transform.LayerNorm", Width);
    }

    /// <summary>All but the head.</summary>
    public void DeclareEncoder(Layers layers)
    {
        layers.Parameter(Embeddings, 0, Options.TokenCount, Width);
        layers.Parameter(Places, 0, Options.ContextLength, Width);
        if (Options.TokenTypes > 0)
            layers.Parameter(TokenTypes, 0, Options.TokenTypes, Width);
        layers.LayerNorm("embeddings.LayerNorm", Width);
        for (int i = 0; i < Options.Layers; i++)
        {
            string block = $"encoder.layer.{i}.";
            foreach (string part in (string[])["query", "key", "value"])
                layers.Linear($"{block}attention.self.{part}", Width, Width);
            layers.Linear(block + "attention.output.dense", Width, Width);
            layers.LayerNorm(block + "attention.output.LayerNorm", Width);
            layers.Linear(block + "intermediate.dense", Width, Options.PerceptronWidth);
            layers.Linear(block + "output.dense", Options.PerceptronWidth, Width);
            layers.LayerNorm(block + "output.LayerNorm", Width);
        }
        if (Options.NormPlacement == NormPlacement.Before)
            layers.LayerNorm("encoder.norm", Width);
    }

    /// <summary>
    /// Draws matrices as BERT's training begins with them: normal with 0.02; where blocks normalise before, those whose
    /// results are added to the hidden state smaller, so that many additions do not make it grow. Biases are zero.
    /// </summary>
    public override void Initialize(HostWeights weights, ulong seed)
    {
        var random = new SeededRandom(torch.CPU, seed);
        foreach (TensorSpec spec in weights.Specs)
        {
            if (spec.Shape.Length == 1)
            {
                if (!spec.Name.EndsWith("orm.weight", StringComparison.Ordinal))
                    Array.Clear(weights[spec.Name]);
                continue;
            }
            bool added = Options.NormPlacement == NormPlacement.Before
                && spec.Name.EndsWith("output.dense.weight", StringComparison.Ordinal);
            using torch.Tensor drawn = random.Normal(
                spec.Shape.ToArray(), added ? Deviation / Math.Sqrt(2 * Options.Layers) : Deviation);
            HostTensors.CopyTo(drawn, weights[spec.Name]);
        }
    }

    /// <summary>
    /// Tokens (B, T), their places, (T), and where texts are padded one for tokens that count and zero for others, (B, T)
    /// → final hidden states, (B, T, C). Token types are those of a table's rows, (B, T); without them all are the first.
    /// </summary>
    public T Hidden<T>(Scope<T> w, T tokens, T places, T? seen = null, T? types = null)
        where T : struct, ITensor<T> => States(w, tokens, places, seen, types).Last;

    /// <summary>The same, with the states before the first block, (B, T, C).</summary>
    public (T First, T Last) States<T>(Scope<T> w, T tokens, T places, T? seen = null, T? types = null)
        where T : struct, ITensor<T>
    {
        T x = w[Embeddings].Embed(tokens) + w[Places].Embed(places);
        if (Options.TokenTypes > 0)
            x += types is { } given ? w[TokenTypes].Embed(given) : w[TokenTypes].Slice(0, 0, 1);
        x = w.Dropout(Norm(w, "embeddings.LayerNorm", x), Options.Dropout);
        T first = x;
        for (int i = 0; i < Options.Layers; i++)
            x = Block(w.Of($"encoder.layer.{i}"), x, seen);
        return (first, Options.NormPlacement == NormPlacement.Before ? Norm(w, "encoder.norm", x) : x);
    }

    /// <summary>What embeddings of texts are made of: of each token the last state, or its mean with the first.</summary>
    public static T Pooled<T>((T First, T Last) states, TextPooling pooling)
        where T : struct, ITensor<T> =>
        pooling == TextPooling.FirstAndLast ? (states.First + states.Last) * 0.5f : states.Last;

    /// <summary>
    /// What stands for whole texts, (B, T, C) → (B, C): the state of the first token, or the mean of those that count, special
    /// ones among them.
    /// </summary>
    public static T Pool<T>(T hidden, TextPooling pooling, int width, T? seen = null)
        where T : struct, ITensor<T>
    {
        if (pooling == TextPooling.FirstToken)
            return hidden.Slice(1, 0, 1).Squeeze(1);
        T counts = seen is { } known ? known.Unsqueeze(1) : (hidden.Slice(2, 0, 1) * 0f + 1f).Transpose(0, 2, 1); // (B, 1, T)
        T ones = hidden * 0f + 1f;
        return (counts.MatMul(hidden) / counts.MatMul(ones)).Reshape(-1, width);
    }

    /// <summary>Final hidden states → logits of the tokens that stand there, (R, C) → (R, V).</summary>
    public T Logits<T>(Scope<T> w, T hidden)
        where T : struct, ITensor<T>
    {
        Scope<T> head = w.Of("cls.predictions.transform");
        T x = Norm(head, "LayerNorm", Activate(head.Linear("dense", hidden)));
        return w.Ops.Linear(x, w[Embeddings], w[HeadBias]);
    }

    /// <summary>Normalisation with the options' epsilon.</summary>
    public T Norm<T>(Scope<T> w, string layer, T x)
        where T : struct, ITensor<T> => w.LayerNorm(layer, x, _epsilon);

    // A pair of windows stays together, and each process has others to contrast it with.
    public override int RowsTogether => IsContrasted ? MaskedLanguageModelOptions.LeastContrasted : 1;

    public override bool IsComputedInParts => !IsContrasted;

    private bool IsContrasted => Options.ContrastiveWeight > 0;

    /// <summary>
    /// The mean cross-entropy of the tokens that are to be predicted, and of no others; and, where it has a weight, how badly
    /// the windows of a pair are told by their embeddings.
    /// </summary>
    public override IReadOnlyList<LossTerm> Loss(Scope<TorchTensor> w, Batch batch, int update, StepContext step)
    {
        (TorchTensor First, TorchTensor Last) states = States(w, batch);
        if (!IsContrasted)
            return [Masked(w, states.Last, batch)];
        torch.Tensor embeddings = Pool(Pooled(states, Options.Pooling), Options.Pooling, Width, (TorchTensor)batch[1]);
        torch.Tensor contrast = Contrast(embeddings, Fingerprints(batch)).Scaled(Options.ContrastiveWeight!.Value);
        return [Masked(w, states.Last, batch), new LossTerm("contrast", contrast)];
    }

    /// <summary>That of hidden tokens alone: held-back windows follow one another, and are no pairs.</summary>
    public override IReadOnlyList<LossTerm> ValidationLoss(Scope<TorchTensor> w, Batch batch, StepContext step) =>
        [Masked(w, States(w, batch).Last, batch)];

    /// <summary>
    /// Of vectors (B, C), of which each two that follow one another are of a pair, the mean cross-entropy of telling a vector's
    /// partner among all others by the cosine (InfoNCE, van den Oord 2018, arXiv:1807.03748). One that is left over is passed
    /// over; so are, to each other, those of one fingerprint (B): texts that are the same cannot be told apart.
    /// </summary>
    internal static torch.Tensor Contrast(torch.Tensor vectors, torch.Tensor fingerprints)
    {
        long rows = vectors.size(0) / 2 * 2;
        if (rows == 0)
            return vectors.sum().Scaled(0);
        torch.Tensor paired = vectors.narrow(0, 0, rows), prints = fingerprints.narrow(0, 0, rows);
        torch.Tensor units = paired.div(paired.Squared().sum(1, keepdim: true).AtLeast(1e-12).sqrt());
        torch.Tensor partners = HostTensors.Index([.. Enumerable.Range(0, (int)rows).Select(i => (long)(i ^ 1))], vectors.device);
        torch.Tensor isPartner = torch.eye(rows, device: vectors.device).index_select(0, partners);
        torch.Tensor isSame = prints.eq(prints.unsqueeze(1)).to(isPartner.dtype);
        torch.Tensor passed = isSame.mul(torch.ones_like(isPartner).sub(isPartner)).Scaled(-1e9);
        torch.Tensor logarithms = units.mm(units.t()).Over(Temperature).Plus(passed).log_softmax(-1);
        return logarithms.gather(1, partners.unsqueeze(1)).mean().neg();
    }

    // (B): a number for each window's tokens, before some were hidden.
    private static torch.Tensor Fingerprints(Batch batch)
    {
        (torch.Tensor tokens, torch.Tensor targets) = (batch[0], batch[2]);
        var random = new SplitMix64(0);
        long[] factors = [.. Enumerable.Range(0, (int)tokens.size(1)).Select(_ => (long)random.Next() | 1)];
        torch.Tensor whole = torch.where(targets.ge(torch.zeros_like(targets)), targets, tokens);
        return whole.mul(HostTensors.Index(factors, tokens.device)).sum(1L);
    }

    private (TorchTensor First, TorchTensor Last) States(Scope<TorchTensor> w, Batch batch) =>
        States<TorchTensor>(w, batch[0], HostTensors.Index(Positions(batch[0]), batch[0].device), (TorchTensor)batch[1]);

    private LossTerm Masked(Scope<TorchTensor> w, torch.Tensor hidden, Batch batch)
    {
        torch.Tensor targets = batch[2].reshape(-1);
        // What is ignored is negative. On CUDA this waits for the device, once in a step: the number of places is a shape.
        torch.Tensor places = targets.ge(torch.zeros_like(targets)).nonzero().view(-1);
        TorchTensor chosen = hidden.reshape(-1, Width).index_select(0, places);
        torch.Tensor logarithms = Logits(w, chosen).Value.log_softmax(-1);
        return new LossTerm(IsContrasted ? "masked" : "loss", logarithms.gather(1, targets.index_select(0, places).unsqueeze(1)).mean().neg());
    }

    protected override IEnumerable<MuonMatrix> MuonMatrices(TorchLayers layers) => BlockMatrices(layers);

    /// <summary>The matrices of blocks, which Muon moves.</summary>
    internal static IEnumerable<MuonMatrix> BlockMatrices(TorchLayers layers) =>
        from layer in layers.Tensors
        where layer.Key.StartsWith("encoder.layer.", StringComparison.Ordinal) && layer.Value.dim() == 2
        select new MuonMatrix(layer.Value, 1);

    /// <summary>The places of a batch's tokens.</summary>
    internal static long[] Positions(torch.Tensor tokens) => [.. Enumerable.Range(0, (int)tokens.size(1))];

    private T Block<T>(Scope<T> w, T x, T? seen)
        where T : struct, ITensor<T>
    {
        bool before = Options.NormPlacement == NormPlacement.Before;
        T from = before ? Norm(w, "attention.output.LayerNorm", x) : x;
        Scope<T> self = w.Of("attention.self");
        T attended = Attention.Attend(
            self.Linear("query", from), self.Linear("key", from), self.Linear("value", from), Options.Heads, -1, -1, Width, seen,
            shares => w.Dropout(shares, Options.Dropout));
        x += w.Dropout(w.Linear("attention.output.dense", attended), Options.Dropout);
        x = before ? x : Norm(w, "attention.output.LayerNorm", x);
        T dense = Activate(w.Linear("intermediate.dense", before ? Norm(w, "output.LayerNorm", x) : x));
        x += w.Dropout(w.Linear("output.dense", dense), Options.Dropout);
        return before ? x : Norm(w, "output.LayerNorm", x);
    }

    private T Activate<T>(T x)
        where T : struct, ITensor<T> => x.Apply(Options.Gelu == GeluForm.Tanh ? Function.GeluTanh : Function.Gelu);
}
