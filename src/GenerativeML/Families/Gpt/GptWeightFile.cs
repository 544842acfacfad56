using System.Buffers.Binary;
using System.Globalization;
using System.Runtime.InteropServices;

namespace GenerativeML;

/// <summary>
/// Weights of GPT-2, nanoGPT and minGPT in safetensors files, without torch. Names may have <c>transformer.</c> and its
/// like before them; causal masks are passed over.
/// </summary>
internal static class GptWeightFile
{
    private const int PieceElements = 1 << 20;

    // GPT-2's, in all its sizes.
    private const int HeadWidth = 64;

    // What torch.compile, data parallelism, adapters and models with a head on top put before a name.
    private static readonly string[] Prefixes = ["_orig_mod.", "module.", "base_model.model.", "transformer."];

    /// <summary>The network that a file's tensors speak of, with heads and GELU as GPT-2 has them.</summary>
    /// <exception cref="FormatException">The file is not sound, or not one of a GPT with such heads.</exception>
    public static GptOptions Describe(Stream stream)
    {
        Dictionary<string, long[]> found = [];
        foreach (TensorEntry entry in SafetensorsReader.Open(stream).Header.Tensors)
            found[Canonical(entry.Spec.Name)] = entry.Spec.Shape.ToArray();
        if (found.GetValueOrDefault(GptNetwork.Embeddings) is not [_, long width]
            || found.GetValueOrDefault("wpe.weight") is not [long context, _])
        {
            string[] missing =
                [.. ((string[])[GptNetwork.Embeddings, "wpe.weight"]).Where(name => !found.ContainsKey(name))];
            throw new FormatException(
                "The file has no weights of a GPT: "
                + (missing.Length > 0 ? $"it lacks the matrices {string.Join(", ", missing)}." : "its embeddings are no matrices.")
                + HeadAlone(found.Keys));
        }
        if (width % HeadWidth != 0)
            throw new FormatException(
                $"The weights are {width} wide, and GPT-2's heads of {HeadWidth} features do not fit: a config.json has to "
                + "say how many heads there are.");
        int layers = 0;
        while (found.ContainsKey($"h.{layers}.ln_1.weight"))
            layers++;
        var options = new GptOptions
        {
            Layers = layers,
            Heads = (int)Math.Min(int.MaxValue, width / HeadWidth),
            Width = (int)Math.Min(int.MaxValue, width),
            ContextLength = (int)Math.Min(int.MaxValue, context),
            Biases = found.ContainsKey("ln_f.bias"),
            Gelu = GeluForm.Tanh,
        };
        try
        {
            options.Validate();
        }
        catch (ArgumentException e)
        {
            throw new FormatException($"The file has no weights of a GPT: {e.Message}", e);
        }
        return options;
    }

    /// <summary>Reads the weights of the network that options ask for.</summary>
    /// <param name="stream">The file.</param>
    /// <param name="options">Options with <see cref="TextOptions.VocabularySize"/> known.</param>
    /// <returns>
    /// The network, with output weights of its own where the file has such, unless the options say otherwise; and its
    /// weights.
    /// </returns>
    /// <exception cref="FormatException">
    /// The file is not sound; or tensors are missing, unexpected, of another shape, or hold what is no number: the
    /// message lists all of them.
    /// </exception>
    public static (GptNetwork Network, HostWeights Weights) Read(Stream stream, GptOptions options)
    {
        SafetensorsReader reader = SafetensorsReader.Open(stream);
        var tied = new GptNetwork(options with { TieEmbeddings = true });
        Dictionary<string, TensorEntry> found =
            Match(reader.Header, tied, options.InitialWeightsLayout, out GptWeightLayout layout);
        bool differs = found.TryGetValue(GptNetwork.Head, out TensorEntry? head)
            && Differ(reader, head, found[GptNetwork.Embeddings]);
        if (differs && options.TieEmbeddings == true)
            throw new FormatException(
                $"The weights are not those of the network: '{GptNetwork.Head}' differs from '{GptNetwork.Embeddings}', "
                + $"and option {nameof(options.TieEmbeddings)} says that they are the same.");
        var network = new GptNetwork(options with { TieEmbeddings = options.TieEmbeddings ?? !differs });
        var weights = new HostWeights(network.Tensors);
        foreach (TensorSpec spec in network.Tensors)
        {
            TensorEntry entry = found.GetValueOrDefault(spec.Name) ?? found[GptNetwork.Embeddings];
            ReadInto(weights[spec.Name], reader, entry, layout == GptWeightLayout.Conv1D && IsBlockMatrix(spec.Name));
        }
        return (network, weights);
    }

