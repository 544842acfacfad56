namespace GenerativeML.Benchmarks;

/// <summary>How a VAE is trained on images.</summary>
/// <param name="Name">What the results call it.</param>
/// <param name="Options">The options; the likelihood of pixels is always Bernoulli.</param>
internal sealed record VaeRecipe(string Name, VariationalAutoencoderTrainer.Options Options)
{
    /// <summary>784-400-20-400-784, ReLU, Adam 1e-3, batch 128, 10 epochs: what PyTorch's own example does.</summary>
    public static VaeRecipe Reference { get; } = new("reference", new()
    {
        Seed = 0,
        Likelihood = VaeLikelihood.Bernoulli,
        HiddenLayers = [400],
        LatentDimension = 20,
        Activation = Activation.Relu,
        LearningRate = 1e-3,
        Schedule = LearningRateSchedule.Constant,
        WarmupFraction = 0,
        WeightDecay = 0,
        WeightAverageDecay = 0,
        BatchSize = 128,
        Epochs = 10,
    });

    /// <summary>This package's defaults.</summary>
    public static VaeRecipe Defaults { get; } = new("defaults", new()
    {
        Seed = 0,
        Likelihood = VaeLikelihood.Bernoulli,
    });
}
