namespace GenerativeML;

/// <summary>Why a generated text ends where it does.</summary>
public enum FinishReason
{
    /// <summary>It has <see cref="GenerationOptions.MaxNewTokens"/> tokens.</summary>
    Length,

    /// <summary>One of <see cref="GenerationOptions.StopTokens"/> was drawn.</summary>
    StopToken,

    /// <summary>One of <see cref="GenerationOptions.StopStrings"/> appeared.</summary>
    StopString,
}
