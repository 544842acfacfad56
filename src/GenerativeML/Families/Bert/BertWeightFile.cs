using System.Text.Json;
using System.Text.RegularExpressions;

namespace GenerativeML;

/// <summary>
/// Weights of BERT in safetensors files under Hugging Face's names, without torch: with or without <c>bert.</c> before them,
/// normalisation's as <c>weight</c> and <c>bias</c> or as TensorFlow's <c>gamma</c> and <c>beta</c>. What guesses whether
/// one text follows on another, a pooler, tables of places' numbers and copies of tied tensors are passed over.
/// </summary>
internal static class BertWeightFile
{
    // What torch.compile, data parallelism and models with a head on top put before a name.
    private const string Prefixes = @"^(_orig_mod\.)?(module\.)?(bert\.)?";

    private const string PassedOver =
        @"^(embeddings\.(position_ids|token_type_ids)|cls\.(seq_relationship\..*|predictions\.decoder\.bias)|"
        + @"pooler\.dense\..*|classifier\..*)\z";

    private const string Decoder = "cls.predictions.decoder.weight";

    /// <summary>Reads the weights of a network.</summary>
    /// <exception cref="FormatException">
    /// The file is not sound, or its tensors do not fit: the message lists all of them.
    /// </exception>
    public static HostWeights Read(Stream stream, BertNetwork network)
    {
        SafetensorsReader reader = SafetensorsReader.Open(stream);
        Dictionary<string, TensorEntry> found = ByName(reader);
        TensorSpec embeddings = network.Tensors[0];
        List<string> faults = WeightFile.Faults(
            found, network.Tensors, BertNetwork.Embeddings, new TensorSpec(Decoder, embeddings.Type, embeddings.Shape));
        if (faults.Count > 0)
            throw new FormatException($"The weights are not those of the network: {string.Join("; ", faults)}.");
        if (found.TryGetValue(Decoder, out TensorEntry? decoder)
            && !WeightFile.Read(reader, decoder).AsSpan().SequenceEqual(WeightFile.Read(reader, found[BertNetwork.Embeddings])))
        {
            throw new FormatException(
                $"The weights are not those of the network: '{Decoder}' differs from '{BertNetwork.Embeddings}', and BERT "
                + "has one matrix for both.");
        }
        return HostWeights.Of(network.Tensors.Select(spec => (spec, WeightFile.Read(reader, found[spec.Name]))));
    }

    /// <summary>Writes weights under Hugging Face's names for BertForMaskedLM.</summary>
    public static void Write(Stream stream, HostWeights weights)
    {
        HostWeights named = weights.Select(spec => new TensorSpec(
            spec.Name.StartsWith(BertNetwork.Head, StringComparison.Ordinal) ? spec.Name : "bert." + spec.Name,
            spec.Type, spec.Shape));
        named.Save(stream, new Dictionary<string, string> { ["format"] = "pt" });
    }

    // A file's tensors by our names.
    private static Dictionary<string, TensorEntry> ByName(SafetensorsReader reader)
    {
        var found = new Dictionary<string, TensorEntry>(StringComparer.Ordinal);
        foreach (TensorEntry entry in reader.Tensors)
        {
            string name = Regex.Replace(entry.Spec.Name, Prefixes, "");
            name = Regex.Replace(Regex.Replace(name, @"(LayerNorm)\.gamma\z", "$1.weight"), @"(LayerNorm)\.beta\z", "$1.bias");
            if (!Regex.IsMatch(name, PassedOver) && !found.TryAdd(name, entry))
                throw new FormatException($"{TensorSpec.Quote(name)} appears twice in the file.");
        }
        return found;
    }
}

/// <summary>What decides the network of a <c>config.json</c> of BERT as Hugging Face writes it.</summary>
internal sealed record BertConfig(
    int? NumHiddenLayers, int? NumAttentionHeads, int? HiddenSize, int? IntermediateSize, int? MaxPositionEmbeddings,
    int? TypeVocabSize, string? HiddenAct, double? LayerNormEps, double? HiddenDropoutProb,
    string? PositionEmbeddingType, bool? IsDecoder, bool? AddCrossAttention, bool? TieWordEmbeddings, string? ModelType)
{
    private static readonly JsonSerializerOptions s_format = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    /// <summary>Options for the network that it describes.</summary>
    /// <exception cref="FormatException">
    /// It describes one that this package has not; the message lists everything that stands against it.
    /// </exception>
    public static MaskedLanguageModelOptions Read(string json)
    {
        BertConfig config;
        try
        {
            config = JsonSerializer.Deserialize<BertConfig>(json, s_format)
                ?? throw new FormatException("The configuration is not a JSON object.");
        }
        catch (JsonException e)
        {
            throw new FormatException($"The configuration is not valid JSON: {e.Message}", e);
        }
        string[] faults = [.. config.Faults()];
        if (faults.Length > 0)
            throw new FormatException($"The configuration is not one of a BERT: {string.Join("; ", faults)}.");
        return new()
        {
            Layers = config.NumHiddenLayers!.Value,
            Heads = config.NumAttentionHeads!.Value,
            Width = config.HiddenSize!.Value,
            FeedForwardWidth = config.IntermediateSize,
            ContextLength = config.MaxPositionEmbeddings!.Value,
            TokenTypes = config.TypeVocabSize ?? 2,
            NormPlacement = NormPlacement.After,
            LayerNormEpsilon = config.LayerNormEps ?? 1e-12,
            Gelu = config.HiddenAct is null or "gelu" ? GeluForm.Erf : GeluForm.Tanh,
            Dropout = config.HiddenDropoutProb ?? 0,
        };
    }

    private IEnumerable<string> Faults()
    {
        (string Name, object? Value, bool Differs, string Supported)[] all =
        [
            ("num_hidden_layers", NumHiddenLayers, NumHiddenLayers is null, ""),
            ("num_attention_heads", NumAttentionHeads, NumAttentionHeads is null, ""),
            ("hidden_size", HiddenSize, HiddenSize is null, ""),
            ("max_position_embeddings", MaxPositionEmbeddings, MaxPositionEmbeddings is null, ""),
            ("model_type", ModelType, ModelType is not (null or "bert"), "bert"),
            ("hidden_act", HiddenAct, HiddenAct is not (null or "gelu" or "gelu_new" or "gelu_pytorch_tanh"), "gelu or gelu_new"),
            ("position_embedding_type", PositionEmbeddingType, PositionEmbeddingType is not (null or "absolute"), "absolute"),
            ("is_decoder", IsDecoder, IsDecoder == true, "false"),
            ("add_cross_attention", AddCrossAttention, AddCrossAttention == true, "false"),
            ("tie_word_embeddings", TieWordEmbeddings, TieWordEmbeddings == false, "true"),
        ];
        return all.Where(o => o.Differs).Select(o => o.Value is null
            ? $"{o.Name} is missing"
            : $"{o.Name} is {JsonSerializer.Serialize(o.Value)}, and {o.Supported} is supported");
    }
}
