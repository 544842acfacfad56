using System.Runtime.CompilerServices;

namespace GenerativeML;

/// <summary>
/// Numbers in one piece of memory that starts at a cache line and never moves, zero at first. It belongs to the garbage
/// collector: who still reads it while its owner is disposed of reads valid memory.
/// </summary>
internal sealed class AlignedBuffer<T>
    where T : unmanaged
{
    private const int CacheLine = 64;

    private readonly T[] _array;
    private readonly int _start;

    public AlignedBuffer(int length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        int spare = CacheLine / Unsafe.SizeOf<T>();
        _array = GC.AllocateArray<T>(checked(length + spare), pinned: true);
        unsafe
        {
            long address = (long)Unsafe.AsPointer(ref _array[0]);
            _start = (int)(-address & (CacheLine - 1)) / Unsafe.SizeOf<T>();
        }
        Length = length;
    }

    /// <summary>How many numbers.</summary>
    public int Length { get; }

    /// <summary>All of them.</summary>
    public Span<T> Span => _array.AsSpan(_start, Length);

    /// <summary>Where the first one is.</summary>
    public unsafe T* Address => (T*)Unsafe.AsPointer(ref _array[_start]);

    /// <summary>All of them, for work that is split among threads.</summary>
    public Memory<T> Memory => _array.AsMemory(_start, Length);
}
