namespace GenerativeML;

/// <summary>The name, element type and shape of a tensor: all that a file says of it but its bytes.</summary>
internal sealed class TensorSpec
{
    /// <summary>The most dimensions a tensor may have; torch itself stops here.</summary>
    public const int MaximumRank = 64;

    private readonly long[] _shape;

    /// <param name="name">The name in the state dict, such as <c>encoder.0.weight</c>.</param>
    /// <param name="type">The element type.</param>
    /// <param name="shape">The size of each dimension, outermost first; empty for a scalar.</param>
    /// <exception cref="ArgumentException">
    /// The shape has more than <see cref="MaximumRank"/> dimensions, a negative one, or more bytes than a
    /// 64-bit number counts.
    /// </exception>
    public TensorSpec(string name, TensorType type, params ReadOnlySpan<long> shape)
    {
        ArgumentNullException.ThrowIfNull(name);
        if (!TryGetLength(type, shape, out long length))
            throw new ArgumentException($"Tensor {Quote(name)} cannot have shape {Describe(shape)}.", nameof(shape));
        Name = name;
        Type = type;
        Length = length;
        _shape = shape.ToArray();
    }

    /// <summary>The name in the state dict.</summary>
    public string Name { get; }

    /// <summary>The element type.</summary>
    public TensorType Type { get; }

    /// <summary>The size of each dimension, outermost first; empty for a scalar.</summary>
    public ReadOnlySpan<long> Shape => _shape;

    /// <summary>The size of the data, in bytes.</summary>
    public long Length { get; }

    /// <summary>
    /// The bytes that a tensor takes. A dimension of zero counts as one while watching for overflow, since
    /// strides are computed in the same way.
    /// </summary>
    /// <returns>Whether such a tensor can be.</returns>
    public static bool TryGetLength(TensorType type, ReadOnlySpan<long> shape, out long length)
    {
        length = 0;
        long bytes = type.Size();
        bool empty = false;
        if (shape.Length > MaximumRank)
            return false;
        foreach (long size in shape)
        {
            long factor = Math.Max(size, 1);
            if (size < 0 || bytes > long.MaxValue / factor)
                return false;
            bytes *= factor;
            empty |= size == 0;
        }

        length = empty ? 0 : bytes;
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
        ReadOnlySpan<char> start = name.AsSpan(0, Math.Min(shown, name.Length));
        string clean = string.Concat(start.ToString().Select(c => char.IsControl(c) || char.IsSurrogate(c) ? '?' : c));
        return name.Length > shown ? $"'{clean}…'" : $"'{clean}'";
    }
}
