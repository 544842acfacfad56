namespace GenerativeML;

/// <summary>What becomes of a prompt with more tokens than a GPT looks at together.</summary>
public enum LongPrompts
{
    /// <summary>As many of its last tokens are used as fit.</summary>
    KeepEnd,

    /// <summary>It is an error.</summary>
    Error,
}
