using TorchSharp;

namespace GenerativeML;

/// <summary>
/// The same fully connected layer in each of several networks, computed at once: (Members, Rows, Inputs) →
/// (Members, Rows, Outputs).
/// </summary>
internal sealed class EnsembleDense : torch.nn.Module<torch.Tensor, torch.Tensor>
{
    private readonly bool _bfloat16;

    // Named as torch.nn.Linear names them, with the members as first dimension: field names become state dict keys.
    private readonly torch.Tensor weight; // (Members, Outputs, Inputs)
    private readonly torch.Tensor bias; // (Members, 1, Outputs)

    /// <summary>Weights and biases uniform within ±1/√inputs, as torch.nn.Linear draws them.</summary>
    public EnsembleDense(int members, int inputs, int outputs, bool bfloat16, SeededRandom random)
        : base(nameof(EnsembleDense))
    {
        _bfloat16 = bfloat16;
        double bound = 1 / Math.Sqrt(inputs);
        weight = Uniform([members, outputs, inputs], bound, random);
        bias = Uniform([members, 1, outputs], bound, random);
        RegisterComponents();
    }

    /// <summary>(Members, Outputs, Inputs).</summary>
    public torch.Tensor Weight => weight;

    /// <summary>(Members, 1, Outputs).</summary>
    public torch.Tensor Bias => bias;

    public override torch.Tensor forward(torch.Tensor input)
    {
        // Not baddbmm: TorchSharp (0.102 to 0.106) hands its arguments on in another order.
        torch.Tensor w = weight.transpose(1, 2);
        // In training only: a score should not depend on how the weights were found, nor change when they are loaded.
        torch.Tensor product = _bfloat16 && training
            ? input.to(torch.ScalarType.BFloat16).bmm(w.to(torch.ScalarType.BFloat16)).to(torch.ScalarType.Float32)
            : input.bmm(w);
        return product.add(bias);
    }

    private static torch.Tensor Uniform(long[] shape, double bound, SeededRandom random) =>
        random.Uniform(shape, -bound, bound).requires_grad_();
}
