using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;

namespace GenerativeML.Benchmarks;

/// <summary>
/// <c>faults</c>: two hosts, which are two network namespaces of this machine, train one model over TCP while the far
/// process hangs or the link between them drops; then the run is resumed from its checkpoint by one, two and three
/// processes, and the weights are compared with those of one process without faults. Takes root, iproute2 and MPICH or Open
/// MPI.
/// </summary>
internal static class FaultsBenchmark
{
    private const int Rows = 400, Batch = 20, Epochs = 30, FaultAt = 200, CheckpointEvery = 50;
    private const string Near = "gml-near", Far = "gml-far", NearAddress = "10.213.77.1", FarAddress = "10.213.77.2";

    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(2);

    /// <summary>The command and its options.</summary>
    public static Command Command()
    {
        Option<int> timeout = new("--timeout") { Description = "Seconds that a process waits for another.", DefaultValueFactory = _ => 10 };
        Option<string> launcher = new("--launcher") { Description = "What starts processes: mpirun.mpich or mpirun.openmpi.", DefaultValueFactory = _ => "mpirun.mpich" };
        Option<string> worker = new("--worker") { Description = "Train; log and weights go into this folder.", Hidden = true };
        Command command = new("faults", "What happens to a run on two hosts when the far one hangs or the link drops.") { timeout, launcher, worker };
        command.SetAction(parsed =>
        {
            if (parsed.GetValue(worker) is string folder)
                return Train(folder, parsed.GetValue(timeout));
            return Inject(parsed.GetValue(launcher)!, parsed.GetValue(timeout));
        });
        return command;
    }

