using System.Globalization;
using System.Runtime.InteropServices;
using TorchSharp;

namespace GenerativeML;

/// <summary>
/// Trained low-rank adapters in managed memory, apart from the weights that they belong to: for each adapted matrix A,
/// (rank, inputs), and B, (outputs, rank).
/// </summary>
internal sealed class GptAdapters
{
    private const string PartA = ".lora_A", PartB = ".lora_B";
    private const string FileA = PartA + ".weight", FileB = PartB + ".weight";
    private const string AlphaNote = "lora_alpha", RankNote = "r";

    private readonly SortedDictionary<string, (float[] A, float[] B)> _values = new(StringComparer.Ordinal);

    private GptAdapters(int rank, double alpha) => (Rank, Alpha) = (rank, alpha);

    public int Rank { get; }

    public double Alpha { get; }

    /// <summary>The layers that have an adapter, such as <c>h.0.attn.c_attn</c>.</summary>
    public IReadOnlyCollection<string> Layers => _values.Keys;

    /// <summary>Whether a tensor of a network belongs to an adapter.</summary>
    public static bool IsAdapter(string name) =>
        name.EndsWith(PartA, StringComparison.Ordinal) || name.EndsWith(PartB, StringComparison.Ordinal);

    /// <summary>A copy of a network's adapters.</summary>
    public static GptAdapters Of(GptNetwork network)
    {
        LoraOptions options = network.Adapters ?? throw new ArgumentException("The network has no adapters.");
        var adapters = new GptAdapters(options.Rank, options.Alpha);
        for (int i = 0; i < network.Blocks.Count; i++)
        {
            foreach ((string name, GptDense layer) in network.Blocks[i].Dense)
            {
                if (layer.Adapter is (torch.Tensor a, torch.Tensor b))
                    adapters._values[$"h.{i}.{name}"] = (Copy(a), Copy(b));
            }
        }
        return adapters;

        static float[] Copy(torch.Tensor t)
        {
            float[] values = new float[t.numel()];
            HostTensors.CopyTo(t, values);
            return values;
        }
    }

    /// <summary>Adds the adapters' products to the matrices that they belong to.</summary>
    public void MergeInto(GptWeights weights)
    {
        double scale = Alpha / Rank;
        foreach ((string layer, (float[] a, float[] b)) in _values)
        {
            float[] matrix = weights[layer + ".weight"];
            int inputs = a.Length / Rank, outputs = b.Length / Rank;
            for (int o = 0; o < outputs; o++)
            {
                for (int i = 0; i < inputs; i++)
                {
                    double sum = 0;
                    for (int r = 0; r < Rank; r++)
                        sum += (double)b[(o * Rank) + r] * a[(r * inputs) + i];
                    matrix[(o * inputs) + i] += (float)(scale * sum);
                }
            }
        }
    }

    /// <summary>
    /// Writes the adapters alone as safetensors: <c>h.0.attn.c_attn.lora_A.weight</c> and so on, rank and alpha as
    /// notes.
    /// </summary>
    public void Save(Stream stream)
    {
        var tensors = new Dictionary<string, (long[] Shape, float[] Values)>();
        foreach ((string layer, (float[] a, float[] b)) in _values)
        {
            tensors[layer + FileA] = ([Rank, a.Length / Rank], a);
            tensors[layer + FileB] = ([b.Length / Rank, Rank], b);
        }
        var writer = new SafetensorsWriter(
            stream,
            tensors.Select(t => new TensorSpec(t.Key, TensorType.F32, t.Value.Shape)),
            new Dictionary<string, string>
            {
                [RankNote] = Rank.ToString(CultureInfo.InvariantCulture),
                [AlphaNote] = Alpha.ToString("R", CultureInfo.InvariantCulture),
            });
        foreach (TensorSpec spec in writer.Tensors)
            writer.Write(spec, MemoryMarshal.AsBytes<float>(tensors[spec.Name].Values));
        writer.Complete();
    }

    /// <summary>Reads adapters for weights of a shape: what <see cref="Save"/> wrote, or another program.</summary>
    /// <param name="stream">The file.</param>
    /// <param name="shape">The shape of the weights that they belong to.</param>
    /// <param name="alpha">What the products count, where the file does not say it.</param>
    /// <exception cref="FormatException">
    /// The file is not sound, or does not hold whole adapters of such weights; the message lists what is wrong.
    /// </exception>
    public static GptAdapters Load(Stream stream, GptShape shape, double? alpha = null)
    {
        SafetensorsReader reader = SafetensorsReader.Open(stream);
        var entries = reader.Header.Tensors.ToDictionary(t => GptWeightNames.Canonical(t.Spec.Name));
        string[] layers = [.. entries.Keys.Select(LayerOf).OfType<string>().Distinct()];
        if (layers.Length == 0)
            throw new FormatException("The file holds no adapters: no tensor's name has '.lora_A.weight' at its end.");
        if (reader.Header.Metadata.TryGetValue(AlphaNote, out string? note)
            && double.TryParse(note, NumberStyles.Float, CultureInfo.InvariantCulture, out double noted))
            alpha = noted;
        if (alpha is not double product || !(product > 0 && double.IsFinite(product)))
            throw new FormatException($"The file does not say its '{AlphaNote}', or it is not positive.");

        int rank = entries.TryGetValue(layers[0] + FileA, out TensorEntry? first) && first.Spec.Shape is [var rows, _]
            ? (int)Math.Min(rows, shape.Width)
            : 0;
        var matrices = shape.Tensors().ToDictionary(t => t.Name, t => t.Shape);
        List<string> faults =
            [.. entries.Keys.Where(n => LayerOf(n) is null).Select(n => $"unexpected {TensorSpec.Quote(n)}")];
        foreach (string layer in layers)
        {
            string name = layer + ".weight";
            if (!GptWeightNames.IsBlockMatrix(name) || !matrices.TryGetValue(name, out long[]? size))
                faults.Add($"the network has no layer {TensorSpec.Quote(layer)}");
            else
            {
                Require(layer + FileA, [rank, size[1]]);
                Require(layer + FileB, [size[0], rank]);
            }
        }
        if (rank < 1 || faults.Count > 0)
            throw new FormatException($"The adapters are not those of the network: {string.Join("; ", faults)}.");

        var adapters = new GptAdapters(rank, product);
        foreach (string layer in layers)
            adapters._values[layer] = (Values(layer + FileA), Values(layer + FileB));
        return adapters;

        void Require(string name, long[] size)
        {
            if (!entries.TryGetValue(name, out TensorEntry? entry))
                faults.Add($"missing {TensorSpec.Quote(name)}");
            else if (!entry.Spec.Shape.SequenceEqual(size) || entry.Spec.Type != TensorType.F32)
                faults.Add(
                    $"{TensorSpec.Quote(name)} should be F32 {TensorSpec.Describe(size)}, and is {entry.Spec.Type} " +
                    TensorSpec.Describe(entry.Spec.Shape));
        }

        float[] Values(string name)
        {
            TensorEntry entry = entries[name];
            float[] values = new float[entry.Spec.Length / sizeof(float)];
            reader.Read(entry, 0, MemoryMarshal.AsBytes(values.AsSpan()));
            return values;
        }
    }

    private static string? LayerOf(string name) =>
        name.EndsWith(FileA, StringComparison.Ordinal) ? name[..^FileA.Length]
        : name.EndsWith(FileB, StringComparison.Ordinal) ? name[..^FileB.Length]
        : null;
}
