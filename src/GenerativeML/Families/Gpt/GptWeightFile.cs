using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace GenerativeML;

/// <summary>
/// Weights of GPT-2, nanoGPT and minGPT in safetensors files, without torch. Names may have <c>transformer.</c> and its
/// like before them; causal masks are passed over; <c>lm_head.weight</c> has to be the token embeddings.
/// </summary>
internal static class GptWeightFile
{
    private const int PieceElements = 1 << 20;

    // GPT-2's, in all its sizes.
    private const int HeadWidth = 64;

    /// <summary>The shape that a file's tensors speak of, with heads and GELU as GPT-2 has them.</summary>
    /// <exception cref="FormatException">The file is not sound, or not one of a GPT with such heads.</exception>
    public static GptShape ShapeOf(Stream stream)
    {
        var found = new Dictionary<string, long[]>(StringComparer.Ordinal);
        foreach (TensorEntry entry in SafetensorsReader.Open(stream).Header.Tensors)
            found[GptWeightNames.Canonical(entry.Spec.Name)] = [.. entry.Spec.Shape];
        if (found.GetValueOrDefault("wte.weight") is not [long tokens, long width]
            || found.GetValueOrDefault("wpe.weight") is not [long context, _])
        {
            throw new FormatException(
                "The file has no weights of a GPT: the matrices 'wte.weight' and 'wpe.weight' are not among its tensors.");
        }
        if (width % HeadWidth != 0)
            throw new FormatException(
                $"The weights are {width} wide, and GPT-2's heads of {HeadWidth} slots do not fit: a config.json has to "
                + "say how many heads there are.");
        int layers = 0;
        while (found.ContainsKey($"h.{layers}.ln_1.weight"))
            layers++;
        var shape = new GptShape
        {
            VocabularySize = (int)Math.Min(int.MaxValue, tokens),
            ContextLength = (int)Math.Min(int.MaxValue, context),
            Layers = layers,
            Heads = (int)Math.Min(int.MaxValue, width / HeadWidth),
            Width = (int)Math.Min(int.MaxValue, width),
            Biases = found.ContainsKey("ln_f.bias"),
            Gelu = GeluForm.Tanh,
        };
        shape.Check();
        return shape;
    }

    /// <summary>Reads the weights of a network of a shape.</summary>
    /// <param name="stream">The file.</param>
    /// <param name="shape">The shape that the weights must have.</param>
    /// <param name="layout">
    /// How matrices lie. Default: as that of the queries, keys and values does, which is
    /// never square, as the one that mixes the heads is.
    /// </param>
    /// <exception cref="FormatException">
    /// The file is not sound, or tensors are missing, unexpected or of another shape: the message lists all of them.
    /// </exception>
    public static GptWeights Read(Stream stream, GptShape shape, GptWeightLayout? layout = null)
    {
        GptWeights? weights = null;
        Read(stream, shape, layout, (name, row, length, values) =>
            values.CopyTo((weights ??= new GptWeights(shape))[name], row * length));
        return weights!;
    }

    /// <summary>The same, laid out for decoding: without a second copy in memory.</summary>
    /// <inheritdoc cref="Read(Stream, GptShape, GptWeightLayout?)"/>
    public static DecoderWeights ReadForDecoding(Stream stream, GptShape shape, GptWeightLayout? layout = null)
    {
        DecoderWeights? weights = null;
        Read(stream, shape, layout, (name, row, _, values) =>
            (weights ??= new DecoderWeights(shape)).Set(name, row, values));
        return weights!;
    }

    /// <summary>
    /// Gives rows of each tensor, as many at a time as are a few megabytes: the tensor's name, the number of the first
    /// row, the length of a row, and the rows. Nothing is given before the whole file has been found to fit.
    /// </summary>
    private static void Read(
        Stream stream, GptShape shape, GptWeightLayout? layout, Action<string, int, int, float[]> accept)
    {
        SafetensorsReader reader = SafetensorsReader.Open(stream);
        Dictionary<string, TensorEntry> found = Match(reader.Header, shape, layout, out GptWeightLayout actual);
        if (found.TryGetValue(GptWeightNames.Head, out TensorEntry? head))
            RequireTied(reader, head, found["wte.weight"]);
        foreach ((string name, long[] size) in shape.Tensors())
        {
            int length = size.Length > 1 ? (int)size[1] : 1;
            if (actual == GptWeightLayout.Conv1D && GptWeightNames.IsBlockMatrix(name))
            {
                float[] turned = new float[size[0] * size[1]];
                foreach ((int start, float[] piece) in Pieces(reader, found[name], (int)size[0]))
                    Transpose(piece, start, length, (int)size[0], turned);
                accept(name, 0, length, turned);
                continue;
            }
            foreach ((int start, float[] piece) in Pieces(reader, found[name], length))
                accept(name, start / length, length, piece);
        }
    }

