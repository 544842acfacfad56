using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace GenerativeML;

/// <summary>
/// Keeps signals from the calling thread until it is disposed; what a process is sent meanwhile, other threads handle. LSTMs
/// are computed on the CPU by oneDNN, whose products keep their stack in a block of the heap, up to version 3.11.1: a handler
/// that interrupts one, of SIGCONT, SIGTERM or of what .NET stops threads with for a collection, writes beside the block, and
/// the process dies (https://github.com/uxlfoundation/oneDNN/issues/4845). Only on Linux; elsewhere nothing is done.
/// </summary>
internal readonly ref partial struct HeldSignals
{
    private const int SetMask = 2; // Linux's number
    private const int Words = 16; // of a sigset_t, 1,024 bits

    // All but those that an instruction itself brings about, whose handlers the runtime needs: SIGILL, SIGTRAP, SIGABRT,
    // SIGBUS, SIGFPE and SIGSEGV, which are bits 3 to 7 and 10.
    private static readonly Mask s_held = Held();

    private readonly Mask _before;
    private readonly bool _holds;

    /// <summary>Begins.</summary>
    public HeldSignals()
    {
        Mask held = s_held;
        _holds = OperatingSystem.IsLinux() && SetSignalMask(SetMask, ref held[0], ref _before[0]) == 0;
    }

    /// <summary>Signals come as before; one that waited comes now.</summary>
    public void Dispose()
    {
        Mask before = _before, ignored = default;
        if (_holds)
            _ = SetSignalMask(SetMask, ref before[0], ref ignored[0]);
    }

    private static Mask Held()
    {
        Mask mask = default;
        for (int i = 0; i < Words; i++)
            mask[i] = ulong.MaxValue;
        mask[0] = ~0b100_1111_1000UL;
        return mask;
    }

    [LibraryImport("libc", EntryPoint = "pthread_sigmask")]
    private static partial int SetSignalMask(int how, ref ulong set, ref ulong before);

    [InlineArray(Words)]
    private struct Mask
    {
        private ulong _word;
    }
}
