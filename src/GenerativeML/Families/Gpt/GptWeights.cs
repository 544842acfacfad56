using System.Runtime.InteropServices;

namespace GenerativeML;

/// <summary>
/// The weights of a GPT in managed memory: what a trained model keeps, and all that decoding needs. Names and shapes
/// are those of <see cref="GptShape.Tensors"/>.
/// </summary>
internal sealed class GptWeights
{
    private readonly Dictionary<string, float[]> _values = new(StringComparer.Ordinal);

    /// <summary>Weights of a shape, all zero.</summary>
    public GptWeights(GptShape shape)
    {
        Shape = shape;
        foreach ((string name, long[] size) in shape.Tensors())
            _values[name] = new float[size.Aggregate(1L, (n, s) => n * s)];
    }

    public GptShape Shape { get; }

    /// <summary>A tensor's elements, row by row.</summary>
    public float[] this[string name] => _values[name];

    /// <summary>Writes all tensors as safetensors, under their own names.</summary>
    public void Save(Stream stream, IReadOnlyDictionary<string, string>? notes = null)
    {
        var writer = new SafetensorsWriter(stream, Specs(Shape), notes);
        foreach (TensorSpec spec in writer.Tensors)
            writer.Write(spec, MemoryMarshal.AsBytes<float>(_values[spec.Name]));
        writer.Complete();
    }

    /// <summary>Reads what <see cref="Save"/> wrote.</summary>
    /// <exception cref="FormatException">
    /// The shape is out of range, or the file does not hold exactly its tensors.
    /// </exception>
    public static GptWeights Load(GptShape shape, Stream stream)
    {
        shape.Check();
        SafetensorsReader reader = SafetensorsReader.Open(stream);
        // Before anything is allocated: the header was held against the length of the file.
        reader.Header.Require(Specs(shape));
        var weights = new GptWeights(shape);
        foreach (TensorEntry entry in reader.Header.Tensors)
            reader.Read(entry, 0, MemoryMarshal.AsBytes(weights[entry.Spec.Name].AsSpan()));
        return weights;
    }

    /// <summary>What a file of such weights holds.</summary>
    public static TensorSpec[] Specs(GptShape shape) =>
        [.. shape.Tensors().Select(t => new TensorSpec(t.Name, TensorType.F32, t.Shape))];
}
