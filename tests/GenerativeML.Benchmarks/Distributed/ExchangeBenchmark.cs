using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using TorchSharp;

namespace GenerativeML.Benchmarks;

/// <summary>
/// <c>exchange</c>: what it costs that several processes train one model: the time of a step of n processes of one thread
/// with all rows (strong scaling) and with the same rows for each (weak scaling), in turns, the bytes that are sent, and
/// the most memory of a process; and beside them as many processes that train a model each at the same time, which
/// exchange nothing but share the machine's caches and memory. With <c>--fit</c>, the time of exchanges alone, and the latency and bandwidth that fit them. It
/// starts itself by <c>mpirun</c>.
/// </summary>
internal static class ExchangeBenchmark
{
    private const int Features = 256;
    private const string Result = "exchange:";

    private static readonly int[] s_exchanged = [1_000, 10_000, 100_000, 300_000, 1_000_000, 3_000_000, 5_000_000]; // values

    /// <summary>The command and its options.</summary>
    public static Command Command()
    {
        Option<int[]> processes = new("--processes")
        {
            Description = "Numbers of processes that train together.", DefaultValueFactory = _ => [1, 2], AllowMultipleArgumentsPerToken = true,
        };
        Option<int> width = Number("--width", "Units of a hidden layer.", 1024);
        Option<int> batch = Number("--batch", "Rows in a step of all processes.", 1024);
        Option<int> rows = Number("--rows", "Rows of the data.", 20_000);
        Option<bool> share = new("--share") { Description = "Processes keep the rows together, by option ShareRows." };
        Option<bool> shard = new("--shard") { Description = "Processes divide the optimizer's state, by option ShardOptimizer." };
        Option<int> steps = Number("--steps", "Steps that are measured.", 60);
        Option<int> rounds = Number("--rounds", "How often each is measured.", 5);
        Option<string> launcher = new("--launcher") { Description = "What starts processes.", DefaultValueFactory = _ => "mpirun.mpich" };
        Option<bool> fit = new("--fit") { Description = "Measure exchanges alone." };
        Option<string> worker = new("--worker") { Description = "Train, and say how long a step took.", Hidden = true };
        Command command = new("exchange", "What a step costs where several processes share it.") { processes, width, batch, rows, share, shard, steps, rounds, launcher, fit, worker };
        command.SetAction(parsed =>
        {
            int[] n = [.. parsed.GetValue(processes)!.Order()];
            int w = parsed.GetValue(width), b = parsed.GetValue(batch), s = parsed.GetValue(steps), r = parsed.GetValue(rounds);
            string by = parsed.GetValue(launcher)!;
            if (parsed.GetValue(worker) == "train")
                Train(w, b, s, parsed.GetValue(rows), parsed.GetValue(share), parsed.GetValue(shard));
            else if (parsed.GetValue(worker) is not null)
                Exchanges(r);
            else if (parsed.GetValue(fit))
                Fit([.. n.Where(i => i > 1)], r, by);
            else
            {
                string[] chosen = [.. new[] { (share, "--share"), (shard, "--shard") }.Where(o => parsed.GetValue(o.Item1)).Select(o => o.Item2)];
                Compare(n, w, b, s, r, by, ["--rows", $"{parsed.GetValue(rows)}", .. chosen]);
            }
        });
        return command;
    }

    private static Option<int> Number(string name, string description, int usual) =>
        new(name) { Description = description, DefaultValueFactory = _ => usual };

