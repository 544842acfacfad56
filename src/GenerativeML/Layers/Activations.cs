using TorchSharp;
using static TorchSharp.torch.nn.functional;

namespace GenerativeML;

/// <summary>What each <see cref="Activation"/> computes.</summary>
internal static class Activations
{
    public static torch.Tensor Apply(Activation activation, torch.Tensor x) => activation switch
    {
        Activation.Relu => relu(x),
        Activation.LeakyRelu => leaky_relu(x, 0.01),
        Activation.Elu => elu(x, 1.0),
        Activation.Gelu => gelu(x),
        Activation.Silu => silu(x),
        Activation.Tanh => tanh(x),
        Activation.Sigmoid => sigmoid(x),
        Activation.Identity => x,
        _ => throw new ArgumentOutOfRangeException(nameof(activation), activation, null),
    };
}
