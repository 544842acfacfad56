using TorchSharp;
using TorchSharp.Modules;

namespace GenerativeML;

/// <summary>
/// Several autoencoders of one shape, side by side: D → hidden layers → latent → hidden layers reversed → D, each
/// hidden layer followed by batch normalisation (on request), the activation and dropout.
/// </summary>
internal sealed class AutoencoderNetwork : torch.nn.Module<torch.Tensor, torch.Tensor>
{
    private readonly AutoencoderShape _shape;

    // Field names are the first part of the state dict's keys: encoder.0.weight, decoder.1.bias, …
    private readonly ModuleList<EnsembleDense> encoder;
    private readonly ModuleList<EnsembleDense> decoder;
    private readonly ModuleList<EnsembleBatchNorm> encoder_norm;
    private readonly ModuleList<EnsembleBatchNorm> decoder_norm;

    public AutoencoderNetwork(AutoencoderShape shape, bool bfloat16, SeededRandom random)
        : base(nameof(AutoencoderNetwork))
    {
        _shape = shape;
        int[] mirrored = [.. shape.HiddenLayers.Reverse()];
        encoder = Stack([shape.NetworkInputs, .. shape.HiddenLayers, shape.LatentDimension]);
        decoder = Stack([shape.LatentDimension, .. mirrored, shape.InputWidth]);
        encoder_norm = Norms(shape.HiddenLayers);
        decoder_norm = Norms(mirrored);
        RegisterComponents();

        ModuleList<EnsembleDense> Stack(int[] widths) => new([.. widths.Zip(widths.Skip(1)).Select(
            w => new EnsembleDense(shape.Members, w.First, w.Second, bfloat16, random))]);

        ModuleList<EnsembleBatchNorm> Norms(IReadOnlyList<int> widths) => new(shape.BatchNormalization
            ? [.. widths.Select(w => new EnsembleBatchNorm(shape.Members, w, random.Device))]
            : []);
    }

    /// <summary>Each member's reconstruction: (Members, B, inputs) → (Members, B, D), without dropout.</summary>
    public override torch.Tensor forward(torch.Tensor input) => Decode(Encode(input));

    /// <summary>
    /// (Members, B, inputs) → (Members, B, latent); with a generator, hidden units are left out at random.
    /// </summary>
    public torch.Tensor Encode(torch.Tensor input, SeededRandom? random = null) =>
        Layers(encoder, encoder_norm, input, random);

    /// <summary>
    /// (Members, B, latent) → (Members, B, D); with a generator, hidden units are left out at random.
    /// </summary>
    public torch.Tensor Decode(torch.Tensor latent, SeededRandom? random = null) =>
        Layers(decoder, decoder_norm, latent, random);

    /// <summary>All layers' tensors, from the input to the output.</summary>
    public IEnumerable<(torch.Tensor Weight, torch.Tensor Bias)> Layers() =>
        encoder.Concat(decoder).Select(layer => (layer.Weight, layer.Bias));

    private torch.Tensor Layers(
        ModuleList<EnsembleDense> dense, ModuleList<EnsembleBatchNorm> norm, torch.Tensor x, SeededRandom? random)
    {
        for (int i = 0; i < dense.Count - 1; i++)
        {
            x = dense[i].call(x);
            if (_shape.BatchNormalization)
                x = norm[i].call(x);
            x = Activations.Apply(_shape.Activation, x);
            if (random is not null)
                x = SeededDropout.Apply(x, _shape.Dropout, random);
        }
        return dense[dense.Count - 1].call(x);
    }
}
