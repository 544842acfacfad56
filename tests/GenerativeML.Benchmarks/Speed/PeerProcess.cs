using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;

namespace GenerativeML.Benchmarks;

/// <summary>
/// A program of <c>tests/peers</c> in a process that waits while it is not asked, in the surroundings that it is
/// fastest in.
/// </summary>
internal sealed class PeerProcess : IDisposable
{
    private readonly Process _process;

    public PeerProcess(string program, PeerSetting setting, params IEnumerable<string> arguments)
    {
        var start = new ProcessStartInfo(Python, [Path.Combine(Folder(), program), .. arguments])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        };
        start.Environment["OMP_NUM_THREADS"] = setting.Threads.ToString(CultureInfo.InvariantCulture);
        start.Environment.Remove("OMP_WAIT_POLICY");
        if (setting.Waiting is not null)
            start.Environment["OMP_WAIT_POLICY"] = setting.Waiting;
        // Debian's PyTorch takes its products from whichever BLAS is found first; one with threads of its own would
        // fight PyTorch's.
        string[] places = [.. OpenBlas(), .. Given("LD_LIBRARY_PATH")];
        if (places.Length > 0)
            start.Environment["LD_LIBRARY_PATH"] = string.Join(':', places);
        _process = Process.Start(start)!;
    }

    /// <summary>Whether there is a Python that has PyTorch.</summary>
    public static bool IsThere
    {
        get
        {
            try
            {
                using Process process = Process.Start(
                    new ProcessStartInfo(Python, ["-c", "import torch"]) { RedirectStandardError = true })!;
                process.WaitForExit();
                return process.ExitCode == 0;
            }
            catch (Win32Exception)
            {
                return false;
            }
        }
    }

    private static string Python => Environment.GetEnvironmentVariable("GENERATIVEML_PYTHON") ?? "/usr/bin/python3";

    /// <summary>Sends a line and gives the one that comes back.</summary>
    /// <exception cref="InvalidOperationException">The program has ended.</exception>
    public string Ask(string line)
    {
        _process.StandardInput.WriteLine(line);
        _process.StandardInput.Flush();
        return _process.StandardOutput.ReadLine()
            ?? throw new InvalidOperationException(
                "Python has ended; GENERATIVEML_PYTHON can name one that has what the program imports.");
    }

    public void Dispose()
    {
        _process.StandardInput.Close();
        _process.WaitForExit();
        _process.Dispose();
    }

    private static IEnumerable<string> OpenBlas() => Directory.Exists("/usr/lib")
        ? Directory.EnumerateDirectories("/usr/lib", "*-linux-gnu")
            .Select(folder => Path.Combine(folder, "openblas-openmp"))
            .Where(folder => File.Exists(Path.Combine(folder, "libblas.so.3")))
        : [];

    private static IEnumerable<string> Given(string variable) =>
        Environment.GetEnvironmentVariable(variable) is { Length: > 0 } value ? [value] : [];

    private static string Folder()
    {
        DirectoryInfo? folder = new(AppContext.BaseDirectory);
        while (folder is not null && !Directory.Exists(Path.Combine(folder.FullName, "tests", "peers")))
            folder = folder.Parent;
        return Path.Combine(folder?.FullName ?? "", "tests", "peers");
    }
}