    /// <summary>Writes weights under GPT-2's names, without a prefix.</summary>
    public static void Write(Stream stream, GptWeights weights, GptWeightLayout layout)
    {
        IEnumerable<TensorSpec> tensors = weights.Shape.Tensors().Select(t => new TensorSpec(
            t.Name, TensorType.F32, Transposed(t.Name) ? [t.Shape[1], t.Shape[0]] : t.Shape));
        var writer = new SafetensorsWriter(stream, tensors, new Dictionary<string, string> { ["format"] = "pt" });
        foreach (TensorSpec spec in writer.Tensors)
        {
            float[] values = weights[spec.Name];
            if (Transposed(spec.Name))
            {
                float[] turned = new float[values.Length];
                Transpose(values, 0, (int)spec.Shape[1], (int)spec.Shape[0], turned);
                values = turned;
            }
            writer.Write(spec, MemoryMarshal.AsBytes<float>(values));
        }
        writer.Complete();

        bool Transposed(string name) => layout == GptWeightLayout.Conv1D && GptWeightNames.IsBlockMatrix(name);
    }

    /// <summary>The file's tensors by our names; throws with everything that does not fit.</summary>
    private static Dictionary<string, TensorEntry> Match(
        SafetensorsHeader header, GptShape shape, GptWeightLayout? asked, out GptWeightLayout layout)
    {
        var found = new Dictionary<string, TensorEntry>(StringComparer.Ordinal);
        var expected = shape.Tensors().ToDictionary(t => t.Name, t => t.Shape, StringComparer.Ordinal);
        List<string> faults = [], surplus = [];
        foreach (TensorEntry entry in header.Tensors)
        {
            string name = GptWeightNames.Canonical(entry.Spec.Name);
            if (GptWeightNames.IsMask(name))
                continue;
            if (!expected.ContainsKey(name) && name != GptWeightNames.Head)
                surplus.Add(TensorSpec.Quote(entry.Spec.Name));
            else if (!found.TryAdd(name, entry))
                faults.Add($"{TensorSpec.Quote(name)} appears twice");
        }
        layout = asked ?? LayoutOf(found, shape);
        string[] missing = [.. expected.Keys.Where(n => !found.ContainsKey(n)).Select(TensorSpec.Quote)];
        if (missing.Length > 0)
            faults.Add($"missing {string.Join(", ", missing)}");
        if (surplus.Count > 0)
            faults.Add($"unexpected {string.Join(", ", surplus)}");
        foreach ((string name, TensorEntry entry) in found)
        {
            long[] size = name == GptWeightNames.Head ? expected["wte.weight"] : expected[name];
            if (layout == GptWeightLayout.Conv1D && GptWeightNames.IsBlockMatrix(name))
                size = [size[1], size[0]];
            if (!entry.Spec.Shape.SequenceEqual(size))
            {
                string hint = name == "wte.weight" ? ", a row for each token of the vocabulary" : "";
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
                $"The weights are not those of the network, matrices taken as {layout}: {string.Join("; ", faults)}.");
    }

    private static GptWeightLayout LayoutOf(Dictionary<string, TensorEntry> found, GptShape shape) =>
        found.TryGetValue("h.0.attn.c_attn.weight", out TensorEntry? entry)
        && entry.Spec.Shape.SequenceEqual([shape.Width, 3L * shape.Width])
            ? GptWeightLayout.Conv1D
            : GptWeightLayout.Linear;

    private static void RequireTied(SafetensorsReader reader, TensorEntry head, TensorEntry embeddings)
    {
        foreach (((_, float[] one), (_, float[] other)) in
            Pieces(reader, head, rowLength: 1).Zip(Pieces(reader, embeddings, rowLength: 1)))
        {
            if (!one.AsSpan().SequenceEqual(other))
                throw new FormatException(
                    $"The weights are not those of the network: '{GptWeightNames.Head}' differs from 'wte.weight', " +
                    "and the network's output weights are its token embeddings.");
        }
    }

    /// <summary>
    /// A tensor's elements as Single, whole rows at a time, each with the number of its first element.
    /// </summary>
    private static IEnumerable<(int Start, float[] Values)> Pieces(
        SafetensorsReader reader, TensorEntry entry, int rowLength)
    {
        int size = entry.Spec.Type.Size();
        int count = (int)(entry.Spec.Length / size);
        int most = Math.Max(1, PieceElements / rowLength) * rowLength;
        for (int start = 0; start < count; start += most)
        {
            byte[] bytes = new byte[Math.Min(most, count - start) * size];
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
