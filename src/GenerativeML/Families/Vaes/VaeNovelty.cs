using TorchSharp;

namespace GenerativeML;

/// <summary>
/// What <see cref="VaeScore.Novelty"/> knows of the training rows: some of them, how much hidden units usually differ
/// between a row and its reconstruction, and how large each part of the score usually is.
/// </summary>
internal sealed class VaeNovelty : torch.nn.Module
{
    /// <summary>
    /// The parts of a score: the excess of the negative ELBO, the difference of hidden units, the nearest few stored
    /// rows, and the nearest many of a few.
    /// </summary>
    public const int Parts = 4;

    // A unit that hardly ever differs counts as if it did by this share of what units do in the mean: its own figure is
    // too small to divide by.
    private const double LeastShare = 0.1;

    private const double Tiny = 1e-30; // whose reciprocal, times any square, is still finite

    private readonly torch.Tensor unit_weight; // (H), one over H times the usual squared difference
    private readonly torch.Tensor memory; // (M, D), standardised
    private readonly torch.Tensor part_weight; // (Parts), one over the usual size

    public VaeNovelty(VaeShape shape, torch.Device device)
        : base(nameof(VaeNovelty))
    {
        unit_weight = torch.zeros([shape.HiddenWidth], torch.ScalarType.Float32, device);
        memory = torch.zeros([shape.MemoryRows, shape.InputWidth], torch.ScalarType.Float32, device);
        part_weight = torch.zeros([Parts], torch.ScalarType.Float32, device);
        RegisterComponents();
    }

    /// <summary>Stored training rows as the encoder sees them, (M, D).</summary>
    public torch.Tensor Memory => memory;

    /// <summary>What each part counts in the score, (Parts).</summary>
    public torch.Tensor PartWeight => part_weight;

    /// <summary>Takes the mean squared difference of each hidden unit over training rows, (H).</summary>
    public void SetUnits(torch.Tensor meanSquares)
    {
        torch.Tensor usual = meanSquares.add(meanSquares.mean().mul(LeastShare)).mul(unit_weight.shape[0]);
        unit_weight.copy_(torch.where(usual.gt(Tiny), usual.reciprocal(), torch.zeros_like(usual)));
    }

    /// <summary>The mean square of the differences of hidden units, in units of the usual ones: (B, H) → (B).</summary>
    public torch.Tensor Difference(torch.Tensor differences) => differences.square().mul(unit_weight).sum(1L);

    /// <summary>
    /// The mean squared difference, slot by slot, to the stored rows nearest to each, and to the nearest of the first
    /// few of them: (B, D) → (B, D), (B, D).
    /// </summary>
    public (torch.Tensor Near, torch.Tensor Far) Distances(torch.Tensor standardized)
    {
        int near = StoredRows.Near(memory.shape[0]), far = StoredRows.Far(memory.shape[0]);
        torch.Tensor few = memory.narrow(0, 0, StoredRows.Few(memory.shape[0]));
        torch.Tensor distances = RowMemory.Distances(standardized, memory);
        return (
            near < 1
                ? torch.zeros_like(standardized)
                : RowMemory.Residuals(standardized, memory, distances, near),
            far < 1
                ? torch.zeros_like(standardized)
                : RowMemory.MeanResiduals(standardized, few, distances.narrow(1, 0, few.shape[0]), far));
    }
}
