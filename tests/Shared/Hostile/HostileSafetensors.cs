
namespace GenerativeML.Tests.Hostile;

/// <summary>Damaged safetensors files, and the reader.</summary>
internal static class HostileSafetensors
{
    /// <summary>The reader, to the last byte of every tensor.</summary>
    public static HostileRun Reader() => new("safetensors", Mutator().Damage, Load)
    {
        AllocationPerByte = 16,
        FixedAllocation = 64 << 10,
    };

    public static FileMutator Mutator() => FileMutator.Safetensors(Originals());

    // Reads every byte of every tensor to where it is wanted, as loading into a network does.
    private static void Load(byte[] file)
    {
        SafetensorsReader reader = SafetensorsReader.Open(new MemoryStream(file));
        Span<byte> piece = stackalloc byte[64];
        foreach (TensorEntry tensor in reader.Tensors)
        {
            for (long at = 0; at < tensor.Spec.Length; at += piece.Length)
                reader.Read(tensor, at, piece[..(int)Math.Min(piece.Length, tensor.Spec.Length - at)]);
        }
    }

    private static List<byte[]> Originals() =>
    [
        File([]),
        File([new("x", TensorType.F32, 3)]),
        File(
            [
                new("encoder.0.weight", TensorType.F32, 8, 6), new("encoder.0.bias", TensorType.F32, 8),
                new("encoder.1.num_batches_tracked", TensorType.I64), new("decoder.0.weight", TensorType.F32, 6, 8),
                new("decoder.0.bias", TensorType.F32, 6), new("mask", TensorType.BOOL, 6),
            ],
            new() { ["format"] = "pt", ["network"] = "autoencoder" }),
        File([.. Enum.GetValues<TensorType>().Select((type, i) => new TensorSpec($"t{i}", type, i % 4, 1 + (i % 3)))]),
        File([new("größe \"1\"\\\n🙂", TensorType.BF16, 2, 2), new("", TensorType.U8, 0)], new() { ["é"] = "\u0001" }),
    ];

    private static byte[] File(TensorSpec[] tensors, Dictionary<string, string>? metadata = null)
    {
        using var stream = new MemoryStream();
        SafetensorsWriter.Write(
            stream, tensors,
            (tensor, write) =>
            {
                var bytes = new byte[tensor.Length];
                bytes.AsSpan().Fill(1);
                write(bytes);
            },
            metadata);
        return stream.ToArray();
    }
}
