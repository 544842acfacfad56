using System.Text.Json;

namespace GenerativeML;

/// <summary>What decides the network of a <c>config.json</c> of GPT-2 as Hugging Face writes it.</summary>
internal sealed record GptConfig(
    int? NLayer, int? NHead, int? NEmbd, int? NPositions, int? NCtx, int? NInner, string? ActivationFunction,
    double? LayerNormEpsilon, double? ResidPdrop, bool? ScaleAttnWeights, bool? ScaleAttnByInverseLayerIdx,
    bool? AddCrossAttention, bool? TieWordEmbeddings)
{
    private static readonly JsonSerializerOptions Format =
        new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    /// <summary>Options for the network that it describes.</summary>
    /// <exception cref="FormatException">
    /// It describes one that this package has not; the message lists everything that stands against it.
    /// </exception>
    public static GptOptions Read(string json)
    {
        GptConfig config;
        try
        {
            config = JsonSerializer.Deserialize<GptConfig>(json, Format)
                ?? throw new FormatException("The configuration is not a JSON object.");
        }
        catch (JsonException e)
        {
            throw new FormatException($"The configuration is not valid JSON: {e.Message}", e);
        }
        string[] faults = [.. config.Faults()];
        if (faults.Length > 0)
            throw new FormatException($"The configuration is not one of a GPT-2: {string.Join("; ", faults)}.");
        return new GptOptions
        {
            Layers = config.NLayer!.Value,
            Heads = config.NHead!.Value,
            Width = config.NEmbd!.Value,
            ContextLength = (config.NPositions ?? config.NCtx)!.Value,
            Biases = true,
            Gelu = config.ActivationFunction == "gelu" ? GeluForm.Erf : GeluForm.Tanh,
            TieEmbeddings = config.TieWordEmbeddings == false ? false : null,
            Dropout = config.ResidPdrop ?? 0,
        };
    }

    private IEnumerable<string> Faults()
    {
        (string Name, object? Value, bool Differs, string Supported)[] all =
        [
            ("n_layer", NLayer, NLayer is null, ""),
            ("n_head", NHead, NHead is null, ""),
            ("n_embd", NEmbd, NEmbd is null, ""),
            ("n_positions", NPositions, NPositions is null && NCtx is null, ""),
            ("activation_function", ActivationFunction,
                ActivationFunction is not (null or "gelu" or "gelu_new" or "gelu_pytorch_tanh"), "gelu or gelu_new"),
            ("layer_norm_epsilon", LayerNormEpsilon, (float)(LayerNormEpsilon ?? 1e-5) != 1e-5f, "1E-05"),
            ("n_inner", NInner, NInner is int inner && inner != 4 * NEmbd, "four times n_embd"),
            ("scale_attn_weights", ScaleAttnWeights, ScaleAttnWeights == false, "true"),
            ("scale_attn_by_inverse_layer_idx", ScaleAttnByInverseLayerIdx, ScaleAttnByInverseLayerIdx == true, "false"),
            ("add_cross_attention", AddCrossAttention, AddCrossAttention == true, "false"),
        ];
        return all.Where(o => o.Differs).Select(o => o.Value is null
            ? $"{o.Name} is missing"
            : $"{o.Name} is {JsonSerializer.Serialize(o.Value)}, and {o.Supported} is supported");
    }
}
