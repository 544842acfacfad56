using System.Text.Json;

namespace GenerativeML;

/// <summary>A <c>config.json</c> of GPT-2 as Hugging Face writes it.</summary>
internal sealed class GptConfig
{
    private readonly JsonElement _json;

    private GptConfig(JsonElement json) => _json = json;

    /// <summary>Reads it and makes sure that it describes a network that this package has.</summary>
    /// <exception cref="FormatException">It does not; the message lists everything that stands against it.</exception>
    public static GptConfig Parse(string json)
    {
        JsonElement root;
        try
        {
            root = JsonDocument.Parse(json).RootElement;
        }
        catch (JsonException e)
        {
            throw new FormatException($"The configuration is not valid JSON: {e.Message}", e);
        }
        if (root.ValueKind != JsonValueKind.Object)
            throw new FormatException("The configuration is not a JSON object.");
        var config = new GptConfig(root);
        string[] faults = [.. config.Faults()];
        return faults.Length == 0
            ? config
            : throw new FormatException($"The configuration is not one of a GPT-2: {string.Join("; ", faults)}.");
    }

    public int Layers => Whole("n_layer")!.Value;

    public int Heads => Whole("n_head")!.Value;

    public int Width => Whole("n_embd")!.Value;

    public int ContextLength => (Whole("n_positions") ?? Whole("n_ctx"))!.Value;

    public double Dropout => Number("resid_pdrop") ?? 0;

    public GeluForm Gelu => Text("activation_function") == "gelu" ? GeluForm.Erf : GeluForm.Tanh;

    private IEnumerable<string> Faults()
    {
        foreach (string name in (string[])["n_layer", "n_head", "n_embd"])
        {
            if (Whole(name) is null)
                yield return $"{name} is missing or no whole number";
        }
        if ((Whole("n_positions") ?? Whole("n_ctx")) is null)
            yield return "n_positions is missing or no whole number";
        if (Text("activation_function") is not (null or "gelu" or "gelu_new" or "gelu_pytorch_tanh"))
            yield return $"activation_function is {Raw("activation_function")}, and gelu or gelu_new is supported";
        if (Number("layer_norm_epsilon") is double epsilon && (float)epsilon != GptShape.NormEpsilon)
            yield return $"layer_norm_epsilon is {Raw("layer_norm_epsilon")}, and 1e-05 is supported";
        if (Whole("n_inner") is int inner && inner != 4 * Whole("n_embd"))
            yield return $"n_inner is {inner}, and four times n_embd is supported";
        foreach ((string name, bool supported) in ((string, bool)[])
            [
                ("tie_word_embeddings", true), ("scale_attn_weights", true), ("scale_attn_by_inverse_layer_idx", false),
                ("add_cross_attention", false),
            ])
        {
            JsonValueKind other = supported ? JsonValueKind.False : JsonValueKind.True;
            if (_json.TryGetProperty(name, out JsonElement value) && value.ValueKind == other)
                yield return $"{name} is {Raw(name)}, which is not supported";
        }
    }

    private int? Whole(string name) =>
        _json.TryGetProperty(name, out JsonElement v) && v.ValueKind == JsonValueKind.Number && v.TryGetInt32(out int n)
            ? n
            : null;

    private double? Number(string name) =>
        _json.TryGetProperty(name, out JsonElement v) && v.ValueKind == JsonValueKind.Number ? v.GetDouble() : null;

    private string? Text(string name) =>
        _json.TryGetProperty(name, out JsonElement v) && v.ValueKind == JsonValueKind.String ? v.GetString() : null;

    private string Raw(string name) => _json.GetProperty(name).GetRawText();
}
