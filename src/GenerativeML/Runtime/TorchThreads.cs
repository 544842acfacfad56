using System.Runtime.InteropServices;
using TorchSharp;

namespace GenerativeML;

/// <summary>
/// How many threads torch computes with. The usual variables win: with <c>OMP_NUM_THREADS</c>,
/// <c>MKL_NUM_THREADS</c> or <c>OPENBLAS_NUM_THREADS</c> set, torch keeps the number that it starts with, and
/// <c>OMP_WAIT_POLICY</c> stays what it is.
/// </summary>
internal static partial class TorchThreads
{
    // Below some 8 million multiply-adds a product takes less than 0.1 ms: waking a second thread, some 10 µs, then
    // costs more than it brings, all the more for the smaller operations between the products.
    private const double LeastProduct = 1 << 23;

    private static readonly string[] Variables = ["OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"];

    /// <summary>
    /// Before torch's native library is loaded: threads that wait are to sleep. By default they spin, and take the
    /// processor from the threads that read rows and from every other process on a shared machine.
    /// </summary>
    public static void Prepare()
    {
        if (!OperatingSystem.IsLinux())
            return;
        try
        {
            // OpenMP reads the C library's environment, which Environment.SetEnvironmentVariable does not reach.
            _ = SetVariable("OMP_WAIT_POLICY", "passive", overwrite: 0);
        }
        catch (Exception e) when (e is DllNotFoundException or EntryPointNotFoundException)
        {
            // A C library by another name: torch works as well, it only spins.
        }
    }

    /// <summary>
    /// One thread where products are small, all where they are large, until the result is disposed; then as before.
    /// </summary>
    /// <param name="multiplyAdds">What a typical large product of the work to come takes.</param>
    public static IDisposable For(double multiplyAdds)
    {
        int before = torch.get_num_threads();
        bool given = Variables.Any(v => !string.IsNullOrEmpty(Environment.GetEnvironmentVariable(v)));
        int threads = given ? before : Choose(multiplyAdds, before, Environment.ProcessorCount);
        if (threads != before)
            torch.set_num_threads(threads);
        return new Restoring(threads == before ? null : before);
    }

    /// <summary>
    /// Torch starts with the machine's cores, hyperthreads left out, which is right unless the process may use fewer.
    /// Some builds start with one thread on every machine, and say nothing by that.
    /// </summary>
    internal static int Choose(double multiplyAdds, int started, int processors) =>
        multiplyAdds < LeastProduct ? 1 : started <= 1 ? processors : Math.Min(started, processors);

    [LibraryImport("libc", EntryPoint = "setenv", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int SetVariable(string name, string value, int overwrite);

    private sealed class Restoring(int? threads) : IDisposable
    {
        public void Dispose()
        {
            if (threads is int before)
                torch.set_num_threads(before);
        }
    }
}
