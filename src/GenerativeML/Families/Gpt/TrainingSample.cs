namespace GenerativeML;

/// <summary>A text that a GPT has written while it was trained.</summary>
/// <param name="Step">Training steps made until then.</param>
/// <param name="Text">The prompt and what follows on it.</param>
public sealed record TrainingSample(long Step, string Text);
