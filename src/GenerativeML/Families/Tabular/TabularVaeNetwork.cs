using TorchSharp;

namespace GenerativeML;

/// <summary>
/// A variational autoencoder of rows of tokens whose decoder is autoregressive (Chen 2017): the code tells what
/// columns share, and each column is drawn by the code and the columns before it. Tokens of numbers have, beside
/// vectors of their own, smooth functions of where they lie, so that neighbours are alike from the start; the rarer a
/// token, the less its own vectors count.
/// </summary>
internal sealed class TabularVaeNetwork : torch.nn.Module
{
    // A number's token in so many rows counts half by itself, and half by where it lies.
    private const double HalfOwnRows = 50;

    private readonly int[] _scaled; // the positions that are numbers

    private readonly TabularEncoder encoder;
    private readonly TabularDecoder decoder;
    private readonly torch.Tensor scale; // (tokens, F), not trained; zero for categories
    private readonly torch.Tensor own_share; // (tokens, 1), not trained: what a token's own vectors count
    private readonly torch.Tensor scale_encoder; // (numbers, F, E)
    private readonly torch.Tensor scale_context; // (numbers, F, C)
    private readonly torch.Tensor scale_output; // (numbers, F, H)

    /// <param name="shape">The shape of what will be kept.</param>
    /// <param name="tokens">The tokens.</param>
    /// <param name="counts">How often they occur.</param>
    /// <param name="encoderWidth">Width of the encoder's layers, E.</param>
    /// <param name="random">Draws the weights.</param>
    public TabularVaeNetwork(
        TabularVaeShape shape, TokenTable tokens, TokenCounts counts, int encoderWidth, SeededRandom random)
        : base(nameof(TabularVaeNetwork))
    {
        encoder = new TabularEncoder(shape, encoderWidth, random);
        decoder = new TabularDecoder(shape, random);
        _scaled = [.. Enumerable.Range(0, tokens.Columns.Count).Where(p => tokens.Columns[p] is NumberTokens)];
        float[] features = [.. tokens.Columns.SelectMany(
            c => c is NumberTokens numbers ? TokenScales.Of(numbers) : new float[c.Count * TokenScales.Features])];
        scale = HostTensors.FromRows(
            features, features.Length / TokenScales.Features, TokenScales.Features, random.Device);
        float[] shares = [.. tokens.Columns.SelectMany((c, p) => counts.Of(p).Select(
            n => c is NumberTokens ? (float)(n / (n + HalfOwnRows)) : 1f))];
        own_share = HostTensors.FromRows(shares, shares.Length, 1, random.Device);
        double deviation = 0.3 / Math.Sqrt(tokens.Columns.Count);
        long numbers = Math.Max(1, _scaled.Length); // an empty tensor has no gradient
        scale_encoder = random.Normal([numbers, TokenScales.Features, encoderWidth], deviation).requires_grad_();
        scale_context = random.Normal([numbers, TokenScales.Features, shape.ContextWidth], deviation).requires_grad_();
        scale_output = torch.zeros(
            [numbers, TokenScales.Features, shape.HiddenWidth], torch.ScalarType.Float32, random.Device,
            requires_grad: true);
        RegisterComponents();
        SetShares(counts.LogShares());
    }

    /// <summary>The decoder.</summary>
    public TabularDecoder Decoder => decoder;

    /// <summary>The two parts of the negative ELBO of rows, in nats.</summary>
    /// <param name="tokens">(B, positions).</param>
    /// <param name="random">Draws the codes.</param>
    /// <param name="dropout">The share of hidden units that are left out.</param>
    /// <returns>
    /// The negative log-likelihood of the tokens, a scalar, the batch's mean; and the mean KL divergence of each slot
    /// of the code from the prior, (Z).
    /// </returns>
    public (torch.Tensor Reconstruction, torch.Tensor Kl) Loss(
        torch.Tensor tokens, SeededRandom random, double dropout = 0)
    {
        long rows = tokens.shape[0], positions = tokens.shape[1];
        Func<torch.Tensor, torch.Tensor>? drop = dropout > 0 ? Drop : null;
        // Position by position, as the decoder goes.
        torch.Tensor byPosition = tokens.add(Starts(tokens.device)).t().contiguous(); // (positions, B)
        torch.Tensor byRow = byPosition.t().contiguous().view(-1);
        (torch.Tensor mean, torch.Tensor logVariance) = encoder.Encode(
            byRow, Scaled(encoder.TokenEmbedding, scale_encoder), rows, drop);
        torch.Tensor code = mean.add(logVariance.mul(0.5).exp().mul(random.Normal(mean.shape)));
        torch.Tensor told = Scaled(decoder.TokenEmbedding, scale_context)
            .index_select(0, byPosition.view(-1)).view(positions, rows, -1);
        torch.Tensor before = told.cumsum(0).sub(told).add(decoder.Context(code));
        torch.Tensor hidden = decoder.Hidden(0, before, code, drop);
        torch.Tensor weight = Scaled(decoder.OutputWeight, scale_output);
        torch.Tensor? sum = null;
        for (int p = 0; p < positions; p++)
        {
            torch.Tensor log = decoder.Logits(p, hidden.select(0, p), decoder.Of(p, weight)).log_softmax(1);
            torch.Tensor seen = log.gather(1, tokens.narrow(1, p, 1)).sum();
            sum = sum is null ? seen : sum.add(seen);
        }
        torch.Tensor kl = VariationalNetwork.KlDivergence<TorchTensor>(mean, logVariance).Value.mean([0L]);
        return (sum!.mul(-1.0 / rows), kl);

        // The same units in all positions: one draw instead of many.
        torch.Tensor Drop(torch.Tensor x)
        {
            torch.Tensor keep = random.Bernoulli([x.shape[^2], x.shape[^1]], 1 - dropout);
            return x.mul(keep.mul(1 / (1 - dropout)));
        }
    }

    /// <summary>
    /// A decoder of the same shape gets what this one has learned, with the smooth functions worked in.
    /// </summary>
    public void CopyDecoder(TabularDecoder target)
    {
        using IDisposable noGradient = torch.no_grad();
        using DisposeScope scope = torch.NewDisposeScope();
        WeightAverage.Copy(target, decoder);
        target.TokenEmbedding.copy_(Scaled(decoder.TokenEmbedding, scale_context));
        target.OutputWeight.copy_(Scaled(decoder.OutputWeight, scale_output));
    }

    // An untrained decoder gives the tokens as often as they occur.
    private void SetShares(float[] logShares)
    {
        using IDisposable noGradient = torch.no_grad();
        using torch.Tensor values = HostTensors.FromRows(
            logShares, 1, logShares.Length, decoder.OutputBias.device);
        decoder.OutputBias.copy_(values.view(-1));
    }

    /// <summary>
    /// What tokens have of their own, (tokens, W), and by where they lie, (numbers, F, W) → (tokens, W).
    /// </summary>
    private torch.Tensor Scaled(torch.Tensor own, torch.Tensor smooth)
    {
        if (_scaled.Length == 0)
            return own;
        int next = 0;
        return torch.cat([.. decoder.Shape.Tokens.Select((_, p) => next < _scaled.Length && _scaled[next] == p
            ? decoder.Of(p, own).mul(decoder.Of(p, own_share))
                .add(decoder.Of(p, scale).matmul(smooth.select(0, next++)))
            : decoder.Of(p, own))]);
    }

    private torch.Tensor Starts(torch.Device device) => HostTensors.Index(
        [.. Enumerable.Range(0, decoder.Shape.Tokens.Count).Select(decoder.Start)], device);
}
