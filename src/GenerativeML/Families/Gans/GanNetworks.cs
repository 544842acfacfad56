using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch.nn.functional;

namespace GenerativeML;

/// <summary>Makes standardised rows from noise and conditions: (B, Z + C) → (B, D).</summary>
internal sealed class GanGenerator : torch.nn.Module<torch.Tensor, torch.Tensor>
{
    private readonly Activation _activation;
    private readonly ModuleList<Dense> layers;

    public GanGenerator(GanShape shape, bool bfloat16, SeededRandom random)
        : base(nameof(GanGenerator))
    {
        _activation = shape.Activation;
        int[] widths = shape.GeneratorWidths;
        layers = new([.. widths.Zip(widths.Skip(1)).Select(w => new Dense(w.First, w.Second, random, bfloat16))]);
        RegisterComponents();
    }

    public override torch.Tensor forward(torch.Tensor input)
    {
        torch.Tensor x = input;
        for (int i = 0; i < layers.Count - 1; i++)
            x = Activations.Apply(_activation, layers[i].call(x));
        return layers[layers.Count - 1].call(x);
    }
}

/// <summary>Judges packs of standardised rows with their conditions: (B / p, p·(D + C)) → (B / p, 1).</summary>
internal sealed class GanDiscriminator : torch.nn.Module<torch.Tensor, torch.Tensor>
{
    private readonly Activation _activation;
    private readonly ModuleList<Dense> layers;
    private readonly ModuleList<SpectralNorm> spectral;

    public GanDiscriminator(GanShape shape, bool bfloat16, SeededRandom random)
        : base(nameof(GanDiscriminator))
    {
        _activation = shape.Activation;
        int[] widths = shape.DiscriminatorWidths;
        Dense[] dense = [.. widths.Zip(widths.Skip(1)).Select(w => new Dense(w.First, w.Second, random, bfloat16))];
        layers = new(dense);
        spectral = new(shape.SpectralNormalization
            ? [.. dense.Select(layer => new SpectralNorm(layer.Weight, random))]
            : []);
        RegisterComponents();
    }

    public override torch.Tensor forward(torch.Tensor input) => Layer(layers.Count - 1, Features(input));

    /// <summary>The last hidden layer, (B / p, width).</summary>
    public torch.Tensor Features(torch.Tensor input)
    {
        torch.Tensor x = input;
        for (int i = 0; i < layers.Count - 1; i++)
            x = Activations.Apply(_activation, Layer(i, x));
        return x;
    }

    /// <summary>All layers' tensors, from the input to the output.</summary>
    public IEnumerable<(torch.Tensor Weight, torch.Tensor Bias)> Tensors() =>
        layers.Select(layer => (layer.Weight, layer.Bias));

    /// <summary>Brings the spectral norms up to the weights as they are now.</summary>
    public void FollowWeights()
    {
        for (int i = 0; i < spectral.Count; i++)
            spectral[i].Iterate(layers[i].Weight);
    }

    private torch.Tensor Layer(int i, torch.Tensor x) => spectral.Count == 0
        ? layers[i].call(x)
        : linear(x, spectral[i].Normalize(layers[i].Weight), layers[i].Bias);
}
