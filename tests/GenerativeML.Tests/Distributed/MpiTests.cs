using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;

namespace GenerativeML.Tests;

/// <summary>Processes that a real launcher starts; skipped where there is none.</summary>
[TestClass]
public sealed class MpiTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("generativeml-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [TestMethod]
    [DataRow("mpirun.mpich")]
    [DataRow("mpirun.openmpi")]
    public void Two_processes_train_what_one_trains(string launcher)
    {
        string alone = Path.Combine(_folder, "alone"), together = Path.Combine(_folder, "together");
        (int code, string[] _, string errors) = WorkerProcess.Run([("OMP_NUM_THREADS", "1")], "ranks", "", alone, "3", "60");
        Assert.AreEqual(0, code, errors);
        using Launched run = Launch(launcher, 2, [], ["", together, "3", "60"]);
        Assert.AreEqual(0, run.Wait(), run.ToString());
        Assert.IsLessThan(1e-4, Distance(alone, together));
        Assert.HasCount(2, run.Lines.Where(line => line.Contains("sent", StringComparison.Ordinal)));
    }

    [TestMethod]
    [DataRow("KILL", 2)]
    [DataRow("STOP", 3)]
    public void A_process_that_is_killed_or_hangs_ends_the_run_and_others_go_on_from_the_checkpoint(string signal, int processes)
    {
        string alone = Path.Combine(_folder, "alone"), together = Path.Combine(_folder, "together");
        string checkpoints = Path.Combine(_folder, "checkpoints");
        using (Launched run = Launch("mpirun.mpich", 2, [], [checkpoints, together, "20", "4"]))
        {
            string begun = run.Expect(line => line.StartsWith("rank 1 of 2 is process ", StringComparison.Ordinal));
            run.Expect(line => line.StartsWith("step ", StringComparison.Ordinal) && int.Parse(line[5..], CultureInfo.InvariantCulture) >= 20);
            using (Process kill = Process.Start("kill", [$"-{signal}", begun.Split(' ')[^1]]))
                kill.WaitForExit();
            // The launcher ends what is left of a run of which a process has died; one that hangs, the others notice.
            if (signal == "STOP")
                run.Expect(line => line.StartsWith("rank 0 ended: Process 0 has waited 4 s for process 1", StringComparison.Ordinal));
            Assert.AreNotEqual(0, run.Wait());
        }
        Assert.IsFalse(File.Exists(together));
        Assert.IsNotEmpty(Directory.GetFiles(checkpoints));
        using (Launched run = Launch("mpirun.mpich", processes, [], [checkpoints, together, "20", "60"]))
        {
            Assert.AreEqual(0, run.Wait(), run.ToString());
            Assert.IsFalse(run.Lines.Contains("step 10"), "it began anew");
        }
        Assert.AreEqual(0, WorkerProcess.Run([("OMP_NUM_THREADS", "1")], "ranks", "", alone, "20", "60").Code);
        Assert.IsLessThan(1e-4, Distance(alone, together));
    }

    [TestMethod]
    public void Memory_of_the_processes_stays_as_it_is()
    {
        // A gradient has 2 MB: one that is not given back in each of 150 steps is 300 MB.
        using Launched run = Launch("mpirun.mpich", 2, [], ["", Path.Combine(_folder, "model"), "15", "60", "512"]);
        Assert.AreEqual(0, run.Wait(), run.ToString());
        long[] grown = [.. run.Lines.Where(line => line.Contains(" grew by ", StringComparison.Ordinal)).Select(line => long.Parse(line.Split(' ')[^2], CultureInfo.InvariantCulture))];
        Console.WriteLine(string.Join(", ", grown));
        Assert.HasCount(2, grown);
        Assert.IsLessThan(32 << 20, grown.Max(), "bytes of growth");
    }

    [TestMethod]
    public void A_process_that_never_starts_is_missed()
    {
        using Launched run = Launch("mpirun.mpich", 1, [], ["", Path.Combine(_folder, "model"), "1", "2"], [":", "-np", "1", "sleep", "60"]);
        run.Expect(line => line.Contains("Process 0 has waited 2 s for the other 1 to start", StringComparison.Ordinal));
        Assert.AreNotEqual(0, run.Wait());
    }

    [TestMethod]
    [DataRow("PMI", "libnotthere.so", "libnotthere.so is not there. Install MPICH")]
    [DataRow("OMPI_COMM_WORLD", "libnotthere.so", "libnotthere.so is not there. Install Open MPI")]
    [DataRow("PMI", "libc.so.6", "The library libc.so.6 is no MPI library that is known here: it has no 'MPI_Init_thread'")]
    public void A_library_that_is_not_there_or_none_is_named(string launcher, string library, string expected)
    {
        (int code, string[] lines, string errors) = WorkerProcess.Run(
            [($"{launcher}_RANK", "1"), ($"{launcher}_SIZE", "2"), (MpiLibrary.Variable, library)], "ranks", "", Path.Combine(_folder, "model"), "1", "2");
        Assert.AreEqual(3, code, errors);
        Assert.Contains(expected, string.Join('\n', lines));
    }

    [TestMethod]
    [DataRow("mpirun.mpich", "libmpi.so.40")]
    [DataRow("mpirun.openmpi", "libmpich.so.12")]
    public void A_library_of_another_kind_than_the_launcher_is_named(string launcher, string library)
    {
        if (!MpiLibrary.TryLoad(library, out _))
            Assert.Inconclusive($"{library} is not there: apt-get install mpich openmpi-bin.");
        using Launched run = Launch(launcher, 2, [], ["", Path.Combine(_folder, "model"), "1", "20"], [], (MpiLibrary.Variable, library));
        Assert.AreNotEqual(0, run.Wait(), run.ToString());
        Assert.Contains($"The launcher started 2 processes, and the MPI library {library} knows of 1: it is of another kind", run.ToString());
    }

    [TestMethod]
    public void A_program_that_ends_while_it_trains_says_so_to_the_others()
    {
        string checkpoints = Path.Combine(_folder, "checkpoints");
        using Launched run = Launch(
            "mpirun.mpich", 2, [], [checkpoints, Path.Combine(_folder, "model"), "2000", "60"], [], ("LEAVE_AFTER_STEP", "200"));
        run.Expect(line => line.StartsWith("rank 1 ended: Process 0 has ended while it trained, with exit code 0", StringComparison.Ordinal));
        run.Wait(); // what the launcher makes of it depends on which process ends first
    }

    [TestMethod]
    [DataRow("mpirun.mpich")]
    [DataRow("mpirun.openmpi")]
    public void A_null_reference_is_an_exception_as_ever(string launcher)
    {
        using Launched run = Launch(launcher, 2, [], ["", Path.Combine(_folder, "model"), "20", "20"], [], ("NULL_REFERENCE", "1"));
        Assert.AreEqual(0, run.Wait(), run.ToString());
        Assert.Contains("caught", run.ToString());
    }

    [TestMethod]
    public unsafe void Native_buffers_grow_and_are_the_same_until_they_have_to()
    {
        var buffer = new NativeBuffer();
        byte* small = buffer.Of(8);
        new Span<byte>(small, 8).Fill(7);
        Assert.IsTrue(small == buffer.Of(3));
        byte* large = buffer.Of(1 << 20);
        new Span<byte>(large, 1 << 20).Fill(9);
        Assert.IsTrue(large == buffer.Of(1 << 20));
        Assert.IsTrue(large == buffer.Of(0));
        Assert.AreEqual(9, large[(1 << 20) - 1]);
    }

    [TestMethod]
    public void Limits_are_ones_that_timers_can_wait_for()
    {
        foreach (TimeSpan wrong in new[] { TimeSpan.Zero, TimeSpan.FromSeconds(-1), TimeSpan.FromDays(20.5), Timeout.InfiniteTimeSpan })
            Assert.Contains("Distributed.Timeout", Assert.Throws<ArgumentException>(() => (DistributedOptions.Mpi with { Timeout = wrong }).Validate()).Message);
        (DistributedOptions.Mpi with { Timeout = TimeSpan.FromDays(20) }).Validate();
    }

    private static double Distance(string expected, string actual)
    {
        // Of a safetensors file all tensors, which follow its header.
        static float[] Numbers(string path)
        {
            byte[] file = File.ReadAllBytes(path);
            return MemoryMarshal.Cast<byte, float>(file.AsSpan(sizeof(long) + (int)BitConverter.ToInt64(file))).ToArray();
        }

        float[] first = Numbers(expected), second = Numbers(actual);
        return Math.Sqrt(first.Zip(second).Sum(p => Math.Pow(p.First - p.Second, 2)) / first.Sum(v => (double)v * v));
    }

    private static Launched Launch(
        string launcher, int processes, string[] options, string[] arguments, string[]? beside = null, (string Name, string Value)? variable = null)
    {
        if (!(Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Any(folder => File.Exists(Path.Combine(folder, launcher))))
            Assert.Inconclusive($"{launcher} is not there: apt-get install mpich openmpi-bin.");
        string host = Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet";
        string worker = Path.Combine(AppContext.BaseDirectory, "GenerativeML.TestWorker.dll");
        string[] own = launcher.EndsWith("openmpi", StringComparison.Ordinal) ? ["--allow-run-as-root", "--oversubscribe"] : [];
        return new Launched(launcher, [.. own, .. options, "-np", $"{processes}", host, worker, "ranks", .. arguments, .. beside ?? []], variable);
    }

    /// <summary>A launcher and what its processes say.</summary>
    private sealed class Launched : IDisposable
    {
        private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(3);

        private readonly Process _process;
        private readonly BlockingCollection<string> _said = [];
        private readonly ConcurrentQueue<string> _lines = new();

        public Launched(string launcher, string[] arguments, (string Name, string Value)? variable)
        {
            var start = new ProcessStartInfo(launcher, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
            start.Environment["OMP_NUM_THREADS"] = "1";
            if (variable is { } set)
                start.Environment[set.Name] = set.Value; // which launchers of one machine hand on
            _process = new Process { StartInfo = start };
            _process.OutputDataReceived += (_, said) => Hear(said.Data);
            _process.ErrorDataReceived += (_, said) => Hear(said.Data);
            _process.Start();
            _process.BeginOutputReadLine();
            _process.BeginErrorReadLine();
        }

        public IReadOnlyCollection<string> Lines => _lines;

        public string Expect(Func<string, bool> wanted)
        {
            while (_said.TryTake(out string? line, s_patience))
            {
                if (wanted(line))
                    return line;
            }
            throw new AssertFailedException($"It was not said: {this}");
        }

        public int Wait()
        {
            Assert.IsTrue(_process.WaitForExit(s_patience), $"it does not end: {this}");
            _process.WaitForExit(); // until all is read
            return _process.ExitCode;
        }

        public override string ToString() => string.Join('\n', _lines);

        public void Dispose()
        {
            if (!_process.HasExited)
                _process.Kill(entireProcessTree: true);
            _process.Dispose();
            _said.Dispose();
        }

        private void Hear(string? line)
        {
            if (line is null)
                return;
            _lines.Enqueue(line);
            if (!_said.IsAddingCompleted)
                _said.Add(line);
        }
    }
}
