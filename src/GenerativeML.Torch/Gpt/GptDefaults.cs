namespace GenerativeML.Torch;

/// <summary>What a GPT's training does where its options leave it open.</summary>
internal static class GptDefaults
{
    /// <summary>Windows in a step.</summary>
    public const int BatchSize = 12;

    /// <summary>Steps of a run.</summary>
    public const int Steps = 2000;
}
