namespace GenerativeML;

/// <summary>Layers that BigGAN's generator has beside convolutions (Brock 2019).</summary>
internal static class ConditionalLayers
{
    private const int KeyShare = 8, ValueShare = 2; // channels of an image for one of a key, or of a value

    /// <summary>
    /// Batch normalisation whose gain and shift are linear in what is told of a row (de Vries 2017): <c>name.told</c>, and a
    /// normalisation, <c>name</c>.
    /// </summary>
    public static void DeclareBatchNorm(Layers layers, string name, int channels, int told)
    {
        layers.BatchNorm(name, channels);
        layers.Linear($"{name}.told", told, 2 * channels, bias: false);
    }

    /// <summary>Images (B, C, H, W) and what is told of them, (B, told) → (B, C, H, W).</summary>
    public static T BatchNorm<T>(Scope<T> w, string name, T x, T told, int channels)
        where T : struct, ITensor<T>
    {
        T both = w.Linear($"{name}.told", told).Reshape(0, 2 * channels, 1, 1);
        return w.BatchNorm(name, x, pictures: true) * (both.Slice(1, 0, channels) + 1f) + both.Slice(1, channels, channels);
    }

    /// <summary>
    /// Attention of all places to all places (Zhang 2019, SAGAN), which counts for nothing at first: dense layers <c>query</c>,
    /// <c>key</c>, <c>value</c>, <c>projection</c>, by <paramref name="linear"/>, which is given their sizes, and <c>gain</c>.
    /// </summary>
    public static void DeclareAttention(Layers layers, string name, int channels, Action<string, int, int> linear)
    {
        int keys = Math.Max(1, channels / KeyShare), values = Math.Max(1, channels / ValueShare);
        linear($"{name}.query", channels, keys);
        linear($"{name}.key", channels, keys);
        linear($"{name}.value", channels, values);
        linear($"{name}.projection", values, channels);
        layers.Parameter($"{name}.gain", 0, 1);
    }

    /// <summary>Images (B, C, H, W) and what places of them see of the others → (B, C, H, W); layers by name as they were declared.</summary>
    public static T Attend<T>(Scope<T> w, string name, T x, (int Channels, int Height, int Width) level, Func<string, T, T> linear)
        where T : struct, ITensor<T>
    {
        (int channels, int height, int width) = level;
        T places = x.Reshape(0, channels, height * width).Transpose(0, 2, 1);
        T scores = linear($"{name}.query", places).MatMul(linear($"{name}.key", places).Transpose(0, 2, 1));
        T seen = linear($"{name}.projection", scores.Softmax().MatMul(linear($"{name}.value", places)));
        return x + seen.Transpose(0, 2, 1).Reshape(0, channels, height, width) * w[$"{name}.gain"];
    }
}