    private static int Inject(string launcher, int timeout)
    {
        if (!OperatingSystem.IsLinux())
        {
            Console.Error.WriteLine("Two hosts on one machine are network namespaces, which only Linux has.");
            return 2;
        }
        string root = Directory.CreateTempSubdirectory("generativeml-").FullName, shell = Path.Combine(root, "shell.sh");
        // As ssh does, but into a namespace.
        File.WriteAllText(shell, $"#!/bin/sh\nwhile [ \"${{1#-}}\" != \"$1\" ]; do shift; done\nhost={Far}\n[ \"$1\" = {NearAddress} ] && host={Near}\nshift\nexec ip netns exec $host sh -c \"$*\"\n");
        File.SetUnixFileMode(shell, (UnixFileMode)0b111_000_000);
        try
        {
            Connect();
            using (var alone = new Run(root, "alone", [], timeout))
                alone.Wait();
            float[] expected = Weights(Path.Combine(root, "alone"));
            bool good = true;

            using (var run = new Run(root, "undisturbed", Several(2), timeout))
                Same("no fault", run, run.Wait());
            using (var run = new Run(root, "drop", Several(2), timeout))
            {
                run.Await($"step {FaultAt}");
                Ip("-n", Far, "link", "set", "veth", "down");
                Thread.Sleep(5000);
                Ip("-n", Far, "link", "set", "veth", "up");
                Same("the link is down for 5 s", run, run.Wait());
            }
            Break("the far process hangs", "hang", run => Do("kill", "-STOP", run.ProcessOf(1)), [0]);
            Break("the link is down for good", "cut", _ => Ip("-n", Far, "link", "set", "veth", "down"), [0, 1]);
            return good ? 0 : 1;

            void Break(string what, string name, Action<Run> fault, int[] heard)
            {
                using (var run = new Run(root, name, Several(2), timeout))
                {
                    run.Await($"step {FaultAt}");
                    long at = Environment.TickCount64;
                    fault(run);
                    foreach (int rank in heard)
                    {
                        (string said, long when) = run.Await("ended: ", rank);
                        Tell(what, $"process {rank} after {(when - at) / 1000.0:F1} s {said}", when - at < 1000 * (timeout + 5));
                    }
                    Tell(what, $"mpirun {(run.HasEnded(TimeSpan.FromSeconds(10)) ? "has ended" : "still waits 10 s later, and is killed")}", true);
                }
                Ip("-n", Far, "link", "set", "veth", "up");
                foreach (int processes in new[] { 1, 2, 3 })
                {
                    string resumed = $"{name}-{processes}", from = Path.Combine(root, name, "checkpoints");
                    string to = Directory.CreateDirectory(Path.Combine(root, resumed, "checkpoints")).FullName;
                    foreach (string file in Directory.GetFiles(from))
                        File.Copy(file, Path.Combine(to, Path.GetFileName(file)));
                    using var run = new Run(root, resumed, processes == 1 ? [] : Several(processes), timeout);
                    Same($"{what}: resumed by {processes}", run, run.Wait(), FaultAt - CheckpointEvery);
                }
            }

            void Same(string what, Run run, int code, int after = 0)
            {
                double distance = Distance(expected, Weights(run.Folder));
                string first = run.Await("step ").Text;
                Tell(what, string.Create(CultureInfo.InvariantCulture, $"from {first} on, relative distance {distance:g2}{(code == 0 ? "" : $", though the launcher's exit code is {code}")}"),
                    distance < 1e-4 && int.Parse(first[5..], CultureInfo.InvariantCulture) > after);
            }

            string[] Several(int processes) =>
            [
                "ip", "netns", "exec", Near, launcher,
                .. launcher.EndsWith("openmpi", StringComparison.Ordinal) ?
                [
                    "--allow-run-as-root", "--oversubscribe", "--mca", "plm_rsh_agent", shell, "--mca", "pml", "ob1", "--mca", "btl", "tcp,self",
                    "--mca", "btl_tcp_if_include", "veth", "--mca", "oob_tcp_if_include", "veth", "--host", $"{NearAddress}:2,{FarAddress}:2", "--map-by", "node",
                ]
                : new[] { "-launcher", "ssh", "-launcher-exec", shell, "-hosts", $"{NearAddress},{FarAddress}", "-ppn", "1" },
                "-np", $"{processes}",
            ];

            void Tell(string what, string result, bool isGood)
            {
                good &= isGood;
                Console.WriteLine($"{(isGood ? "ok " : "BAD")} {what}: {result}");
            }
        }
        finally
        {
            Disconnect();
            Directory.Delete(root, recursive: true);
        }
    }

    private static void Connect()
    {
        Disconnect();
        Ip("netns", "add", Near);
        Ip("netns", "add", Far);
        Ip("link", "add", "veth", "netns", Near, "type", "veth", "peer", "name", "veth", "netns", Far);
        foreach ((string host, string address) in new[] { (Near, NearAddress), (Far, FarAddress) })
        {
            Ip("-n", host, "address", "add", $"{address}/24", "dev", "veth");
            Ip("-n", host, "link", "set", "lo", "up");
            Ip("-n", host, "link", "set", "veth", "up");
        }
    }

    private static void Disconnect()
    {
        foreach (string host in new[] { Near, Far }.Where(host => File.Exists($"/run/netns/{host}")))
            Ip("netns", "delete", host);
    }

    private static void Ip(params string[] arguments) => Do("ip", arguments);

    private static void Do(string command, params string[] arguments)
    {
        using Process process = Process.Start(command, arguments);
        process.WaitForExit();
        if (process.ExitCode != 0)
            throw new InvalidOperationException($"'{command} {string.Join(' ', arguments)}' failed: it takes root, and kernel support for network namespaces.");
    }

    private static float[] Weights(string folder) =>
        MemoryMarshal.Cast<byte, float>(File.ReadAllBytes(Path.Combine(folder, "weights"))).ToArray();

    private static double Distance(float[] expected, float[] actual) =>
        Math.Sqrt(expected.Zip(actual).Sum(p => Math.Pow(p.First - p.Second, 2)) / expected.Sum(v => (double)v * v));

    private static int Train(string folder, int timeout)
    {
        DistributedOptions distributed = DistributedOptions.Mpi with { Timeout = TimeSpan.FromSeconds(timeout) };
        using var log = new Log(Path.Combine(folder, $"rank-{DataPart.FromEnvironment().Index}"));
        try
        {
            bool isFirst = distributed.Connect() is null or { IsFirst: true };
            log.Write($"process {Environment.ProcessId}");
            using TrainedVector model = VectorFit.Fit(
                new MadeRows(8, Rows), VaeTrainer.Family, new VaeOptions
                {
                    Epochs = Epochs, BatchSize = Batch, HiddenLayers = [16], Distributed = distributed,
                    Checkpoint = new CheckpointOptions(Path.Combine(folder, "checkpoints")) { Every = CheckpointEvery, Keep = 2 },
                },
                new TrainingContext { Seed = 4, Device = ComputeDevice.Cpu, FallbackToCpu = false, ReportInterval = TimeSpan.Zero, Progress = log }).Model;
            if (isFirst)
            {
                float[] weights = [.. model.Weights.Specs.SelectMany(spec => model.Weights[spec.Name])];
                File.WriteAllBytes(Path.Combine(folder, "weights"), MemoryMarshal.AsBytes(weights.AsSpan()));
            }
            return 0;
        }
        catch (InvalidOperationException e)
        {
            log.Write($"ended: {e.Message}");
            return Environment.ExitCode = 3;
        }
    }

    /// <summary>What a process says, beside what the network carries, with the time.</summary>
    private sealed class Log(string path) : IProgress<TrainingProgress>, IDisposable
    {
        private readonly StreamWriter _file = new(path) { AutoFlush = true };

        public void Write(string text) => _file.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{Environment.TickCount64} {text}"));

        public void Report(TrainingProgress value)
        {
            Write($"step {value.Step}");
            Thread.Sleep(10); // long enough that faults come while it trains
        }

        public void Dispose() => _file.Dispose();
    }

    /// <summary>Processes on two hosts that train; one alone where there is no launcher.</summary>
    private sealed class Run : IDisposable
    {
        private readonly Process _process;

        public Run(string root, string name, string[] launcher, int timeout)
        {
            Folder = Directory.CreateDirectory(Path.Combine(root, name)).FullName;
            string[] command = [.. launcher, .. BenchmarkProcess.Command, "faults", "--worker", Folder, "--timeout", $"{timeout}"];
            var start = new ProcessStartInfo(command[0], command[1..]);
            start.Environment["OMP_NUM_THREADS"] = "1";
            start.Environment["UCX_TLS"] = "tcp,self"; // it would find out that the hosts share memory
            _process = Process.Start(start)!;
        }

        public string Folder { get; }

        public int Wait()
        {
            if (!HasEnded(s_patience))
                throw new InvalidOperationException($"A run does not end: {Folder}.");
            return _process.ExitCode;
        }

        public bool HasEnded(TimeSpan within) => _process.WaitForExit(within);

        public string ProcessOf(int rank) => Await("process ", rank).Text[8..];

        public (string Text, long At) Await(string start, int rank = 0)
        {
            for (long until = Environment.TickCount64 + (long)s_patience.TotalMilliseconds; Environment.TickCount64 < until; Thread.Sleep(20))
            {
                foreach ((string text, long at) in Lines(Path.Combine(Folder, $"rank-{rank}")))
                {
                    if (text.StartsWith(start, StringComparison.Ordinal))
                        return (text, at);
                }
            }
            throw new InvalidOperationException($"Process {rank} does not say '{start}'.");
        }

        public void Dispose()
        {
            if (!_process.HasExited)
                _process.Kill(entireProcessTree: true);
            _process.WaitForExit();
            _process.Dispose();
        }

        private static IEnumerable<(string Text, long At)> Lines(string path)
        {
            if (!File.Exists(path))
                return [];
            using var file = new StreamReader(new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite));
            string[] lines = file.ReadToEnd().Split('\n')[..^1]; // the last one may not be whole
            return lines.Select(line => line.Split(' ', 2)).Select(words => (words[1], long.Parse(words[0], CultureInfo.InvariantCulture)));
        }
    }
}
