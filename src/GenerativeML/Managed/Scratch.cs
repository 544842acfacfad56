using System.Buffers;

namespace GenerativeML;

/// <summary>Memory for intermediate results of one call, from a pool: nothing is allocated per call.</summary>
/// <param name="length">The most numbers that will be taken.</param>
internal ref struct Scratch(int length) : IDisposable
{
    private readonly float[] _rented = ArrayPool<float>.Shared.Rent(length);
    private int _used;

    /// <summary>So many numbers, of no particular value.</summary>
    public Span<float> Take(int count)
    {
        Span<float> taken = _rented.AsSpan(_used, count);
        _used += count;
        return taken;
    }

    /// <summary>All that is left.</summary>
    public readonly Span<float> Rest() => _rented.AsSpan(_used);

    /// <summary>Gives the memory back.</summary>
    public readonly void Dispose() => ArrayPool<float>.Shared.Return(_rented);
}
