using System.Globalization;
using System.Runtime.InteropServices;
using TorchSharp;

namespace GenerativeML.Torch;

/// <summary>
/// Trained low-rank adapters in managed memory, apart from the weights that they belong to: for each adapted matrix A,
/// (rank, inputs), and B, (outputs, rank).
/// </summary>
internal sealed class GptAdapters
{
    private const string PartA = ".lora_A", PartB = ".lora_B";
    private const string AlphaNote = "lora_alpha", RankNote = "r";

    // Others name a file's tensors by the modules around them.
    private static readonly string[] Prefixes = ["base_model.model.", "transformer."];

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
    /// Writes the adapters alone as safetensors: <c>h.0.attn.c_attn.lora_A.weight</c> and so on, rank and alpha as notes.
    /// </summary>
    public void Save(Stream stream)
    {
        var tensors = new Dictionary<string, (long[] Shape, float[] Values)>();
        foreach ((string layer, (float[] a, float[] b)) in _values)
        {
            tensors[layer + PartA + ".weight"] = ([Rank, a.Length / Rank], a);
            tensors[layer + PartB + ".weight"] = ([b.Length / Rank, Rank], b);
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
}
