using System.Diagnostics;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace GenerativeML.Tests;

/// <summary>Runs the programs of <c>tests/peers</c> with a Python that has torch.</summary>
internal static class TorchPeer
{
    // Importing it would take seconds.
    private const string FindTorch = "import importlib.util as u, sys; sys.exit(u.find_spec('torch') is None)";

    private static readonly Lazy<string?> Python = new(Find);

    /// <summary>
    /// Runs a program and gives what it printed; the test is skipped where there is no Python with torch. The
    /// environment's <c>GENERATIVEML_PYTHON</c> says which Python, where it is not the system's.
    /// </summary>
    public static string Run(string program, params string[] arguments)
    {
        if (Python.Value is not { } python)
            throw new AssertInconclusiveException("No Python with torch: install python3-torch, or set GENERATIVEML_PYTHON.");
        (int code, string output, string errors) = Start(python, [Path.Combine(Peers(), program), .. arguments]);
        Assert.AreEqual(0, code, $"{program} {string.Join(' ', arguments)} failed: {errors}");
        return output;
    }

    private static string? Find()
    {
        string?[] candidates = [Environment.GetEnvironmentVariable("GENERATIVEML_PYTHON"), "python3", "/usr/bin/python3"];
        return candidates.FirstOrDefault(p => !string.IsNullOrEmpty(p) && HasTorch(p));
    }

    private static bool HasTorch(string python)
    {
        try
        {
            return Start(python, ["-c", FindTorch]).Code == 0;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            // There is no such program.
            return false;
        }
    }

    private static (int Code, string Output, string Errors) Start(string python, string[] arguments)
    {
        var start = new ProcessStartInfo(python, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        using Process process = Process.Start(start)!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output, errors.Result);
    }

    private static string Peers()
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            string peers = Path.Combine(folder.FullName, "tests", "peers");
            if (Directory.Exists(peers))
                return peers;
        }
        throw new AssertInconclusiveException($"No folder tests/peers above {AppContext.BaseDirectory}.");
    }
}
