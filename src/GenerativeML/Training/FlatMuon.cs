using TorchSharp;

namespace GenerativeML;

/// <summary>
/// Muon (Jordan 2024, https://kellerjordan.github.io/posts/muon/) for matrices and AdamW for the rest. Muon moves a
/// matrix by its gradients' running mean with all singular values made about one, so that rare directions are learned
/// as fast as common ones. Matrices of one size are treated at once.
/// </summary>
internal sealed class FlatMuon : FlatOptimizer
{
    private readonly MuonSettings _settings;
    private readonly Group[] _groups;
    private readonly torch.Tensor _momentum; // of the matrices, which come first
    private readonly AdamMoments _rest;

    /// <summary>Takes the parameters over: their storage becomes one tensor's, their values stay.</summary>
    public FlatMuon(
        IReadOnlyList<torch.Tensor> parameters, MuonSettings settings, double weightDecay, double clipNorm,
        AdamSettings? adam = null)
        : base([.. Order(settings).Select(m => m.Value), .. Rest(parameters, settings)], clipNorm)
    {
        _settings = settings;
        var groups = new List<Group>();
        long at = 0;
        foreach (IGrouping<(long, long), MuonMatrix> same in Order(settings).GroupBy(m => (m.Rows, m.Columns)))
        {
            long count = same.Sum(m => (long)m.Parts), rows = same.Key.Item1, columns = same.Key.Item2;
            groups.Add(new Group(at, count, rows, columns));
            at += count * rows * columns;
        }
        _groups = [.. groups];
        _momentum = torch.zeros(at, torch.ScalarType.Float32, Weights.device).DetachFromDisposeScope();
        torch.Tensor[] rest = Rest(parameters, settings);
        _rest = new AdamMoments(
            Weights.numel() - at, rest.Where(AdamMoments.IsMatrix).Sum(p => p.numel()), weightDecay,
            adam ?? AdamSettings.Default, Weights.device);
    }

    public override IEnumerable<(string Name, torch.Tensor Value)> State => [("momentum", _momentum), .. _rest.State];

    protected override void Move(double rate)
    {
        long matrices = _momentum.numel(), others = Weights.numel() - matrices;
        _rest.Move(Weights.narrow(0, matrices, others), Gradients.narrow(0, matrices, others), rate, Count);

        double momentum = _settings.Momentum, matrixRate = rate * _settings.RateScale;
        torch.Tensor weights = Weights.narrow(0, 0, matrices), gradients = Gradients.narrow(0, 0, matrices);
        _momentum.mul_(momentum).add_(gradients, 1 - momentum);
        torch.Tensor ahead = gradients.mul_(1 - momentum).add_(_momentum, momentum); // Nesterov's
        if (_settings.WeightDecay > 0)
            weights.mul_(1 - matrixRate * _settings.WeightDecay);
        foreach (Group group in _groups)
        {
            using DisposeScope scope = torch.NewDisposeScope();
            // A matrix of more rows than columns stretches what it is given less: its step is larger.
            double scale = Math.Sqrt(Math.Max(1, group.Rows / (double)group.Columns));
            group.Of(weights).add_(NewtonSchulz.Orthogonalize(group.Of(ahead)), -matrixRate * scale);
        }
    }

    private static IEnumerable<MuonMatrix> Order(MuonSettings settings) =>
        settings.Matrices.OrderBy(m => m.Rows).ThenBy(m => m.Columns);

    private static torch.Tensor[] Rest(IReadOnlyList<torch.Tensor> parameters, MuonSettings settings) =>
        AdamMoments.Order(parameters.Where(p => !settings.Matrices.Any(m => ReferenceEquals(m.Value, p))));

    private readonly record struct Group(long Start, long Count, long Rows, long Columns)
    {
        public torch.Tensor Of(torch.Tensor flat) =>
            flat.narrow(0, Start, Count * Rows * Columns).view(Count, Rows, Columns);
    }
}
