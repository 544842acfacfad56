using System.Runtime.InteropServices;

namespace GenerativeML;

/// <summary>
/// A model's tensors in managed memory, by name: what a trained model keeps, so that loading, computing and saving it
/// needs no torch.
/// </summary>
internal sealed class HostWeights
{
    // A span of bytes holds a quarter of what one of numbers does: larger tensors travel in pieces.
    private const int PieceLength = 1 << 24;

    private readonly Dictionary<string, (TensorSpec Spec, float[] Values)> _tensors;

    /// <summary>Tensors of Single, all zero.</summary>
    public HostWeights(IEnumerable<TensorSpec> specs)
        : this(specs.Select(spec => (spec, new float[spec.Length / sizeof(float)])))
    {
    }

    private HostWeights(IEnumerable<(TensorSpec Spec, float[] Values)> tensors) =>
        _tensors = tensors.ToDictionary(t => t.Spec.Name, StringComparer.Ordinal);

    /// <summary>Tensors of Single with these elements, row by row.</summary>
    public static HostWeights Of(IEnumerable<(TensorSpec Spec, float[] Values)> tensors) => new(tensors);

    public IEnumerable<TensorSpec> Specs => _tensors.Values.Select(t => t.Spec);

    /// <summary>What a tensor is; null where there is none of this name.</summary>
    public TensorSpec? Find(string name) => _tensors.TryGetValue(name, out (TensorSpec Spec, float[]) t) ? t.Spec : null;

    /// <summary>A tensor's elements, row by row.</summary>
    public float[] this[string name] => _tensors[name].Values;

    /// <summary>
    /// Some of the tensors, other than those renamed to null, under other names or in other shapes; the elements are the
    /// same, not copies.
    /// </summary>
    public HostWeights Select(Func<TensorSpec, TensorSpec?> rename) =>
        new(_tensors.Values.Select(t => (Spec: rename(t.Spec)!, t.Values)).Where(t => t.Spec is not null));

    /// <summary>
    /// The same tensors with the elements of some replaced by those of <paramref name="others"/>, which are known there
    /// by the names that <paramref name="rename"/> gives.
    /// </summary>
    public HostWeights With(HostWeights others, Func<TensorSpec, TensorSpec?> rename) => new(
        _tensors.Values.Select(t => (t.Spec, rename(t.Spec) is TensorSpec other ? others[other.Name] : t.Values)));

    /// <summary>Writes all tensors as safetensors.</summary>
    public void Save(Stream stream, IReadOnlyDictionary<string, string>? metadata = null) =>
        SafetensorsWriter.Write(stream, Specs, Write, metadata);

    /// <summary>Gives one tensor's bytes to a writer.</summary>
    public void Write(TensorSpec spec, Action<ReadOnlySpan<byte>> write)
    {
        foreach (Memory<float> piece in Pieces(this[spec.Name]))
            write(MemoryMarshal.AsBytes(piece.Span));
    }

    /// <summary>Reads a file that holds exactly these tensors.</summary>
    /// <exception cref="FormatException">The file is not sound or holds other tensors.</exception>
    public static HostWeights Load(Stream stream, IReadOnlyList<TensorSpec> specs)
    {
        SafetensorsReader reader = SafetensorsReader.Open(stream);
        // Before anything is allocated: the header was held against the length of the file.
        reader.Require(specs);
        return Read(reader, specs);
    }

    /// <summary>Reads some of the tensors of a file, which it is known to hold.</summary>
    public static HostWeights Read(SafetensorsReader reader, IEnumerable<TensorSpec> specs)
    {
        var weights = new HostWeights(specs);
        foreach ((TensorSpec spec, float[] values) in weights._tensors.Values)
        {
            long offset = 0;
            foreach (Memory<float> piece in Pieces(values))
            {
                reader.Read(reader.ByName[spec.Name], offset, MemoryMarshal.AsBytes(piece.Span));
                offset += piece.Length * sizeof(float);
            }
        }
        return weights;
    }

    /// <summary>Checks a tensor of a file.</summary>
    /// <exception cref="FormatException">One of its elements is NaN or infinite.</exception>
    public static void CheckFinite(TensorSpec spec, float[] values)
    {
        if (!Array.TrueForAll(values, float.IsFinite))
            throw new FormatException($"{TensorSpec.Quote(spec.Name)} has elements that are NaN or infinite.");
    }

    private static IEnumerable<Memory<float>> Pieces(float[] values)
    {
        for (int first = 0; first < values.Length; first += PieceLength)
            yield return values.AsMemory(first, Math.Min(PieceLength, values.Length - first));
    }
}
