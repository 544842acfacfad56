using System.Diagnostics;
using System.Globalization;
using System.Text.Json;

namespace GenerativeML.GpuCheck;

/// <summary>
/// Each work by each engine, one after the other, in a process of its own: what one leaves in memory is not another's.
/// </summary>
internal static class Measurements
{
    private static readonly TimeSpan s_allTogether = TimeSpan.FromMinutes(8), s_one = TimeSpan.FromMinutes(2.5);

    /// <summary>Runs all of them, as far as the time goes.</summary>
    /// <param name="onCpu">Whether the CPU is measured.</param>
    /// <param name="peer">The Python program that does the same with PyTorch; null for none.</param>
    public static async Task<List<Timing>> Run(bool onCpu, string? peer)
    {
        var clock = Stopwatch.StartNew();
        var timings = new List<Timing>();
        string device = onCpu ? "cpu" : "cuda";
        string[] engines = peer is null ? ["ours", "stock"] : ["ours", "eager", "stock", "compile"];
        foreach (Work work in Work.All(onCpu))
        {
            foreach (string engine in engines)
            {
                TimeSpan left = s_allTogether - clock.Elapsed;
                string name = $"{work.Name}, {work.Precision}";
                Timing timing;
                try
                {
                    string[] arguments = [engine, device, JsonSerializer.Serialize(work)];
                    timing = left < TimeSpan.FromSeconds(20)
                        ? throw new TimeoutException("no time left")
                        : await Run(
                            engine is "ours" or "stock"
                                ? new ProcessStartInfo(Environment.ProcessPath!, ["step", .. arguments])
                                : new(Environment.GetEnvironmentVariable("PYTHON") ?? "python3", [peer!, .. arguments]),
                            onCpu, left < s_one ? left : s_one);
                }
                catch (Exception e)
                {
                    timing = new(name, engine, double.NaN, double.NaN, 0, e.Message);
                }
                timings.Add(timing with { Work = name, Engine = engine });
                Console.Error.WriteLine($"{name}, {engine}: {timing.Error ?? $"{timing.Milliseconds:F2} ms"}");
            }
        }
        return timings;
    }

    private static async Task<Timing> Run(ProcessStartInfo start, bool onCpu, TimeSpan limit)
    {
        (start.RedirectStandardOutput, start.RedirectStandardError) = (true, true);
        using Process? watcher = onCpu ? null : Process.Start(new ProcessStartInfo(
            "nvidia-smi", "--query-gpu=memory.used --format=csv,noheader,nounits -i 0 -lms 100")
            { RedirectStandardOutput = true });
        string? before = watcher is null ? null : await watcher.StandardOutput.ReadLineAsync();
        using Process process = Process.Start(start)!;
        Task<string> output = process.StandardOutput.ReadToEndAsync(), errors = process.StandardError.ReadToEndAsync();
        using var late = new CancellationTokenSource(limit);
        try
        {
            await process.WaitForExitAsync(late.Token);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            throw new TimeoutException($"not done after {limit.TotalSeconds:F0} s");
        }
        finally
        {
            watcher?.Kill();
        }
        if (process.ExitCode != 0)
            throw new InvalidOperationException($"exit {process.ExitCode}: {(await errors).Trim().Split('\n')[^1]}");
        Timing timing = JsonSerializer.Deserialize<Timing>((await output).Trim().Split('\n')[^1])!;
        return watcher is null ? timing : timing with
        {
            Megabytes = (await watcher.StandardOutput.ReadToEndAsync()).Split('\n').Select(Number).Max() - Number(before),
        };

        static long Number(string? text) => long.TryParse(text, CultureInfo.InvariantCulture, out long n) ? n : 0;
    }
}

/// <summary>The results as a table.</summary>
internal static class Report
{
    public static void Write(List<FamilyResult> families, List<Timing> timings)
    {
        Console.WriteLine(
            $"\n{"family",-13}{"trained, s",12}{"loss",10}{"on CPU",10}{"scores off",12}{"generated alike",17}");
        foreach (FamilyResult f in families)
            Console.WriteLine(
                $"{f.Family,-13}{f.Seconds,12:F1}{f.Loss,10:F4}{f.CpuLoss,10:F4}{f.Scores,12:E1}{f.Generated,17:P1}"
                + $"  {f.Error ?? "ok"}");

        Console.WriteLine($"\n{"training step",-42}{"engine",-9}{"ms",9}{"to ours",9}{"loss",10}{"MB",8}");
        foreach (Timing t in timings)
        {
            double ours = timings.First(o => o.Work == t.Work && o.Engine == "ours").Milliseconds;
            Console.WriteLine(
                $"{t.Work,-42}{t.Engine,-9}{t.Milliseconds,9:F2}{t.Milliseconds / ours,9:F2}{t.Loss,10:F3}"
                + $"{t.Megabytes,8}  {t.Error}");
        }
    }
}
