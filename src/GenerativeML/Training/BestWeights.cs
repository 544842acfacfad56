using TorchSharp;

namespace GenerativeML;

/// <summary>Keeps the weights of the epoch with the lowest validation loss, and says when patience ends.</summary>
internal sealed class BestWeights(IReadOnlyList<(string Name, torch.Tensor Value)> state, int patience) : IDisposable
{
    /// <summary>The copies.</summary>
    public IReadOnlyList<(string Name, torch.Tensor Value)> Copies { get; } =
        [.. state.Select(t => (t.Name, t.Value.detach().clone().DetachFromDisposeScope()))];

    /// <summary>The lowest validation loss so far, and the epochs since then.</summary>
    public (double Loss, int Waited) Best { get; set; } = (double.PositiveInfinity, 0);

    /// <summary>Whether the patience is used up.</summary>
    public bool IsOver => patience > 0 && Best.Waited >= patience;

    /// <summary>Takes an epoch's loss, and the weights if it is the lowest so far.</summary>
    public void Take(double loss)
    {
        bool isBetter = loss < Best.Loss;
        Best = isBetter ? (loss, 0) : (Best.Loss, Best.Waited + 1);
        if (isBetter)
            Copy(state, Copies);
    }

    /// <summary>Gives the network the weights taken last, if any were.</summary>
    public void Restore()
    {
        if (double.IsFinite(Best.Loss))
            Copy(Copies, state);
    }

    public void Dispose()
    {
        foreach ((_, torch.Tensor copy) in Copies)
            copy.Dispose();
    }

    private static void Copy(
        IReadOnlyList<(string, torch.Tensor Value)> from, IReadOnlyList<(string, torch.Tensor Value)> to)
    {
        using IDisposable noGradient = torch.no_grad();
        for (int i = 0; i < from.Count; i++)
            to[i].Value.copy_(from[i].Value);
    }
}
