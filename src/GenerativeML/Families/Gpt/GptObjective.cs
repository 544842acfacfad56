using TorchSharp;

namespace GenerativeML;

/// <summary>The mean cross-entropy of each token's successor, over windows of a text.</summary>
internal sealed class GptObjective : ITrainable
{
    // AdamW's second moment follows faster than usual, for short runs.
    private static readonly AdamSettings Adam = new(0.9, 0.99);

    private readonly GptNetwork _network;
    private readonly NamedTensorModule _module;
    private readonly IReadOnlyDictionary<string, torch.Tensor> _weights;
    private readonly bool _bfloat16;
    private readonly Scope<TorchTensor> _inference;
    private readonly Action<long>? _afterStep;
    private Pass? _pass;

    /// <param name="network">The network.</param>
    /// <param name="module">Its tensors.</param>
    /// <param name="bfloat16">Whether products are made in bfloat16 while training.</param>
    /// <param name="matrixRate">
    /// The learning rate of Muon, in shares of AdamW's; without it AdamW moves all weights.
    /// </param>
    /// <param name="afterStep">Told the number of steps made, after each.</param>
    public GptObjective(
        GptNetwork network, NamedTensorModule module, bool bfloat16 = false, double? matrixRate = null,
        Action<long>? afterStep = null)
    {
        (_network, _module, _bfloat16, _afterStep) = (network, module, bfloat16, afterStep);
        _weights = module.Tensors;
        _inference = new TorchOps(_weights).Root;
        // Queries, keys and values are three matrices, whatever keeps them in one.
        IEnumerable<MuonMatrix> matrices =
            from block in Enumerable.Range(0, network.Options.Layers)
            from matrix in GptNetwork.Matrices
            let parts = matrix.Target == LoraTargets.AttentionInput ? 3 : 1
            select new MuonMatrix(_weights[$"h.{block}.{matrix.Name}.weight"], parts);
        MuonSettings? muon = matrixRate is double rate ? new([.. matrices], rate) : null;
        Updates = [new UpdateRule("gpt", module.TrainedTensors(), Adam: Adam, Muon: muon)];
    }

    public IReadOnlyList<(string Name, torch.Tensor Value)> State => _module.NamedTensors();

    public IReadOnlyList<UpdateRule> Updates { get; }

    public int PositionsPerRow => _network.Options.ContextLength;

    public IReadOnlyList<LossTerm> Loss(Batch batch, int update, StepContext step)
    {
        (torch.Tensor inputs, torch.Tensor targets) = Split(batch);
        var ops = new TorchOps(_weights) { Random = step.Random, BFloat16 = _bfloat16 };
        var forward = new Forward(_network, ops.Root, inputs, step);
        // With checkpointing, the states between blocks are all that is kept, and each starts a graph of its own.
        torch.Tensor[] states = _network.Options.GradientCheckpointing ? States(forward) : [];
        torch.Tensor hidden = states.Length > 0 ? GptNetwork.Finish(ops.Root, (TorchTensor)states[^1]) : forward.Hidden();

        torch.Tensor weight = _weights[_network.OutputWeights];
        if (weight.requires_grad && weight.grad is null)
            weight.grad = torch.zeros_like(weight);
        (torch.Tensor loss, torch.Tensor gradient) = new ChunkedCrossEntropy(weight, _bfloat16).Gradients(
            hidden.detach().view(-1, hidden.size(-1)), targets, step.Share, weight.requires_grad ? weight.grad : null);
        _pass = new Pass(forward, states, hidden, gradient.view(hidden.shape));
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
            torch.autograd.backward([pass.Forward.Block(i, pass.States[i])], [later.grad!]);
        }
        if (pass.States is [torch.Tensor first, ..] && _weights[GptNetwork.Embeddings].requires_grad)
            torch.autograd.backward([pass.Forward.Embed()], [first.grad!]);
    }

    public void AfterUpdate(int update, StepContext step) => _afterStep?.Invoke(step.Step + 1);

    public IReadOnlyList<LossTerm> ValidationLoss(Batch batch, StepContext step)
    {
        (torch.Tensor inputs, torch.Tensor targets) = Split(batch);
        torch.Tensor hidden = new Forward(_network, _inference, inputs, step).Hidden();
        var loss = new ChunkedCrossEntropy(_weights[_network.OutputWeights], bfloat16: false);
        return [new LossTerm("loss", loss.Losses(hidden.view(-1, hidden.size(-1)), targets).mean())];
    }

    private static (torch.Tensor Inputs, torch.Tensor Targets) Split(Batch batch)
    {
        torch.Tensor tokens = batch[0];
        long length = tokens.size(1) - 1;
        return (tokens.narrow(1, 0, length), tokens.narrow(1, 1, length).reshape(-1));
    }

    private torch.Tensor[] States(Forward forward)
    {
        using IDisposable noGradient = torch.no_grad();
        var states = new torch.Tensor[_network.Options.Layers + 1];
        states[0] = forward.Embed().requires_grad_();
        for (int i = 0; i < _network.Options.Layers; i++)
            states[i + 1] = forward.Block(i, states[i]).requires_grad_();
        return states;
    }

    /// <summary>
    /// The network over a batch of tokens, (B, T). While training, each part has random numbers of its own, so that
    /// computing it a second time leaves out the same; and what a block needs for itself is freed with it.
    /// </summary>
    private sealed class Forward(GptNetwork network, Scope<TorchTensor> w, torch.Tensor tokens, StepContext step)
    {
        public torch.Tensor Embed()
        {
            Begin(-1);
            long[] positions = [.. Enumerable.Range(0, (int)tokens.size(1))];
            return network.Embed(w, (TorchTensor)tokens, HostTensors.Index(positions, tokens.device));
        }

        public torch.Tensor Block(int block, torch.Tensor x)
        {
            Begin(block);
            using DisposeScope scope = torch.NewDisposeScope();
            return network.Block(w, block, (TorchTensor)x).Value.MoveToOuterDisposeScope();
        }

        public torch.Tensor Hidden()
        {
            torch.Tensor x = Embed();
            for (int i = 0; i < network.Options.Layers; i++)
                x = Block(i, x);
            return GptNetwork.Finish(w, (TorchTensor)x);
        }

        private void Begin(int block)
        {
            if (w.Ops.Training && network.Options.Dropout > 0)
                step.Random.Seed(new SplitMix64(step.Seed + (ulong)(block + 1)).Next());
        }
    }

    /// <summary>What the backward pass needs of the forward pass.</summary>
    private sealed record Pass(Forward Forward, torch.Tensor[] States, torch.Tensor Hidden, torch.Tensor Gradient);
}

