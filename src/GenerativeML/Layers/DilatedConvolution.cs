namespace GenerativeML;

/// <summary>
/// Dilated convolutions over time (van den Oord 2016; Bai 2018), (B, T, inputs) → (B, T, outputs): step t sees the steps
/// t, t − d, t − 2d … of a dilation d, and where it is not causal as many on either side. What lies outside the window
/// is zero. A kernel is a dense layer over the steps side by side, so that both engines have it.
/// </summary>
internal static class DilatedConvolution
{
    /// <summary>A layer: <c>weight</c> (outputs, kernel·inputs), the earliest step first, and <c>bias</c> (outputs).</summary>
    public static void Declare(Layers layers, string name, int inputs, int outputs, int kernel) =>
        layers.Linear(name, kernel * inputs, outputs);

    /// <summary>Computes the layer over windows of so many steps.</summary>
    public static T Run<T>(Scope<T> w, string name, T x, int steps, int kernel, int dilation, bool causal)
        where T : struct, ITensor<T>
    {
        var taps = new T[kernel];
        int ahead = causal ? 0 : (kernel - 1) / 2;
        for (int k = 0; k < kernel; k++)
            taps[k] = Shift(x, steps, (kernel - 1 - k - ahead) * dilation);
        return w.Linear(name, kernel == 1 ? x : T.Concat(2, taps));
    }

    /// <summary>
    /// A stack of residual blocks, each of two convolutions whose dilation doubles from block to block, as a temporal
    /// convolutional network has them (Bai 2018).
    /// </summary>
    public static void DeclareStack(Layers layers, string name, int inputs, int width, int blocks, int kernel)
    {
        for (int i = 0; i < blocks; i++)
        {
            int from = i == 0 ? inputs : width;
            Declare(layers, $"{name}.{i}.first", from, width, kernel);
            Declare(layers, $"{name}.{i}.second", width, width, kernel);
            if (from != width)
                layers.Linear($"{name}.{i}.skip", from, width);
        }
    }

    /// <summary>Computes the stack, (B, T, inputs) → (B, T, width).</summary>
    public static T RunStack<T>(
        Scope<T> w, string name, T x, int steps, int blocks, int kernel, bool causal, double dropout = 0)
        where T : struct, ITensor<T>
    {
        for (int i = 0; i < blocks; i++)
        {
            int dilation = 1 << i;
            T inner = w.Dropout(Run(w, $"{name}.{i}.first", x, steps, kernel, dilation, causal).Apply(Function.Relu), dropout);
            inner = w.Dropout(Run(w, $"{name}.{i}.second", inner, steps, kernel, dilation, causal).Apply(Function.Relu), dropout);
            x = (w.Has($"{name}.{i}.skip.weight") ? w.Linear($"{name}.{i}.skip", x) : x) + inner;
        }
        return x;
    }

    /// <summary>Steps before the last one, and it, that the last one of such a causal stack sees.</summary>
    public static long ReceptiveField(int blocks, int kernel) => 1 + 2L * (kernel - 1) * ((1L << blocks) - 1);

    /// <summary>Steps later by so many, or earlier where there are fewer than none; zeros come in.</summary>
    public static T Shift<T>(T x, int steps, int by)
        where T : struct, ITensor<T>
    {
        if (by == 0)
            return x;
        int size = Math.Abs(by);
        if (size >= steps)
            return x * 0f;
        T none = x.Slice(1, 0, size) * 0f;
        return by > 0 ? T.Concat(1, none, x.Slice(1, 0, steps - size)) : T.Concat(1, x.Slice(1, size, steps - size), none);
    }
}
