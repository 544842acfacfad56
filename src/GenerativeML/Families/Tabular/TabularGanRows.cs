using TorchSharp;

namespace GenerativeML;

/// <summary>Rows of tokens as the networks of a GAN of tables see them: a slot for each token, and offsets.</summary>
internal sealed class TabularGanRows
{
    private readonly TabularGanShape _shape;
    private readonly long[] _starts;
    private readonly long _tokens;

    public TabularGanRows(TabularGanShape shape)
    {
        _shape = shape;
        _starts = shape.Starts();
        _tokens = shape.Tokens.Sum(n => (long)n);
    }

    /// <summary>The first token of each position, counted over all, (positions).</summary>
    public torch.Tensor Starts(torch.Device device) => HostTensors.Index(_starts, device);

    /// <summary>A one in the slots of tokens that are counted over all positions, (B, n) → (B, T).</summary>
    public torch.Tensor Slots(torch.Tensor tokens) =>
        torch.zeros([tokens.shape[0], _tokens], torch.ScalarType.Float32, tokens.device)
            .scatter_(1, tokens, torch.ones(tokens.shape, torch.ScalarType.Float32, tokens.device));

    /// <summary>
    /// What the generator gave as rows, (B, row): tokens by Gumbel-softmax, offsets squashed to [−1, 1].
    /// </summary>
    public torch.Tensor Soft(torch.Tensor given, double temperature, SeededRandom random)
    {
        torch.Tensor odds = given.narrow(1, 0, _tokens);
        torch.Tensor noise = random.Uniform(odds.shape, 1e-7, 1 - 1e-7).log().mul(-1).log().mul(-1);
        torch.Tensor disturbed = odds.add(noise).mul(1 / temperature);
        var parts = _starts.Select((start, p) => disturbed.narrow(1, start, _shape.Tokens[p]).softmax(1)).ToList();
        if (_shape.Numbers.Count > 0)
            parts.Add(Offsets(given));
        return torch.cat(parts, 1);
    }

    /// <summary>The offsets of what the generator gave, (B, numbers).</summary>
    public torch.Tensor Offsets(torch.Tensor given) =>
        torch.tanh(given.narrow(1, _tokens, _shape.Numbers.Count));

    /// <summary>The log-odds of a position's tokens of what the generator gave, (B, n).</summary>
    public torch.Tensor Odds(torch.Tensor given, int position) =>
        given.narrow(1, _starts[position], _shape.Tokens[position]);

    /// <summary>
    /// How unlikely the generator's rows have the token that was given, in nats, a scalar.
    /// </summary>
    /// <param name="given">What it gave, (B, row).</param>
    /// <param name="condition">A one in the slot of the token that was asked for, (B, T).</param>
    public torch.Tensor ConditionLoss(torch.Tensor given, torch.Tensor condition)
    {
        torch.Tensor log = torch.cat(
            [.. Enumerable.Range(0, _shape.Tokens.Count).Select(p => Odds(given, p).log_softmax(1))], 1);
        return log.mul(condition).sum(1L).mean().mul(-1);
    }
}
