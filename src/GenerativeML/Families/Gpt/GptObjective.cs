using TorchSharp;

namespace GenerativeML;

/// <summary>The mean cross-entropy of each token's successor, over windows of a text.</summary>
internal sealed class GptObjective : ITrainable
{
    // AdamW's second moment follows faster than usual, for short runs.
    private static readonly AdamSettings Adam = new(0.9, 0.99);

    // 64 MB of logits at a time: with GPT-2's vocabulary, 333 tokens.
    private const long MaxLogits = 1 << 24;

    private readonly GptNetwork _network;
    private readonly IReadOnlyDictionary<string, torch.Tensor> _weights;
    private readonly bool _bfloat16;
    private readonly Scope<TorchTensor> _inference;
    private readonly Action<long>? _afterStep;

    /// <summary>
    /// Products are made in bfloat16 while training, if asked for; <paramref name="matrixRate"/> is the learning rate of
    /// Muon, in shares of AdamW's, which moves all weights without it.
    /// </summary>
    public GptObjective(
        GptNetwork network, NamedTensors module, bool bfloat16 = false, double? matrixRate = null,
        Action<long>? afterStep = null)
    {
        (_network, _bfloat16, _afterStep) = (network, bfloat16, afterStep);
        _weights = module.Tensors;
        _inference = new TorchOps(_weights).Root;
        // Queries, keys and values are three matrices, whatever keeps them in one.
        IEnumerable<MuonMatrix> matrices =
            from block in Enumerable.Range(0, network.Options.Layers)
            from matrix in GptNetwork.Matrices
            let parts = matrix.Target == LoraTargets.AttentionInput ? 3 : 1
            select new MuonMatrix(_weights[$"h.{block}.{matrix.Name}.weight"], parts);
        MuonSettings? muon = matrixRate is double rate ? new([.. matrices], rate) : null;
        Updates =
        [
            new UpdateRule("gpt", [.. _weights.Values.Where(t => t.requires_grad)], Adam: Adam, Muon: muon),
        ];
    }

    public IReadOnlyList<(string Name, torch.Tensor Value)> State => [.. _weights.Select(w => (w.Key, w.Value))];

    public IReadOnlyList<UpdateRule> Updates { get; }

    public int PositionsPerRow => _network.Options.ContextLength;

    /// <inheritdoc/>
    /// <remarks>Gradients are there at once: those of the logits come with the loss, some rows at a time.</remarks>
    public IReadOnlyList<LossTerm> Loss(Batch batch, int update, StepContext step)
    {
        var ops = new TorchOps(_weights) { Random = step.Random, BFloat16 = _bfloat16 };
        var forward = new Forward(_network, ops.Root, batch, step);
        // With checkpointing, the states between blocks are all that is kept, and each starts a graph of its own.
        torch.Tensor[] states = _network.Options.GradientCheckpointing ? States(forward) : [];
        torch.Tensor hidden = states.Length > 0 ? forward.Finish(states[^1]) : forward.Hidden();
        torch.Tensor gradient = torch.empty_like(hidden, requires_grad: false);
        LossTerm loss = CrossEntropy(hidden.detach(), batch, _bfloat16, step.Share, gradient);

        torch.autograd.backward([hidden], [gradient]);
        for (int i = states.Length - 2; i >= 0; i--)
        {
            using DisposeScope scope = torch.NewDisposeScope();
            using torch.Tensor later = states[i + 1];
            torch.autograd.backward([forward.Block(i, states[i])], [later.grad!]);
        }
        if (states is [torch.Tensor first, ..] && _weights[GptNetwork.Embeddings].requires_grad)
            torch.autograd.backward([forward.Embed()], [first.grad!]);
        return [loss];
    }

    public void Backward(IReadOnlyList<LossTerm> terms, StepContext step)
    {
    }

    public void AfterUpdate(int update, StepContext step) => _afterStep?.Invoke(step.Step + 1);

