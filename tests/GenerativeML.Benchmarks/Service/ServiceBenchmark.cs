using System.CommandLine;
using System.Diagnostics;
using System.Text.Json;
using DetectorService;
using Microsoft.AspNetCore.Builder;

namespace GenerativeML.Benchmarks;

/// <summary>
/// <c>service</c>: the sample's service under load: requests a second, their times, and the memory of the process that
/// answers, which is another one than that which asks. Both share the machine's processors.
/// </summary>
internal static class ServiceBenchmark
{
    /// <summary>The command and its options.</summary>
    public static Command Command()
    {
        Option<int> requests = new("--requests") { Description = "Requests.", DefaultValueFactory = _ => 100_000 };
        Option<int> clients = new("--clients") { Description = "Requests at once.", DefaultValueFactory = _ => 8 };
        Option<int> rows = new("--rows") { Description = "Rows of a request.", DefaultValueFactory = _ => 1 };
        Option<FileInfo?> json = new("--json") { Description = "Where to write the results as JSON." };
        Command command = new("service", "Requests a second, p99 and memory of a detector behind HTTP.")
        {
            requests, clients, rows, json,
        };
        command.SetAction((parsed, cancellation) => Run(
            parsed.GetValue(requests), parsed.GetValue(clients), parsed.GetValue(rows), parsed.GetValue(json), cancellation));
        return command;
    }

    /// <summary>The command of the process that answers: it ends when its input does.</summary>
    public static Command HostCommand()
    {
        Argument<string> path = new("detector");
        Command command = new("service-host", "Answers requests, for the command service.") { path };
        command.Hidden = true;
        command.SetAction(async (parsed, cancellation) =>
        {
            await using WebApplication service = Service.Build(
                ["--urls", "http://127.0.0.1:0", "--Logging:LogLevel:Default", "Warning"], parsed.GetValue(path)!);
            await service.StartAsync(cancellation);
            Console.WriteLine(service.Urls.First());
            await Console.In.ReadToEndAsync(cancellation);
            return 0;
        });
        return command;
    }

    private static async Task<int> Run(
        int requests, int clients, int rows, FileInfo? json, CancellationToken cancellation)
    {
        string folder = Directory.CreateTempSubdirectory("service").FullName, detector = Path.Combine(folder, "detector.zip");
        Detector.Train(detector, rows: 20_000);
        string program = typeof(ServiceBenchmark).Assembly.Location;
        using Process host = Process.Start(new ProcessStartInfo("dotnet", [program, "service-host", detector])
        {
            RedirectStandardInput = true, RedirectStandardOutput = true,
        })!;
        try
        {
            string address = await host.StandardOutput.ReadLineAsync(cancellation)
                ?? throw new InvalidOperationException("The service has not started.");
            using var http = new HttpClient { BaseAddress = new Uri(address) };
            byte[][] bodies =
            [
                .. Detector.Simulate(100 * rows, seed: 2).Chunk(rows)
                    .Select(request => JsonSerializer.SerializeToUtf8Bytes(request, JsonSerializerOptions.Web)),
            ];
            await Ask(http, bodies, Math.Max(1_000, requests / 100), clients, cancellation); // warm
            List<long> memory = [Memory()];
            List<double> milliseconds = [];
            TimeSpan before = Processor();
            var clock = Stopwatch.StartNew();
            const int parts = 10;
            for (int part = 0; part < parts; part++)
            {
                milliseconds.AddRange(await Ask(http, bodies, requests / parts, clients, cancellation));
                memory.Add(Memory());
                Console.WriteLine($"{milliseconds.Count} requests, {clock.Elapsed.TotalSeconds:F0} s, {memory[^1] >> 20} MB");
            }
            double seconds = clock.Elapsed.TotalSeconds;
            double processor = (Processor() - before).TotalSeconds;
            double[] sorted = [.. milliseconds.Order()];
            var result = new
            {
                Requests = sorted.Length, Clients = clients, Rows = rows, PerSecond = sorted.Length / seconds,
                ProcessorMicroseconds = 1e6 * processor / sorted.Length, P50 = Quantile(0.5), P99 = Quantile(0.99),
                P999 = Quantile(0.999), MegaBytes = memory.Select(m => m >> 20),
            };
            Console.WriteLine(
                $"{result.Requests} requests of {rows} rows by {clients} at once: {result.PerSecond:F0} a second, "
                + $"{result.ProcessorMicroseconds:F0} µs of the service's processor time each; "
                + $"p50 {result.P50:F2} ms, p99 {result.P99:F2} ms, p99.9 {result.P999:F2} ms");
            Console.WriteLine($"memory in MB, before and after each tenth: {string.Join(' ', result.MegaBytes)}");
            if (json is not null)
                File.WriteAllText(json.FullName, JsonSerializer.Serialize(result, JsonSerializerOptions.Web) + "\n");
            return 0;

            double Quantile(double share) => sorted[Math.Min(sorted.Length - 1, (int)(share * sorted.Length))];
        }
        finally
        {
            host.StandardInput.Close();
            if (!host.WaitForExit(10_000))
                host.Kill();
            Directory.Delete(folder, recursive: true);
        }

        long Memory()
        {
            host.Refresh();
            return host.WorkingSet64;
        }

        TimeSpan Processor()
        {
            host.Refresh();
            return host.TotalProcessorTime;
        }
    }

    // The milliseconds of each request.
    private static async Task<IEnumerable<double>> Ask(
        HttpClient http, byte[][] bodies, int requests, int clients, CancellationToken cancellation)
    {
        List<double>[] times = [.. Enumerable.Range(0, clients).Select(_ => new List<double>())];
        await Task.WhenAll(times.Select((own, client) => Task.Run(
            async () =>
            {
                for (int i = client; i < requests; i += clients)
                {
                    long start = Stopwatch.GetTimestamp();
                    using var content = new ByteArrayContent(bodies[i % bodies.Length]);
                    content.Headers.ContentType = new("application/json");
                    using HttpResponseMessage response = await http.PostAsync("/score", content, cancellation);
                    response.EnsureSuccessStatusCode();
                    await response.Content.CopyToAsync(Stream.Null, cancellation);
                    own.Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
                }
            }, cancellation)));
        return times.SelectMany(t => t);
    }
}
