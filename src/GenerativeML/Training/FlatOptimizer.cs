using TorchSharp;

namespace GenerativeML;

/// <summary>
/// An optimizer over parameters that it lays end to end in one tensor, with their gradients laid out likewise: what
/// concerns all of them costs the same handful of operator calls however many there are.
/// </summary>
internal abstract class FlatOptimizer : IDisposable
{
    private readonly torch.Tensor[] _parameters;
    private readonly Scalar? _clipNorm;

    /// <summary>Takes the parameters over: their storage becomes one tensor's, their values stay.</summary>
    /// <param name="parameters">In the order in which they are laid out.</param>
    /// <param name="clipNorm">The largest norm of all gradients together; zero for no limit.</param>
    protected FlatOptimizer(IEnumerable<torch.Tensor> parameters, double clipNorm)
    {
        _parameters = [.. parameters];
        _clipNorm = clipNorm > 0 ? clipNorm : null;
        using IDisposable noGradient = torch.no_grad();
        using DisposeScope scope = torch.NewDisposeScope();
        Weights = torch.cat([.. _parameters.Select(p => p.detach().reshape(-1))]).DetachFromDisposeScope();
        Gradients = torch.zeros_like(Weights).DetachFromDisposeScope();
        long at = 0;
        foreach (torch.Tensor p in _parameters)
        {
            p.set_(Weights.narrow(0, at, p.numel()).view(p.shape));
            p.grad = Gradients.narrow(0, at, p.numel()).view(p.shape);
            at += p.numel();
        }
    }

    /// <summary>The state beside the weights, by name.</summary>
    public abstract IEnumerable<(string Name, torch.Tensor Value)> State { get; }

    /// <summary>All weights, one after the other.</summary>
    protected torch.Tensor Weights { get; }

    /// <summary>Their gradients.</summary>
    protected torch.Tensor Gradients { get; }

    /// <summary>The optimizer that a rule asks for.</summary>
    public static FlatOptimizer For(UpdateRule rule, double weightDecay, double clipNorm) =>
        rule.Muon is MuonSettings muon
            ? new FlatMuon(rule.Parameters, muon, weightDecay, clipNorm, rule.Adam)
            : new FlatAdamW(rule.Parameters, weightDecay, clipNorm, rule.Adam);

    /// <summary>Forgets the gradients, so that the next backward pass writes them anew.</summary>
    public void ClearGradients()
    {
        using IDisposable noGradient = torch.no_grad();
        Gradients.zero_().Dispose(); // another object, of the same tensor
    }

    /// <summary>Moves the parameters by the gradients that the backward pass left.</summary>
    public void Step(double rate)
    {
        using IDisposable noGradient = torch.no_grad();
        using DisposeScope scope = torch.NewDisposeScope();
        if (_clipNorm is not null)
            UpdateScripts.Clip(Gradients, _clipNorm);
        Move(rate);
    }

    public void Dispose()
    {
        foreach (torch.Tensor p in _parameters)
            p.grad = null;
        Weights.Dispose(); // the parameters keep its storage alive
        Gradients.Dispose();
        _clipNorm?.Dispose();
        DisposeState();
        GC.SuppressFinalize(this);
    }

    /// <summary>Moves the weights, without gradient and in a dispose scope.</summary>
    protected abstract void Move(double rate);

    /// <summary>Gives back what <see cref="State"/> consists of.</summary>
    protected abstract void DisposeState();
}
