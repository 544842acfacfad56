using TorchSharp;
using static TorchSharp.torch.nn.functional;

namespace GenerativeML;

/// <summary>Layer normalisation (Ba 2016) over the last dimension, with a bias or without.</summary>
internal sealed class GptNorm : torch.nn.Module<torch.Tensor, torch.Tensor>
{
    private readonly torch.Tensor weight; // (Width)
    private readonly torch.Tensor? bias; // (Width)

    public GptNorm(int width, bool biases, torch.Device device)
        : base(nameof(GptNorm))
    {
        weight = torch.ones((long)width, torch.ScalarType.Float32, device);
        bias = biases ? torch.zeros((long)width, torch.ScalarType.Float32, device) : null;
        RegisterComponents();
    }

    public override torch.Tensor forward(torch.Tensor input) =>
        layer_norm(input, weight.shape, weight, bias, GptShape.NormEpsilon);
}
