using System.Globalization;

namespace GenerativeML;

/// <summary>What other programs call the tensors of a GPT.</summary>
internal static class GptWeightNames
{
    /// <summary>The output weights where a file has them beside the token embeddings that they are.</summary>
    public const string Head = "lm_head.weight";

    // What torch.compile, data parallelism, adapters and models with a head on top put before a name.
    private static readonly string[] Prefixes = ["_orig_mod.", "module.", "base_model.model.", "transformer."];

    /// <summary>The name of a tensor without what stands for the modules around a GPT.</summary>
    public static string Canonical(string name)
    {
        foreach (string prefix in Prefixes)
        {
            if (name.StartsWith(prefix, StringComparison.Ordinal))
                name = name[prefix.Length..];
        }
        return name;
    }

    /// <summary>Whether a tensor is the causal mask, which some programs save with the weights.</summary>
    public static bool IsMask(string canonical)
    {
        string[] parts = canonical.Split('.');
        return parts is ["h", string block, "attn", "bias" or "masked_bias"]
            && int.TryParse(block, NumberStyles.None, CultureInfo.InvariantCulture, out _);
    }

    /// <summary>Whether a tensor is a matrix whose two layouts differ.</summary>
    public static bool IsBlockMatrix(string canonical) =>
        canonical.StartsWith("h.", StringComparison.Ordinal)
        && (canonical.Contains(".attn.c_", StringComparison.Ordinal)
            || canonical.Contains(".mlp.c_", StringComparison.Ordinal))
        && canonical.EndsWith(".weight", StringComparison.Ordinal);
}
