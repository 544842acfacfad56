using TorchSharp;

namespace GenerativeML;

/// <summary>
/// GPT-2's network (Radford 2019), without weights: token and position embeddings, blocks of attention and perceptron,
/// a last normalisation; the output weights are the token embeddings, or matrices of their own. Names are GPT-2's own,
/// without a prefix; matrices are (outputs, inputs), as torch.nn.Linear has them.
/// </summary>
internal sealed class GptNetwork : LanguageNetwork
{
    public const string Embeddings = "wte.weight";

    /// <summary>The output weights where they are not the token embeddings.</summary>
    public const string Head = "lm_head.weight";

    /// <summary>What names of adapters' matrices end in: (rank, inputs) and (outputs, rank).</summary>
    public const string AdapterA = ".lora_A.weight", AdapterB = ".lora_B.weight";

    private const double Deviation = 0.02;

    // What adapters count; they are there in training only.
    private readonly float _adapterScale;

    /// <param name="options">Options of which the vocabulary's size is known.</param>
    /// <exception cref="FormatException">The sizes are out of every sensible range.</exception>
    public GptNetwork(GptOptions options)
        : base(options)
    {
        Options = options;
        if ((long)Math.Max(VocabularySize, options.ContextLength) * options.Width > MaxElements
            || 4L * options.Width * options.Width > MaxElements)
        {
            throw new FormatException(
                $"A GPT of {VocabularySize} tokens, context {options.ContextLength} and width {options.Width} has "
                + $"tensors of more than {MaxElements} elements.");
        }
        if (options.Lora is LoraOptions lora)
            _adapterScale = (float)(lora.Alpha / lora.Rank);
        Tensors = [.. Declared().Tensors.Where(tensor => GptAdapters.LayerOf(tensor.Name) is null)];
    }

    public override GptOptions Options { get; }

    public override string Family => GptTransformer.SavedFamily.Name;

    /// <summary>Every tensor but those of adapters, in the order of the computation.</summary>
    public override IReadOnlyList<TensorSpec> Tensors { get; }

    public override int Width => Options.Width;

    public override int ContextLength => Options.ContextLength;

    public override long CacheNumbers(int tokens) => 2L * Options.Layers * Width * tokens;

    /// <summary>The matrices of a block, without <c>.weight</c>, and what adapts them.</summary>
    public static IReadOnlyList<(string Name, LoraTargets Target)> Matrices { get; } =
    [
        ("attn.c_attn", LoraTargets.AttentionInput), ("attn.c_proj", LoraTargets.AttentionOutput),
        ("mlp.c_fc", LoraTargets.PerceptronInput), ("mlp.c_proj", LoraTargets.PerceptronOutput),
    ];

    public override int PositionsPerRow => Options.ContextLength;

    public override string OutputWeights => Options.TieEmbeddings == false ? Head : Embeddings;

    /// <summary>Tokens and their positions → hidden states before the first block, (…) → (…, C).</summary>
    public T Embed<T>(Scope<T> w, T tokens, T positions)
        where T : struct, ITensor<T> =>
        w.Dropout(w[Embeddings].Embed(tokens) + w["wpe.weight"].Embed(positions), Options.Dropout);

    /// <summary>One block, (…, C) → (…, C).</summary>
    public T Block<T>(Scope<T> w, int block, T x)
        where T : struct, ITensor<T>
    {
        w = w.Of($"h.{block}");
        T queryKeyValue = Dense(w, "attn.c_attn", w.LayerNorm("ln_1", x));
        T attended = w.Attention(queryKeyValue, Options.Heads, Options.Width / Options.Heads, Options.Dropout);
        x += w.Dropout(Dense(w, "attn.c_proj", attended), Options.Dropout);
        T hidden = Dense(w, "mlp.c_fc", w.LayerNorm("ln_2", x))
            .Apply(Options.Gelu == GeluForm.Tanh ? Function.GeluTanh : Function.Gelu);
        return x + w.Dropout(Dense(w, "mlp.c_proj", hidden), Options.Dropout);
    }

    /// <summary>What follows the last block: the hidden states that the output weights are applied to.</summary>
    public static T Finish<T>(Scope<T> w, T x)
        where T : struct, ITensor<T> => w.LayerNorm("ln_f", x);

