using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch.nn.functional;

namespace GenerativeML;

/// <summary>
/// GPT-2's network (Radford 2019): token and position embeddings, blocks, a last normalisation; the output weights are
/// the token embeddings. State dict keys are those of <see cref="GptShape.Tensors"/>.
/// </summary>
internal sealed class GptNetwork : torch.nn.Module
{
    private readonly GptEmbedding wte;
    private readonly GptEmbedding wpe;
    private readonly ModuleList<GptBlock> h;
    private readonly GptNorm ln_f;

    /// <param name="shape">Its sizes.</param>
    /// <param name="adapters">With adapters, they alone are trained; otherwise all weights.</param>
    /// <param name="bfloat16">Whether linear layers compute in bfloat16 while training.</param>
    /// <param name="random">Where initial weights come from, and where they are.</param>
    public GptNetwork(GptShape shape, LoraOptions? adapters, bool bfloat16, SeededRandom random)
        : base(nameof(GptNetwork))
    {
        Shape = shape;
        Adapters = adapters;
        var build = new GptBuild(shape, adapters, bfloat16, random);
        wte = new GptEmbedding(shape.VocabularySize, shape.Width, GptBuild.Deviation, random);
        wpe = new GptEmbedding(shape.ContextLength, shape.Width, GptBuild.Deviation, random);
        h = new ModuleList<GptBlock>([.. Enumerable.Range(0, shape.Layers).Select(_ => new GptBlock(shape, build))]);
        ln_f = new GptNorm(shape.Width, shape.Biases, random.Device);
        RegisterComponents();
        foreach ((string name, torch.Tensor value) in this.NamedTensors())
            value.requires_grad = adapters is null || GptAdapters.IsAdapter(name);
    }

    public GptShape Shape { get; }

    public LoraOptions? Adapters { get; }

    /// <summary>The blocks, first to last.</summary>
    public IReadOnlyList<GptBlock> Blocks => [.. h];

    /// <summary>Token embeddings and output weights, (V, C).</summary>
    public torch.Tensor TokenWeight => wte.Weight;

    /// <summary>Tokens (B, T) → hidden states (B, T, C) before the first block.</summary>
    public torch.Tensor Embed(torch.Tensor tokens, GptDropout? dropout = null)
    {
        dropout?.Begin(-1);
        (long batch, long length) = (tokens.shape[0], tokens.shape[1]);
        torch.Tensor x = wte.Weight.index_select(0, tokens.reshape(-1)).view(batch, length, Shape.Width)
            .add(wpe.Weight.narrow(0, 0, length));
        return dropout is null ? x : dropout.Apply(x);
    }

    /// <summary>One block, (B, T, C) → (B, T, C).</summary>
    public torch.Tensor Block(int block, torch.Tensor x, GptDropout? dropout = null)
    {
        dropout?.Begin(block);
        return h[block].Forward(x, dropout);
    }

    /// <summary>What follows the last block, (B, T, C) → (B, T, C).</summary>
    public torch.Tensor Finish(torch.Tensor x) => ln_f.call(x);

    /// <summary>Tokens (B, T) → the hidden states that the output weights are applied to, (B, T, C).</summary>
    public torch.Tensor Hidden(torch.Tensor tokens, GptDropout? dropout = null)
    {
        torch.Tensor x = Embed(tokens, dropout);
        for (int i = 0; i < h.Count; i++)
            x = Block(i, x, dropout);
        return Finish(x);
    }

    /// <summary>Tokens (B, T) → the logits of what follows each, (B, T, V).</summary>
    public torch.Tensor Logits(torch.Tensor tokens) => linear(Hidden(tokens), wte.Weight);

    /// <summary>Tokens that follow on cached ones → their hidden states, as <see cref="Hidden"/> gives them.</summary>
    public torch.Tensor Continue(DeviceTokens tokens)
    {
        torch.Tensor x = wte.Weight.index_select(0, tokens.Tokens).add(wpe.Weight.index_select(0, tokens.Positions))
            .view(tokens.Sequences, -1, Shape.Width);
        for (int i = 0; i < h.Count; i++)
            x = h[i].Continue(x, tokens, i);
        return Finish(x);
    }

    /// <summary>Takes the weights; adapters stay as they are.</summary>
    public void Take(GptWeights weights)
    {
        using IDisposable noGradient = torch.no_grad();
        foreach ((string name, torch.Tensor value) in this.NamedTensors())
        {
            if (GptAdapters.IsAdapter(name))
                continue;
            using DisposeScope scope = torch.NewDisposeScope();
            value.view(-1).copy_(HostTensors.FromRows(weights[name], 1, value.numel(), value.device).view(-1));
        }
    }

    /// <summary>A copy of the weights, without the adapters.</summary>
    public GptWeights ToWeights()
    {
        var weights = new GptWeights(Shape);
        foreach ((string name, torch.Tensor value) in this.NamedTensors())
        {
            if (!GptAdapters.IsAdapter(name))
                HostTensors.CopyTo(value, weights[name]);
        }
        return weights;
    }
}
