using TorchSharp;

namespace GenerativeML;

/// <summary>AdamW's state (Loshchilov and Hutter 2019) for one run of weights, and its step.</summary>
/// <param name="count">How many weights.</param>
/// <param name="decayed">The first so many are subject to weight decay.</param>
/// <param name="weightDecay">In shares of the learning rate per step.</param>
/// <param name="settings">Adam's constants.</param>
/// <param name="device">Where the weights are.</param>
internal sealed class AdamMoments(
    long count, long decayed, double weightDecay, AdamSettings settings, torch.Device device)
{
    private readonly torch.Tensor _mean = Zeros(count, device), _square = Zeros(count, device);

    /// <summary>First and second moments of the gradients.</summary>
    public IEnumerable<(string Name, torch.Tensor Value)> State => [("mean", _mean), ("square", _square)];

    /// <summary>Whether weight decay concerns a parameter.</summary>
    /// <remarks>
    /// Biases and scales of several networks side by side are (Members, 1, Width): no matrices either.
    /// </remarks>
    public static bool IsMatrix(torch.Tensor parameter) => parameter.dim() >= 2 && parameter.shape[^2] > 1;

    /// <summary>Parameters with those subject to weight decay first, so that it is one operation.</summary>
    public static torch.Tensor[] Order(IEnumerable<torch.Tensor> parameters) =>
        [.. parameters.OrderByDescending(IsMatrix)];

    /// <summary>Update number <paramref name="step"/>, counted from one.</summary>
    public void Move(torch.Tensor weights, torch.Tensor gradients, double rate, long step)
    {
        (double beta1, double beta2, double epsilon) = settings;
        _mean.mul_(beta1).add_(gradients, 1 - beta1);
        _square.mul_(beta2).addcmul_(gradients, gradients, 1 - beta2);
        if (weightDecay > 0 && decayed > 0)
            weights.narrow(0, 0, decayed).mul_(1 - rate * weightDecay);
        double meanScale = 1 - Math.Pow(beta1, step);
        double squareScale = Math.Sqrt(1 - Math.Pow(beta2, step));
        torch.Tensor deviation = _square.sqrt().mul_(1 / squareScale).add_(epsilon);
        weights.addcdiv_(_mean, deviation, -rate / meanScale);
    }

    private static torch.Tensor Zeros(long count, torch.Device device) =>
        torch.zeros(count, torch.ScalarType.Float32, device).DetachFromDisposeScope();
}
