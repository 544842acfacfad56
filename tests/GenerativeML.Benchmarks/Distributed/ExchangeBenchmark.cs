using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using TorchSharp;

namespace GenerativeML.Benchmarks;

/// <summary>
/// <c>exchange</c>: what it costs that several processes train one model: the time of a step of n processes of one thread
/// beside that of one process with the nth part of the batch (weak scaling) and with all of it (strong scaling), in
/// turns, and the bytes that are sent. It starts itself by <c>mpirun</c>.
/// </summary>
internal static class ExchangeBenchmark
{
    private const int Features = 256, Rows = 20_000;
    private const string Result = "exchange:";

    /// <summary>The command and its options.</summary>
    public static Command Command()
    {
        Option<int> processes = Number("--processes", "Processes that train together.", 2);
        Option<int> width = Number("--width", "Units of a hidden layer.", 1024);
        Option<int> batch = Number("--batch", "Rows in a step of all processes.", 1024);
        Option<int> steps = Number("--steps", "Steps that are measured.", 60);
        Option<int> rounds = Number("--rounds", "How often each is measured.", 5);
        Option<string> launcher = new("--launcher") { Description = "What starts processes.", DefaultValueFactory = _ => "mpirun.mpich" };
        Option<bool> worker = new("--worker") { Description = "Train, and say how long a step took.", Hidden = true };
        Command command = new("exchange", "What a step costs where several processes share it.") { processes, width, batch, steps, rounds, launcher, worker };
        command.SetAction(parsed =>
        {
            int n = parsed.GetValue(processes), w = parsed.GetValue(width), b = parsed.GetValue(batch), s = parsed.GetValue(steps);
            if (parsed.GetValue(worker))
                Train(w, b, s);
            else
                Compare(n, w, b, s, parsed.GetValue(rounds), parsed.GetValue(launcher)!);
        });
        return command;
    }

    private static Option<int> Number(string name, string description, int usual) =>
        new(name) { Description = description, DefaultValueFactory = _ => usual };

    private static void Compare(int processes, int width, int batch, int steps, int rounds, string launcher)
    {
        var several = new List<double>();
        var part = new List<double>();
        var whole = new List<double>();
        double bytes = 0, parameters = 0;
        for (int round = 0; round < rounds; round++)
        {
            part.Add(Measure([], width, batch / processes, steps).Seconds);
            (double seconds, bytes, parameters) = Measure([launcher, "-np", $"{processes}"], width, batch, steps);
            several.Add(seconds);
            whole.Add(Measure([], width, batch, steps).Seconds);
        }
        double gradient = parameters * sizeof(float), share = 2.0 * (processes - 1) / processes;
        Console.WriteLine($"{processes} processes, {parameters:N0} weights, {batch} rows, {rounds} rounds in turns; medians of a step");
        Console.WriteLine($"{processes} processes, {batch} rows   {1000 * Median(several):F1} ms");
        Console.WriteLine($"1 process, {batch / processes} rows   {1000 * Median(part):F1} ms   ratio {Median(several) / Median(part):F3}");
        Console.WriteLine($"1 process, {batch} rows   {1000 * Median(whole):F1} ms   ratio {Median(several) / Median(whole):F3}");
        Console.WriteLine($"sent by a process in a step: {bytes:N0} bytes, {bytes / (share * gradient):F4} of 2(n − 1)/n of the gradient");
    }

    private static double Median(List<double> values) => values.Order().ElementAt(values.Count / 2);

    private static (double Seconds, double Bytes, double Parameters) Measure(string[] launcher, int width, int batch, int steps)
    {
        string[] command =
        [
            .. launcher, .. BenchmarkProcess.Command, "exchange", "--worker", "--width", $"{width}", "--batch", $"{batch}", "--steps", $"{steps}",
        ];
        var start = new ProcessStartInfo(command[0], command[1..]) { RedirectStandardOutput = true };
        start.Environment["OMP_NUM_THREADS"] = "1";
        using Process process = Process.Start(start)!;
        string said = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        string line = said.Split('\n').FirstOrDefault(l => l.StartsWith(Result, StringComparison.Ordinal))
            ?? throw new InvalidOperationException($"{string.Join(' ', command)} failed: {said}");
        double[] values = [.. line[Result.Length..].Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(v => double.Parse(v, CultureInfo.InvariantCulture))];
        return (values[0], values[1], values[2]);
    }

    private static void Train(int width, int batch, int steps)
    {
        int epochs = Math.Max(1, (int)Math.Ceiling((steps + 20.0) * batch / Rows));
        Exchange? exchange = DistributedOptions.Mpi.Connect();
        var clock = new Clock(exchange);
        var source = new MadeRows(Features, Rows);
        using TrainedVector model = VectorFit.Fit(
            source, AutoencoderTrainer.Family, new AutoencoderOptions
            {
                HiddenLayers = [width, width], EnsembleSize = 1, PredictedLabelColumnName = null, Precision = Precision.Float32,
                Epochs = epochs, BatchSize = batch, Distributed = DistributedOptions.Mpi,
            },
            new TrainingContext { Seed = 1, Device = ComputeDevice.Cpu, FallbackToCpu = false, Progress = clock }).Model;
        if (exchange is null or { IsFirst: true })
        {
            using var layers = new TorchLayers(model.Network.Declare, torch.CPU, 0);
            long parameters = layers.Parameters().Sum(p => p.numel());
            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture, $"{Result} {clock.SecondsOfStep} {clock.BytesOfStep} {parameters}"));
        }
    }

    /// <summary>From the first report to the last: the first steps take longer.</summary>
    private sealed class Clock(Exchange? exchange) : IProgress<TrainingProgress>
    {
        private (long Step, long At, long Sent)? _first;
        private (long Step, long At, long Sent) _last;

        public double BytesOfStep => (_last.Sent - _first!.Value.Sent) / (double)(_last.Step - _first.Value.Step);

        public double SecondsOfStep => Stopwatch.GetElapsedTime(_first!.Value.At, _last.At).TotalSeconds / (_last.Step - _first.Value.Step);

        public void Report(TrainingProgress value)
        {
            // The last report is made when the weights have been given to all, too.
            if (value.IsLast)
                return;
            _last = (value.Step, Stopwatch.GetTimestamp(), exchange?.BytesSent ?? 0);
            _first ??= _last;
        }
    }
}

/// <summary>This program, to be started again.</summary>
internal static class BenchmarkProcess
{
    public static string[] Command =>
    [
        Environment.ProcessPath!,
        .. Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet" ? [typeof(BenchmarkProcess).Assembly.Location] : Array.Empty<string>(),
    ];
}

/// <summary>Rows that cost nothing to make.</summary>
internal sealed class MadeRows(int width, int rows) : IRowSource
{
    public IReadOnlyList<RowField> Fields => [new RowField("Features", FieldKind.Single, width)];

    public IRowReader Open() => new Reader(width, rows);

    private sealed class Reader(int width, int rows) : IRowReader
    {
        private long _next;

        public int Read(RowBlock block, int start, int count)
        {
            int read = (int)Math.Min(count, rows - _next);
            for (int i = 0; i < read; i++, _next++)
            {
                Span<float> row = block.SingleRow(0, start + i);
                for (int j = 0; j < width; j++)
                    row[j] = (_next * (2 * j + 1) % 101 - 50) / 50f;
            }
            return read;
        }

        public void Dispose()
        {
        }
    }
}
