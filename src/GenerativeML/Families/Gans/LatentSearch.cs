using TorchSharp;

namespace GenerativeML;

/// <summary>
/// Finds, for each row, the noise that the generator makes the nearest row from (Schlegl 2017, AnoGAN): Adam on the
/// noise, from the best of some candidates that are the same for all rows.
/// </summary>
internal sealed class LatentSearch(GanModel model)
{
    private const int Candidates = 64;
    private const double Rate = 0.05;
    private const double FeatureShare = 0.1; // λ in the paper
    private const double Beta1 = 0.9, Beta2 = 0.999, Epsilon = 1e-8;

    /// <summary>
    /// Standardised rows (B, D) and condition → the distance left of each row, (B), and the row that the generator makes,
    /// standardised, (B, D).
    /// </summary>
    public (torch.Tensor Distance, torch.Tensor Nearest) Run(torch.Tensor rows, torch.Tensor? condition)
    {
        torch.Tensor features = model.Features(rows, condition);
        torch.Tensor noise = Start(rows, condition);
        torch.Tensor mean = torch.zeros_like(noise), square = torch.zeros_like(noise);
        for (int step = 1; step <= model.Shape.SearchSteps; step++)
        {
            using DisposeScope scope = torch.NewDisposeScope();
            torch.Tensor slope = Slope(rows, features, noise, condition);
            mean.mul_(Beta1).add_(slope, 1 - Beta1);
            square.mul_(Beta2).addcmul_(slope, slope, 1 - Beta2);
            torch.Tensor deviation = square.sqrt().mul_(1 / Math.Sqrt(1 - Math.Pow(Beta2, step))).add_(Epsilon);
            noise.addcdiv_(mean, deviation, -Rate / (1 - Math.Pow(Beta1, step)));
        }
        torch.Tensor nearest = model.Generate(noise, condition);
        return (Distance(rows, features, nearest, condition), nearest);
    }

    /// <summary>The best of the candidates for each row, (B, Z).</summary>
    private torch.Tensor Start(torch.Tensor rows, torch.Tensor? condition)
    {
        using var random = new SeededRandom(
            rows.device, SplitMix64.Derive(model.Shape.Seed, RandomPurpose.Scoring));
        torch.Tensor candidates = random.Normal([Candidates, model.Shape.NoiseDimension]);
        torch.Tensor best = candidates.narrow(0, 0, 1).expand(rows.shape[0], -1).clone();
        torch.Tensor? least = null;
        for (int c = 0; c < Candidates; c++)
        {
            torch.Tensor candidate = candidates.narrow(0, c, 1).expand(rows.shape[0], -1);
            torch.Tensor distance = rows.sub(model.Generate(candidate, condition)).abs().mean([1L], keepdim: true);
            if (least is not null)
                best = torch.where(least.sub(distance).gt(0), candidate, best);
            least = least is null ? distance : torch.where(least.sub(distance).gt(0), distance, least);
        }
        return best.clone();
    }

    /// <summary>The gradient of the distances by the noise, (B, Z); rows do not meet in it.</summary>
    private torch.Tensor Slope(torch.Tensor rows, torch.Tensor features, torch.Tensor noise, torch.Tensor? condition)
    {
        using IDisposable gradient = torch.set_grad_enabled(true);
        torch.Tensor variable = noise.detach().clone().requires_grad_();
        torch.Tensor distance = Distance(rows, features, model.Generate(variable, condition), condition);
        // Not backward, which would write gradients into the weights, that other threads use as well.
        return torch.autograd.grad([distance.sum()], [variable], retain_graph: false, create_graph: false)[0];
    }

    private torch.Tensor Distance(
        torch.Tensor rows, torch.Tensor features, torch.Tensor made, torch.Tensor? condition)
    {
        torch.Tensor residual = rows.sub(made).abs().mean([1L]);
        torch.Tensor judged = features.sub(model.Features(made, condition)).abs().mean([1L]);
        return residual.mul(1 - FeatureShare).add(judged.mul(FeatureShare));
    }
}
