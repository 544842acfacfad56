using TorchSharp;

namespace GenerativeML;

/// <summary>A dense layer over its largest singular value, by power iteration (Miyato 2018, algorithm 1).</summary>
internal static class SpectralNorm
{
    private const int FirstIterations = 30;
    private const float Tiny = 1e-12f;

    /// <summary>A dense layer, and the singular vectors <c>weight_u</c> (outputs), <c>weight_v</c> (inputs).</summary>
    public static void Declare(Layers layers, string name, int inputs, int outputs)
    {
        layers.Linear(name, inputs, outputs);
        layers.Buffer(name + ".weight_u", outputs);
        layers.Buffer(name + ".weight_v", inputs);
    }

    /// <summary>Sets the singular vectors by the layer's first weight.</summary>
    public static void Initialize(HostWeights weights, string name, ulong seed)
    {
        using IDisposable noGradient = torch.no_grad();
        using DisposeScope scope = torch.NewDisposeScope();
        var random = new SeededRandom(torch.CPU, seed);
        (float[] left, float[] right) = (weights[name + ".weight_u"], weights[name + ".weight_v"]);
        torch.Tensor u = random.Normal([left.Length]), v = random.Normal([right.Length]);
        torch.Tensor weight = HostTensors.FromRows(weights[name + ".weight"], left.Length, right.Length, torch.CPU);
        for (int i = 0; i < FirstIterations; i++)
            Iterate(weight, u, v);
        HostTensors.CopyTo(u, left);
        HostTensors.CopyTo(v, right);
    }

    /// <summary>Brings a layer's singular vectors closer to those of its weight.</summary>
    public static void Iterate(IReadOnlyDictionary<string, torch.Tensor> tensors, string name) =>
        Iterate(tensors[name + ".weight"], tensors[name + ".weight_u"], tensors[name + ".weight_v"]);

    /// <summary>(B, inputs) → (B, outputs). Gradients pass through the norm; singular vectors are constants.</summary>
    public static T Linear<T>(Scope<T> w, string name, T x)
        where T : struct, ITensor<T>
    {
        T weight = w[name + ".weight"];
        T u = w[name + ".weight_u"].Reshape(1, -1), v = w[name + ".weight_v"].Reshape(-1, 1);
        T largest = u.MatMul(weight).MatMul(v).Clamp(Tiny, float.MaxValue); // (1, 1)
        return w.Ops.Linear(x, weight / largest, w[name + ".bias"]);
    }

    private static void Iterate(torch.Tensor weight, torch.Tensor left, torch.Tensor right)
    {
        using IDisposable noGradient = torch.no_grad();
        using DisposeScope scope = torch.NewDisposeScope();
        torch.Tensor matrix = weight.detach();
        right.copy_(Unit(matrix.t().mm(left.unsqueeze(1))));
        left.copy_(Unit(matrix.mm(right.unsqueeze(1))));

        static torch.Tensor Unit(torch.Tensor vector) =>
            vector.div(vector.Squared().sum().sqrt().AtLeast(Tiny)).squeeze(1);
    }
}
