namespace GenerativeML;

/// <summary>What the options of a GAN leave open, by objective: the settings that recover the ring of Gaussians.</summary>
internal static class GanDefaults
{
    // RMSprop is Adam without a mean of the gradients; it keeps the correction of the first steps.
    private static readonly AdamSettings RmsProp = new(Beta1: 0, Beta2: 0.99);

    // Little memory of the gradients' direction: the opponent keeps turning it.
    private static readonly AdamSettings Games = new(Beta1: 0.5);

    private static readonly AdamSettings Critic = new(Beta1: 0, Beta2: 0.9);

    public static AdamSettings Adam(GanObjective objective) => objective switch
    {
        GanObjective.Wasserstein => RmsProp,
        GanObjective.WassersteinGradientPenalty or GanObjective.Hinge => Critic,
        _ => Games,
    };

    /// <summary>Whether the discriminator has labels to tell real rows from generated ones by.</summary>
    public static bool Classifies(GanObjective objective) =>
        objective is GanObjective.Minimax or GanObjective.NonSaturating or GanObjective.LeastSquares;

    public static int DiscriminatorSteps(GanOptions options) => options.DiscriminatorStepsPerGeneratorStep
        ?? options.Objective switch
        {
            // With fewer, clipped weights do not keep up, and modes are lost.
            GanObjective.Wasserstein => 5,
            GanObjective.WassersteinGradientPenalty => 3,
            _ => 1,
        };

    public static bool SpectralNormalization(GanOptions options) =>
        options.SpectralNormalization ?? options.Objective == GanObjective.Hinge;

    public static double InstanceNoise(GanOptions options) =>
        options.InstanceNoise ?? (Classifies(options.Objective) ? 0.5 : 0);

    public static double LearningRate(GanOptions options) => options.LearningRate
        ?? (options.Objective == GanObjective.Hinge ? 5e-4 : 1e-3);
}
