using System.Runtime.InteropServices;
using System.Text.RegularExpressions;

namespace GenerativeML;

/// <summary>
/// Weights of GPT-2, nanoGPT and minGPT in safetensors files, without torch. Names may have <c>transformer.</c> and its
/// like before them; causal masks are passed over.
/// </summary>
internal static class GptWeightFile
{
    // GPT-2's, in all its sizes.
    private const int HeadWidth = 64;

    // What torch.compile, data parallelism, adapters and models with a head on top put before a name.
    private const string Prefixes = @"^(_orig_mod\.)?(module\.)?(base_model\.model\.)?(transformer\.)?";

    private const string Mask = @"^h\.[0-9]+\.attn\.(masked_)?bias\z";

    /// <summary>The network that a file's tensors speak of, with heads and GELU as GPT-2 has them.</summary>
    /// <exception cref="FormatException">The file is not sound, or not one of a GPT with such heads.</exception>
    public static GptOptions Describe(Stream stream)
    {
        Dictionary<string, TensorEntry> found = ByName(SafetensorsReader.Open(stream));
        if (Shape(GptNetwork.Embeddings) is not [_, long width] || Shape("wpe.weight") is not [long context, _])
        {
            throw new FormatException(
                $"The file has no weights of a GPT: the matrices '{GptNetwork.Embeddings}' and 'wpe.weight' are not among "
                + $"its tensors.{HeadAlone(found)}");
        }
        if (width % HeadWidth != 0)
            throw new FormatException(
                $"The weights are {width} wide, and GPT-2's heads of {HeadWidth} features do not fit: a config.json has to "
                + "say how many heads there are.");
        int layers = 0;
        while (found.ContainsKey($"h.{layers}.ln_1.weight"))
            layers++;
        try
        {
            var options = new GptOptions
            {
                Layers = layers,
                Heads = checked((int)(width / HeadWidth)),
                Width = checked((int)width),
                ContextLength = checked((int)context),
                Biases = found.ContainsKey("ln_f.bias"),
                Gelu = GeluForm.Tanh,
            };
            options.Validate();
            return options;
        }
        catch (Exception e) when (e is ArgumentException or OverflowException)
        {
            throw new FormatException($"The file has no weights of a GPT: {e.Message}", e);
        }

        long[] Shape(string name) => found.TryGetValue(name, out TensorEntry? entry) ? entry.Spec.Shape.ToArray() : [];
    }

    /// <summary>
    /// Reads the weights of the network that options ask for. It has output weights of its own where the file has such,
    /// unless the options say otherwise.
    /// </summary>
    /// <exception cref="FormatException">
    /// The file is not sound, or its tensors do not fit: the message lists all of them.
    /// </exception>
    public static (GptNetwork Network, HostWeights Weights) Read(Stream stream, GptOptions options)
    {
        SafetensorsReader reader = SafetensorsReader.Open(stream);
        var tied = new GptNetwork(options with { TieEmbeddings = true });
        Dictionary<string, TensorEntry> found = ByName(reader);
        GptWeightLayout layout = options.InitialWeightsLayout ?? (
            found.TryGetValue("h.0.attn.c_attn.weight", out TensorEntry? first)
            && first.Spec.Shape.SequenceEqual([options.Width, 3L * options.Width])
                ? GptWeightLayout.Conv1D : GptWeightLayout.Linear);
        TensorSpec embeddings = tied.Tensors[0];
        List<string> faults = WeightFile.Faults(
            found, InFile(tied, layout), GptNetwork.Embeddings, new TensorSpec(GptNetwork.Head, embeddings.Type, embeddings.Shape));
        if (faults.Count > 0)
            throw new FormatException(
                $"The weights are not those of the network, matrices taken as {layout}: {string.Join("; ", faults)}."
                + HeadAlone(found));
        bool differs = found.TryGetValue(GptNetwork.Head, out TensorEntry? head)
            && !WeightFile.Read(reader, head).AsSpan().SequenceEqual(WeightFile.Read(reader, found[GptNetwork.Embeddings]));
        if (differs && options.TieEmbeddings == true)
            throw new FormatException(
                $"The weights are not those of the network: '{GptNetwork.Head}' differs from '{GptNetwork.Embeddings}', "
                + $"and option {nameof(options.TieEmbeddings)} says that they are the same.");
        var network = new GptNetwork(options with { TieEmbeddings = options.TieEmbeddings ?? !differs });
        return (network, HostWeights.Of(network.Tensors.Select(spec =>
        {
            float[] values = WeightFile.Read(reader, found.GetValueOrDefault(spec.Name) ?? found[GptNetwork.Embeddings]);
            return (spec, IsTurned(spec.Name, layout) ? Transpose(values, spec.Shape[1], spec.Shape[0]) : values);
        })));
    }

    /// <summary>Writes weights under GPT-2's names, without a prefix.</summary>
    public static void Write(Stream stream, GptNetwork network, HostWeights weights, GptWeightLayout layout) =>
        SafetensorsWriter.Write(
            stream, InFile(network, layout),
            (spec, write) =>
            {
                float[] values = weights[spec.Name];
                write(MemoryMarshal.AsBytes<float>(
                    IsTurned(spec.Name, layout) ? Transpose(values, spec.Shape[1], spec.Shape[0]) : values));
            },
            new Dictionary<string, string> { ["format"] = "pt" });

    /// <summary>Whether a tensor is a matrix whose two layouts differ.</summary>
    public static bool IsBlockMatrix(string canonical) =>
        canonical.StartsWith("h.", StringComparison.Ordinal)
        && GptNetwork.Matrices.Any(m => canonical.EndsWith($".{m.Name}.weight", StringComparison.Ordinal));

    /// <summary>A file's tensors by our names, without causal masks.</summary>
    /// <exception cref="FormatException">Two have the same name.</exception>
    public static Dictionary<string, TensorEntry> ByName(SafetensorsReader reader)
    {
        var found = new Dictionary<string, TensorEntry>(StringComparer.Ordinal);
        foreach (TensorEntry entry in reader.Tensors)
        {
            string name = Regex.Replace(entry.Spec.Name, Prefixes, "");
            if (!Regex.IsMatch(name, Mask) && !found.TryAdd(name, entry))
                throw new FormatException($"{TensorSpec.Quote(name)} appears twice in the file.");
        }
        return found;
    }

    // Programs that write each of several equal tensors once can leave out the embeddings of a tied network.
    private static string HeadAlone(Dictionary<string, TensorEntry> found) =>
        found.ContainsKey(GptNetwork.Head) && !found.ContainsKey(GptNetwork.Embeddings)
            ? $" It has '{GptNetwork.Head}': if that is the token embeddings, too, save it under both names."
            : "";

    private static TensorSpec[] InFile(GptNetwork network, GptWeightLayout layout) =>
    [
        .. network.Tensors.Select(t =>
            IsTurned(t.Name, layout) ? new TensorSpec(t.Name, t.Type, t.Shape[1], t.Shape[0]) : t),
    ];

    private static bool IsTurned(string canonical, GptWeightLayout layout) =>
        layout == GptWeightLayout.Conv1D && IsBlockMatrix(canonical);

    // (rows, columns) → (columns, rows)
    private static float[] Transpose(float[] source, long rows, long columns)
    {
        float[] target = new float[source.Length];
        for (long row = 0; row < rows; row++)
        {
            for (long column = 0; column < columns; column++)
                target[column * rows + row] = source[row * columns + column];
        }
        return target;
    }
}
