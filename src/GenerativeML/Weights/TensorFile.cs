using TorchSharp;

namespace GenerativeML;

/// <summary>Named tensors to and from a safetensors file.</summary>
internal static class TensorFile
{
    // A span counts with 32 bits, a tensor with 64: bytes travel in pieces.
    private const int PieceLength = 4 << 20;

    private static readonly (torch.ScalarType Torch, TensorType File)[] Types =
    [
        (torch.ScalarType.Bool, TensorType.BOOL),
        (torch.ScalarType.Byte, TensorType.U8),
        (torch.ScalarType.Int8, TensorType.I8),
        (torch.ScalarType.Int16, TensorType.I16),
        (torch.ScalarType.Int32, TensorType.I32),
        (torch.ScalarType.Int64, TensorType.I64),
        (torch.ScalarType.Float16, TensorType.F16),
        (torch.ScalarType.BFloat16, TensorType.BF16),
        (torch.ScalarType.Float32, TensorType.F32),
        (torch.ScalarType.Float64, TensorType.F64),
    ];

    /// <summary>Writes tensors, whatever their device and layout, with notes.</summary>
    /// <exception cref="NotSupportedException">A tensor is of a type that such a file does not know.</exception>
    public static void Save(
        Stream stream, IEnumerable<(string Name, torch.Tensor Value)> tensors,
        IReadOnlyDictionary<string, string>? metadata = null)
    {
        ArgumentNullException.ThrowIfNull(tensors);
        var values = tensors.ToDictionary(t => SpecOf(t.Name, t.Value), t => t.Value);
        var writer = new SafetensorsWriter(stream, values.Keys, metadata);
        foreach (TensorSpec spec in writer.Tensors)
        {
            using DisposeScope scope = torch.NewDisposeScope();
            foreach ((torch.Tensor piece, _) in Pieces(values[spec].detach().cpu().contiguous()))
                writer.Write(spec, piece.bytes);
        }
        writer.Complete();
    }

    /// <summary>
    /// Reads a file into tensors that are there already. Names, types and shapes must be exactly those of the tensors.
    /// Nothing is changed before the whole file was read; until then its content is held a second time on the CPU.
    /// </summary>
    /// <returns>The notes.</returns>
    /// <exception cref="FormatException">
    /// The file is not sound or holds other tensors; the message says which.
    /// </exception>
    public static IReadOnlyDictionary<string, string> Load(
        Stream stream, IReadOnlyCollection<(string Name, torch.Tensor Value)> tensors)
    {
        ArgumentNullException.ThrowIfNull(tensors);
        SafetensorsReader reader = SafetensorsReader.Open(stream);
        reader.Header.Require([.. tensors.Select(t => SpecOf(t.Name, t.Value))]);
        using DisposeScope scope = torch.NewDisposeScope();
        Dictionary<string, torch.Tensor> read = ReadTensors(reader);
        using IDisposable noGradient = torch.no_grad();
        foreach ((string name, torch.Tensor value) in tensors)
            value.copy_(read[name]);
        return reader.Header.Metadata;
    }

    /// <summary>Reads a file whatever tensors it holds.</summary>
    /// <returns>The tensors by name, on the CPU, to be disposed by the caller; and the notes.</returns>
    /// <exception cref="FormatException">
    /// The file is not sound, or torch lacks a type; the message says which.
    /// </exception>
    public static (Dictionary<string, torch.Tensor> Tensors, IReadOnlyDictionary<string, string> Metadata) Read(
        Stream stream)
    {
        SafetensorsReader reader = SafetensorsReader.Open(stream);
        using DisposeScope scope = torch.NewDisposeScope();
        Dictionary<string, torch.Tensor> read = ReadTensors(reader);
        foreach (torch.Tensor tensor in read.Values)
            tensor.MoveToOuterDisposeScope();
        return (read, reader.Header.Metadata);
    }

    // In the order of the data, into the dispose scope of the caller.
    private static Dictionary<string, torch.Tensor> ReadTensors(SafetensorsReader reader)
    {
        var read = new Dictionary<string, torch.Tensor>(StringComparer.Ordinal);
        foreach (TensorEntry entry in reader.Header.Tensors)
        {
            TensorSpec spec = entry.Spec;
            torch.Tensor tensor = torch.empty(spec.Shape.ToArray(), TypeOf(spec));
            foreach ((torch.Tensor piece, long offset) in Pieces(tensor))
            {
                reader.Read(entry, offset, piece.bytes);
                if (spec.Type == TensorType.BOOL && piece.bytes.ContainsAnyExcept((byte)0, (byte)1))
                    throw SafetensorsHeader.Unsound(
                        $"tensor {TensorSpec.Quote(spec.Name)} is BOOL and has bytes other than 0 and 1");
            }
            read.Add(spec.Name, tensor);
        }
        return read;
    }

    /// <summary>Views of a contiguous tensor that follow each other, each with the offset of its first byte.</summary>
    private static IEnumerable<(torch.Tensor Piece, long Offset)> Pieces(torch.Tensor tensor)
    {
        using torch.Tensor flat = tensor.view(-1);
        long most = PieceLength / flat.ElementSize;
        for (long start = 0; start < flat.numel(); start += most)
        {
            using torch.Tensor piece = flat.narrow(0, start, Math.Min(most, flat.numel() - start));
            yield return (piece, start * flat.ElementSize);
        }
    }

    private static TensorSpec SpecOf(string name, torch.Tensor value)
    {
        foreach ((torch.ScalarType type, TensorType file) in Types)
        {
            if (type == value.dtype)
                return new TensorSpec(name, file, value.shape);
        }
        throw new NotSupportedException(
            $"Tensor {TensorSpec.Quote(name)} is of type {value.dtype}, which has no place in a safetensors file.");
    }

    private static torch.ScalarType TypeOf(TensorSpec spec)
    {
        foreach ((torch.ScalarType type, TensorType file) in Types)
        {
            if (file == spec.Type)
                return type;
        }
        throw new FormatException(
            $"Tensor {TensorSpec.Quote(spec.Name)} is {spec.Type}, a type that torch does not have.");
    }
}
