namespace GenerativeML;

/// <summary>
/// What a network sees of a noise level: the logarithm of the level at bumps that overlap along its range, and two
/// dense layers upon them. Bumps, since an exponential gives a row the same bits in both engines, alone or not.
/// </summary>
internal sealed class NoiseEmbedding(string name, float least, float most, int width)
{
    private const int Bumps = 32;

    private float Spacing => (most - least) / (Bumps - 1);

    /// <summary>Declares the layers, and the buffer of where the bumps are.</summary>
    public void Declare(Layers layers)
    {
        layers.Buffer(name + ".centres", Bumps);
        layers.Stack(name, [Bumps, width, width]);
    }

    /// <summary>Sets where the bumps are.</summary>
    public void Initialize(HostWeights weights)
    {
        float[] centres = weights[name + ".centres"];
        for (int i = 0; i < Bumps; i++)
            centres[i] = least + i * Spacing;
    }

    /// <summary>The logarithm of levels, (B, 1) → (B, width), to be activated.</summary>
    public T Embed<T>(Scope<T> w, T logLevel)
        where T : struct, ITensor<T>
    {
        T bumps = ((logLevel - w[name + ".centres"]).Apply(Function.Square) * (-0.5f / (Spacing * Spacing))).Apply(Function.Exp);
        return w.Stack(name, 2, bumps, Activation.Silu);
    }
}