    public override T Hidden<T>(Scope<T> w, T tokens, T positions)
    {
        T x = Embed(w, tokens, positions);
        for (int block = 0; block < Options.Layers; block++)
            x = Block(w, block, x);
        return Finish(w, x);
    }

    /// <summary>Without adapters all tensors are trained, otherwise they alone.</summary>
    public override void Declare(Layers layers)
    {
        int width = Options.Width;
        Add(Embeddings, 0, VocabularySize, width);
        Add("wpe.weight", 0, Options.ContextLength, width);
        for (int i = 0; i < Options.Layers; i++)
        {
            Norm($"h.{i}.ln_1");
            Matrix($"h.{i}.attn.c_attn", width, 3 * width);
            Matrix($"h.{i}.attn.c_proj", width, width);
            Norm($"h.{i}.ln_2");
            Matrix($"h.{i}.mlp.c_fc", width, 4 * width);
            Matrix($"h.{i}.mlp.c_proj", 4 * width, width);
        }
        Norm("ln_f");
        if (Options.TieEmbeddings == false)
            Add(Head, 0, VocabularySize, width);

        void Matrix(string name, int inputs, int outputs)
        {
            Add(name + ".weight", 0, outputs, inputs);
            if (Options.Lora is LoraOptions lora && IsAdapted(name, lora))
            {
                layers.Parameter(name + AdapterA, 0, lora.Rank, inputs);
                layers.Parameter(name + AdapterB, 0, outputs, lora.Rank);
            }
            if (Options.Biases)
                Add(name + ".bias", 0, outputs);
        }

        void Norm(string name)
        {
            Add(name + ".weight", 1, width);
            if (Options.Biases)
                Add(name + ".bias", 0, width);
        }

        void Add(string name, float value, params long[] shape)
        {
            if (Options.Lora is null)
                layers.Parameter(name, value, shape);
            else
                layers.Buffer(name, value, shape);
        }
    }

    /// <summary>
    /// Draws matrices as GPT-2's training begins with them: normal with 0.02, those whose results are added to the
    /// hidden state smaller, so that many additions do not make it grow. Adapters begin as nothing: their second matrix
    /// is zero.
    /// </summary>
    public override void Initialize(HostWeights weights, ulong seed)
    {
        var random = new SeededRandom(torch.CPU, seed);
        foreach (TensorSpec spec in weights.Specs)
        {
            if (spec.Shape.Length == 1 || spec.Name.EndsWith(AdapterB, StringComparison.Ordinal))
                continue;
            double deviation = spec.Name.EndsWith(AdapterA, StringComparison.Ordinal) ? 1 / Math.Sqrt(spec.Shape[1])
                : spec.Name.EndsWith("c_proj.weight", StringComparison.Ordinal)
                    ? Deviation / Math.Sqrt(2 * Options.Layers)
                : Deviation;
            using torch.Tensor drawn = random.Normal(spec.Shape.ToArray(), deviation);
            HostTensors.CopyTo(drawn, weights[spec.Name]);
        }
    }

    public override OnnxTensor AddPast(OnnxExport graph, OnnxTensor tokens, bool cached)
    {
        OnnxTensor none = graph.Constant<long>("none", OnnxType.Int64, [], [0]), length = tokens.Sizes(1, 2).Squeeze(0);
        if (!cached)
        {
            OnnxTensor all = graph.Range(none, length);
            graph.Positions = (all, all);
            return all;
        }
        OnnxTensor mask = graph.Input("attention_mask", OnnxType.Int64, [-1, -1], ["batch", "total"]);
        OnnxTensor positions = graph.Input("position_ids", OnnxType.Int64, [-1, -1], ["batch", "sequence"]);
        OnnxTensor first = graph.AddPast(Options.Layers, Options.Heads, Width / Options.Heads), end = first + length;
        graph.Positions = (graph.Range(first, end), graph.Range(none, end));
        graph.Counts = graph.Node("Cast", mask.Shape, [mask], ("to", (int)OnnxType.Float));
        return positions; // what is before a text that is padded does not count
    }

    // Queries, keys and values are three matrices, whatever keeps them in one.
    protected override IEnumerable<MuonMatrix> MuonMatrices(TorchLayers layers) =>
        from block in Enumerable.Range(0, Options.Layers)
        from matrix in Matrices
        let parts = matrix.Target == LoraTargets.AttentionInput ? 3 : 1
        select new MuonMatrix(layers.Tensors[$"h.{block}.{matrix.Name}.weight"], parts);

