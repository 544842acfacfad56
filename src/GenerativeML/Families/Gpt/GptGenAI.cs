using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace GenerativeML;

/// <summary>A GPT as ONNX Runtime's generate() API (onnxruntime-genai) reads it: a folder with a network and what it is.</summary>
internal static class GptGenAI
{
    public const string Network = "model.onnx";

    private static readonly JsonSerializerOptions s_json = new()
    {
        WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    /// <summary>What the network is, and how it is asked: <c>genai_config.json</c>.</summary>
    public static JsonObject Config(GptOptions network, int vocabulary, int? endOfText)
    {
        GenerationOptions generation = network.Generation;
        // One that no token has: the text ends when it is long enough.
        int end = endOfText ?? vocabulary;
        return new()
        {
            ["model"] = new JsonObject
            {
                ["type"] = "decoder",
                ["vocab_size"] = vocabulary,
                ["context_length"] = network.ContextLength,
                ["bos_token_id"] = endOfText ?? 0,
                ["eos_token_id"] = end,
                ["pad_token_id"] = endOfText ?? 0, // hidden by the mask, but looked up
                ["decoder"] = new JsonObject
                {
                    ["session_options"] = new JsonObject { ["provider_options"] = new JsonArray() },
                    ["filename"] = Network,
                    ["hidden_size"] = network.Width,
                    ["head_size"] = network.Width / network.Heads,
                    ["num_attention_heads"] = network.Heads,
                    ["num_key_value_heads"] = network.Heads,
                    ["num_hidden_layers"] = network.Layers,
                    ["inputs"] = new JsonObject
                    {
                        ["input_ids"] = "input_ids",
                        ["attention_mask"] = "attention_mask",
                        ["position_ids"] = "position_ids",
                        ["past_key_names"] = "past_key_values.%d.key",
                        ["past_value_names"] = "past_key_values.%d.value",
                    },
                    ["outputs"] = new JsonObject
                    {
                        ["logits"] = "logits",
                        ["present_key_names"] = "present.%d.key",
                        ["present_value_names"] = "present.%d.value",
                    },
                },
            },
            ["search"] = new JsonObject
            {
                ["max_length"] = network.ContextLength,
                ["do_sample"] = generation.Temperature > 0,
                ["temperature"] = generation.Temperature > 0 ? generation.Temperature : 1,
                ["top_k"] = generation.TopK ?? 0,
                ["top_p"] = generation.TopP,
                ["repetition_penalty"] = generation.RepetitionPenalty,
                ["past_present_share_buffer"] = false, // keys and values grow from step to step
            },
        };
    }

    /// <summary>The tokenizer in Hugging Face's format: <c>tokenizer.json</c>.</summary>
    public static JsonObject Tokenizer(BytePairTokenizer tokenizer)
    {
        var vocabulary = new JsonObject();
        for (int id = 0; id < tokenizer.Tokens.Count; id++)
            vocabulary[tokenizer.Tokens[id]] = id;
        return new()
        {
            ["version"] = "1.0",
            ["added_tokens"] = tokenizer.EndOfTextId is int end
                ? [new JsonObject
                {
                    ["id"] = end, ["content"] = tokenizer.Tokens[end], ["single_word"] = false, ["lstrip"] = false,
                    ["rstrip"] = false, ["normalized"] = false, ["special"] = true,
                }]
                : new JsonArray(),
            ["normalizer"] = null,
            ["pre_tokenizer"] = Bytes(),
            ["post_processor"] = null,
            ["decoder"] = Bytes(),
            ["model"] = new JsonObject
            {
                ["type"] = "BPE",
                ["continuing_subword_prefix"] = "",
                ["end_of_word_suffix"] = "",
                ["vocab"] = vocabulary,
                ["merges"] = new JsonArray([.. tokenizer.Merges.Select(merge => (JsonNode)merge)]),
            },
        };

        static JsonObject Bytes() => new()
        {
            ["type"] = "ByteLevel", ["add_prefix_space"] = false, ["trim_offsets"] = true, ["use_regex"] = true,
        };
    }

    /// <summary>Which tokenizer it is: <c>tokenizer_config.json</c>.</summary>
    public static JsonObject TokenizerConfig(BytePairTokenizer tokenizer, int context)
    {
        var config = new JsonObject
        {
            ["tokenizer_class"] = "GPT2Tokenizer", ["add_prefix_space"] = false, ["model_max_length"] = context,
        };
        foreach (string role in tokenizer.EndOfTextId is null ? [] : (string[])["bos_token", "eos_token", "unk_token"])
            config[role] = tokenizer.Tokens[tokenizer.EndOfTextId!.Value];
        return config;
    }

    /// <summary>Writes a file, which appears under its name when it is complete.</summary>
    public static void Write(string folder, string name, JsonObject json) => AtomicFile.Write(
        Path.Combine(folder, name), stream => JsonSerializer.Serialize(stream, json, s_json));
}
