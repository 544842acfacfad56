using TorchSharp;

namespace GenerativeML.Torch;

/// <summary>Named tensors to and from a safetensors file.</summary>
internal static class TensorFile
{
    /// <summary>Writes tensors, whatever their device, with notes.</summary>
    public static void Save(
        Stream stream, IEnumerable<(string Name, torch.Tensor Value)> tensors,
        IReadOnlyDictionary<string, string>? metadata = null)
    {
        var values = tensors.ToDictionary(t => t.Name, t => t.Value, StringComparer.Ordinal);
        var writer = new SafetensorsWriter(stream, values.Select(v => SpecOf(v.Key, v.Value)), metadata);
        foreach (TensorSpec spec in writer.Tensors)
        {
            using torch.Tensor detached = values[spec.Name].detach();
            using torch.Tensor host = detached.cpu();
            using torch.Tensor dense = host.contiguous();
            writer.Write(spec, dense.bytes);
        }
        writer.Complete();
    }

    /// <summary>
    /// Reads a file into tensors that are there already. Names, types and shapes must be exactly those of the tensors;
    /// nothing is changed before that is sure.
    /// </summary>
    /// <returns>The notes.</returns>
    /// <exception cref="FormatException">The file is not sound or holds other tensors; the message says which.</exception>
    public static IReadOnlyDictionary<string, string> Load(
        Stream stream, IReadOnlyCollection<(string Name, torch.Tensor Value)> tensors)
    {
        SafetensorsReader reader = SafetensorsReader.Open(stream);
        reader.Header.Require([.. tensors.Select(t => SpecOf(t.Name, t.Value))]);
        var values = tensors.ToDictionary(t => t.Name, t => t.Value, StringComparer.Ordinal);
        using IDisposable noGradient = torch.no_grad();
        foreach (TensorEntry entry in reader.Header.Tensors)
        {
            using torch.Tensor host = torch.empty(entry.Spec.Shape, values[entry.Spec.Name].dtype);
            reader.Read(entry, 0, host.bytes);
            values[entry.Spec.Name].copy_(host);
        }
        return reader.Header.Metadata;
    }

    private static TensorSpec SpecOf(string name, torch.Tensor value) => new(name, TypeOf(value.dtype), value.shape);

    private static TensorType TypeOf(torch.ScalarType type) => type switch
    {
        torch.ScalarType.Bool => TensorType.BOOL,
        torch.ScalarType.Byte => TensorType.U8,
        torch.ScalarType.Int8 => TensorType.I8,
        torch.ScalarType.Int16 => TensorType.I16,
        torch.ScalarType.Int32 => TensorType.I32,
        torch.ScalarType.Int64 => TensorType.I64,
        torch.ScalarType.Float16 => TensorType.F16,
        torch.ScalarType.BFloat16 => TensorType.BF16,
        torch.ScalarType.Float32 => TensorType.F32,
        torch.ScalarType.Float64 => TensorType.F64,
        _ => throw new NotSupportedException($"Weights of type {type} have no place in a safetensors file."),
    };
}
