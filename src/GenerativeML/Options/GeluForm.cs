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
