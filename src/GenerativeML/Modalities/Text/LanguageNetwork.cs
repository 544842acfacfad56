using TorchSharp;

namespace GenerativeML;

/// <summary>A network of tokens, without weights, and how its weights begin and move.</summary>
internal abstract class TokenNetwork(TextModelOptions options) : Network
{
    /// <summary>The most elements of a tensor: a span of bytes must be able to hold it.</summary>
    protected const long MaxElements = int.MaxValue / sizeof(float);

    // AdamW's second moment follows faster than usual, for short runs.
    private static readonly AdamSettings s_adam = new(0.9, 0.99);

    /// <summary>The name in saved models.</summary>
    public abstract string Family { get; }

    /// <summary>The tensors of a trained model, in the order of the computation.</summary>
    public abstract IReadOnlyList<TensorSpec> Tensors { get; }

    public long ParameterCount => Tensors.Sum(t => t.Length / sizeof(float));

    /// <summary>Features of a final hidden state, C.</summary>
    public abstract int Width { get; }

    /// <summary>Draws the values that training begins with; what it leaves has those that it was declared with.</summary>
    public abstract void Initialize(HostWeights weights, ulong seed);

    /// <summary>AdamW, or Muon for matrices, which counts its rate in shares of AdamW's.</summary>
    public override IReadOnlyList<UpdateRule> Updates(TorchLayers layers)
    {
        MuonSettings? muon = options.Optimizer == LanguageModelOptimizer.Muon
            ? new([.. MuonMatrices(layers)], options.MatrixLearningRate!.Value / options.LearningRate!.Value)
            : null;
        return [new UpdateRule(Family, layers.Parameters(), Adam: s_adam, Muon: muon)];
    }

    /// <summary>The matrices that Muon moves.</summary>
    protected abstract IEnumerable<MuonMatrix> MuonMatrices(TorchLayers layers);
}

/// <summary>
/// A network of tokens, without weights: it makes hidden states of tokens, one after the other, and of each the logits
/// of the token that follows.
/// </summary>
internal abstract class LanguageNetwork(LanguageModelOptions options) : TokenNetwork(options)
{
    // 64 MB of logits at a time: with GPT-2's vocabulary, 333 tokens.
    private const long MaxLogits = 1 << 24;

    public abstract LanguageModelOptions Options { get; }

    /// <summary>Tokens that there are, V.</summary>
    public int VocabularySize { get; } = options.VocabularySize!.Value;

    /// <summary>The most tokens that are looked at together; without end where a state carries what was.</summary>
    public virtual int ContextLength => int.MaxValue;

    /// <summary>The matrix that makes logits of final hidden states, (V, C).</summary>
    public abstract string OutputWeights { get; }

    /// <summary>What is added to logits, (V), if anything.</summary>
    public virtual string? OutputBias => null;

    /// <summary>Those of the logits come with the loss, some rows at a time.</summary>
    public override bool LossAddsGradients => true;

    /// <summary>How many numbers are kept of a sequence of so many tokens to go on with it.</summary>
    public abstract long CacheNumbers(int tokens);

    /// <summary>Tokens and their positions → final hidden states, (…) → (…, C).</summary>
    public abstract T Hidden<T>(Scope<T> w, T tokens, T positions)
        where T : struct, ITensor<T>;

    /// <summary>Final hidden states → logits of the tokens that follow, (…, C) → (…, V).</summary>
    public T Logits<T>(Scope<T> w, T hidden)
        where T : struct, ITensor<T> => hidden.Linear(w[OutputWeights], OutputBias is null ? null : w[OutputBias]);

    /// <summary>
    /// Declares in a graph of tokens (B, T) what is kept of earlier ones, if that is to go in and come out; gives the
    /// tokens' positions.
    /// </summary>
    public abstract OnnxTensor AddPast(OnnxExport graph, OnnxTensor tokens, bool cached);

    /// <summary>
    /// The mean cross-entropy of hidden states' logits, (B, T, C), against the tokens that follow, (B, T), in nats. Logits
    /// exist for so many rows at a time as fit into a fixed amount of memory, and never as part of a graph. With a
    /// <paramref name="gradient"/>, that of the hidden states, times <paramref name="share"/>, goes there, and those of
    /// the output weights and bias are added to theirs.
    /// </summary>
    protected LossTerm CrossEntropy(
        Scope<TorchTensor> w, torch.Tensor hidden, torch.Tensor following, double share = 1,
        torch.Tensor? gradient = null)
    {
        using IDisposable noGradient = torch.no_grad();
        bool bfloat16 = w.Ops is TorchOps { BFloat16: true };
        torch.Tensor weight = w[OutputWeights];
        torch.Tensor? bias = OutputBias is null ? null : w[OutputBias].Value;
        if (gradient is not null && weight.requires_grad && weight.grad is null)
            weight.grad = torch.zeros_like(weight);
        if (gradient is not null && bias is { requires_grad: true, grad: null })
            bias.grad = torch.zeros_like(bias);
        torch.Tensor targets = following.reshape(-1, 1);
        (torch.Tensor inputs, torch.Tensor? gradients) = (Rows(hidden), gradient is null ? null : Rows(gradient));
        long count = inputs.size(0), most = Math.Max(1, MaxLogits / weight.size(0));
        torch.Tensor loss = torch.zeros([], torch.ScalarType.Float32, hidden.device);
        for (long start = 0; start < count; start += most)
        {
            using DisposeScope scope = torch.NewDisposeScope();
            long rows = Math.Min(most, count - start);
            (torch.Tensor part, torch.Tensor right) = (inputs.narrow(0, start, rows), targets.narrow(0, start, rows));
            torch.Tensor logits = Product(part, weight.t());
            torch.Tensor logarithms = (bias is null ? logits : logits.Add(bias)).log_softmax(-1);
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
            if (bias?.requires_grad == true)
                bias.grad!.Add(logitGradient.sum(0L));
        }
        return new LossTerm("loss", loss);

        static torch.Tensor Rows(torch.Tensor states) => states.view(-1, states.size(-1));

        torch.Tensor Product(torch.Tensor a, torch.Tensor b) => bfloat16
            ? a.to(torch.ScalarType.BFloat16).matmul(b.to(torch.ScalarType.BFloat16)).to(torch.ScalarType.Float32)
            : a.matmul(b);
    }
}
