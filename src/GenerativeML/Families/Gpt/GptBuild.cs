namespace GenerativeML;

/// <summary>How the layers of a GPT are made: initial weights as GPT-2's, adapters where they are asked for.</summary>
internal sealed record GptBuild(GptShape Shape, LoraOptions? Adapters, bool BFloat16, SeededRandom Random)
{
    /// <summary>The standard deviation of initial weights.</summary>
    public const double Deviation = 0.02;

    /// <summary>A linear layer within a block.</summary>
    public GptDense Dense(int inputs, int outputs, LoraTargets name) => Make(inputs, outputs, Deviation, name);

    /// <summary>
    /// A linear layer whose result is added to the hidden state; so many additions should not make it grow.
    /// </summary>
    public GptDense Residual(int inputs, int outputs, LoraTargets name) =>
        Make(inputs, outputs, Deviation / Math.Sqrt(2 * Shape.Layers), name);

    private GptDense Make(int inputs, int outputs, double deviation, LoraTargets name) => new(
        inputs, outputs, Shape.Biases, deviation, Adapters?.Targets.HasFlag(name) == true ? Adapters : null, BFloat16,
        Random);
}
