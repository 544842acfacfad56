using TorchSharp;

namespace GenerativeML;

/// <summary>
/// The largest singular value of a weight matrix, followed by power iteration while the weight is trained (Miyato 2018,
/// algorithm 1): one iteration after each update keeps up with it.
/// </summary>
internal sealed class SpectralNorm : torch.nn.Module
{
    private const int FirstIterations = 30;
    private const double Tiny = 1e-12;

    private readonly torch.Tensor left; // (Outputs)
    private readonly torch.Tensor right; // (Inputs)

    public SpectralNorm(torch.Tensor weight, SeededRandom random)
        : base(nameof(SpectralNorm))
    {
        left = random.Normal([weight.shape[0]]);
        right = random.Normal([weight.shape[1]]);
        RegisterComponents();
        for (int i = 0; i < FirstIterations; i++)
            Iterate(weight);
    }

    /// <summary>
    /// The weight divided by its largest singular value, through which gradients reach the weight: (Outputs, Inputs).
    /// </summary>
    public torch.Tensor Normalize(torch.Tensor weight) => weight.div(Sigma(weight));

    /// <summary>The largest singular value, a scalar; the singular vectors are taken as constants.</summary>
    public torch.Tensor Sigma(torch.Tensor weight) =>
        weight.matmul(right.unsqueeze(1)).squeeze(1).mul(left).sum().clamp_min(Tiny);

    /// <summary>Brings the singular vectors closer to those of the weight.</summary>
    public void Iterate(torch.Tensor weight)
    {
        using IDisposable noGradient = torch.no_grad();
        using DisposeScope scope = torch.NewDisposeScope();
        torch.Tensor fixedWeight = weight.detach();
        right.copy_(Unit(fixedWeight.t().matmul(left.unsqueeze(1)).squeeze(1)));
        left.copy_(Unit(fixedWeight.matmul(right.unsqueeze(1)).squeeze(1)));

        static torch.Tensor Unit(torch.Tensor vector) => vector.div(vector.norm().clamp_min(Tiny));
    }
}