    /// <summary>The mean cross-entropy of each token's successor, over windows of a text.</summary>
    public override IReadOnlyList<LossTerm> Loss(Scope<TorchTensor> w, Batch batch, int update, StepContext step)
    {
        var forward = new Forward(this, w, batch, step);
        // With checkpointing, the states between blocks are all that is kept, and each starts a graph of its own.
        torch.Tensor[] states = Options.GradientCheckpointing ? States(forward) : [];
        torch.Tensor hidden = states.Length > 0 ? forward.Finish(states[^1]) : forward.Hidden();
        torch.Tensor gradient = torch.empty_like(hidden, requires_grad: false);
        LossTerm loss = CrossEntropy(w, hidden.detach(), batch[0].narrow(1, 1, hidden.size(1)), step.Share, gradient);

        torch.autograd.backward([hidden], [gradient]);
        for (int i = states.Length - 2; i >= 0; i--)
        {
            using DisposeScope scope = torch.NewDisposeScope();
            using torch.Tensor later = states[i + 1];
            torch.autograd.backward([forward.Block(i, states[i])], [later.grad!]);
        }
        if (states is [torch.Tensor first, ..] && w[Embeddings].Value.requires_grad)
            torch.autograd.backward([forward.Embed()], [first.grad!]);
        return [loss];
    }

    public override IReadOnlyList<LossTerm> ValidationLoss(Scope<TorchTensor> w, Batch batch, StepContext step) =>
        [CrossEntropy(w, new Forward(this, w, batch, step).Hidden(), batch[0].narrow(1, 1, batch[0].size(1) - 1))];

    private static bool IsAdapted(string layer, LoraOptions lora) =>
        Matrices.Any(m => lora.Targets.HasFlag(m.Target) && layer.EndsWith("." + m.Name, StringComparison.Ordinal));

    // Low-rank adapters (Hu 2021) stand beside the weights while they are trained.
    private T Dense<T>(Scope<T> w, string layer, T x)
        where T : struct, ITensor<T>
    {
        T product = w.Linear(layer, x);
        return w.Has(layer + AdapterA)
            ? product + x.Linear(w[layer + AdapterA]).Linear(w[layer + AdapterB]) * _adapterScale
            : product;
    }

    private torch.Tensor[] States(Forward forward)
    {
        using IDisposable noGradient = torch.no_grad();
        var states = new torch.Tensor[Options.Layers + 1];
        states[0] = forward.Embed().requires_grad_();
        for (int i = 0; i < Options.Layers; i++)
            states[i + 1] = forward.Block(i, states[i]).requires_grad_();
        return states;
    }

    /// <summary>
    /// The network over a batch of tokens, (B, T + 1), without the last. While training, each part has random numbers
    /// of its own, so that computing it a second time leaves out the same; and what a block needs for itself is freed
    /// with it.
    /// </summary>
    private sealed class Forward(GptNetwork network, Scope<TorchTensor> w, Batch batch, StepContext step)
    {
        public torch.Tensor Embed()
        {
            Begin(-1);
            torch.Tensor tokens = batch[0].narrow(1, 0, batch[0].size(1) - 1);
            long[] positions = [.. Enumerable.Range(0, (int)tokens.size(1))];
            return network.Embed(w, (TorchTensor)tokens, HostTensors.Index(positions, tokens.device));
        }

        public torch.Tensor Block(int block, torch.Tensor x)
        {
            Begin(block);
            using DisposeScope scope = torch.NewDisposeScope();
            return network.Block(w, block, (TorchTensor)x).Value.MoveToOuterDisposeScope();
        }

        public torch.Tensor Finish(torch.Tensor x) => GptNetwork.Finish(w, (TorchTensor)x);

        public torch.Tensor Hidden()
        {
            torch.Tensor x = Embed();
            for (int i = 0; i < network.Options.Layers; i++)
                x = Block(i, x);
            return Finish(x);
        }

        private void Begin(int block)
        {
            if (w.Ops.Training && network.Options.Dropout > 0)
                step.Random.Seed(new SplitMix64(step.Seed + (ulong)(block + 1)).Next());
        }
    }
}