    private static void Compare(int[] processes, int width, int batch, int steps, int rounds, string launcher, string[] data)
    {
        int most = processes[^1];
        (int Processes, int Rows)[] kinds = [.. processes.SelectMany(n => new[] { (n, batch), (n, batch / most * n) }).Distinct()];
        var measured = kinds.ToDictionary(kind => kind, _ => new List<Measurement>());
        var apart = kinds.ToDictionary(kind => kind, _ => new List<double>());
        string[] Work(int rows) => ["train", "--width", $"{width}", "--batch", $"{rows}", "--steps", $"{steps}", .. data];
        for (int round = 0; round < rounds; round++)
        {
            foreach ((int n, int rows) in kinds)
            {
                double[][] said = Run(launcher, n, Work(rows));
                double[] first = said.Single(line => line[0] == 0);
                measured[(n, rows)].Add(new(first[1], first[2], first[3], first[1] * said.Average(line => line[4]), said.Max(line => line[5]), first[6]));
                if (n > 1)
                    apart[(n, rows)].Add(Apart(n, Work(rows / n)));
            }
        }
        double gradient = measured[kinds[0]][0].Parameters * sizeof(float);
        Console.WriteLine($"{gradient / sizeof(float):N0} weights, one thread a process on {Environment.ProcessorCount} processors, {rounds} rounds in turns, medians");
        Console.WriteLine("processes  rows   ms a step  of it exchanged  times one process  times as many that train apart  CPU ms a step and process  bytes sent, in 2(n − 1)/n of the gradient  memory");
        foreach ((int n, int rows) in kinds)
        {
            double Median(Func<Measurement, double> of) => ExchangeBenchmark.Median([.. measured[(n, rows)].Select(of)]);
            // Without a run of one process to compare with there is no number.
            double alone = measured.TryGetValue((1, rows / n), out List<Measurement>? same) ? ExchangeBenchmark.Median([.. same.Select(m => m.Seconds)]) : double.NaN;
            double whole = measured.TryGetValue((1, rows), out same) ? ExchangeBenchmark.Median([.. same.Select(m => m.Seconds)]) : double.NaN;
            double seconds = Median(m => m.Seconds), sent = Median(m => m.Bytes);
            Console.WriteLine($"{n,9}  {rows,4}   {1000 * seconds,9:F1}  {1000 * Median(m => m.Waited),9:F1}  {seconds / alone:F3} of {rows / n} rows, {seconds / whole:F3} of {rows}   {(n == 1 ? 1 : seconds / ExchangeBenchmark.Median(apart[(n, rows)])),9:F3}   {1000 * Median(m => m.Cpu),9:F1}"
                + $"   {sent:N0}, {(n == 1 ? 0 : sent / (2.0 * (n - 1) / n * gradient)):F4}   {Median(m => m.Most) / (1 << 20):F0} MB");
        }
    }

    // The twentieth part of the exchanges that is fastest: on processors that others use, too, the rest waits for those.
    // Of the model t = 2(n − 1)(α + g/(nβ)), the α and 1/β that make squares of relative errors least.
    private static void Fit(int[] processes, int rounds, string launcher)
    {
        var times = new List<(int Processes, double Bytes, double Seconds)>();
        var medians = new List<double>();
        foreach (int n in processes)
        {
            double[][] said = Run(launcher, n, ["exchange", "--rounds", $"{rounds}"]);
            times.AddRange(said.Select(line => (n, line[0] * sizeof(float), line[1])));
            medians.AddRange(said.Select(line => line[2]));
        }
        Console.WriteLine("processes       bytes   ms, fast ones   ms by the model   ms, median");
        (double alpha, double perByte) = Solve(times);
        foreach (((int n, double bytes, double seconds), double median) in times.Zip(medians))
            Console.WriteLine($"{n,9}  {bytes,10:N0}  {1000 * seconds,14:F3}  {1000 * 2 * (n - 1) * (alpha + (bytes / n * perByte)),16:F3}  {1000 * median,11:F3}");
        foreach (int n in processes)
            Tell($"{n} processes", Solve(times.Where(t => t.Processes == n)));
        Tell("all", (alpha, perByte));

        static void Tell(string of, (double Alpha, double PerByte) fit) =>
            Console.WriteLine($"{of}: latency α {1e6 * fit.Alpha:F1} µs, bandwidth β {1e-9 / fit.PerByte:F2} GB/s");

        static (double Alpha, double PerByte) Solve(IEnumerable<(int Processes, double Bytes, double Seconds)> times)
        {
            double aa = 0, ab = 0, bb = 0, a1 = 0, b1 = 0;
            foreach ((int n, double bytes, double seconds) in times)
            {
                double a = 2 * (n - 1) / seconds, b = a * bytes / n; // shares of the time per unit of each
                (aa, ab, bb, a1, b1) = (aa + (a * a), ab + (a * b), bb + (b * b), a1 + a, b1 + b);
            }
            double determinant = (aa * bb) - (ab * ab);
            return (((a1 * bb) - (b1 * ab)) / determinant, ((b1 * aa) - (a1 * ab)) / determinant);
        }
    }

    private static void Exchanges(int rounds)
    {
        Exchange exchange = DistributedOptions.Mpi.Connect()!;
        foreach (int length in s_exchanged)
        {
            float[] values = new float[length];
            var times = new List<double>();
            int repeats = Math.Clamp(5_000_000 / length, 5, 200);
            for (int i = 0; i < (rounds * repeats) + 3; i++)
            {
                long begun = Stopwatch.GetTimestamp();
                exchange.AllReduce(values);
                if (i >= 3)
                    times.Add(Stopwatch.GetElapsedTime(begun).TotalSeconds);
            }
            if (exchange.IsFirst)
                Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{Result} {length} {times.Order().ElementAt(times.Count / 20)} {Median(times)}"));
        }
    }

    private static double Median(List<double> values) => values.Order().ElementAt(values.Count / 2);

    // The mean time of a step of processes that start at once and know nothing of each other.
    private static double Apart(int processes, string[] work)
    {
        Task<double>[] all = [.. Enumerable.Range(0, processes).Select(_ => Task.Run(() => Run("", 1, work).Single()[1]))];
        return Task.WhenAll(all).GetAwaiter().GetResult().Average();
    }

