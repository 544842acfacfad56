namespace GenerativeML;

/// <summary>
/// Layers whose weights are of unit variance at first and are scaled when they are used, so that one learning rate suits
/// all of them (Karras 2018, equalised learning rate), and what belongs to them: normalisation of pixels, modulation by a
/// style, and how much the images of a batch differ.
/// </summary>
internal static class EqualizedLayers
{
    /// <summary>The gain of a layer that a leaky rectifier follows (He 2015).</summary>
    public const float RectifierGain = 1.41421356f;

    private const float Slope = 0.2f, Tiny = 1e-8f;

    /// <summary>A dense layer: <c>weight</c> (outputs, inputs), normal at first, and <c>bias</c> (outputs), zero at first.</summary>
    public static void DeclareLinear(Layers layers, string name, int inputs, int outputs, bool bias = true, float shift = 0)
    {
        layers.Normal(name, outputs, inputs);
        if (bias)
            layers.Parameter($"{name}.bias", shift, outputs);
    }

    /// <summary>A convolution: <c>weight</c> (outputs, inputs, kernel, kernel), normal at first, and <c>bias</c> (outputs).</summary>
    public static void DeclareConv2d(Layers layers, string name, int inputs, int outputs, int kernel)
    {
        layers.Normal(name, outputs, inputs, kernel, kernel);
        layers.Parameter($"{name}.bias", 0, outputs);
    }

    /// <summary>
    /// (B, inputs) → (B, outputs), with weights times gain / √inputs. A rate below one slows learning: weights and bias count
    /// so many times, and have to begin by as much larger.
    /// </summary>
    public static T Linear<T>(Scope<T> w, string name, T x, int inputs, float gain = 1, float rate = 1)
        where T : struct, ITensor<T> => w.Ops.Linear(
            x, w[name + ".weight"] * (gain * rate / MathF.Sqrt(inputs)),
            !w.Has(name + ".bias") ? null : rate == 1 ? w[name + ".bias"] : w[name + ".bias"] * rate);

    /// <summary>(B, inputs, H, W) → (B, outputs, H, W), with weights times gain / √(inputs · kernel²).</summary>
    public static T Conv2d<T>(Scope<T> w, string name, T x, int inputs, int kernel, float gain = 1)
        where T : struct, ITensor<T> => w.Ops.Conv2d(
            x, w[name + ".weight"] * (gain / MathF.Sqrt(inputs * kernel * kernel)), w[name + ".bias"], 1, kernel / 2);

    /// <summary>
    /// A convolution whose weights are multiplied, for each row, by the style of the channel that they see, (B, inputs), and,
    /// where <paramref name="demodulate"/>, divided by the norm of all that an output sees (Karras 2020, section 2.2): the
    /// same as scaling what goes in and what comes out. (B, inputs, H, W) → (B, outputs, H, W), without the bias.
    /// </summary>
    public static T Modulated<T>(
        Scope<T> w, string name, T x, T style, int inputs, int outputs, int kernel, bool demodulate)
        where T : struct, ITensor<T>
    {
        T weight = w[name + ".weight"] * (1 / MathF.Sqrt(inputs * kernel * kernel));
        T result = w.Ops.Conv2d(x * style.Reshape(0, inputs, 1, 1), weight, null, 1, kernel / 2);
        if (!demodulate)
            return result;
        T power = weight.Reshape(outputs, inputs, kernel * kernel).Apply(Function.Square).Reduce(Reduction.Sum, 2).Squeeze(2);
        T norm = (style.Apply(Function.Square).Linear(power) + Tiny).Apply(Function.Sqrt);
        return result / norm.Reshape(0, outputs, 1, 1);
    }

    /// <summary>Each place over the root of the mean square of its channels (Karras 2018): (B, C, …) → (B, C, …).</summary>
    public static T NormalizedPixels<T>(this T x)
        where T : struct, ITensor<T> =>
        x / (x.Apply(Function.Square).Reduce(Reduction.Mean, 1) + Tiny).Apply(Function.Sqrt);

    /// <summary>A rectifier that lets a fifth of what is negative pass.</summary>
    public static T Rectified<T>(this T x)
        where T : struct, ITensor<T> => x.LeakyRelu(Slope);

    /// <summary>
    /// Adds a channel that says everywhere how much the images of the batch differ (Karras 2018, minibatch standard
    /// deviation): (B, C, H, W) → (B, C + 1, H, W). After training an image is judged by itself, and the channel is what it
    /// was in the running mean, <c>name</c>, a buffer of one number.
    /// </summary>
    public static T WithBatchDeviation<T>(Scope<T> w, string name, T x)
        where T : struct, ITensor<T>
    {
        T deviation = w.Ops.Training ? w.Ops.BatchDeviation(x, w.Path + name) : w[name];
        return T.Concat(1, x, x.Slice(1, 0, 1) * 0f + deviation.Reshape(1, 1, 1, 1));
    }
}
