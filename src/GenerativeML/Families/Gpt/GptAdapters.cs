using System.Globalization;
using System.Runtime.InteropServices;
using TorchSharp;

namespace GenerativeML;

/// <summary>
/// Trained low-rank adapters, apart from the weights that they belong to: for each adapted layer matrices A, (rank,
/// inputs), and B, (outputs, rank), under the names <c>h.0.attn.c_attn.lora_A.weight</c> and so on.
/// </summary>
/// <param name="rank">The rank of the products.</param>
/// <param name="alpha">What products count, before they are divided by the rank.</param>
/// <param name="matrices">The matrices.</param>
internal sealed class GptAdapters(int rank, double alpha, HostWeights matrices)
{
    private const string AlphaNote = "lora_alpha", RankNote = "r";

    /// <summary>The layers that have an adapter, such as <c>h.0.attn.c_attn</c>.</summary>
    public IReadOnlyList<string> Layers => [.. matrices.Specs.Select(s => LayerOf(s.Name)!).Distinct()];

    /// <summary>A copy of the adapters among a network's tensors.</summary>
    public static GptAdapters Of(LoraOptions options, NamedTensorModule module)
    {
        (string Name, torch.Tensor Value)[] tensors =
            [.. module.NamedTensors().Where(t => LayerOf(t.Name) is not null)];
        var matrices = new HostWeights(tensors.Select(t => new TensorSpec(t.Name, TensorType.F32, t.Value.shape)));
        foreach ((string name, torch.Tensor value) in tensors)
            HostTensors.CopyTo(value, matrices[name]);
        return new(options.Rank, options.Alpha, matrices);
    }

    /// <summary>Adds the adapters' products to the matrices that they belong to.</summary>
    public void MergeInto(HostWeights weights)
    {
        double scale = alpha / rank;
        foreach (string layer in Layers)
        {
            float[] matrix = weights[layer + ".weight"];
            float[] a = matrices[layer + GptNetwork.AdapterA], b = matrices[layer + GptNetwork.AdapterB];
            int inputs = a.Length / rank, outputs = b.Length / rank;
            for (int o = 0; o < outputs; o++)
            {
                for (int i = 0; i < inputs; i++)
                {
                    double sum = 0;
                    for (int r = 0; r < rank; r++)
                        sum += (double)b[(o * rank) + r] * a[(r * inputs) + i];
                    matrix[(o * inputs) + i] += (float)(scale * sum);
                }
            }
        }
    }

    /// <summary>Writes the adapters alone as safetensors, rank and alpha as notes.</summary>
    public void Save(Stream stream)
    {
        var writer = new SafetensorsWriter(stream, matrices.Specs, new Dictionary<string, string>
        {
            [RankNote] = rank.ToString(CultureInfo.InvariantCulture),
            [AlphaNote] = alpha.ToString("R", CultureInfo.InvariantCulture),
        });
        foreach (TensorSpec spec in writer.Tensors)
            writer.Write(spec, MemoryMarshal.AsBytes<float>(matrices[spec.Name]));
        writer.Complete();
    }

    /// <summary>Reads adapters of a network: what <see cref="Save"/> wrote, or another program.</summary>
    /// <exception cref="FormatException">
    /// The file is not sound, or does not hold whole adapters of this network; the message lists what is wrong.
    /// </exception>
    public static GptAdapters Load(Stream stream, GptNetwork network)
    {
        SafetensorsReader reader = SafetensorsReader.Open(stream);
        Dictionary<string, TensorEntry> found = GptWeightFile.ByName(reader.Header);
        string[] layers = [.. found.Keys.Select(LayerOf).OfType<string>().Distinct()];
        if (layers.Length == 0)
            throw new FormatException("The file holds no adapters: no tensor's name has '.lora_A.weight' at its end.");
        if (!reader.Header.Metadata.TryGetValue(AlphaNote, out string? note)
            || !double.TryParse(note, NumberStyles.Float, CultureInfo.InvariantCulture, out double alpha)
            || !(alpha > 0 && double.IsFinite(alpha)))
        {
            throw new FormatException($"The file does not say its '{AlphaNote}', or it is not positive.");
        }
        int rank = found.TryGetValue(layers[0] + GptNetwork.AdapterA, out TensorEntry? first)
            && first.Spec.Shape is [> 0 and var rows, _] ? (int)Math.Min(rows, network.Options.Width) : 1;
        TensorSpec[] expected =
        [
            .. network.Tensors
                .Where(t => GptWeightFile.IsBlockMatrix(t.Name) && layers.Contains(t.Name[..^".weight".Length]))
                .SelectMany(t => new[]
                {
                    new TensorSpec(t.Name[..^".weight".Length] + GptNetwork.AdapterA, t.Type, rank, t.Shape[1]),
                    new TensorSpec(t.Name[..^".weight".Length] + GptNetwork.AdapterB, t.Type, t.Shape[0], rank),
                }),
        ];
        List<string> faults = GptWeightFile.Faults(found, expected);
        if (faults.Count > 0)
            throw new FormatException($"The adapters are not those of the network: {string.Join("; ", faults)}.");

        var matrices = new HostWeights(expected);
        foreach (TensorSpec spec in expected)
            GptWeightFile.ReadInto(matrices[spec.Name], reader, found[spec.Name]);
        return new(rank, alpha, matrices);
    }

    private static string? LayerOf(string name) =>
        name.EndsWith(GptNetwork.AdapterA, StringComparison.Ordinal) ? name[..^GptNetwork.AdapterA.Length]
        : name.EndsWith(GptNetwork.AdapterB, StringComparison.Ordinal) ? name[..^GptNetwork.AdapterB.Length]
        : null;
}