    public IReadOnlyList<LossTerm> ValidationLoss(Batch batch, StepContext step) =>
        [CrossEntropy(new Forward(_network, _inference, batch, step).Hidden(), batch, bfloat16: false)];

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
    /// The mean cross-entropy of hidden states' logits, (B, T, C), against the tokens that follow, in nats. Logits exist
    /// for so many rows at a time as fit into a fixed amount of memory, and never as part of a graph. With a
    /// <paramref name="gradient"/>, that of the hidden states, times <paramref name="share"/>, goes there, and that of
    /// the output weights is added to theirs.
    /// </summary>
    private LossTerm CrossEntropy(
        torch.Tensor hidden, Batch batch, bool bfloat16, double share = 1, torch.Tensor? gradient = null)
    {
        using IDisposable noGradient = torch.no_grad();
        torch.Tensor weight = _weights[_network.OutputWeights];
        if (gradient is not null && weight.requires_grad && weight.grad is null)
            weight.grad = torch.zeros_like(weight);
        torch.Tensor targets = batch[0].narrow(1, 1, hidden.size(1)).reshape(-1, 1);
        (torch.Tensor inputs, torch.Tensor? gradients) = (Rows(hidden), gradient is null ? null : Rows(gradient));
        long count = inputs.size(0), most = Math.Max(1, MaxLogits / weight.size(0));
        torch.Tensor loss = torch.zeros([], torch.ScalarType.Float32, hidden.device);
        for (long start = 0; start < count; start += most)
        {
            using DisposeScope scope = torch.NewDisposeScope();
            long rows = Math.Min(most, count - start);
            (torch.Tensor part, torch.Tensor right) = (inputs.narrow(0, start, rows), targets.narrow(0, start, rows));
            torch.Tensor logarithms = Product(part, weight.t()).log_softmax(-1);
            loss.Add(logarithms.gather(1, right).sum(), -1.0 / count);
            if (gradients is null)
                continue;
            // The gradient of a row's logits: the probabilities, less one at the token that came.
            torch.Tensor logitGradient = logarithms.exp_();
            logitGradient.scatter_add_(1, right, torch.ones([rows, 1], device: hidden.device).neg());
            logitGradient.Scale(share / count);
            gradients.narrow(0, start, rows).copy_(Product(logitGradient, weight));
            if (weight.requires_grad)
                weight.grad!.Add(Product(logitGradient.t(), part));
        }
        return new LossTerm("loss", loss);

        static torch.Tensor Rows(torch.Tensor states) => states.view(-1, states.size(-1));

        torch.Tensor Product(torch.Tensor a, torch.Tensor b) => bfloat16
            ? a.to(torch.ScalarType.BFloat16).matmul(b.to(torch.ScalarType.BFloat16)).to(torch.ScalarType.Float32)
            : a.matmul(b);
    }

    /// <summary>
    /// The network over a batch of tokens, (B, T + 1), without the last. While training, each part has random numbers
    /// of its own, so that computing it a second time leaves out the same; and what a block needs for itself is freed
    /// with it.
    /// </summary>
    private sealed class Forward(GptNetwork network, Scope<TorchTensor> w, Batch batch, StepContext step)
    {
        public torch.Tensor Embed()
        {
            Begin(-1);
            torch.Tensor tokens = batch[0].narrow(1, 0, batch[0].size(1) - 1);
            long[] positions = [.. Enumerable.Range(0, (int)tokens.size(1))];
            return network.Embed(w, (TorchTensor)tokens, HostTensors.Index(positions, tokens.device));
        }

        public torch.Tensor Block(int block, torch.Tensor x)
        {
            Begin(block);
            using DisposeScope scope = torch.NewDisposeScope();
            return network.Block(w, block, (TorchTensor)x).Value.MoveToOuterDisposeScope();
        }

        public torch.Tensor Finish(torch.Tensor x) => GptNetwork.Finish(w, (TorchTensor)x);

        public torch.Tensor Hidden()
        {
            torch.Tensor x = Embed();
            for (int i = 0; i < network.Options.Layers; i++)
                x = Block(i, x);
            return Finish(x);
        }

        private void Begin(int block)
        {
            if (w.Ops.Training && network.Options.Dropout > 0)
                step.Random.Seed(new SplitMix64(step.Seed + (ulong)(block + 1)).Next());
        }
    }
}
