using TorchSharp;

namespace GenerativeML.Torch;

/// <summary>
/// AdamW (Loshchilov and Hutter 2019) over parameters that it lays end to end in one tensor, with their gradients laid
/// out likewise: a step costs the same handful of operator calls however many layers there are, and the whole state is
/// three tensors and a count.
/// </summary>
internal sealed class FlatAdamW : IDisposable
{
    private readonly torch.Tensor[] _parameters;
    private readonly AdamSettings _settings;
    private readonly double _weightDecay;
    private readonly double _clipNorm;
    private readonly long _decayed; // the first so many elements are subject to weight decay
    private readonly torch.Tensor _weights, _gradients, _mean, _square;

    /// <summary>Takes the parameters over: their storage becomes one tensor's, their values stay.</summary>
    public FlatAdamW(
        IReadOnlyList<torch.Tensor> parameters, double weightDecay, double clipNorm, AdamSettings? settings = null)
    {
        // Matrices first, so that weight decay is one operation on the front of the tensor.
        _parameters = [.. parameters.Where(IsMatrix), .. parameters.Where(p => !IsMatrix(p))];
        _settings = settings ?? AdamSettings.Default;
        _weightDecay = weightDecay;
        _clipNorm = clipNorm;
        _decayed = parameters.Where(IsMatrix).Sum(p => p.numel());

        using IDisposable noGradient = torch.no_grad();
        using DisposeScope scope = torch.NewDisposeScope();
        _weights = torch.cat([.. _parameters.Select(p => p.detach().reshape(-1))]).DetachFromDisposeScope();
        _gradients = torch.zeros_like(_weights).DetachFromDisposeScope();
        _mean = torch.zeros_like(_weights).DetachFromDisposeScope();
        _square = torch.zeros_like(_weights).DetachFromDisposeScope();
        long at = 0;
        foreach (torch.Tensor p in _parameters)
        {
            p.set_(_weights.narrow(0, at, p.numel()).view(p.shape));
            p.grad = _gradients.narrow(0, at, p.numel()).view(p.shape);
            at += p.numel();
        }
    }

    /// <summary>Updates made so far.</summary>
    public long Count { get; set; }

    /// <summary>The state beside the weights, by name: first and second moments of the gradients.</summary>
    public IEnumerable<(string Name, torch.Tensor Value)> State => [("mean", _mean), ("square", _square)];

    /// <summary>Forgets the gradients, so that the next backward pass writes them anew.</summary>
    public void ClearGradients()
    {
        using IDisposable noGradient = torch.no_grad();
        _gradients.fill_(0); // TorchSharp's zero_ returns another object
    }

    /// <summary>Moves the parameters by the gradients that the backward pass left.</summary>
    public void Step(double rate)
    {
        Count++;
        using IDisposable noGradient = torch.no_grad();
        using DisposeScope scope = torch.NewDisposeScope();
        if (_clipNorm > 0)
        {
            // On the device: reading the norm back would make every step wait for it.
            torch.Tensor scale = _gradients.norm().add_(1e-6).reciprocal_().mul_(_clipNorm).clamp_max_(1.0);
            _gradients.mul_(scale);
        }
        (double beta1, double beta2, double epsilon) = _settings;
        _mean.mul_(beta1).add_(_gradients, 1 - beta1);
        _square.mul_(beta2).addcmul_(_gradients, _gradients, 1 - beta2);
        if (_weightDecay > 0 && _decayed > 0)
            _weights.narrow(0, 0, _decayed).mul_(1 - rate * _weightDecay);
        double meanScale = 1 - Math.Pow(beta1, Count);
        double squareScale = Math.Sqrt(1 - Math.Pow(beta2, Count));
        torch.Tensor deviation = _square.sqrt().mul_(1 / squareScale).add_(epsilon);
        _weights.addcdiv_(_mean, deviation, -rate / meanScale);
    }

    // Biases and scales of several networks side by side are (Members, 1, Width): no matrices either.
    private static bool IsMatrix(torch.Tensor parameter) => parameter.dim() >= 2 && parameter.shape[^2] > 1;

    public void Dispose()
    {
        foreach (torch.Tensor p in _parameters)
            p.grad = null;
        _weights.Dispose(); // the parameters keep its storage alive
        _gradients.Dispose();
        _mean.Dispose();
        _square.Dispose();
    }
}
