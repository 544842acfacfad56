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
                real.Softplus().Minus(real.Scaled(1 - smoothing)).mean().Plus(generated.Softplus().mean()),
            GanObjective.LeastSquares =>
                real.Plus(smoothing - 1).Squared().mean().Plus(generated.Squared().mean()).Scaled(0.5),
            GanObjective.Hinge => relu(real.neg().Plus(1.0)).mean().Plus(relu(generated.Plus(1.0)).mean()),
            _ => generated.mean().Minus(real.mean()),
        };

    /// <summary>What the generator lowers, a scalar, given the discriminator's outputs for its packs, (n, 1).</summary>
    public static torch.Tensor Generator(GanObjective objective, torch.Tensor generated) => objective switch
    {
        GanObjective.Minimax => generated.Softplus().mean().neg(), // log(1 − D)
        GanObjective.NonSaturating => generated.neg().Softplus().mean(), // −log D
        GanObjective.LeastSquares => generated.Plus(-1.0).Squared().mean().Scaled(0.5),
        _ => generated.mean().neg(),
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
        // Where losses are only looked at, too: without a graph, grad ends the process.
        using IDisposable enabled = torch.set_grad_enabled(true);
        torch.Tensor between = Interpolate(real, generated, pack, random).requires_grad_();
        torch.Tensor gradient = torch.autograd.grad(
            [judge(between).sum()], [between], retain_graph: true, create_graph: true)[0];
        torch.Tensor norm = gradient.reshape(packs, pack * width).Squared().sum(1L).Plus(Tiny).sqrt();
        return norm.Plus(-1.0).Squared().mean();
    }

    /// <summary>Random places between real and generated packs, without gradient: (B, D), (B, D) → (B, D).</summary>
    private static torch.Tensor Interpolate(
        torch.Tensor real, torch.Tensor generated, int pack, SeededRandom random)
    {
        long packs = real.shape[0] / pack;
        torch.Tensor share = random.Uniform([packs, 1, 1], 0, 1).expand(packs, pack, 1).reshape(packs * pack, 1);
        torch.Tensor from = generated.detach();
        return from.Plus(real.Minus(from).mul(share)).detach();
    }
}
