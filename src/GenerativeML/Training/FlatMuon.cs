using TorchSharp;

namespace GenerativeML;

/// <summary>A matrix that Muon moves.</summary>
/// <param name="Value">The parameter, (rows, columns).</param>
/// <param name="Parts">Of so many matrices it consists, one below the other.</param>
internal readonly record struct MuonMatrix(torch.Tensor Value, int Parts = 1)
{
    /// <summary>Rows of a part.</summary>
    public long Rows => Value.shape[0] / Parts;

    /// <summary>Columns.</summary>
    public long Columns => Value.shape[1];
}

/// <summary>Which of a rule's parameters Muon moves, and how; AdamW moves the others.</summary>
/// <param name="Matrices">The matrices.</param>
/// <param name="RateScale">Muon's learning rate, in shares of AdamW's.</param>
/// <param name="Momentum">How much of the running mean of the gradients a step keeps.</param>
/// <param name="WeightDecay">The matrices' decay, in shares of Muon's learning rate per step.</param>
internal sealed record MuonSettings(
    IReadOnlyList<MuonMatrix> Matrices, double RateScale, double Momentum = 0.95, double WeightDecay = 0);

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
    private readonly Scalar _kept;
    private readonly torch.Tensor _otherWeights, _otherGradients;
    private readonly AdamMoments _rest;

    /// <summary>Takes the parameters over: their storage becomes one tensor's, their values stay.</summary>
    public FlatMuon(
        IReadOnlyList<torch.Tensor> parameters, MuonSettings settings, double weightDecay, double clipNorm,
        AdamSettings? adam = null)
        : base([.. Order(settings).Select(m => m.Value), .. Rest(parameters, settings)], clipNorm)
    {
        _settings = settings;
        _kept = settings.Momentum;
        long matrices = settings.Matrices.Sum(m => m.Value.numel()), others = Weights.numel() - matrices;
        _momentum = torch.zeros(matrices, torch.ScalarType.Float32, Weights.device).DetachFromDisposeScope();
        var groups = new List<Group>();
        long at = 0;
        foreach (IGrouping<(long, long), MuonMatrix> same in Order(settings).GroupBy(m => (m.Rows, m.Columns)))
        {
            long count = same.Sum(m => (long)m.Parts), rows = same.Key.Item1, columns = same.Key.Item2;
            long start = at;
            // A matrix of more rows than columns stretches what it is given less: its step is larger.
            double scale = Math.Sqrt(Math.Max(1, rows / (double)columns));
            groups.Add(new Group(Of(Weights), Of(Gradients), Of(_momentum), scale));
            at += count * rows * columns;

            torch.Tensor Of(torch.Tensor flat)
            {
                using torch.Tensor part = flat.narrow(0, start, count * rows * columns);
                return part.view(count, rows, columns).DetachFromDisposeScope();
            }
        }
        _groups = [.. groups];
        _otherWeights = Weights.narrow(0, matrices, others).DetachFromDisposeScope();
        _otherGradients = Gradients.narrow(0, matrices, others).DetachFromDisposeScope();
        _rest = new AdamMoments(
            _otherWeights, _otherGradients,
            Rest(parameters, settings).Where(AdamMoments.IsMatrix).Sum(p => p.numel()), weightDecay,
            adam ?? AdamSettings.Default);
    }

    public override IEnumerable<(string Name, torch.Tensor Value)> State => [("momentum", _momentum), .. _rest.State];

    protected override void Move(double rate)
    {
        _rest.Move(rate);
        double matrixRate = rate * _settings.RateScale, kept = 1 - (matrixRate * _settings.WeightDecay);
        foreach (Group g in _groups)
            UpdateScripts.Muon(g.Weights, g.Gradients, g.Momentum, _kept, matrixRate * g.Scale, kept);
    }

    protected override void DisposeState()
    {
        foreach (Group g in _groups)
        {
            g.Weights.Dispose();
            g.Gradients.Dispose();
            g.Momentum.Dispose();
        }
        _momentum.Dispose();
        _otherWeights.Dispose();
        _otherGradients.Dispose();
        _rest.Dispose();
        _kept.Dispose();
    }

    private static IEnumerable<MuonMatrix> Order(MuonSettings settings) =>
        settings.Matrices.OrderBy(m => m.Rows).ThenBy(m => m.Columns);

    private static torch.Tensor[] Rest(IReadOnlyList<torch.Tensor> parameters, MuonSettings settings) =>
        AdamMoments.Order(parameters.Where(p => !settings.Matrices.Any(m => ReferenceEquals(m.Value, p))));

    /// <summary>Views of the matrices of one size, (N, rows, columns) each.</summary>
    private readonly record struct Group(
        torch.Tensor Weights, torch.Tensor Gradients, torch.Tensor Momentum, double Scale);
}
