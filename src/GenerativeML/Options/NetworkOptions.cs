namespace GenerativeML;

/// <summary>The non-linearity after each hidden layer.</summary>
public enum Activation
{
    /// <summary>max(0, x).</summary>
    Relu,

    /// <summary>x where positive, otherwise 0.01·x.</summary>
    LeakyRelu,

    /// <summary>x where positive, otherwise eˣ − 1 (Clevert 2016).</summary>
    Elu,

    /// <summary>x·Φ(x), with the exact normal distribution function (Hendrycks and Gimpel 2016).</summary>
    Gelu,

    /// <summary>x·σ(x), also called swish (Elfwing 2018).</summary>
    Silu,

    /// <summary>The hyperbolic tangent.</summary>
    Tanh,

    /// <summary>1 / (1 + e⁻ˣ).</summary>
    Sigmoid,

    /// <summary>None: a linear layer.</summary>
    Identity,
}
