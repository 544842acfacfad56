using System.Globalization;

namespace GenerativeML;

/// <summary>
/// Trained low-rank adapters, apart from the weights that they belong to: for each adapted layer matrices A, (rank,
/// inputs), and B, (outputs, rank), under the names <c>h.0.attn.c_attn.lora_A.weight</c> and so on.
/// </summary>
internal sealed class GptAdapters(int rank, double alpha, HostWeights matrices)
{
    private const string AlphaNote = "lora_alpha", RankNote = "r";

    /// <summary>The layers that have an adapter, such as <c>h.0.attn.c_attn</c>.</summary>
    public IReadOnlyList<string> Layers => [.. matrices.Specs.Select(s => LayerOf(s.Name)!).Distinct()];

    /// <summary>The adapters among a network's tensors.</summary>
    public static GptAdapters Of(LoraOptions options, HostWeights all) =>
        new(options.Rank, options.Alpha, all.Select(spec => LayerOf(spec.Name) is null ? null : spec));

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
    public void Save(Stream stream) => matrices.Save(stream, new Dictionary<string, string>
    {
        [RankNote] = rank.ToString(CultureInfo.InvariantCulture),
        [AlphaNote] = alpha.ToString("R", CultureInfo.InvariantCulture),
    });

    /// <summary>Reads adapters of a network: what <see cref="Save"/> wrote, or another program.</summary>
    /// <exception cref="FormatException">It does not hold whole adapters of this network.</exception>
    public static GptAdapters Load(Stream stream, GptNetwork network)
    {
        SafetensorsReader reader = SafetensorsReader.Open(stream);
        Dictionary<string, TensorEntry> found = GptWeightFile.ByName(reader);
        string[] layers = [.. found.Keys.Select(LayerOf).OfType<string>().Distinct()];
        if (layers.Length == 0)
            throw new FormatException("The file holds no adapters: no tensor's name has '.lora_A.weight' at its end.");
        if (!reader.Metadata.TryGetValue(AlphaNote, out string? note)
            || !double.TryParse(note, NumberStyles.Float, CultureInfo.InvariantCulture, out double alpha)
            || !(alpha > 0 && double.IsFinite(alpha)))
        {
            throw new FormatException($"The file does not say its '{AlphaNote}', or it is not positive.");
        }
        int rank = found.TryGetValue(layers[0] + GptNetwork.AdapterA, out TensorEntry? first)
            && first.Spec.Shape is [> 0 and var rows, _] ? (int)Math.Min(rows, network.Options.Width) : 1;
        TensorSpec[] expected =
        [
            .. from matrix in network.Tensors
               let layer = matrix.Name[..^".weight".Length]
               where layers.Contains(layer) && GptWeightFile.IsBlockMatrix(matrix.Name)
               from spec in (TensorSpec[])
               [
                   new(layer + GptNetwork.AdapterA, matrix.Type, rank, matrix.Shape[1]),
                   new(layer + GptNetwork.AdapterB, matrix.Type, matrix.Shape[0], rank),
               ]
               select spec,
        ];
        List<string> faults = WeightFile.Faults(found, expected, GptNetwork.Embeddings);
        if (faults.Count > 0)
            throw new FormatException($"The adapters are not those of the network: {string.Join("; ", faults)}.");
        return new(rank, alpha, HostWeights.Of(
            expected.Select(spec => (spec, WeightFile.Read(reader, found[spec.Name])))));
    }

    /// <summary>The layer of an adapter's matrix; null for any other tensor.</summary>
    public static string? LayerOf(string name) =>
        name.EndsWith(GptNetwork.AdapterA, StringComparison.Ordinal) ? name[..^GptNetwork.AdapterA.Length]
        : name.EndsWith(GptNetwork.AdapterB, StringComparison.Ordinal) ? name[..^GptNetwork.AdapterB.Length]
        : null;
}
