namespace GenerativeML;

/// <summary>What a GPT's training does where its options leave it open.</summary>
internal static class GptDefaults
{
    /// <summary>Windows in a step.</summary>
    public const int BatchSize = 12;

    /// <summary>Steps of a run.</summary>
    public const int Steps = 2000;

    /// <summary>Adam's constants: the second moment follows faster than usual, for short runs.</summary>
    public static AdamSettings Adam { get; } = new(0.9, 0.99);

    /// <summary>What moves the weights.</summary>
    public static GptOptimizer Optimizer(GptOptions options, bool given) =>
        options.Lora is not null ? GptOptimizer.AdamW
        : options.Optimizer ?? (given ? GptOptimizer.AdamW : GptOptimizer.Muon);

    /// <summary>AdamW's peak rate.</summary>
    public static double LearningRate(GptOptions options, bool given) => options.LearningRate
        ?? (options.Lora is not null ? 5e-4
            : given ? 1e-4
            : Math.Min(0.5 / options.Width, Optimizer(options, given) == GptOptimizer.Muon ? 3e-3 : 4e-3));

    /// <summary>Muon's peak rate.</summary>
    public static double MatrixLearningRate(GptOptions options, bool given) =>
        options.MatrixLearningRate ?? (given ? 1.5e-3 : 1.5e-2);

    /// <summary>AdamW's decay of matrices.</summary>
    public static double WeightDecay(GptOptions options) =>
        options.WeightDecay ?? (options.Lora is not null ? 0 : 0.1);
}
