namespace GenerativeML;

/// <summary>The constants of Adam (Kingma and Ba 2015).</summary>
/// <param name="Beta1">How much of the running mean of the gradients a step keeps.</param>
/// <param name="Beta2">How much of the running mean of their squares a step keeps.</param>
/// <param name="Epsilon">What is added to the root of the latter.</param>
internal sealed record AdamSettings(double Beta1 = 0.9, double Beta2 = 0.999, double Epsilon = 1e-8)
{
    /// <summary>The paper's own.</summary>
    public static AdamSettings Default { get; } = new();
}