    private static double[][] Run(string launcher, int processes, string[] work)
    {
        string[] command =
        [
            .. processes == 1 ? Array.Empty<string>() : [launcher, "-np", $"{processes}"],
            .. BenchmarkProcess.Command, "exchange", "--worker", .. work,
        ];
        var start = new ProcessStartInfo(command[0], command[1..]) { RedirectStandardOutput = true };
        start.Environment["OMP_NUM_THREADS"] = "1";
        using Process process = Process.Start(start)!;
        string said = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        double[][] lines =
        [
            .. said.Split('\n').Where(line => line.StartsWith(Result, StringComparison.Ordinal)).Select(line =>
                line[Result.Length..].Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(v => double.Parse(v, CultureInfo.InvariantCulture)).ToArray()),
        ];
        return lines.Length > 0 ? lines : throw new InvalidOperationException($"{string.Join(' ', command)} failed: {said}");
    }

    private static void Train(int width, int batch, int steps, int rows, bool share, bool shard)
    {
        int epochs = Math.Max(1, (int)Math.Ceiling((steps + 20.0) * batch / rows));
        DistributedOptions distributed = DistributedOptions.Mpi with { ShareRows = share, ShardOptimizer = shard };
        Exchange? exchange = distributed.Connect();
        var clock = new Clock(exchange);
        var source = new MadeRows(Features, rows);
        using var watch = new Watch();
        using TrainedVector model = VectorFit.Fit(
            source, AutoencoderTrainer.Family, new AutoencoderOptions
            {
                HiddenLayers = [width, width], EnsembleSize = 1, PredictedLabelColumnName = null, Precision = Precision.Float32,
                Epochs = epochs, BatchSize = batch, Distributed = distributed,
            },
            new TrainingContext { Seed = 1, Device = ComputeDevice.Cpu, FallbackToCpu = false, Progress = clock }).Model;
        (double cpu, long most) = watch.End();
        using var layers = new TorchLayers(model.Network.Declare, torch.CPU, 0);
        long parameters = layers.Parameters().Sum(p => p.numel());
        bool isFirst = exchange is null or { IsFirst: true };
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{Result} {exchange?.Rank ?? 0} {(isFirst ? clock.SecondsOfStep : 0)} {(isFirst ? clock.BytesOfStep : 0)} {parameters} {cpu} {most} {(isFirst ? clock.WaitedOfStep : 0)}"));
    }

    /// <summary>Looks now and then at what this process uses, on a thread of its own: in all processes alike.</summary>
    private sealed class Watch : IDisposable
    {
        private readonly List<(long At, TimeSpan Cpu, long Resident)> _seen = [];
        private readonly Timer _timer;

        public Watch() => _timer = new Timer(_ =>
        {
            lock (_seen)
                _seen.Add((Stopwatch.GetTimestamp(), Environment.CpuUsage.TotalTime, Environment.WorkingSet));
        }, null, 0, 200);

        /// <summary>Processor time in shares of time, and the most memory, without the beginning.</summary>
        public (double Cpu, long Most) End()
        {
            Dispose();
            lock (_seen)
            {
                (long At, TimeSpan Cpu, long Resident)[] kept = [.. _seen.Skip(_seen.Count * 2 / 5)];
                double cpu = (kept[^1].Cpu - kept[0].Cpu) / Stopwatch.GetElapsedTime(kept[0].At, kept[^1].At);
                return (cpu, kept.Max(k => k.Resident));
            }
        }

        public void Dispose() => _timer.Dispose();
    }

    /// <summary>From the first report to the last: the first steps take longer.</summary>
    private sealed class Clock(Exchange? exchange) : IProgress<TrainingProgress>
    {
        private (long Step, long At, long Sent, TimeSpan Waited)? _first;
        private (long Step, long At, long Sent, TimeSpan Waited) _last;

        public double BytesOfStep => (_last.Sent - _first!.Value.Sent) / (double)(_last.Step - _first.Value.Step);

        public double WaitedOfStep => (_last.Waited - _first!.Value.Waited).TotalSeconds / (_last.Step - _first.Value.Step);

        public double SecondsOfStep => Stopwatch.GetElapsedTime(_first!.Value.At, _last.At).TotalSeconds / (_last.Step - _first.Value.Step);

        public void Report(TrainingProgress value)
        {
            // The last report is made when the weights have been given to all, too.
            if (value.IsLast)
                return;
            _last = (value.Step, Stopwatch.GetTimestamp(), exchange?.BytesSent ?? 0, exchange?.Waited ?? default);
            _first ??= _last;
        }
    }
}

/// <summary>What was measured: of the first process, and the mean and the largest of all.</summary>
internal sealed record Measurement(double Seconds, double Bytes, double Parameters, double Cpu, double Most, double Waited);

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
