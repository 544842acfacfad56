using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using GenerativeML.Torch;

namespace GenerativeML.Benchmarks;

/// <summary>
/// The same work in Python: <c>tests/peers/decode_peer.py</c>, in a process that waits while it is not asked.
/// </summary>
internal sealed class DecodePeer : IDisposable
{
    private readonly Process _process;

    public DecodePeer(string weights, GptShape shape, int threads)
    {
        string python = Environment.GetEnvironmentVariable("GENERATIVEML_PYTHON") ?? "/usr/bin/python3";
        var start = new ProcessStartInfo(
            python,
            [
                Path.Combine(Folder(), "decode_peer.py"), weights, Text(shape.Heads),
                shape.Gelu == GeluForm.Tanh ? "tanh" : "none", Text(threads),
            ])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        };
        start.Environment["OMP_NUM_THREADS"] = Text(threads);
        _process = Process.Start(start)!;
    }

    /// <summary>The likeliest continuation of a token.</summary>
    public int[] Greedy(int token, int count) => Ask<int[]>($"greedy {Text(token)} {Text(count)}");

    /// <summary>Seconds for drawing texts.</summary>
    public double Seconds(int texts, int count) => Ask<double>($"time {Text(texts)} {Text(count)}");

    public void Dispose()
    {
        _process.StandardInput.Close();
        _process.WaitForExit();
        _process.Dispose();
    }

    private T Ask<T>(string command)
    {
        _process.StandardInput.WriteLine(command);
        _process.StandardInput.Flush();
        string answer = _process.StandardOutput.ReadLine()
            ?? throw new InvalidOperationException(
                "Python has ended; it needs torch. Set GENERATIVEML_PYTHON, or --no-peer.");
        return JsonSerializer.Deserialize<T>(answer)!;
    }

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);

    private static string Folder()
    {
        DirectoryInfo? folder = new(AppContext.BaseDirectory);
        while (folder is not null && !Directory.Exists(Path.Combine(folder.FullName, "tests", "peers")))
            folder = folder.Parent;
        return Path.Combine(folder?.FullName ?? "", "tests", "peers");
    }
}
