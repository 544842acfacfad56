namespace GenerativeML;

/// <summary>What moves a GPT's weights.</summary>
public enum GptOptimizer
{
    /// <summary>
    /// Muon (Jordan 2024, https://kellerjordan.github.io/posts/muon/) for the matrices of the blocks: momentum, made
    /// orthogonal by a few Newton–Schulz steps; AdamW for embeddings, biases and scales. Reaches the same loss in far
    /// fewer steps.
    /// </summary>
    Muon,

    /// <summary>AdamW (Loshchilov and Hutter 2019) for all.</summary>
    AdamW,
}
