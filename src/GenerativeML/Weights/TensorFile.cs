using TorchSharp;

namespace GenerativeML;

/// <summary>Named tensors to and from a safetensors file.</summary>
internal static class TensorFile
{
    // A span counts with 32 bits, a tensor with 64: bytes travel in pieces.
    private const int PieceLength = 4 << 20;

    private static readonly Dictionary<torch.ScalarType, TensorType> Types = new()
    {
        [torch.ScalarType.Bool] = TensorType.BOOL,
        [torch.ScalarType.Byte] = TensorType.U8,
        [torch.ScalarType.Int8] = TensorType.I8,
        [torch.ScalarType.Int16] = TensorType.I16,
        [torch.ScalarType.Int32] = TensorType.I32,
        [torch.ScalarType.Int64] = TensorType.I64,
        [torch.ScalarType.Float16] = TensorType.F16,
        [torch.ScalarType.BFloat16] = TensorType.BF16,
        [torch.ScalarType.Float32] = TensorType.F32,
        [torch.ScalarType.Float64] = TensorType.F64,
    };

    /// <summary>Writes tensors, whatever their device and layout, with notes.</summary>
    /// <exception cref="NotSupportedException">A tensor is of a type that such a file does not know.</exception>
    public static void Save(
        Stream stream, IEnumerable<(string Name, torch.Tensor Value)> tensors,
        IReadOnlyDictionary<string, string>? metadata = null)
    {
        var values = tensors.ToDictionary(t => SpecOf(t.Name, t.Value), t => t.Value);
        SafetensorsWriter.Write(
            stream, values.Keys,
            (spec, write) =>
            {
                using DisposeScope scope = torch.NewDisposeScope();
                foreach ((torch.Tensor piece, _) in Pieces(values[spec].detach().cpu().contiguous()))
                    write(piece.bytes);
            },
            metadata);
    }

    /// <summary>
    /// Reads a file into tensors that are there already. Names, types and shapes must be exactly those of the tensors.
    /// Nothing is changed before the whole file was read; until then its content is held a second time on the CPU.
    /// </summary>
    /// <returns>The notes.</returns>
    /// <exception cref="FormatException">The file is not sound or holds other tensors.</exception>
    public static IReadOnlyDictionary<string, string> Load(
        Stream stream, IReadOnlyCollection<(string Name, torch.Tensor Value)> tensors)
    {
        SafetensorsReader reader = SafetensorsReader.Open(stream);
        reader.Require([.. tensors.Select(t => SpecOf(t.Name, t.Value))]);
        using DisposeScope scope = torch.NewDisposeScope();
        torch.Tensor[] read =
            [.. tensors.Select(t => Read(reader, reader.ByName[t.Name], torch.empty(t.Value.shape, t.Value.dtype)))];
        using IDisposable noGradient = torch.no_grad();
        foreach (((_, torch.Tensor value), torch.Tensor found) in tensors.Zip(read))
            value.copy_(found);
        return reader.Metadata;
    }

    private static torch.Tensor Read(SafetensorsReader reader, TensorEntry entry, torch.Tensor tensor)
    {
        foreach ((torch.Tensor piece, long offset) in Pieces(tensor))
        {
            reader.Read(entry, offset, piece.bytes);
            if (entry.Spec.Type == TensorType.BOOL && piece.bytes.ContainsAnyExcept((byte)0, (byte)1))
                throw SafetensorsReader.Unsound(
                    $"tensor {TensorSpec.Quote(entry.Spec.Name)} is BOOL and has bytes other than 0 and 1");
        }
        return tensor;
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

    private static TensorSpec SpecOf(string name, torch.Tensor value) =>
        Types.TryGetValue(value.dtype, out TensorType type)
            ? new TensorSpec(name, type, value.shape)
            : throw new NotSupportedException(
                $"Tensor {TensorSpec.Quote(name)} is of type {value.dtype}, which has no place in a safetensors file.");
}
