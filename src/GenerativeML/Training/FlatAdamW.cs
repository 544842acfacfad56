using TorchSharp;

namespace GenerativeML;

/// <summary>
/// AdamW over all parameters at once: a step is one call however many layers there are, and the whole state is two
/// tensors and a count.
/// </summary>
internal sealed class FlatAdamW : FlatOptimizer
{
    private readonly AdamMoments _moments;

    /// <summary>Takes the parameters over: their storage becomes one tensor's, their values stay.</summary>
    public FlatAdamW(
        IReadOnlyList<torch.Tensor> parameters, double weightDecay, double clipNorm, AdamSettings? settings = null)
        : base(AdamMoments.Order(parameters), clipNorm) => _moments = new AdamMoments(
            Weights, Gradients, parameters.Where(AdamMoments.IsMatrix).Sum(p => p.numel()), weightDecay,
            settings ?? AdamSettings.Default);

    public override IEnumerable<(string Name, torch.Tensor Value)> State => _moments.State;

    protected override void Move(double rate) => _moments.Move(rate);

    protected override void DisposeState() => _moments.Dispose();
}
