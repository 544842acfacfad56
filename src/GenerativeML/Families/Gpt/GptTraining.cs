using TorchSharp;

namespace GenerativeML;

/// <summary>
/// What the training loop does with a batch of windows: the mean cross-entropy of each token's successor.
/// </summary>
internal sealed class GptTraining : ITrainable, IDisposable
{
    private readonly GptNetwork _network;
    private readonly double _dropout;
    private readonly bool _checkpointing;
    private readonly GptHead _trainingHead, _head;
    private Pass? _pass;

    /// <param name="network">What is trained.</param>
    /// <param name="options">How.</param>
    /// <param name="bfloat16">Whether the loss's products are made in bfloat16.</param>
    /// <param name="matrixRate">
    /// The learning rate of Muon, in shares of AdamW's; without it AdamW moves all weights.
    /// </param>
    public GptTraining(GptNetwork network, GptOptions options, bool bfloat16, double? matrixRate = null)
    {
        _network = network;
        _dropout = options.Dropout;
        _checkpointing = options.GradientCheckpointing;
        _trainingHead = new GptHead(network.TokenWeight, bfloat16);
        _head = new GptHead(network.TokenWeight, bfloat16: false);
        MuonSettings? muon =
            matrixRate is double rate ? new([.. network.Blocks.SelectMany(Matrices)], rate) : null;
        Updates = [new UpdateRule("gpt", network.TrainedTensors(), Adam: GptDefaults.Adam, Muon: muon)];
    }

    /// <summary>Told the number of steps made, after each.</summary>
    public Action<long>? AfterStep { get; init; }

    public torch.nn.Module Network => _network;

    public IReadOnlyList<UpdateRule> Updates { get; }

    public int PositionsPerRow => _network.Shape.ContextLength;

    public IReadOnlyList<LossTerm> Loss(Batch batch, int update, StepContext step)
    {
        if (!_network.training)
            _network.train();
        (torch.Tensor inputs, torch.Tensor targets) = Split(batch);
        GptDropout? dropout = _dropout > 0 ? new GptDropout(_dropout, step.Random, step.Seed) : null;
        // With checkpointing, the states between blocks are all that is kept, and each starts a graph of its own.
        torch.Tensor[] states = _checkpointing ? States(inputs, dropout) : [];
        torch.Tensor hidden = _checkpointing ? _network.Finish(states[^1]) : _network.Hidden(inputs, dropout);

        torch.Tensor weight = _network.TokenWeight;
        if (weight.requires_grad && weight.grad is null)
            weight.grad = torch.zeros_like(weight);
        (torch.Tensor loss, torch.Tensor gradient) = _trainingHead.Gradients(
            hidden.detach().view(-1, _network.Shape.Width), targets, step.Share,
            weight.requires_grad ? weight.grad : null);
        _pass = new Pass(inputs, dropout, states, hidden, gradient.view(hidden.shape));
        return [new LossTerm("loss", loss)];
    }

    public void Backward(IReadOnlyList<LossTerm> terms, StepContext step)
    {
        Pass pass = _pass ?? throw new InvalidOperationException("There is no loss to go back from.");
        _pass = null;
        torch.autograd.backward([pass.Hidden], [pass.Gradient]);
        for (int i = pass.States.Length - 2; i >= 0; i--)
        {
            using DisposeScope scope = torch.NewDisposeScope();
            using torch.Tensor later = pass.States[i + 1];
            torch.autograd.backward([_network.Block(i, pass.States[i], pass.Dropout)], [later.grad!]);
        }
        if (pass.States is [torch.Tensor first, ..] && _network.TokenWeight.requires_grad)
            torch.autograd.backward([_network.Embed(pass.Inputs, pass.Dropout)], [first.grad!]);
    }

    public void AfterUpdate(int update, StepContext step) => AfterStep?.Invoke(step.Step + 1);

    public IReadOnlyList<LossTerm> ValidationLoss(Batch batch, StepContext step)
    {
        _network.eval();
        (torch.Tensor inputs, torch.Tensor targets) = Split(batch);
        torch.Tensor hidden = _network.Hidden(inputs).view(-1, _network.Shape.Width);
        return [new LossTerm("loss", _head.Losses(hidden, targets).mean())];
    }

    /// <summary>Ends the threads that managed steps are computed on.</summary>
    public void Dispose() { }

    // Queries, keys and values are three matrices, whatever keeps them in one.
    private static IEnumerable<MuonMatrix> Matrices(GptBlock block) =>
        block.Dense.Select(d => new MuonMatrix(d.Layer.Weight, d.Name == GptBlock.QueryKeyValue ? 3 : 1));

    private static (torch.Tensor Inputs, torch.Tensor Targets) Split(Batch batch)
    {
        torch.Tensor tokens = batch[0];
        long length = tokens.shape[1] - 1;
        return (tokens.narrow(1, 0, length), tokens.narrow(1, 1, length).reshape(-1));
    }

    private torch.Tensor[] States(torch.Tensor inputs, GptDropout? dropout)
    {
        using IDisposable noGradient = torch.no_grad();
        var states = new torch.Tensor[_network.Shape.Layers + 1];
        states[0] = _network.Embed(inputs, dropout).requires_grad_();
        for (int i = 0; i < _network.Shape.Layers; i++)
            states[i + 1] = _network.Block(i, states[i], dropout).requires_grad_();
        return states;
    }

    /// <summary>What the backward pass needs of the forward pass.</summary>
    private sealed record Pass(
        torch.Tensor Inputs, GptDropout? Dropout, torch.Tensor[] States, torch.Tensor Hidden, torch.Tensor Gradient);
}
