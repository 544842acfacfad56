using TorchSharp;
using static TorchSharp.torch.nn.functional;

namespace GenerativeML;

/// <summary>
/// What each objective makes of the discriminator's outputs; for the classifiers they are log-odds.
/// </summary>
internal static class GanLoss
{
    private const double Tiny = 1e-12;

    /// <summary>What the discriminator lowers, a scalar.</summary>
    /// <param name="objective">The game.</param>
    /// <param name="real">Its outputs for real packs, (n, 1).</param>
    /// <param name="generated">Its outputs for generated packs, (n, 1).</param>
    /// <param name="smoothing">How far the label of real packs is below one.</param>
    public static torch.Tensor Discriminator(
        GanObjective objective, torch.Tensor real, torch.Tensor generated, double smoothing) => objective switch
    {
        // −(1 − s)·log D − s·log(1 − D) with D = σ(real), and −log(1 − D) with D = σ(generated)
        GanObjective.Minimax or GanObjective.NonSaturating =>
            softplus(real).sub(real.mul(1 - smoothing)).mean().add(softplus(generated).mean()),
        GanObjective.LeastSquares =>
            real.add(smoothing - 1).square().mean().add(generated.square().mean()).mul(0.5),
        GanObjective.Hinge => relu(1 - real).mean().add(relu(generated.add(1)).mean()),
        _ => generated.mean().sub(real.mean()),
    };

    /// <summary>What the generator lowers, a scalar, given the discriminator's outputs for its packs, (n, 1).</summary>
    public static torch.Tensor Generator(GanObjective objective, torch.Tensor generated) => objective switch
    {
        GanObjective.Minimax => softplus(generated).mean().mul(-1), // log(1 − D)
        GanObjective.NonSaturating => softplus(generated.mul(-1)).mean(), // −log D
        GanObjective.LeastSquares => generated.add(-1).square().mean().mul(0.5),
        _ => generated.mean().mul(-1),
    };

    /// <summary>
    /// The mean squared distance of the norm of the discriminator's gradient from one, at random places between real and
    /// generated packs (Gulrajani 2017). It has a gradient of its own, which reaches the discriminator's weights.
    /// </summary>
    /// <param name="judge">The discriminator: rows (B, D) → outputs (B / p, 1).</param>
    /// <param name="real">(B, D).</param>
    /// <param name="generated">(B, D).</param>
    /// <param name="pack">Rows of a pack, p.</param>
    /// <param name="random">Where on the way from one to the other each pack lies.</param>
    public static torch.Tensor GradientPenalty(
        Func<torch.Tensor, torch.Tensor> judge, torch.Tensor real, torch.Tensor generated, int pack, SeededRandom random)
    {
        (long packs, long width) = (real.shape[0] / pack, real.shape[1]);
        torch.Tensor between = Between(real, generated, pack, random).requires_grad_();
        torch.Tensor slope = torch.autograd.grad(
            [judge(between).sum()], [between], retain_graph: true, create_graph: true)[0];
        torch.Tensor norm = slope.reshape(packs, pack * width).square().sum(1L).add(Tiny).sqrt();
        return norm.add(-1).square().mean();
    }

    /// <summary>Random places between real and generated packs, without gradient: (B, D), (B, D) → (B, D).</summary>
    public static torch.Tensor Between(torch.Tensor real, torch.Tensor generated, int pack, SeededRandom random)
    {
        long packs = real.shape[0] / pack;
        torch.Tensor share = random.Uniform([packs, 1, 1], 0, 1).expand(packs, pack, 1).reshape(packs * pack, 1);
        return generated.detach().add(real.sub(generated.detach()).mul(share)).detach();
    }
}
