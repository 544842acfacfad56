using TorchSharp;

namespace GenerativeML;

/// <summary>
/// Dense layers and convolutions over the largest singular value of their weight, a matrix of a row for each output, by
/// power iteration (Miyato 2018, algorithm 1).
/// </summary>
internal static class SpectralNorm
{
    /// <summary>How the name of a layer's first singular vector ends.</summary>
    public const string Left = ".weight_u";

    private const int FirstIterations = 30;
    private const float Tiny = 1e-12f;

    /// <summary>A dense layer, and the singular vectors <c>weight_u</c> (outputs), <c>weight_v</c> (inputs).</summary>
    public static void DeclareLinear(Layers layers, string name, int inputs, int outputs, bool bias = true)
    {
        layers.Linear(name, inputs, outputs, bias: bias);
        Declare(layers, name, inputs, outputs);
    }

    /// <summary>A convolution, and the same for its (outputs, inputs · kernel · kernel).</summary>
    public static void DeclareConv2d(Layers layers, string name, int inputs, int outputs, int kernel)
    {
        layers.Conv2d(name, inputs, outputs, kernel);
        Declare(layers, name, inputs * kernel * kernel, outputs);
    }

    /// <summary>Sets the singular vectors by the layer's first weight.</summary>
    public static void Initialize(HostWeights weights, string name, ulong seed)
    {
        using IDisposable noGradient = torch.no_grad();
        using DisposeScope scope = torch.NewDisposeScope();
        var random = new SeededRandom(torch.CPU, seed);
        (float[] left, float[] right) = (weights[name + Left], weights[name + ".weight_v"]);
        torch.Tensor u = random.Normal([left.Length]), v = random.Normal([right.Length]);
        torch.Tensor weight = HostTensors.FromRows(weights[name + ".weight"], left.Length, right.Length, torch.CPU);
        for (int i = 0; i < FirstIterations; i++)
            Iterate(weight, u, v);
        HostTensors.CopyTo(u, left);
        HostTensors.CopyTo(v, right);
    }

    /// <summary>Brings a layer's singular vectors closer to those of its weight.</summary>
    public static void Iterate(IReadOnlyDictionary<string, torch.Tensor> tensors, string name) =>
        Iterate(tensors[name + ".weight"], tensors[name + Left], tensors[name + ".weight_v"]);

    /// <summary>(B, inputs) → (B, outputs). Gradients pass through the norm; singular vectors are constants.</summary>
    public static T Linear<T>(Scope<T> w, string name, T x)
        where T : struct, ITensor<T>
    {
        T weight = w[name + ".weight"];
        return w.Ops.Linear(x, weight / Largest(w, name, weight), w.Has(name + ".bias") ? w[name + ".bias"] : null);
    }

    /// <summary>The same for a convolution of (B, C, H, W).</summary>
    public static T Conv2d<T>(Scope<T> w, string name, T x, int stride, int padding)
        where T : struct, ITensor<T>
    {
        T weight = w[name + ".weight"];
        T largest = Largest(w, name, weight.Reshape(0, -1)).Reshape(1, 1, 1, 1);
        return x.Conv2d(weight / largest, w[name + ".bias"], stride, padding);
    }

    private static void Declare(Layers layers, string name, int inputs, int outputs)
    {
        layers.Buffer(name + Left, outputs);
        layers.Buffer(name + ".weight_v", inputs);
    }

    private static T Largest<T>(Scope<T> w, string name, T matrix)
        where T : struct, ITensor<T>
    {
        T u = w[name + Left].Reshape(1, -1), v = w[name + ".weight_v"].Reshape(-1, 1);
        return u.MatMul(matrix).MatMul(v).Clamp(Tiny, float.MaxValue); // (1, 1)
    }

    private static void Iterate(torch.Tensor weight, torch.Tensor left, torch.Tensor right)
    {
        using IDisposable noGradient = torch.no_grad();
        using DisposeScope scope = torch.NewDisposeScope();
        torch.Tensor matrix = weight.detach().view(left.shape[0], -1);
        right.copy_(Unit(matrix.t().mm(left.unsqueeze(1))));
        left.copy_(Unit(matrix.mm(right.unsqueeze(1))));

        static torch.Tensor Unit(torch.Tensor vector) =>
            vector.div(vector.Squared().sum().sqrt().AtLeast(Tiny)).squeeze(1);
    }
}
