using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace GenerativeML.TestData;

/// <summary>GPT-2's network as somebody writes it with TorchSharp alone: stock modules, no dropout.</summary>
internal sealed class StockGpt : nn.Module<Tensor, Tensor>
{
    private readonly Embedding tokens, positions;
    private readonly ModuleList<StockBlock> blocks;
    private readonly LayerNorm final;

    public StockGpt(int vocabulary, int context, int layers, int heads, int width, bool biases = false)
        : base(nameof(StockGpt))
    {
        (tokens, positions) = (nn.Embedding(vocabulary, width), nn.Embedding(context, width));
        blocks = new([.. Enumerable.Range(0, layers).Select(_ => new StockBlock(width, heads, layers, context, biases))]);
        final = nn.LayerNorm([width], bias: biases);
        nn.init.normal_(tokens.weight!, 0, 0.02);
        nn.init.normal_(positions.weight!, 0, 0.02);
        RegisterComponents();
    }

    /// <summary>Tokens (B, T) → logits (B, T, V).</summary>
    public override Tensor forward(Tensor input) => Logits(input, 0, (block, x) => block.call(x));

    /// <summary>One more token (1, 1) of a text → its logits; each block remembers the tokens before it.</summary>
    public Tensor Next(Tensor token, int at) => Logits(token, at, (block, x) => block.Next(x, at));

    /// <summary>Takes the weights of a file with GPT-2's names.</summary>
    public void Load(IReadOnlyDictionary<string, Tensor> weights)
    {
        using (no_grad())
        {
            tokens.weight!.copy_(weights["wte.weight"]);
            positions.weight!.copy_(weights["wpe.weight"]);
            final.weight!.copy_(weights["ln_f.weight"]);
            for (int i = 0; i < blocks.Count; i++)
                blocks[i].Load(weights, $"h.{i}.");
        }
    }

    private Tensor Logits(Tensor input, int first, Func<StockBlock, Tensor, Tensor> run)
    {
        Tensor x = tokens.call(input) + positions.call(arange(first, first + input.shape[1], device: input.device));
        foreach (StockBlock block in blocks)
            x = run(block, x);
        return F.linear(final.call(x), tokens.weight!);
    }
}

internal sealed class StockBlock : nn.Module<Tensor, Tensor>
{
    private readonly LayerNorm norm1, norm2;
    private readonly Linear attention, projection, hidden, output;
    private readonly Tensor keys, values;
    private readonly int _heads;

    public StockBlock(int width, int heads, int layers, int context, bool biases)
        : base(nameof(StockBlock))
    {
        _heads = heads;
        (norm1, norm2) = (nn.LayerNorm([width], bias: biases), nn.LayerNorm([width], bias: biases));
        (attention, projection) = (Dense(width, 3 * width), Dense(width, width, layers));
        (hidden, output) = (Dense(width, 4 * width), Dense(4 * width, width, layers));
        (keys, values) = (zeros(1, heads, context, width / heads), zeros(1, heads, context, width / heads));
        RegisterComponents();

        Linear Dense(int inputs, int outputs, int layers = 0)
        {
            Linear layer = nn.Linear(inputs, outputs, hasBias: biases);
            nn.init.normal_(layer.weight!, 0, layers > 0 ? 0.02 / Math.Sqrt(2 * layers) : 0.02);
            return layer;
        }
    }

    public override Tensor forward(Tensor x)
    {
        (Tensor q, Tensor k, Tensor v) = Heads(x);
        return Finish(x, F.scaled_dot_product_attention(q, k, v, is_casual: true));
    }

    public Tensor Next(Tensor x, int at)
    {
        (Tensor q, Tensor k, Tensor v) = Heads(x);
        keys.narrow(2, at, 1).copy_(k);
        values.narrow(2, at, 1).copy_(v);
        return Finish(x, F.scaled_dot_product_attention(q, keys.narrow(2, 0, at + 1), values.narrow(2, 0, at + 1)));
    }

    public void Load(IReadOnlyDictionary<string, Tensor> weights, string prefix)
    {
        norm1.weight!.copy_(weights[prefix + "ln_1.weight"]);
        attention.weight!.copy_(weights[prefix + "attn.c_attn.weight"]);
        projection.weight!.copy_(weights[prefix + "attn.c_proj.weight"]);
        norm2.weight!.copy_(weights[prefix + "ln_2.weight"]);
        hidden.weight!.copy_(weights[prefix + "mlp.c_fc.weight"]);
        output.weight!.copy_(weights[prefix + "mlp.c_proj.weight"]);
    }

    private (Tensor, Tensor, Tensor) Heads(Tensor x)
    {
        long batch = x.shape[0], length = x.shape[1], width = x.shape[2];
        Tensor[] parts = [.. attention.call(norm1.call(x)).chunk(3, 2)
            .Select(part => part.view(batch, length, _heads, width / _heads).transpose(1, 2))];
        return (parts[0], parts[1], parts[2]);
    }

    private Tensor Finish(Tensor x, Tensor mixed)
    {
        x = x + projection.call(mixed.transpose(1, 2).reshape(x.shape));
        return x + output.call(F.gelu(hidden.call(norm2.call(x))));
    }
}
