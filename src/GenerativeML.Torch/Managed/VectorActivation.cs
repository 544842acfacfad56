namespace GenerativeML.Torch;

/// <summary>The non-linearities of layers, over rows.</summary>
internal static class VectorActivation
{
    /// <summary>y = f(y + b), for rows of the same width.</summary>
    /// <param name="activation">f.</param>
    /// <param name="y">(rows × width): replaced by the result.</param>
    /// <param name="bias">(width).</param>
    public static unsafe void Apply(Activation activation, Span<float> y, ReadOnlySpan<float> bias)
    {
        for (Span<float> rest = y; rest.Length > 0; rest = rest[bias.Length..])
            VectorSum.AddTo(rest, bias);
        fixed (float* numbers = y)
            ActivationStep.Forward(activation, numbers, numbers, y.Length);
    }
}
