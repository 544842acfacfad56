using TorchSharp;

namespace GenerativeML;

/// <summary>A block: attention and a perceptron, each on normalised input and added to it.</summary>
internal sealed class GptBlock : torch.nn.Module
{
    /// <summary>The name of the layer that makes queries, keys and values.</summary>
    public const string QueryKeyValue = "attn.c_attn";

    private readonly GptNorm ln_1;
    private readonly GptAttention attn;
    private readonly GptNorm ln_2;
    private readonly GptPerceptron mlp;

    public GptBlock(GptShape shape, GptBuild build)
        : base(nameof(GptBlock))
    {
        ln_1 = new GptNorm(shape.Width, shape.Biases, build.Random.Device);
        attn = new GptAttention(shape, build);
        ln_2 = new GptNorm(shape.Width, shape.Biases, build.Random.Device);
        mlp = new GptPerceptron(shape, build);
        RegisterComponents();
    }

    /// <summary>The linear layers, each under its name in the block.</summary>
    public IEnumerable<(string Name, GptDense Layer)> Dense =>
    [
        (QueryKeyValue, attn.Input), ("attn.c_proj", attn.Output), ("mlp.c_fc", mlp.Input), ("mlp.c_proj", mlp.Output),
    ];

    /// <summary>(B, T, C) → (B, T, C), in a dispose scope of its own.</summary>
    public torch.Tensor Forward(torch.Tensor x, GptDropout? dropout) =>
        Forward(x, normed => attn.Forward(normed, dropout), dropout);

    /// <summary>The same for tokens that follow on cached ones.</summary>
    public torch.Tensor Continue(torch.Tensor x, DeviceTokens tokens, int layer) =>
        Forward(x, normed => attn.Continue(normed, tokens, layer), dropout: null);

    private torch.Tensor Forward(torch.Tensor x, Func<torch.Tensor, torch.Tensor> attend, GptDropout? dropout)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        torch.Tensor attended = x.add(attend(ln_1.call(x)));
        return attended.add(mlp.Forward(ln_2.call(attended), dropout)).MoveToOuterDisposeScope();
    }
}
