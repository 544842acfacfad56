namespace GenerativeML;

/// <summary>
/// Everything about a GPT (Radford 2019) that must be known to build it, but its weights. The output weights are always
/// the token embeddings.
/// </summary>
internal sealed record GptShape
{
    /// <summary>What is added to the variance in layer normalisation.</summary>
    public const float NormEpsilon = 1e-5f;

    /// <summary>The most blocks.</summary>
    public const int MostLayers = 1024;

    /// <summary>The widest hidden state.</summary>
    public const int MostWidth = 1 << 16;

    /// <summary>The longest context.</summary>
    public const int MostContext = 1 << 20;

    // A span of bytes must be able to hold any one of them.
    private const long MostElements = int.MaxValue / sizeof(float);

    /// <summary>Tokens that there are, V.</summary>
    public required int VocabularySize { get; init; }

    /// <summary>The most tokens that are looked at together, T.</summary>
    public required int ContextLength { get; init; }

    /// <summary>Blocks of attention and perceptron, one after the other.</summary>
    public required int Layers { get; init; }

    /// <summary>Attention heads of a block, H.</summary>
    public required int Heads { get; init; }

    /// <summary>Slots of a token's hidden state, C; a multiple of <see cref="Heads"/>.</summary>
    public required int Width { get; init; }

    /// <summary>Whether linear layers and layer normalisation have biases.</summary>
    public required bool Biases { get; init; }

    /// <summary>The perceptrons' non-linearity.</summary>
    public required GeluForm Gelu { get; init; }

    /// <summary>Slots of a perceptron's hidden layer.</summary>
    public int HiddenWidth => 4 * Width;

    /// <summary>Slots of a head's queries, keys and values.</summary>
    public int HeadWidth => Width / Heads;

    /// <summary>The number of weights.</summary>
    public long ParameterCount() => Tensors().Sum(t => t.Shape.Aggregate(1L, (n, size) => n * size));

    /// <summary>
    /// Every tensor, in the order of the computation, by GPT-2's own names without a prefix. Matrices are (outputs,
    /// inputs), as torch.nn.Linear has them.
    /// </summary>
    public IEnumerable<(string Name, long[] Shape)> Tensors()
    {
        yield return ("wte.weight", [VocabularySize, Width]);
        yield return ("wpe.weight", [ContextLength, Width]);
        for (int i = 0; i < Layers; i++)
        {
            IEnumerable<(string, long[])> block =
            [
                .. Norm($"h.{i}.ln_1"),
                .. Dense($"h.{i}.attn.c_attn", 3 * Width, Width),
                .. Dense($"h.{i}.attn.c_proj", Width, Width),
                .. Norm($"h.{i}.ln_2"),
                .. Dense($"h.{i}.mlp.c_fc", HiddenWidth, Width),
                .. Dense($"h.{i}.mlp.c_proj", Width, HiddenWidth),
            ];
            foreach ((string, long[]) tensor in block)
                yield return tensor;
        }
        foreach ((string, long[]) tensor in Norm("ln_f"))
            yield return tensor;

        IEnumerable<(string, long[])> Norm(string name) =>
            Biases ? [($"{name}.weight", [Width]), ($"{name}.bias", [Width])] : [($"{name}.weight", [Width])];

        IEnumerable<(string, long[])> Dense(string name, int outputs, int inputs) => Biases
            ? [($"{name}.weight", [outputs, inputs]), ($"{name}.bias", [outputs])]
            : [($"{name}.weight", [outputs, inputs])];
    }

    /// <summary>Checks a shape that came from a file.</summary>
    /// <exception cref="FormatException">A size is out of every sensible range.</exception>
    public void Check()
    {
        bool sound = VocabularySize is >= 1 and <= 1 << 24
            && ContextLength is >= 1 and <= MostContext
            && Layers is >= 1 and <= MostLayers
            && Width is >= 1 and <= MostWidth
            && Heads >= 1 && Heads <= Width && Width % Heads == 0
            && Enum.IsDefined(Gelu)
            && (long)Math.Max(VocabularySize, ContextLength) * Width <= MostElements
            && (long)HiddenWidth * Width <= MostElements;
        if (!sound)
            throw new FormatException("The saved GPT's shape is out of range.");
    }
}
