namespace GenerativeML.Torch;

/// <summary>What a GPT's training does where its options leave it open.</summary>
internal static class GptDefaults
{
    /// <summary>Windows in a step.</summary>
    public const int BatchSize = 12;

    /// <summary>Steps of a run.</summary>
    public const int Steps = 2000;

    /// <summary>AdamW's peak rate.</summary>
    public const double LearningRate = 3e-3;

    /// <summary>AdamW's decay of matrices.</summary>
    public const double WeightDecay = 0.1;

    /// <summary>Where the rate ends, in shares of its peak.</summary>
    public const double RateFloor = 0;
}
