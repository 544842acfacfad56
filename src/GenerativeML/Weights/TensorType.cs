namespace GenerativeML;

/// <summary>
/// The element types of a safetensors file, by the format's own names. The format's types of less
/// than a byte (F4, F6) are not known here. The order is the one in which files lay tensors out, last first.
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

/// <summary>What the format says of each <see cref="TensorType"/>.</summary>
internal static class TensorTypes
{
    /// <summary>Every known type.</summary>
    public static IReadOnlyList<TensorType> All { get; } = Enum.GetValues<TensorType>();

    /// <summary>The size of one element, in bytes.</summary>
    public static int Size(this TensorType type) => type switch
    {
        TensorType.BOOL or TensorType.U8 or TensorType.I8 or TensorType.F8_E5M2 or TensorType.F8_E4M3 => 1,
        TensorType.I16 or TensorType.U16 or TensorType.F16 or TensorType.BF16 => 2,
        TensorType.I32 or TensorType.U32 or TensorType.F32 => 4,
        TensorType.I64 or TensorType.U64 or TensorType.F64 => 8,
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "Not an element type."),
    };
}
