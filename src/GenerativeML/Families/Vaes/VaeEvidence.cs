using TorchSharp;

namespace GenerativeML;

/// <summary>What <see cref="VaeScore.Novelty"/> is made of, for a batch of rows.</summary>
/// <param name="Excess">Of each slot, in nats, given the mean of the row's code: (B, D), zero or more.</param>
/// <param name="Kl">Of the row's code from the prior: (B), zero or more.</param>
/// <param name="Difference">Of hidden units between row and reconstruction: (B), zero or more.</param>
/// <param name="Near">Squared distance to the nearest stored rows, slot by slot: (B, D).</param>
/// <param name="Far">The same to many of a few: (B, D).</param>
internal readonly record struct VaeEvidence(
    torch.Tensor Excess, torch.Tensor Kl, torch.Tensor Difference, torch.Tensor Near, torch.Tensor Far)
{
    /// <summary>
    /// Nats that each slot counts more when what belongs to no slot is shared out: there must be something to share by.
    /// </summary>
    public const float LeastExcess = 1e-6f;

    /// <summary>The parts before they are weighted, (B) each.</summary>
    public torch.Tensor[] Parts => [Excess.sum(1L).add(Kl), Difference, Near.sum(1L), Far.sum(1L)];

    /// <summary>Each slot's contribution; their sum is the score. Weights (Parts) → (B, D).</summary>
    /// <remarks>
    /// What belongs to the row as a whole is shared out by the slots' excess: row and reconstruction differ in nothing
    /// but their slots, and hidden units by nothing but these.
    /// </remarks>
    public torch.Tensor Slots(torch.Tensor weight)
    {
        torch.Tensor excess = Excess.add(LeastExcess);
        torch.Tensor whole = Kl.mul(Weight(0)).add(Difference.mul(Weight(1))); // (B)
        whole = whole.div(excess.sum(1L)).unsqueeze(1); // (B, 1)
        return Excess.mul(Weight(0)).add(excess.mul(whole)).add(Near.mul(Weight(2))).add(Far.mul(Weight(3)));

        torch.Tensor Weight(int part) => weight.narrow(0, part, 1);
    }
}
