using TorchSharp;

namespace GenerativeML;

/// <summary>The constants of Adam (Kingma and Ba 2015).</summary>
/// <param name="Beta1">How much of the running mean of the gradients a step keeps.</param>
/// <param name="Beta2">How much of the running mean of their squares a step keeps.</param>
/// <param name="Epsilon">What is added to the root of the latter.</param>
internal sealed record AdamSettings(double Beta1 = 0.9, double Beta2 = 0.999, double Epsilon = 1e-8)
{
    /// <summary>The paper's own.</summary>
    public static AdamSettings Default { get; } = new();
}

/// <summary>AdamW's state (Loshchilov and Hutter 2019) for one run of weights, and its step.</summary>
internal sealed class AdamMoments : IDisposable
{
    private const int Rate = 9; // its place among the arguments

    private readonly torch.Tensor _mean, _square, _step;
    private readonly torch.Tensor[] _views;
    private readonly object[] _arguments;

    /// <param name="weights">The weights, one after the other.</param>
    /// <param name="gradients">Their gradients.</param>
    /// <param name="decayed">The first so many are subject to weight decay.</param>
    /// <param name="weightDecay">In shares of the learning rate per step.</param>
    /// <param name="settings">Adam's constants.</param>
    public AdamMoments(
        torch.Tensor weights, torch.Tensor gradients, long decayed, double weightDecay, AdamSettings settings)
    {
        _mean = torch.zeros_like(weights).DetachFromDisposeScope();
        _square = torch.zeros_like(weights).DetachFromDisposeScope();
        _step = torch.zeros(1, torch.ScalarType.Float32, weights.device).DetachFromDisposeScope();
        _views = [.. Part(0, decayed), .. Part(decayed, weights.numel() - decayed)];
        (double beta1, double beta2, double epsilon) = settings;
        _arguments =
        [
            .. _views.Append(_step).Select(t => new[] { t }), 0, (Scalar)beta1, (Scalar)beta2, (Scalar)epsilon,
            (Scalar)weightDecay,
        ];

        IEnumerable<torch.Tensor> Part(long start, long count) => new[] { weights, gradients, _mean, _square }.Select(
            t => t.narrow(0, start, count).DetachFromDisposeScope());
    }

    /// <summary>First and second moments of the gradients, and the number of steps made.</summary>
    public IEnumerable<(string Name, torch.Tensor Value)> State =>
        [("mean", _mean), ("square", _square), ("step", _step)];

    /// <summary>Whether weight decay concerns a parameter.</summary>
    /// <remarks>
    /// Biases and scales of several networks side by side are (Members, 1, Width): no matrices either.
    /// </remarks>
    public static bool IsMatrix(torch.Tensor parameter) => parameter.dim() >= 2 && parameter.shape[^2] > 1;

    /// <summary>Parameters with those subject to weight decay first, so that it is one operation.</summary>
    public static torch.Tensor[] Order(IEnumerable<torch.Tensor> parameters) =>
        [.. parameters.OrderByDescending(IsMatrix)];

    /// <summary>Makes the next step.</summary>
    public void Move(double rate)
    {
        using Scalar scalar = rate;
        _arguments[Rate] = scalar;
        UpdateScripts.AdamW(_arguments);
    }

    public void Dispose()
    {
        foreach (torch.Tensor t in (torch.Tensor[])[.. _views, _mean, _square, _step])
            t.Dispose();
        foreach (Scalar constant in _arguments.Skip(Rate + 1).Cast<Scalar>())
            constant.Dispose();
    }
}
