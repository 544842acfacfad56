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
