using System.ComponentModel;
using System.Diagnostics;

namespace GenerativeML.Tests;

/// <summary>Runs the programs of <c>tests/peers</c> with a Python that has a certain module.</summary>
/// <remarks>
/// The environment's <c>GENERATIVEML_PYTHON</c> says which Python, where it is not the system's.
/// </remarks>
internal sealed class PythonPeer
{
    private readonly string _module;
    private readonly Lazy<string?> _python;

    public PythonPeer(string module)
    {
        _module = module;
        _python = new(Find);
    }

    /// <summary>Whether there is such a Python.</summary>
    public bool IsThere => _python.Value is not null;

    /// <summary>The folder of the programs, above this one; null where there is none.</summary>
    public static string? Folder()
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            string peers = Path.Combine(folder.FullName, "tests", "peers");
            if (Directory.Exists(peers))
                return peers;
        }
        return null;
    }

    /// <summary>Runs a program and gives what it printed.</summary>
    /// <exception cref="InvalidOperationException">There is no such Python, or no such program, or it failed.</exception>
    public string Run(string program, params string[] arguments)
    {
        string python = _python.Value
            ?? throw new InvalidOperationException($"No Python with {_module}; GENERATIVEML_PYTHON can name one.");
        string folder = Folder()
            ?? throw new InvalidOperationException($"No folder tests/peers above {AppContext.BaseDirectory}.");
        (int code, string output, string errors) = Start(python, [Path.Combine(folder, program), .. arguments]);
        return code == 0
            ? output
            : throw new InvalidOperationException($"{program} {string.Join(' ', arguments)} failed: {errors}");
    }

    private string? Find()
    {
        string?[] candidates = [Environment.GetEnvironmentVariable("GENERATIVEML_PYTHON"), "python3", "/usr/bin/python3"];
        return candidates.FirstOrDefault(p => !string.IsNullOrEmpty(p) && HasModule(p));
    }

    private bool HasModule(string python)
    {
        try
        {
            // Importing it could take seconds.
            string find = $"import importlib.util as u, sys; sys.exit(u.find_spec('{_module}') is None)";
            return Start(python, ["-c", find]).Code == 0;
        }
        catch (Win32Exception)
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
}
