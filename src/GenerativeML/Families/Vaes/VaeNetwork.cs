using TorchSharp;
using TorchSharp.Modules;

namespace GenerativeML;

/// <summary>
/// The two networks of a VAE. The encoder gives a normal distribution of codes for a row, the decoder what each slot of
/// the row is distributed by for a code: D → hidden layers → Z, and Z → hidden layers reversed → D.
/// </summary>
internal sealed class VaeNetwork : torch.nn.Module
{
    /// <summary>
    /// A deviation below a hundredth of the data's is not learned from rows, but by copying repeated values, and its
    /// likelihood has no bound.
    /// </summary>
    public const double LeastLogVariance = -9.2;

    /// <summary>Beyond ± so much, the exponential of a code's log variance is of no use.</summary>
    public const float CodeLogVariance = 14;

    private readonly Activation _activation;

    // Field names are the first part of the state dict's keys: encoder.0.weight, latent_mean.bias, …
    private readonly ModuleList<Dense> encoder, decoder;
    private readonly Dense latent_mean, latent_log_variance, output;
    private readonly torch.Tensor output_log_variance; // (D); the slots that are Bernoulli do not use it

    public VaeNetwork(VaeShape shape, bool bfloat16, SeededRandom random)
        : base(nameof(VaeNetwork))
    {
        _activation = shape.Activation;
        int[] inwards = [shape.InputWidth + shape.ConditionWidth, .. shape.HiddenLayers];
        int[] outwards = [shape.LatentDimension + shape.ConditionWidth, .. shape.HiddenLayers.Reverse()];
        encoder = Stack(inwards);
        latent_mean = new Dense(inwards[^1], shape.LatentDimension, random);
        latent_log_variance = new Dense(inwards[^1], shape.LatentDimension, random);
        decoder = Stack(outwards);
        output = new Dense(outwards[^1], shape.InputWidth, random, bfloat16);
        output_log_variance = torch.zeros(
            [shape.InputWidth], torch.ScalarType.Float32, random.Device, requires_grad: true);
        RegisterComponents();

        ModuleList<Dense> Stack(int[] widths) => new([.. widths.Zip(widths.Skip(1)).Select(
            w => new Dense(w.First, w.Second, random, bfloat16))]);
    }

    /// <summary>The logarithm of each Gaussian slot's variance, in squared deviations of the data, (D).</summary>
    public torch.Tensor OutputLogVariance => output_log_variance.clamp_min(LeastLogVariance);

    /// <summary>
    /// (B, D + C) → mean and logarithm of the variance of each row's codes, both (B, Z).
    /// </summary>
    public (torch.Tensor Mean, torch.Tensor LogVariance) Encode(torch.Tensor input) => Code(Hidden(input));

    /// <summary>
    /// The encoder's last hidden layer, (B, D + C) → (B, H): the input itself where there is none.
    /// </summary>
    public torch.Tensor Hidden(torch.Tensor input) => Layers(encoder, input);

    /// <summary>The second half of <see cref="Encode"/>: (B, H) → (B, Z), (B, Z).</summary>
    public (torch.Tensor Mean, torch.Tensor LogVariance) Code(torch.Tensor hidden)
    {
        torch.Tensor logVariance = latent_log_variance.call(hidden).clamp(-CodeLogVariance, CodeLogVariance);
        return (latent_mean.call(hidden), logVariance);
    }

    /// <summary>
    /// Codes and conditions (B, Z + C) → each slot's mean, or the log-odds where it is Bernoulli, (B, D).
    /// </summary>
    public torch.Tensor Decode(torch.Tensor codes) => output.call(Layers(decoder, codes));

    /// <summary>Lets an untrained decoder give each slot so much on average, (D).</summary>
    public void SetOutputBias(torch.Tensor values)
    {
        using IDisposable noGradient = torch.no_grad();
        output.Bias.copy_(values);
    }

    /// <summary>The tensors of the encoder's hidden layers, from the input on.</summary>
    public IEnumerable<(torch.Tensor Weight, torch.Tensor Bias)> EncoderLayers() => encoder.Select(Tensors);

    /// <summary>The tensors of the layers that give a code's mean and the logarithm of its variance.</summary>
    public (torch.Tensor Weight, torch.Tensor Bias)[] CodeLayers() =>
        [Tensors(latent_mean), Tensors(latent_log_variance)];

    /// <summary>The tensors of the decoder's layers, the output's included.</summary>
    public IEnumerable<(torch.Tensor Weight, torch.Tensor Bias)> DecoderLayers() =>
        decoder.Append(output).Select(Tensors);

    /// <summary>The parameter behind <see cref="OutputLogVariance"/>, (D).</summary>
    public torch.Tensor OutputLogVarianceParameter => output_log_variance;

    private static (torch.Tensor Weight, torch.Tensor Bias) Tensors(Dense layer) => (layer.Weight, layer.Bias);

    private torch.Tensor Layers(ModuleList<Dense> dense, torch.Tensor x)
    {
        foreach (Dense layer in dense)
            x = Activations.Apply(_activation, layer.call(x));
        return x;
    }
}
