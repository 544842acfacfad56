using System.Globalization;
using GenerativeML.Tests;

namespace GenerativeML.TestWorker;

/// <summary>One of the processes that train a model together.</summary>
internal static class Ranks
{
    public static void Run(string folder, string result, int epochs, double seconds, int width)
    {
        var resident = new List<long>();
        using var watch = new Timer(_ =>
        {
            lock (resident)
                resident.Add(Environment.WorkingSet);
        }, null, 0, 20);
        DistributedOptions distributed = DistributedOptions.Mpi with { Timeout = TimeSpan.FromSeconds(seconds) };
        Exchange? exchange = null;
        int rank = 0;
        var rows = new ArrayRows(400, 8, (i, j) => MathF.Sin(i * 0.3f * (j + 1)) + (i % 2));
        VectorOptions options = new VaeOptions
        {
            Epochs = epochs,
            BatchSize = 20,
            HiddenLayers = width == 0 ? [16] : [width, width],
            Distributed = distributed,
            Checkpoint = folder.Length == 0 ? null : new CheckpointOptions(folder) { Every = 10, Keep = 2 },
        };
        var context = new TrainingContext
        {
            Seed = 4,
            Device = ComputeDevice.Cpu,
            FallbackToCpu = false,
            ReportInterval = TimeSpan.Zero,
            Progress = new Steps(),
        };
        try
        {
            exchange = distributed.Connect();
            rank = exchange?.Rank ?? 0;
            Console.WriteLine($"rank {rank} of {exchange?.Size ?? 1} is process {Environment.ProcessId}");
            using TrainedVector model = VectorFit.Fit(rows, VaeTrainer.Family, options, context).Model;
            long steps = epochs * 20L;
            Console.WriteLine($"rank {rank} sent {exchange?.BytesSent ?? 0} bytes in {steps} steps");
            lock (resident)
            {
                // The first half of the time may grow: code is compiled, and every size is allocated once.
                int part = resident.Count / 6;
                Console.WriteLine($"rank {rank} grew by {resident[^part..].Order().ElementAt(part / 2) - resident[(3 * part)..(4 * part)].Order().ElementAt(part / 2)} bytes");
            }
            if (rank == 0)
                AtomicFile.Write(result, model.Save);
        }
        catch (InvalidOperationException e)
        {
            Console.WriteLine($"rank {rank} ended: {e.Message}");
            Console.Out.Flush();
            Environment.Exit(3);
        }
    }

    private sealed class Steps : IProgress<TrainingProgress>
    {
        // The program ends after so many steps, by a thread of its own.
        private readonly string? _leaveAfter = Environment.GetEnvironmentVariable("LEAVE_AFTER_STEP");
        private readonly bool _meetsNull = Environment.GetEnvironmentVariable("NULL_REFERENCE") is not null;

        public void Report(TrainingProgress value)
        {
            if (value.Step % 10 == 0)
                Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"step {value.Step}"));
            if (_meetsNull)
                MeetNull(null);
            if (_leaveAfter == value.Step.ToString(CultureInfo.InvariantCulture))
                new Thread(() => Environment.Exit(0)).Start();
        }

        private static void MeetNull(string? nothing)
        {
            try
            {
                Console.WriteLine(nothing!.Length);
            }
            catch (NullReferenceException)
            {
                Console.WriteLine("caught");
            }
        }
    }
}
