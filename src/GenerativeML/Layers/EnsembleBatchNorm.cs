using TorchSharp;

namespace GenerativeML;

/// <summary>
/// Batch normalisation (Ioffe and Szegedy 2015) in each of several networks at once, over the rows of
/// (Members, Rows, Width). Evaluation uses running means, so that a row's result does not depend on its batch.
/// </summary>
internal sealed class EnsembleBatchNorm : torch.nn.Module<torch.Tensor, torch.Tensor>
{
    private const double Momentum = 0.1;
    public const double Epsilon = 1e-5;

    private readonly torch.Tensor weight, bias; // (Members, 1, Width)
    private readonly torch.Tensor running_mean, running_var; // (Members, 1, Width)

    public EnsembleBatchNorm(int members, int width, torch.Device device)
        : base(nameof(EnsembleBatchNorm))
    {
        long[] shape = [members, 1, width];
        weight = torch.ones(shape, torch.ScalarType.Float32, device, requires_grad: true);
        bias = torch.zeros(shape, torch.ScalarType.Float32, device, requires_grad: true);
        running_mean = torch.zeros(shape, torch.ScalarType.Float32, device);
        running_var = torch.ones(shape, torch.ScalarType.Float32, device);
        RegisterComponents();
    }

    public override torch.Tensor forward(torch.Tensor input)
    {
        if (!training)
            return Normalize(input, running_mean, running_var);
        long rows = input.shape[1];
        torch.Tensor mean = input.mean([1L], keepdim: true);
        torch.Tensor variance = input.sub(mean).square().mean([1L], keepdim: true);
        using (torch.no_grad())
        {
            // The running variance is the unbiased one, as in torch.
            double unbias = rows > 1 ? rows / (rows - 1.0) : 1;
            running_mean.mul_(1 - Momentum).add_(mean.detach(), Momentum);
            running_var.mul_(1 - Momentum).add_(variance.detach(), Momentum * unbias);
        }
        return Normalize(input, mean, variance);
    }

    private torch.Tensor Normalize(torch.Tensor x, torch.Tensor mean, torch.Tensor variance) =>
        x.sub(mean).div(variance.add(Epsilon).sqrt()).mul(weight).add(bias);
}
