using System.Text.Json;

namespace GenerativeML;

/// <summary>A <c>config.json</c> of GPT-2 as Hugging Face writes it.</summary>
internal sealed class GptConfig
{
    private readonly JsonElement _json;

    private GptConfig(JsonElement json) => _json = json;

    /// <summary>Options for the network that it describes.</summary>
    /// <exception cref="FormatException">
    /// It describes one that this package has not; the message lists everything that stands against it.
    /// </exception>
    public static GptOptions Read(string text)
    {
        JsonElement json;
        try
        {
            json = JsonElement.Parse(text);
        }
        catch (JsonException e)
        {
            throw new FormatException($"The configuration is not valid JSON: {e.Message}", e);
        }
        if (json.ValueKind != JsonValueKind.Object)
            throw new FormatException("The configuration is not a JSON object.");
        var config = new GptConfig(json);
        string[] faults = [.. config.Faults()];
        if (faults.Length > 0)
            throw new FormatException($"The configuration is not one of a GPT-2: {string.Join("; ", faults)}.");
        return new GptOptions
        {
            Layers = config.Whole("n_layer")!.Value,
            Heads = config.Whole("n_head")!.Value,
            Width = config.Whole("n_embd")!.Value,
            ContextLength = (config.Whole("n_positions") ?? config.Whole("n_ctx"))!.Value,
            Biases = true,
            Gelu = config.Text("activation_function") == "gelu" ? GeluForm.Erf : GeluForm.Tanh,
            TieEmbeddings = config.Is("tie_word_embeddings", JsonValueKind.False) ? false : null,
            Dropout = config.Number("resid_pdrop") ?? 0,
        };
    }

    private IEnumerable<string> Faults()
    {
        foreach (string name in (string[])["n_layer", "n_head", "n_embd", "n_positions"])
        {
            if (Whole(name) is null && !(name == "n_positions" && Whole("n_ctx") is not null))
                yield return $"{name} is missing or no whole number";
        }
        (string Name, bool Differs, string Supported)[] others =
        [
            ("activation_function", Text("activation_function") is not (null or "gelu" or "gelu_new" or "gelu_pytorch_tanh"),
                "gelu or gelu_new"),
            ("layer_norm_epsilon", (float)(Number("layer_norm_epsilon") ?? 1e-5) != 1e-5f, "1e-05"),
            ("n_inner", Whole("n_inner") is int inner && inner != 4 * Whole("n_embd"), "four times n_embd"),
            ("scale_attn_weights", Is("scale_attn_weights", JsonValueKind.False), "true"),
            ("scale_attn_by_inverse_layer_idx", Is("scale_attn_by_inverse_layer_idx", JsonValueKind.True), "false"),
            ("add_cross_attention", Is("add_cross_attention", JsonValueKind.True), "false"),
        ];
        foreach ((string name, _, string supported) in others.Where(o => o.Differs))
            yield return $"{name} is {_json.GetProperty(name).GetRawText()}, and {supported} is supported";
    }

    private bool Is(string name, JsonValueKind kind) =>
        _json.TryGetProperty(name, out JsonElement value) && value.ValueKind == kind;

    private int? Whole(string name) =>
        Is(name, JsonValueKind.Number) && _json.GetProperty(name).TryGetInt32(out int n) ? n : null;

    private double? Number(string name) => Is(name, JsonValueKind.Number) ? _json.GetProperty(name).GetDouble() : null;

    private string? Text(string name) => Is(name, JsonValueKind.String) ? _json.GetProperty(name).GetString() : null;
}
