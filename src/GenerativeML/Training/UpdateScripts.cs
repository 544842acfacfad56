using TorchSharp;

namespace GenerativeML;

/// <summary>
/// What an optimizer step consists of, as TorchScript: it reaches operators that TorchSharp does not bind, and several
/// of them by one call. A script takes what it changes as tensors, and numbers as <see cref="Scalar"/>s that the caller
/// keeps alive: one that TorchSharp makes by itself is freed at some later time, and until then keeps the allocator
/// from joining the blocks around it.
/// </summary>
internal static class UpdateScripts
{
    // An operator that libtorch does not know ends the process when it is called: nothing here depends on a run.
    // clip: the norm stays on the device, or every step would wait for it. orthogonalize: an odd polynomial that lifts
    // small singular values quickly, and keeps all of them between 0.7 and 1.2: Jordan's choice, see FlatOptimizer. More
    // rounds would cost time and bring nothing. A round multiplies a matrix X by p = a + bG + cG² with G = XXᵀ, which
    // commute: where X is long, rounds are made of G, which becomes pGp, and X is multiplied once for several. Rounding of G
    // grows twelvefold in a round, so that it is made anew after two; GPUs round products to TF32, and take the other way.
    // muon: the momentum is Nesterov's. Lists of tensors to change are taken as they are given: what happens to a list made in a
    // script is optimised away.
    private const string Source = """
        def clip(gradients: Tensor, limit: float):
            gradients.mul_(torch.clamp(limit / (torch.linalg_vector_norm(gradients) + 1e-6), max=1.0))

        def adamw(weights: List[Tensor], gradients: List[Tensor], means: List[Tensor], squares: List[Tensor],
                spared: List[Tensor], spared_gradients: List[Tensor], spared_means: List[Tensor],
                spared_squares: List[Tensor], steps: List[Tensor], rate: float, beta1: float, beta2: float,
                epsilon: float, decay: float):
            torch._foreach_add_(steps, 1)
            if weights[0].numel() > 0:
                torch._fused_adamw_(weights, gradients, means, squares, [], steps, lr=rate, beta1=beta1, beta2=beta2,
                    weight_decay=decay, eps=epsilon, amsgrad=False, maximize=False)
            if spared[0].numel() > 0:
                torch._fused_adamw_(spared, spared_gradients, spared_means, spared_squares, [], steps, lr=rate,
                    beta1=beta1, beta2=beta2, weight_decay=0.0, eps=epsilon, amsgrad=False, maximize=False)

        def orthogonalize(matrices: Tensor):
            tall = matrices.size(1) > matrices.size(2)
            x = matrices.transpose(1, 2) if tall else matrices
            x = x / (torch.linalg_vector_norm(x, dim=[1, 2], keepdim=True) + 1e-7)
            if x.size(2) >= 2 * x.size(1) and not x.is_cuda:
                unit = torch.eye(x.size(1), dtype=x.dtype, device=x.device).mul(3.4445)
                for rounds in [2, 3]:
                    square = torch.bmm(x, x.transpose(1, 2))
                    power = unit.add(torch.baddbmm(square, square, square, beta=-4.775, alpha=2.0315))
                    product = power
                    for i in range(rounds - 1):
                        square = torch.bmm(torch.bmm(power, square), power)
                        power = unit.add(torch.baddbmm(square, square, square, beta=-4.775, alpha=2.0315))
                        product = torch.bmm(power, product)
                    x = torch.bmm(product, x)
                return x.transpose(1, 2) if tall else x
            for i in range(5):
                square = torch.bmm(x, x.transpose(1, 2))
                x = torch.baddbmm(x, torch.baddbmm(square, square, square, beta=-4.775, alpha=2.0315), x, beta=3.4445)
            return x.transpose(1, 2) if tall else x

        def muon(weights: Tensor, gradients: Tensor, mean: Tensor, momentum: float, rate: float, kept: float):
            mean.lerp_(gradients, 1 - momentum)
            weights.mul_(kept).sub_(orthogonalize(torch.lerp(gradients, mean, momentum)), alpha=rate)

        def average(means: List[Tensor], values: List[Tensor], share: float):
            torch._foreach_lerp_(means, values, share)

        """; // without a line's end after the last statement the parser fails

    private static readonly Lazy<torch.jit.CompilationUnit> Compiled = new(() => torch.jit.compile(Source));

    /// <summary>Scales gradients down to a norm, where theirs is larger.</summary>
    public static void Clip(torch.Tensor gradients, Scalar limit) => Run("clip", gradients, limit);

    /// <summary>AdamW's step; see <see cref="FlatOptimizer"/>.</summary>
    public static void AdamW(object[] arguments) => Run("adamw", arguments);

    /// <summary>Matrices (N, rows, columns) with about the same singular vectors, and values of about one.</summary>
    public static torch.Tensor Orthogonalize(torch.Tensor matrices) =>
        Compiled.Value.invoke<torch.Tensor>("orthogonalize", matrices);

    /// <summary>Muon's step for matrices of one size, (N, rows, columns); see <see cref="FlatOptimizer"/>.</summary>
    public static void Muon(
        torch.Tensor weights, torch.Tensor gradients, torch.Tensor mean, Scalar momentum, double rate, double kept)
    {
        using Scalar rateScalar = rate, keptScalar = kept;
        Run("muon", weights, gradients, mean, momentum, rateScalar, keptScalar);
    }

    /// <summary>Moves each mean towards its value by a share of what lies between them.</summary>
    public static void Average(torch.Tensor[] means, torch.Tensor[] values, double share)
    {
        using Scalar scalar = share;
        Run("average", means, values, scalar);
    }

    private static void Run(string function, params object[] arguments)
    {
        Compiled.Value.invoke(function, arguments);
        GC.KeepAlive(arguments);
    }
}

/// <summary>Running means of weights (Polyak and Juditsky 1992), which are smoother than the last ones.</summary>
internal static class WeightAverage
{
    /// <summary>
    /// Moves means towards their weights after update number <paramref name="count"/>, counted from zero. The first
    /// updates move them faster, so that they soon forget where they began.
    /// </summary>
    public static void Update(IReadOnlyList<(torch.Tensor Mean, torch.Tensor Value)> pairs, double decay, long count)
    {
        if (pairs.Count == 0)
            return;
        using IDisposable noGradient = torch.no_grad();
        double kept = Math.Min(decay, (1.0 + count) / (10.0 + count));
        UpdateScripts.Average([.. pairs.Select(p => p.Mean)], [.. pairs.Select(p => p.Value)], 1 - kept);
    }
}
