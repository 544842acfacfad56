using System.Globalization;
using System.Runtime.InteropServices;

namespace GenerativeML;

/// <summary>Which allocator libtorch takes the memory of tensors from.</summary>
internal static class NativeAllocator
{
    private static readonly (string Part, string Name)[] Known =
    [
        ("tcmalloc", "tcmalloc"), ("jemalloc", "jemalloc"), ("mimalloc", "mimalloc"), ("ld-musl", "musl"),
        ("libc.so.6", "glibc"), ("libc-2.", "glibc"),
    ];

    /// <summary>
    /// That of the library whose <c>malloc</c> all others are bound to; null where the system does not tell.
    /// </summary>
    public static string? Name()
    {
        if (!OperatingSystem.IsLinux()
            || !NativeLibrary.TryGetExport(NativeLibrary.GetMainProgramHandle(), "malloc", out nint malloc))
            return null;
        try
        {
            return FileAt(malloc, File.ReadLines("/proc/self/maps")) is string path ? NameOf(path) : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>The allocator whose library's file this is; the file's name where it is none of the known.</summary>
    internal static string NameOf(string path) =>
        Known.FirstOrDefault(k => path.Contains(k.Part, StringComparison.Ordinal)).Name ?? Path.GetFileName(path);

    /// <summary>The file that an address belongs to, by the lines of <c>/proc/self/maps</c>.</summary>
    internal static string? FileAt(nint address, IEnumerable<string> maps)
    {
        foreach (string line in maps)
        {
            // 7f12a0000000-7f12a0021000 r-xp 00000000 08:01 123    /usr/lib/libc.so.6
            int dash = line.IndexOf('-', StringComparison.Ordinal), end = line.IndexOf(' ', StringComparison.Ordinal);
            int file = line.IndexOf('/', StringComparison.Ordinal);
            ulong from = Hex(line.AsSpan(0, dash)), below = Hex(line.AsSpan(dash + 1, end - dash - 1));
            if (from <= (ulong)address && (ulong)address < below)
                return file < 0 ? null : line[file..];
        }
        return null;

        static ulong Hex(ReadOnlySpan<char> digits) =>
            ulong.Parse(digits, NumberStyles.HexNumber, CultureInfo.InvariantCulture);
    }
}