    /// <summary>Writes weights under GPT-2's names, without a prefix.</summary>
    public static void Write(Stream stream, GptNetwork network, HostWeights weights, GptWeightLayout layout)
    {
        IEnumerable<TensorSpec> tensors = network.Tensors.Select(t => Turned(t.Name)
            ? new TensorSpec(t.Name, t.Type, t.Shape[1], t.Shape[0])
            : t);
        var writer = new SafetensorsWriter(stream, tensors, new Dictionary<string, string> { ["format"] = "pt" });
        foreach (TensorSpec spec in writer.Tensors)
        {
            float[] values = weights[spec.Name];
            if (Turned(spec.Name))
            {
                float[] turned = new float[values.Length];
                Transpose(values, 0, (int)spec.Shape[1], (int)spec.Shape[0], turned);
                values = turned;
            }
            writer.Write(spec, MemoryMarshal.AsBytes<float>(values));
        }
        writer.Complete();

        bool Turned(string name) => layout == GptWeightLayout.Conv1D && IsBlockMatrix(name);
    }

    /// <summary>The name of a tensor without what stands for the modules around a GPT.</summary>
    public static string Canonical(string name)
    {
        foreach (string prefix in Prefixes)
        {
            if (name.StartsWith(prefix, StringComparison.Ordinal))
                name = name[prefix.Length..];
        }
        return name;
    }

    /// <summary>Whether a tensor is a matrix whose two layouts differ.</summary>
    public static bool IsBlockMatrix(string canonical) =>
        canonical.StartsWith("h.", StringComparison.Ordinal)
        && GptNetwork.Matrices.Any(m => canonical.EndsWith($".{m.Name}.weight", StringComparison.Ordinal));

    /// <summary>Reads a tensor's elements, as Single; those of a matrix turned, if asked for.</summary>
    /// <exception cref="FormatException">Some are no numbers.</exception>
    public static void ReadInto(float[] values, SafetensorsReader reader, TensorEntry entry, bool turned = false)
    {
        foreach ((int start, float[] piece) in Pieces(reader, entry))
        {
            if (!Array.TrueForAll(piece, float.IsFinite))
                throw new FormatException($"{TensorSpec.Quote(entry.Spec.Name)} has elements that are NaN or infinite.");
            if (turned)
                Transpose(piece, start, (int)entry.Spec.Shape[0], (int)entry.Spec.Shape[1], values);
            else
                piece.CopyTo(values, start);
        }
    }

