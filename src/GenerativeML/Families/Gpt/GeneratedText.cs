namespace GenerativeML;

/// <summary>A text that a GPT has generated.</summary>
/// <param name="Text">What follows on the prompt.</param>
/// <param name="Tokens">
/// The tokens that were generated. Where a stop string ended the text, its own are among them.
/// </param>
/// <param name="FinishReason">Why the text ends where it does.</param>
public sealed record GeneratedText(string Text, IReadOnlyList<GeneratedToken> Tokens, FinishReason FinishReason)
{
    /// <summary><see cref="Text"/>.</summary>
    public override string ToString() => Text;
}
