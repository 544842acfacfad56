using TorchSharp;

namespace GenerativeML;

/// <summary>
/// The loss of hidden states against the tokens that follow, cross-entropy in nats. Logits exist for so many rows at a
/// time as fit into a fixed amount of memory, and never as part of a graph.
/// </summary>
internal sealed class GptHead(torch.Tensor weight, bool bfloat16)
{
    // 64 MB of logits at a time: with GPT-2's vocabulary, 333 tokens.
    private const long MostLogits = 1 << 24;

    /// <summary>Each token's loss, without gradient: (N, C), targets (N) → (N).</summary>
    public torch.Tensor Losses(torch.Tensor hidden, torch.Tensor targets)
    {
        using IDisposable noGradient = torch.no_grad();
        var losses = new List<torch.Tensor>();
        foreach ((long start, long rows) in Chunks(hidden.shape[0]))
        {
            using DisposeScope scope = torch.NewDisposeScope();
            torch.Tensor logarithms = Product(hidden.narrow(0, start, rows), weight.t()).log_softmax(-1);
            losses.Add(
                logarithms.gather(1, targets.narrow(0, start, rows).unsqueeze(1)).mul(-1).MoveToOuterDisposeScope());
        }
        return torch.cat(losses).squeeze(1);
    }

    /// <summary>
    /// The mean loss and its gradients in one pass: (N, C), targets (N) → a scalar and (N, C).
    /// </summary>
    /// <param name="hidden">The hidden states, (N, C).</param>
    /// <param name="targets">The tokens that follow them, (N).</param>
    /// <param name="share">What the gradients are multiplied by.</param>
    /// <param name="weightGradient">Where the gradient of the output weights is added, or null.</param>
    public (torch.Tensor Loss, torch.Tensor Gradient) Gradients(
        torch.Tensor hidden, torch.Tensor targets, double share, torch.Tensor? weightGradient)
    {
        using IDisposable noGradient = torch.no_grad();
        long count = hidden.shape[0];
        double scale = share / count;
        torch.Tensor loss = torch.zeros([], torch.ScalarType.Float32, hidden.device);
        torch.Tensor gradient = torch.empty(hidden.shape, torch.ScalarType.Float32, hidden.device);
        foreach ((long start, long rows) in Chunks(count))
        {
            using DisposeScope scope = torch.NewDisposeScope();
            torch.Tensor part = hidden.narrow(0, start, rows);
            torch.Tensor right = targets.narrow(0, start, rows).unsqueeze(1);
            torch.Tensor logarithms = Product(part, weight.t()).log_softmax(-1);
            loss.add_(logarithms.gather(1, right).sum(), -1.0 / count);
            // The gradient of a row's logits: the probabilities, less one at the token that came.
            torch.Tensor slope = logarithms.exp_();
            slope.scatter_add_(1, right, torch.full([rows, 1], -1, torch.ScalarType.Float32, hidden.device));
            slope.mul_(scale);
            gradient.narrow(0, start, rows).copy_(Product(slope, weight));
            weightGradient?.add_(Product(slope.t(), part));
        }
        return (loss, gradient);
    }

    private IEnumerable<(long Start, long Rows)> Chunks(long count)
    {
        long most = Math.Max(1, MostLogits / weight.shape[0]);
        for (long start = 0; start < count; start += most)
            yield return (start, Math.Min(most, count - start));
    }

    private torch.Tensor Product(torch.Tensor a, torch.Tensor b) => bfloat16
        ? a.to(torch.ScalarType.BFloat16).matmul(b.to(torch.ScalarType.BFloat16)).to(torch.ScalarType.Float32)
        : a.matmul(b);
}
