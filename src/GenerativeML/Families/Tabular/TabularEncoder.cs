using TorchSharp;

namespace GenerativeML;

/// <summary>
/// The encoder of a <see cref="TabularVaeNetwork"/>: what the tokens of a row tell is added up, E wide, and goes
/// through two hidden layers to the normal distribution of the row's code.
/// </summary>
internal sealed class TabularEncoder : torch.nn.Module
{
    private const double LeastLogVariance = -8, MostLogVariance = 4;

    private readonly torch.Tensor token_embedding; // (tokens, E)
    private readonly torch.Tensor embedding_bias; // (E)
    private readonly Dense hidden, latent_mean, latent_log_variance;

    public TabularEncoder(TabularVaeShape shape, int width, SeededRandom random)
        : base(nameof(TabularEncoder))
    {
        long tokens = shape.Tokens.Sum(n => (long)n);
        token_embedding = random.Normal([tokens, width], 1 / Math.Sqrt(shape.Tokens.Count)).requires_grad_();
        embedding_bias = torch.zeros([width], torch.ScalarType.Float32, random.Device, requires_grad: true);
        hidden = new Dense(width, width, random);
        latent_mean = new Dense(width, shape.LatentDimension, random);
        latent_log_variance = new Dense(width, shape.LatentDimension, random);
        RegisterComponents();
    }

    /// <summary>What each token tells, (tokens, E).</summary>
    public torch.Tensor TokenEmbedding => token_embedding;

    /// <summary>
    /// The tokens of rows, each counted over all positions, (B · positions), and what tokens tell, (tokens, E) → mean
    /// and logarithm of the variance of the rows' codes, both (B, Z).
    /// </summary>
    public (torch.Tensor Mean, torch.Tensor LogVariance) Encode(
        torch.Tensor tokens, torch.Tensor embedding, long rows, Func<torch.Tensor, torch.Tensor>? dropout)
    {
        torch.Tensor sum = embedding.index_select(0, tokens).view(rows, -1, embedding.shape[1]).sum(1L);
        torch.Tensor x = sum.add(embedding_bias).relu();
        if (dropout is not null)
            x = dropout(x);
        x = hidden.call(x).relu();
        return (latent_mean.call(x), latent_log_variance.call(x).clamp(LeastLogVariance, MostLogVariance));
    }
}
