namespace GenerativeML;

/// <summary>
/// A transformer that reads a whole text at once (Vaswani 2017; norms first, as GPT-2 has them): numbers of tokens, zeros
/// behind them → a state of each.
/// </summary>
/// <param name="values">Numbers that tokens can be, zero among them.</param>
/// <param name="window">Tokens of a text, T.</param>
/// <param name="width">Features of a state, W.</param>
/// <param name="depth">Layers.</param>
/// <param name="heads">Heads of attention, which divide the width.</param>
internal sealed class TextEncoder(int values, int window, int width, int depth, int heads)
{
    /// <summary>Declares the layers, whose names begin so.</summary>
    public void Declare(Layers layers, string name)
    {
        layers.Embedding($"{name}.token", values, width);
        layers.Embedding($"{name}.position", window, width);
        for (int i = 0; i < depth; i++)
        {
            layers.LayerNorm($"{name}.{i}.norm_1", width);
            layers.Linear($"{name}.{i}.query_key_value", width, 3 * width);
            layers.Linear($"{name}.{i}.projection", width, width);
            layers.LayerNorm($"{name}.{i}.norm_2", width);
            layers.Stack($"{name}.{i}.dense", [width, 4 * width, width]);
        }
        layers.LayerNorm($"{name}.norm", width);
    }

    /// <summary>
    /// Tokens (B, T) → states (B, T, W); one for those that count, (B, T), which are the text's, and the first place of a
    /// text that is not known; and the mean of their states, (B, W).
    /// </summary>
    public (T States, T Counts, T Mean) Read<T>(Scope<T> w, T tokens)
        where T : struct, ITensor<T>
    {
        T counts = T.OneIfLess(w.Constant(0.5f), tokens);
        counts = T.Concat(1, tokens.Slice(1, 0, 1) * 0f + 1f, counts.Slice(1, 1, window - 1));
        T x = w["token.weight"].Embed(tokens.ToIndices()) + w["position.weight"];
        for (int i = 0; i < depth; i++)
        {
            Scope<T> layer = w.Of($"{i}");
            T all = layer.Linear("query_key_value", layer.LayerNorm("norm_1", x));
            T seen = Attention.Attend(
                all.Slice(2, 0, width), all.Slice(2, width, width), all.Slice(2, 2 * width, width), heads, window, window, width,
                counts);
            x += layer.Linear("projection", seen);
            x += layer.Stack("dense", 2, layer.LayerNorm("norm_2", x), Activation.Gelu);
        }
        x = w.LayerNorm("norm", x);
        T mean = (x * counts.Unsqueeze(2)).Reduce(Reduction.Sum, 1).Squeeze(1) / counts.Reduce(Reduction.Sum, 1);
        return (x, counts, mean);
    }
}
