namespace GenerativeML;

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
