namespace GenerativeML.Benchmarks;

/// <summary>How a VAE is trained on images.</summary>
/// <param name="Name">What the results call it.</param>
/// <param name="Family">What computes.</param>
/// <param name="Options">The options; the likelihood of pixels is always Bernoulli.</param>
internal sealed record VaeRecipe(string Name, VectorFamily Family, VariationalOptions Options)
{
    /// <summary>784-400-20-400-784, ReLU, Adam 1e-3, batch 128, 10 epochs: what PyTorch's own example does.</summary>
    public static VaeRecipe Reference { get; } = new("reference", VaeTrainer.Family, new VaeOptions
    {
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
    public static VaeRecipe Defaults { get; } = new(
        "defaults", VaeTrainer.Family, new VaeOptions { Likelihood = VaeLikelihood.Bernoulli });

    /// <summary>Those of the VAE of convolutions.</summary>
    public static VaeRecipe Convolutional { get; } = new(
        "convolutional", ImageVaeTrainer.Family,
        new ImageVaeOptions { Likelihood = VaeLikelihood.Bernoulli });

    /// <summary>All of them.</summary>
    public static IReadOnlyList<VaeRecipe> All => [Reference, Defaults, Convolutional];
}
