namespace GenerativeML;

/// <summary>
/// The element types of a safetensors file, by the format's own names, the smallest first. The format's types of less
/// than a byte (F4, F6) are not known here. Files lay tensors out in this order, last first.
/// </summary>
internal enum TensorType
{
    BOOL,
    U8,
    I8,
    F8_E5M2,
    F8_E4M3,
    I16,
    U16,
    F16,
    BF16,
    I32,
    U32,
    F32,
    F64,
    I64,
    U64,
}

/// <summary>The name, element type and shape of a tensor: all that a file says of it but its bytes.</summary>
internal sealed class TensorSpec
{
    /// <summary>The most dimensions a tensor may have; torch itself stops here.</summary>
    public const int MaximumRank = 64;

    private readonly long[] _shape;

    /// <exception cref="ArgumentException">There can be no tensor of this shape.</exception>
    public TensorSpec(string name, TensorType type, params ReadOnlySpan<long> shape)
    {
        if (!TryGetLength(type, shape, out long length))
            throw new ArgumentException($"Tensor {Quote(name)} cannot have shape {Describe(shape)}.", nameof(shape));
        Name = name;
        Type = type;
        Length = length;
        _shape = shape.ToArray();
    }

    /// <summary>The name in the state dict, such as <c>encoder.0.weight</c>.</summary>
    public string Name { get; }

    public TensorType Type { get; }

    /// <summary>The size of each dimension, outermost first; empty for a scalar.</summary>
    public ReadOnlySpan<long> Shape => _shape;

    /// <summary>The size of the data, in bytes.</summary>
    public long Length { get; }

    /// <summary>
    /// The bytes that a tensor takes; false where there can be no such tensor. A dimension of zero counts as one while
    /// watching for overflow, since strides are computed in the same way.
    /// </summary>
    public static bool TryGetLength(TensorType type, ReadOnlySpan<long> shape, out long length)
    {
        length = 0;
        long bytes = type.Size();
        if (shape.Length > MaximumRank)
            return false;
        foreach (long size in shape)
        {
            long factor = Math.Max(size, 1);
            if (size < 0 || bytes > long.MaxValue / factor)
                return false;
            bytes *= factor;
        }
        length = shape.Contains(0) ? 0 : bytes;
        return true;
    }

    /// <inheritdoc />
    public override string ToString() => $"{Quote(Name)} {Type} {Describe(_shape)}";

    /// <summary>A shape as messages show it: <c>[32, 10]</c>.</summary>
    public static string Describe(ReadOnlySpan<long> shape)
    {
        const int shown = 8;
        string sizes = string.Join(", ", shape[..Math.Min(shown, shape.Length)].ToArray());
        return shape.Length > shown ? $"[{sizes}, … {shape.Length} dimensions]" : $"[{sizes}]";
    }

    /// <summary>
    /// A name as messages show it. It comes from a file that nobody may have looked at, so control characters
    /// are replaced and the length is bounded.
    /// </summary>
    public static string Quote(string name)
    {
        const int shown = 80;
        IEnumerable<char> clean = name.Take(shown).Select(c => char.IsControl(c) || char.IsSurrogate(c) ? '?' : c);
        return $"'{string.Concat(clean)}{(name.Length > shown ? "…" : "")}'";
    }
}

internal static class TensorTypes
{
    /// <summary>The size of one element, in bytes.</summary>
    public static int Size(this TensorType type) => type switch
    {
        <= TensorType.F8_E4M3 => 1,
        <= TensorType.BF16 => 2,
        <= TensorType.F32 => 4,
        _ => 8,
    };
}
