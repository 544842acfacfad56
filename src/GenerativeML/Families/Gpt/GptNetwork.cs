using TorchSharp;

namespace GenerativeML;

/// <summary>
/// GPT-2's network (Radford 2019), without weights: token and position embeddings, blocks of attention and perceptron,
/// a last normalisation; the output weights are the token embeddings, or matrices of their own. Names are GPT-2's own,
/// without a prefix; matrices are (outputs, inputs), as torch.nn.Linear has them.
/// </summary>
internal sealed class GptNetwork
{
    public const string Embeddings = "wte.weight";

    /// <summary>The output weights where they are not the token embeddings.</summary>
    public const string Head = "lm_head.weight";

    /// <summary>What names of adapters' matrices end in: (rank, inputs) and (outputs, rank).</summary>
    public const string AdapterA = ".lora_A.weight", AdapterB = ".lora_B.weight";

    // A span of bytes must be able to hold any tensor.
    private const long MaxElements = int.MaxValue / sizeof(float);
    private const double Deviation = 0.02;

    // What adapters count; they are there in training only.
    private readonly float _adapterScale;

    /// <param name="options">Options of which the vocabulary's size is known.</param>
    /// <exception cref="FormatException">The sizes are out of every sensible range.</exception>
    public GptNetwork(GptOptions options)
    {
        Options = options;
        VocabularySize = options.VocabularySize!.Value;
        if ((long)Math.Max(VocabularySize, options.ContextLength) * options.Width > MaxElements
            || 4L * options.Width * options.Width > MaxElements)
        {
            throw new FormatException(
                $"A GPT of {VocabularySize} tokens, context {options.ContextLength} and width {options.Width} has "
                + $"tensors of more than {MaxElements} elements.");
        }
        if (options.Lora is LoraOptions lora)
            _adapterScale = (float)(lora.Alpha / lora.Rank);
        Tensors = AllTensors();
    }

    public GptOptions Options { get; }

    public int VocabularySize { get; }

    /// <summary>Every tensor but those of adapters, in the order of the computation.</summary>
    public IReadOnlyList<TensorSpec> Tensors { get; }

    public long ParameterCount => Tensors.Sum(t => t.Length / sizeof(float));

    /// <summary>The matrices of a block, without <c>.weight</c>, and what adapts them.</summary>
    public static IReadOnlyList<(string Name, LoraTargets Target)> Matrices { get; } =
    [
        ("attn.c_attn", LoraTargets.AttentionInput), ("attn.c_proj", LoraTargets.AttentionOutput),
        ("mlp.c_fc", LoraTargets.PerceptronInput), ("mlp.c_proj", LoraTargets.PerceptronOutput),
    ];

    public string OutputWeights => Options.TieEmbeddings == false ? Head : Embeddings;

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

    /// <summary>Tokens and their positions → final hidden states, (…) → (…, C).</summary>
    public T Hidden<T>(Scope<T> w, T tokens, T positions)
        where T : struct, ITensor<T>
    {
        T x = Embed(w, tokens, positions);
        for (int block = 0; block < Options.Layers; block++)
            x = Block(w, block, x);
        return Finish(w, x);
    }

    /// <summary>Final hidden states → logits of the tokens that follow, (…, C) → (…, V).</summary>
    public T Logits<T>(Scope<T> w, T hidden)
        where T : struct, ITensor<T> => hidden.Linear(w[OutputWeights]);

    /// <summary>
    /// New tensors as GPT-2's training begins with them: matrices normal with 0.02, those whose results are added to the
    /// hidden state smaller, so that many additions do not make it grow; adapters as nothing. Without adapters all are
    /// trained, otherwise they alone.
    /// </summary>
    public IEnumerable<(string Name, torch.Tensor Value)> Initialize(SeededRandom random)
    {
        foreach (TensorSpec spec in Tensors)
        {
            long[] shape = spec.Shape.ToArray();
            double deviation = spec.Name.EndsWith("c_proj.weight", StringComparison.Ordinal)
                ? Deviation / Math.Sqrt(2 * Options.Layers)
                : Deviation;
            torch.Tensor value = shape.Length > 1 ? random.Normal(shape, deviation)
                : spec.Name.EndsWith(".bias", StringComparison.Ordinal) ? New(torch.zeros(shape))
                : New(torch.ones(shape));
            value.requires_grad = Options.Lora is null;
            yield return (spec.Name, value);
            string layer = spec.Name[..^".weight".Length];
            if (Options.Lora is not LoraOptions lora || !IsAdapted(layer, lora))
                continue;
            yield return (layer + AdapterA,
                random.Normal([lora.Rank, shape[1]], 1 / Math.Sqrt(shape[1])).requires_grad_());
            yield return (layer + AdapterB, New(torch.zeros(shape[0], lora.Rank)).requires_grad_());
        }

        torch.Tensor New(torch.Tensor host) => HostTensors.OnDevice(host, random.Device);
    }

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

    private IReadOnlyList<TensorSpec> AllTensors()
    {
        int width = Options.Width;
        var layers = new LayerSpecs();
        layers.Embedding("wte", VocabularySize, width);
        layers.Embedding("wpe", Options.ContextLength, width);
        for (int i = 0; i < Options.Layers; i++)
        {
            Norm($"h.{i}.ln_1");
            layers.Linear($"h.{i}.attn.c_attn", width, 3 * width, bias: Options.Biases);
            layers.Linear($"h.{i}.attn.c_proj", width, width, bias: Options.Biases);
            Norm($"h.{i}.ln_2");
            layers.Linear($"h.{i}.mlp.c_fc", width, 4 * width, bias: Options.Biases);
            layers.Linear($"h.{i}.mlp.c_proj", 4 * width, width, bias: Options.Biases);
        }
        Norm("ln_f");
        if (Options.TieEmbeddings == false)
            layers.Linear("lm_head", width, VocabularySize, bias: false);
        return layers.Tensors;

        void Norm(string name)
        {
            layers.Parameter(name + ".weight", 1, width);
            if (Options.Biases)
                layers.Parameter(name + ".bias", 0, width);
        }
    }
}

/// <summary>A network's tensors by their names in the state dict.</summary>
internal sealed class NamedTensors : IDisposable
{
    /// <param name="tensors">Belong to this object from now on, whatever dispose scope is open.</param>
    public NamedTensors(IEnumerable<(string Name, torch.Tensor Value)> tensors) =>
        Tensors = tensors.ToDictionary(t => t.Name, t => t.Value.DetachFromDisposeScope());

    /// <summary>The tensors by name.</summary>
    public IReadOnlyDictionary<string, torch.Tensor> Tensors { get; }

    public void Dispose()
    {
        foreach (torch.Tensor tensor in Tensors.Values)
            tensor.Dispose();
    }

    /// <summary>Copies all tensors to host memory.</summary>
    public HostWeights ToHost() => HostWeights.Of(Tensors.Select(t =>
    {
        float[] values = new float[t.Value.numel()];
        HostTensors.CopyTo(t.Value, values);
        return (new TensorSpec(t.Key, TensorType.F32, t.Value.shape), values);
    }));

    /// <summary>Takes the values of weights; what they do not have stays.</summary>
    public void LoadStateDict(HostWeights weights)
    {
        using IDisposable noGradient = torch.no_grad();
        foreach ((string name, torch.Tensor value) in Tensors.Where(t => weights.Find(t.Key) is not null))
        {
            using DisposeScope scope = torch.NewDisposeScope();
            value.copy_(HostTensors.FromRows(weights[name], 1, value.numel(), value.device).view(value.shape));
        }
    }
}