/// <summary>
/// The cross-entropy of hidden states' logits against the tokens that follow, in nats. Logits exist for so many rows at
/// a time as fit into a fixed amount of memory, and never as part of a graph.
/// </summary>
internal sealed class ChunkedCrossEntropy(torch.Tensor weight, bool bfloat16)
{
    // 64 MB of logits at a time: with GPT-2's vocabulary, 333 tokens.
    private const long MaxLogits = 1 << 24;

    /// <summary>Each token's loss, without gradient: (N, C), targets (N) → (N).</summary>
    public torch.Tensor Losses(torch.Tensor hidden, torch.Tensor targets)
    {
        using IDisposable noGradient = torch.no_grad();
        var losses = new List<torch.Tensor>();
        foreach ((long start, long rows) in Chunks(hidden.size(0)))
        {
            using DisposeScope scope = torch.NewDisposeScope();
            torch.Tensor logarithms = Product(hidden.narrow(0, start, rows), weight.t()).log_softmax(-1);
            losses.Add(
                logarithms.gather(1, targets.narrow(0, start, rows).unsqueeze(1)).neg().MoveToOuterDisposeScope());
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
        long count = hidden.size(0);
        torch.Tensor loss = torch.zeros([], torch.ScalarType.Float32, hidden.device);
        torch.Tensor gradient = torch.empty(hidden.shape, torch.ScalarType.Float32, hidden.device);
        foreach ((long start, long rows) in Chunks(count))
        {
            using DisposeScope scope = torch.NewDisposeScope();
            torch.Tensor part = hidden.narrow(0, start, rows);
            torch.Tensor right = targets.narrow(0, start, rows).unsqueeze(1);
            torch.Tensor logarithms = Product(part, weight.t()).log_softmax(-1);
            loss.Add(logarithms.gather(1, right).sum(), -1.0 / count);
            // The gradient of a row's logits: the probabilities, less one at the token that came.
            torch.Tensor logitGradient = logarithms.exp_();
            logitGradient.scatter_add_(1, right, torch.ones([rows, 1], device: hidden.device).neg());
            logitGradient.Scale(share / count);
            gradient.narrow(0, start, rows).copy_(Product(logitGradient, weight));
            weightGradient?.Add(Product(logitGradient.t(), part));
        }
        return (loss, gradient);
    }

    private IEnumerable<(long Start, long Rows)> Chunks(long count)
    {
        long most = Math.Max(1, MaxLogits / weight.size(0));
        for (long start = 0; start < count; start += most)
            yield return (start, Math.Min(most, count - start));
    }

    private torch.Tensor Product(torch.Tensor a, torch.Tensor b) => bfloat16
        ? a.to(torch.ScalarType.BFloat16).matmul(b.to(torch.ScalarType.BFloat16)).to(torch.ScalarType.Float32)
        : a.matmul(b);
}
