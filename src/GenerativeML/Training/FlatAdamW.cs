using TorchSharp;

namespace GenerativeML;

/// <summary>
/// AdamW over all parameters at once: a step is the same handful of operator calls however many layers there are, and
/// the whole state is two tensors and a count.
/// </summary>
internal sealed class FlatAdamW : FlatOptimizer
{
    private readonly AdamMoments _moments;

    /// <summary>Takes the parameters over: their storage becomes one tensor's, their values stay.</summary>
    public FlatAdamW(
        IReadOnlyList<torch.Tensor> parameters, double weightDecay, double clipNorm, AdamSettings? settings = null)
        : base(AdamMoments.Order(parameters), clipNorm)
    {
        long decayed = parameters.Where(AdamMoments.IsMatrix).Sum(p => p.numel());
        _moments = new AdamMoments(
            Weights.numel(), decayed, weightDecay, settings ?? AdamSettings.Default, Weights.device);
    }

    public override IEnumerable<(string Name, torch.Tensor Value)> State => _moments.State;

    protected override void Move(double rate) => _moments.Move(Weights, Gradients, rate, Count);
}
