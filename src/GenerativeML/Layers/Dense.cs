using TorchSharp;
using static TorchSharp.torch.nn.functional;

namespace GenerativeML;

/// <summary>A fully connected layer: (…, Inputs) → (…, Outputs).</summary>
internal sealed class Dense : torch.nn.Module<torch.Tensor, torch.Tensor>
{
    private readonly bool _bfloat16;

    // Named and shaped as torch.nn.Linear has them: field names become state dict keys.
    private readonly torch.Tensor weight; // (Outputs, Inputs)
    private readonly torch.Tensor bias; // (Outputs)

    /// <summary>Weights and biases uniform within ±1/√inputs, as torch.nn.Linear draws them.</summary>
    public Dense(int inputs, int outputs, SeededRandom random, bool bfloat16 = false)
        : base(nameof(Dense))
    {
        _bfloat16 = bfloat16;
        double bound = 1 / Math.Sqrt(inputs);
        weight = random.Uniform([outputs, inputs], -bound, bound).requires_grad_();
        bias = random.Uniform([outputs], -bound, bound).requires_grad_();
        RegisterComponents();
    }

    /// <summary>(Outputs, Inputs).</summary>
    public torch.Tensor Weight => weight;

    /// <summary>(Outputs).</summary>
    public torch.Tensor Bias => bias;

    public override torch.Tensor forward(torch.Tensor input)
    {
        // In training only: what a trained model gives should not depend on how its weights were found.
        if (!_bfloat16 || !training)
            return linear(input, weight, bias);
        torch.Tensor product = linear(
            input.to(torch.ScalarType.BFloat16), weight.to(torch.ScalarType.BFloat16));
        return product.to(torch.ScalarType.Float32).add(bias);
    }
}