    // The file's tensors by our names; throws with everything that does not fit.
    private static Dictionary<string, TensorEntry> Match(
        SafetensorsHeader header, GptNetwork network, GptWeightLayout? asked, out GptWeightLayout layout)
    {
        var found = new Dictionary<string, TensorEntry>(StringComparer.Ordinal);
        var expected = network.Tensors.ToDictionary(t => t.Name, t => t.Shape.ToArray(), StringComparer.Ordinal);
        List<string> faults = [], surplus = [];
        foreach (TensorEntry entry in header.Tensors)
        {
            string name = Canonical(entry.Spec.Name);
            if (IsMask(name))
                continue;
            if (!expected.ContainsKey(name) && name != GptNetwork.Head)
                surplus.Add(TensorSpec.Quote(entry.Spec.Name));
            else if (!found.TryAdd(name, entry))
                faults.Add($"{TensorSpec.Quote(name)} appears twice");
        }
        long width = network.Options.Width;
        layout = asked ?? (found.TryGetValue("h.0.attn.c_attn.weight", out TensorEntry? first)
            && first.Spec.Shape.SequenceEqual([width, 3 * width]) ? GptWeightLayout.Conv1D : GptWeightLayout.Linear);
        string[] missing = [.. expected.Keys.Where(n => !found.ContainsKey(n)).Select(TensorSpec.Quote)];
        if (missing.Length > 0)
            faults.Add($"missing {string.Join(", ", missing)}");
        if (surplus.Count > 0)
            faults.Add($"unexpected {string.Join(", ", surplus)}");
        foreach ((string name, TensorEntry entry) in found)
        {
            long[] size = expected[name == GptNetwork.Head ? GptNetwork.Embeddings : name];
            if (layout == GptWeightLayout.Conv1D && IsBlockMatrix(name))
                size = [size[1], size[0]];
            if (!entry.Spec.Shape.SequenceEqual(size))
            {
                string hint = name == GptNetwork.Embeddings ? ", a row for each token of the vocabulary" : "";
                faults.Add(
                    $"{TensorSpec.Quote(name)} should be {TensorSpec.Describe(size)}{hint}, " +
                    $"and is {TensorSpec.Describe(entry.Spec.Shape)}");
            }
            if (entry.Spec.Type is not (TensorType.F32 or TensorType.F16 or TensorType.BF16))
                faults.Add($"{TensorSpec.Quote(name)} is {entry.Spec.Type}, not F32, F16 or BF16");
        }
        return faults.Count == 0
            ? found
            : throw new FormatException(
                $"The weights are not those of the network, matrices taken as {layout}: {string.Join("; ", faults)}."
                + HeadAlone(found.Keys));
    }

    // Programs that write each of several equal tensors once can leave out the embeddings of a tied network.
    private static string HeadAlone(IReadOnlyCollection<string> found) =>
        found.Contains(GptNetwork.Head) && !found.Contains(GptNetwork.Embeddings)
            ? $" It has '{GptNetwork.Head}': if that is the token embeddings, too, save it under both names."
            : "";

    private static bool IsMask(string canonical) =>
        canonical.Split('.') is ["h", string block, "attn", "bias" or "masked_bias"]
        && int.TryParse(block, NumberStyles.None, CultureInfo.InvariantCulture, out _);

    private static bool Differ(SafetensorsReader reader, TensorEntry one, TensorEntry other) =>
        Pieces(reader, one).Zip(Pieces(reader, other))
            .Any(pair => !pair.First.Values.AsSpan().SequenceEqual(pair.Second.Values));

    // A tensor's elements as Single, some at a time, each time with the number of the first.
    private static IEnumerable<(int Start, float[] Values)> Pieces(SafetensorsReader reader, TensorEntry entry)
    {
        int size = entry.Spec.Type.Size();
        int count = (int)(entry.Spec.Length / size);
        for (int start = 0; start < count; start += PieceElements)
        {
            byte[] bytes = new byte[Math.Min(PieceElements, count - start) * size];
            reader.Read(entry, (long)start * size, bytes);
            yield return (start, Singles(bytes, entry.Spec.Type));
        }
    }

    private static float[] Singles(byte[] bytes, TensorType type)
    {
        if (type == TensorType.F32)
            return MemoryMarshal.Cast<byte, float>(bytes).ToArray();
        float[] values = new float[bytes.Length / sizeof(ushort)];
        for (int i = 0; i < values.Length; i++)
        {
            ushort bits = BinaryPrimitives.ReadUInt16LittleEndian(bytes.AsSpan(i * sizeof(ushort)));
            values[i] = type == TensorType.F16
                ? (float)BitConverter.UInt16BitsToHalf(bits)
                : BitConverter.UInt32BitsToSingle((uint)bits << 16);
        }
        return values;
    }

    // Elements from 'start' on of a matrix (rows, columns), to their places in (columns, rows).
    private static void Transpose(ReadOnlySpan<float> source, int start, int rows, int columns, Span<float> target)
    {
        (int row, int column) = Math.DivRem(start, columns);
        foreach (float value in source)
        {
            target[(column * rows) + row] = value;
            if (++column == columns)
                (row, column) = (row + 1, 0);
        }
    }
}
