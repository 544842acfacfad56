using TorchSharp;

namespace GenerativeML;

/// <summary>
/// The decoder of a <see cref="TabularVaeNetwork"/>: it gives the tokens of a row one after the other, each by the code
/// and by those before it. What it knows is a sum, C wide, to which the code and each token add what they tell; each
/// position has two hidden layers of its own, H wide, on it.
/// </summary>
internal sealed class TabularDecoder : torch.nn.Module
{
    private readonly long[] _starts; // where the tokens of each position begin

    // Field names become state dict keys.
    private readonly torch.Tensor token_embedding; // (tokens, C)
    private readonly Dense latent_context; // Z → C
    private readonly torch.Tensor latent_hidden; // (positions, Z, H)
    private readonly torch.Tensor context_weight; // (positions, C, H)
    private readonly torch.Tensor context_bias; // (positions, 1, H)
    private readonly torch.Tensor hidden_weight; // (positions, H, H)
    private readonly torch.Tensor hidden_bias; // (positions, 1, H)
    private readonly torch.Tensor output_weight; // (tokens, H)
    private readonly torch.Tensor output_bias; // (tokens)

    public TabularDecoder(TabularVaeShape shape, SeededRandom random)
        : base(nameof(TabularDecoder))
    {
        Shape = shape;
        _starts = [.. shape.Tokens.Select((_, p) => shape.Tokens.Take(p).Sum(n => (long)n))];
        long tokens = shape.Tokens.Sum(n => (long)n), positions = shape.Tokens.Count;
        long z = shape.LatentDimension, c = shape.ContextWidth, h = shape.HiddenWidth;
        token_embedding = Normal([tokens, c], 1 / Math.Sqrt(positions));
        latent_context = new Dense(shape.LatentDimension, shape.ContextWidth, random);
        latent_hidden = Normal([positions, z, h], 0.05);
        context_weight = Normal([positions, c, h], Math.Sqrt(2.0 / c));
        context_bias = Zero([positions, 1, h]);
        hidden_weight = Normal([positions, h, h], Math.Sqrt(1.0 / h));
        hidden_bias = Zero([positions, 1, h]);
        output_weight = Normal([tokens, h], 0.02);
        output_bias = Zero([tokens]);
        RegisterComponents();

        torch.Tensor Normal(long[] size, double deviation) => random.Normal(size, deviation).requires_grad_();

        torch.Tensor Zero(long[] size) =>
            torch.zeros(size, torch.ScalarType.Float32, random.Device, requires_grad: true);
    }

    /// <summary>The widths and the tokens.</summary>
    public TabularVaeShape Shape { get; }

    /// <summary>What each token adds to what is known, (tokens, C).</summary>
    public torch.Tensor TokenEmbedding => token_embedding;

    /// <summary>What a hidden layer gives for each token, (tokens, H).</summary>
    public torch.Tensor OutputWeight => output_weight;

    /// <summary>How likely each token is where nothing is known, as a logarithm, (tokens).</summary>
    public torch.Tensor OutputBias => output_bias;

    /// <summary>The first token of a position, counted over all positions.</summary>
    public long Start(int position) => _starts[position];

    /// <summary>What a code tells: (B, Z) → (B, C).</summary>
    public torch.Tensor Context(torch.Tensor code) => latent_context.call(code);

    /// <summary>
    /// The hidden layers of some positions at once.
    /// </summary>
    /// <param name="first">The first position.</param>
    /// <param name="context">What is known before each, (positions, B, C).</param>
    /// <param name="code">The codes, (B, Z).</param>
    /// <param name="dropout">What to do between the two layers.</param>
    /// <returns>(positions, B, H).</returns>
    public torch.Tensor Hidden(
        int first, torch.Tensor context, torch.Tensor code, Func<torch.Tensor, torch.Tensor>? dropout = null)
    {
        long positions = context.shape[0];
        torch.Tensor hidden = context.bmm(context_weight.narrow(0, first, positions))
            .add(code.unsqueeze(0).matmul(latent_hidden.narrow(0, first, positions)))
            .add(context_bias.narrow(0, first, positions))
            .relu();
        if (dropout is not null)
            hidden = dropout(hidden);
        return hidden.add(hidden.bmm(hidden_weight.narrow(0, first, positions))
            .add(hidden_bias.narrow(0, first, positions))
            .relu());
    }

    /// <summary>What a position's tokens have, of a tensor with a row for each token of all.</summary>
    public torch.Tensor Of(int position, torch.Tensor tokens) =>
        tokens.narrow(0, _starts[position], Shape.Tokens[position]);

    /// <summary>
    /// The logarithms of the odds of a position's tokens: (B, H) and what each token has, (n, H) → (B, n).
    /// </summary>
    public torch.Tensor Logits(int position, torch.Tensor hidden, torch.Tensor weight) =>
        torch.nn.functional.linear(hidden, weight, Of(position, output_bias));
}
