using TorchSharp;
using static TorchSharp.torch.nn.functional;

namespace GenerativeML;

/// <summary>
/// Causal self-attention of several heads: (B, T, C) → (B, T, C), a token sees itself and those before it.
/// </summary>
internal sealed class GptAttention : torch.nn.Module
{
    private readonly GptShape _shape;
    private readonly GptDense c_attn; // queries, keys and values, in this order
    private readonly GptDense c_proj;

    public GptAttention(GptShape shape, GptBuild build)
        : base(nameof(GptAttention))
    {
        _shape = shape;
        c_attn = build.Dense(shape.Width, 3 * shape.Width, LoraTargets.AttentionInput);
        c_proj = build.Residual(shape.Width, shape.Width, LoraTargets.AttentionOutput);
        RegisterComponents();
    }

    /// <summary>The linear layers, by the names of the state dict.</summary>
    public GptDense Input => c_attn;

    public GptDense Output => c_proj;

    public torch.Tensor Forward(torch.Tensor x, GptDropout? dropout)
    {
        (long batch, long length) = (x.shape[0], x.shape[1]);
        torch.Tensor[] qkv = [.. c_attn.call(x).chunk(3, -1).Select(Split)];
        torch.Tensor mixed = dropout?.IsActive == true
            ? Attend(qkv[0], qkv[1], qkv[2], dropout)
            : scaled_dot_product_attention(qkv[0], qkv[1], qkv[2], null, 0, true);
        torch.Tensor joined = mixed.transpose(1, 2).reshape(batch, length, _shape.Width);
        torch.Tensor result = c_proj.call(joined);
        return dropout is null ? result : dropout.Apply(result);
    }

    /// <summary>The same for tokens that follow on cached ones.</summary>
    public torch.Tensor Continue(torch.Tensor x, DeviceTokens tokens, int layer)
    {
        torch.Tensor[] qkv = c_attn.call(x).chunk(3, -1);
        (torch.Tensor keys, torch.Tensor values) = tokens.Extend(layer, qkv[1], qkv[2]);
        torch.Tensor mixed = Weights(Split(qkv[0]), Split(keys), tokens.Hidden).matmul(Split(values));
        return c_proj.call(mixed.transpose(1, 2).reshape(x.shape));
    }

    // (B, T, C) → (B, H, T, C/H).
    private torch.Tensor Split(torch.Tensor x) =>
        x.view(x.shape[0], x.shape[1], _shape.Heads, _shape.HeadWidth).transpose(1, 2);

    // Torch's own attention draws what it leaves out from the process's random state.
    private torch.Tensor Attend(torch.Tensor query, torch.Tensor key, torch.Tensor value, GptDropout dropout)
    {
        long length = query.shape[2];
        torch.Tensor hidden = torch.full(
            [length, length], float.NegativeInfinity, torch.ScalarType.Float32, query.device).triu_(1);
        return dropout.Apply(Weights(query, key, hidden)).matmul(value);
    }

    private torch.Tensor Weights(torch.Tensor query, torch.Tensor key, torch.Tensor hidden) =>
        query.matmul(key.transpose(2, 3)).mul(1 / Math.Sqrt(_shape.HeadWidth)).add(hidden).softmax(-1);
}
