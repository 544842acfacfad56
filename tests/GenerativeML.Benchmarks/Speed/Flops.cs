namespace GenerativeML.Benchmarks;

/// <summary>
/// Operations in floating point that matrix products take, two for each weight and row: once forwards, once for the
/// weights' gradients, and once for the inputs'.
/// </summary>
internal static class Flops
{
    /// <summary>Forwards alone.</summary>
    /// <param name="rows">Rows that pass.</param>
    /// <param name="widths">Of the layers, from the input to the output.</param>
    public static double Forward(double rows, params ReadOnlySpan<int> widths)
    {
        double weights = 0;
        for (int i = 1; i < widths.Length; i++)
            weights += (double)widths[i - 1] * widths[i];
        return 2 * rows * weights;
    }

    /// <summary>A training step of a network that begins with the data, whose gradient nobody needs.</summary>
    /// <inheritdoc cref="Forward"/>
    public static double Step(double rows, params ReadOnlySpan<int> widths) =>
        (3 * Forward(rows, widths)) - Forward(rows, widths[..2]);

    /// <summary>
    /// The penalty on the norm of a gradient: forwards, back to the inputs, and twice as much again for each of the two.
    /// </summary>
    /// <inheritdoc cref="Forward"/>
    public static double GradientPenalty(double rows, params ReadOnlySpan<int> widths) => 6 * Forward(rows, widths);
}
