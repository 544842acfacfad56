namespace GenerativeML;

/// <summary>The non-linearities of layers, over rows.</summary>
internal static class VectorActivation
{
    /// <summary>y = f(y + b), for rows of the same width.</summary>
    /// <param name="activation">f.</param>
    /// <param name="y">(rows × width): replaced by the result.</param>
    /// <param name="bias">(width), a multiple of <see cref="VectorMatrix.Lanes"/>.</param>
    public static unsafe void Apply(Activation activation, Span<float> y, ReadOnlySpan<float> bias)
    {
        // The kernel reads and writes without further checks.
        if (bias.Length == 0 || bias.Length % VectorMatrix.Lanes != 0 || y.Length % bias.Length != 0)
            throw new ArgumentException($"{y.Length} numbers are no rows of {bias.Length} in whole vectors.");
        fixed (float* numbers = y, biases = bias)
            ActivationStep.Forward(activation, numbers, biases, y.Length / bias.Length, bias.Length);
    }
}
