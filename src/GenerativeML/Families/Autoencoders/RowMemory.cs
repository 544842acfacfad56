using TorchSharp;

namespace GenerativeML;

/// <summary>
/// How far rows are from the training rows nearest to them, slot by slot. A reconstruction by what was seen, beside the
/// network's by what was learned: it does not extrapolate.
/// </summary>
internal static class RowMemory
{
    // Stored rows are searched in groups of so many: first the groups' least distances, then the rows of the best
    // groups.
    private const int Group = 64;

    /// <summary>
    /// A stored row closer than this, in mean squares, is the row itself: scoring the training rows must not find them.
    /// </summary>
    public const float Same = 1e-6f;

    /// <summary>
    /// The mean squared difference, slot by slot, between each row and the <paramref name="k"/> stored rows nearest to
    /// it, for a large k: by products, and counting a stored row that equals it.
    /// </summary>
    /// <param name="rows">(B, D).</param>
    /// <param name="stored">(M, D).</param>
    /// <param name="distances">(B, M), from <see cref="Distances"/>.</param>
    /// <param name="k">The number of neighbours, at least one.</param>
    /// <returns>(B, D).</returns>
    public static torch.Tensor MeanResiduals(torch.Tensor rows, torch.Tensor stored, torch.Tensor distances, int k)
    {
        (_, torch.Tensor chosen) = distances.topk(k, dim: 1, largest: false, sorted: false);
        torch.Tensor mask = torch.zeros(rows.shape[0], stored.shape[0], torch.ScalarType.Float32, rows.device);
        mask.scatter_(1, chosen, torch.full(chosen.shape, 1.0 / k, torch.ScalarType.Float32, rows.device));
        torch.Tensor mean = mask.matmul(stored), square = mask.matmul(stored.square());
        // Rounding may leave a square a little below zero.
        return rows.square().sub_(rows.mul(mean).mul_(2)).add_(square).clamp_min_(0);
    }

    /// <summary>
    /// The mean squared difference, slot by slot, between each row and the <paramref name="k"/> stored rows nearest to
    /// it, for a small k: exactly, and leaving out one that equals it.
    /// </summary>
    /// <param name="rows">(B, D).</param>
    /// <param name="stored">(M, D), with M above <paramref name="k"/>.</param>
    /// <param name="distances">(B, M), from <see cref="Distances"/>.</param>
    /// <param name="k">The number of neighbours, at least one.</param>
    /// <returns>(B, D).</returns>
    public static torch.Tensor Residuals(torch.Tensor rows, torch.Tensor stored, torch.Tensor distances, int k)
    {
        long batch = rows.shape[0], width = rows.shape[1];
        torch.Tensor chosen = Nearest(distances, k + 1);
        torch.Tensor candidates = stored.index_select(0, chosen.reshape(-1)).view(batch, k + 1, width);
        torch.Tensor squares = rows.unsqueeze(1).sub(candidates).square(); // (B, k+1, D)

        (torch.Tensor exact, torch.Tensor order) = squares.sum(2L).topk(k + 1, dim: 1, largest: false);
        torch.Tensor itself = exact.narrow(1, 0, 1).lt(Same * width).to(torch.ScalarType.Float32); // (B, 1)
        torch.Tensor inOrder = torch.ones(batch, k + 1, torch.ScalarType.Float32, rows.device);
        inOrder.narrow(1, 0, 1).sub_(itself); // the nearest goes if it is the row itself, otherwise the farthest
        inOrder.narrow(1, k, 1).copy_(itself);
        torch.Tensor weights = torch.zeros_like(inOrder).scatter_(1, order, inOrder);
        return weights.unsqueeze(1).bmm(squares).squeeze(1).mul_(1.0 / k);
    }

    /// <summary>
    /// Squared distances, less the square of the row itself: one product, good enough to choose neighbours by. As
    /// distances they would not do, for near rows the squares cancel. (B, D), (M, D) → (B, M).
    /// </summary>
    public static torch.Tensor Distances(torch.Tensor rows, torch.Tensor stored) =>
        rows.matmul(stored.t()).mul_(-2).add_(stored.square().sum(1L));

    /// <summary>
    /// The numbers of the <paramref name="k"/> smallest distances of each row, in any order: (B, M) → (B, k). They lie
    /// in the k groups whose least distances are smallest, so that only those need to be searched.
    /// </summary>
    private static torch.Tensor Nearest(torch.Tensor distances, int k)
    {
        long batch = distances.shape[0], stored = distances.shape[1];
        if (stored % Group != 0 || stored / Group <= k)
            return distances.topk(k, dim: 1, largest: false, sorted: false).indexes;
        torch.Tensor groups = distances.view(batch, stored / Group, Group);
        torch.Tensor best = groups.amin([2L]).topk(k, dim: 1, largest: false, sorted: false).indexes; // (B, k)
        torch.Tensor members = best.unsqueeze(2).expand(batch, k, Group);
        torch.Tensor searched = groups.gather(1, members).view(batch, (long)k * Group);
        torch.Tensor place = searched.topk(k, dim: 1, largest: false, sorted: false).indexes;
        torch.Tensor rank = place.floor_divide(Group); // which of the k groups
        return best.gather(1, rank).sub_(rank).mul_(Group).add_(place); // group · 64 + place within it
    }
}
