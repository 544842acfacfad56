using System.Diagnostics;

namespace GenerativeML.Tests;

/// <summary>The process for tests, run as a program is run: with its libraries where they belong.</summary>
internal static class WorkerProcess
{
    /// <summary>Runs it to its end and gives its exit code and what it wrote.</summary>
    public static (int Code, string[] Lines, string Errors) Run(
        IEnumerable<(string Name, string Value)> environment, params string[] arguments)
    {
        string worker = Path.Combine(AppContext.BaseDirectory, "GenerativeML.TestWorker.dll");
        string host = Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet";
        var start = new ProcessStartInfo(host, [worker, .. arguments])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach ((string name, string value) in environment)
            start.Environment[name] = value;
        using Process process = Process.Start(start)!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output.Split('\n', StringSplitOptions.RemoveEmptyEntries), errors.Result);
    }
}
