namespace GenerativeML;

/// <summary>
/// How GELU (Hendrycks and Gimpel 2016) is computed. Weights belong to the form they were trained with.
/// </summary>
public enum GeluForm
{
    /// <summary>x·Φ(x), with the normal distribution's own function: torch's default, and nanoGPT's.</summary>
    Erf,

    /// <summary>
    /// x/2·(1 + tanh(√(2/π)·(x + 0.044715·x³))), the approximation that GPT-2's released weights were trained with
    /// (<c>gelu_new</c>).
    /// </summary>
    Tanh,
}

/// <summary>How the matrices of a GPT's blocks lie in a file.</summary>
public enum GptWeightLayout
{
    /// <summary>(outputs, inputs), as torch.nn.Linear has them: nanoGPT, minGPT.</summary>
    Linear,

    /// <summary>(inputs, outputs), as GPT-2's released weights and Hugging Face's Conv1D have them.</summary>
    Conv1D,
}

/// <summary>
/// Low-rank adapters (Hu 2021, arXiv:2106.09685): the given weights W stay, and each chosen matrix becomes
/// W + <see cref="Alpha"/>/<see cref="Rank"/>·B·A, of which only the small A and B are trained.
/// </summary>
public sealed class LoraOptions
{
    /// <summary>Rows of A and columns of B. From 1 to the network's width. Default 8.</summary>
    public int Rank { get; init; } = 8;

    /// <summary>What the product counts, before it is divided by the rank. Positive. Default 16.</summary>
    public double Alpha { get; init; } = 16;

    /// <summary>Which matrices get an adapter. At least one. Default: all.</summary>
    public LoraTargets Targets { get; init; } = LoraTargets.All;

    internal void Validate(int width)
    {
        OptionChecks.Within(Rank, 1, width, "Lora.Rank");
        OptionChecks.PositiveFinite(Alpha, "Lora.Alpha");
        OptionChecks.Within((int)Targets, 1, (int)LoraTargets.All, "Lora.Targets");
    }
}

/// <summary>The matrices of a block that can have a low-rank adapter.</summary>
[Flags]
public enum LoraTargets
{
    /// <summary>None: not a choice.</summary>
    None = 0,

    /// <summary>The one that makes queries, keys and values, <c>attn.c_attn</c>.</summary>
    AttentionInput = 1,

    /// <summary>The one that mixes the heads' results, <c>attn.c_proj</c>.</summary>
    AttentionOutput = 2,

    /// <summary>The perceptron's first, <c>mlp.c_fc</c>.</summary>
    PerceptronInput = 4,

    /// <summary>The perceptron's second, <c>mlp.c_proj</c>.</summary>
    PerceptronOutput = 8,

    /// <summary>All four.</summary>
    All = AttentionInput | AttentionOutput | PerceptronInput | PerceptronOutput,
}
