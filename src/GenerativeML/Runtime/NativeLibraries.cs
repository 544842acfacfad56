using System.ComponentModel;
using System.Diagnostics;
using System.Text.RegularExpressions;

namespace GenerativeML;

/// <summary>What can be told from the native libraries that a process has loaded.</summary>
/// <param name="Paths">Their files.</param>
internal sealed partial record NativeLibraries(IReadOnlyList<string> Paths)
{
    // The first that fits wins: OpenBLAS comes under the names of the reference library, too.
    private static readonly (string Part, string Name)[] Known =
    [
        ("openblas", "OpenBLAS"), ("mkl_core", "MKL"), ("mkl_rt", "MKL"), ("libblis", "BLIS"),
        ("vecLib", "Accelerate"), ("libblas", "BLAS"),
    ];

    /// <summary>Of this process; none where the system does not tell.</summary>
    public static NativeLibraries Loaded()
    {
        try
        {
            using Process self = Process.GetCurrentProcess();
            return new([.. self.Modules.Cast<ProcessModule>().Select(m => m.FileName).Where(f => f.Length > 0)]);
        }
        catch (Exception e) when (e is Win32Exception or InvalidOperationException or NotSupportedException)
        {
            return new([]);
        }
    }

    /// <summary>
    /// The library of linear algebra that matrix products are taken from, with the kind of threads that it has, or
    /// null: builds of libtorch that bring their own have it inside.
    /// </summary>
    public string? Blas
    {
        get
        {
            foreach ((string part, string name) in Known)
            {
                if (Paths.FirstOrDefault(p => p.Contains(part, StringComparison.OrdinalIgnoreCase)) is string path)
                    return name + Threads(path);
            }
            return null;
        }
    }

    /// <summary>The version of libtorch, where its file's name has it, or null.</summary>
    public string? LibTorchVersion =>
        Paths.Select(p => Versioned().Match(p)).FirstOrDefault(m => m.Success)?.Groups[1].Value;

    // Debian names the folder after them.
    private static string Threads(string path) =>
        path.Contains("openmp", StringComparison.OrdinalIgnoreCase) ? " with OpenMP threads"
        : path.Contains("pthread", StringComparison.OrdinalIgnoreCase) ? " with threads of its own"
        : path.Contains("serial", StringComparison.OrdinalIgnoreCase) ? " without threads"
        : "";

    [GeneratedRegex(@"libtorch_cpu\.so\.(\d+\.\d+(\.\d+)?)")]
    private static partial Regex Versioned();
}
