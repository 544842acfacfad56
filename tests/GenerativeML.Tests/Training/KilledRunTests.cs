using System.Diagnostics;

namespace GenerativeML.Tests;

[TestClass]
public sealed class KilledRunTests : IDisposable
{
    private const int Kills = 3; // each way of reading rows

    private readonly string _folder = Directory.CreateTempSubdirectory("generativeml-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [TestMethod]
    [DataRow(1 << 20, DisplayName = "rows kept in memory")]
    [DataRow(1000, DisplayName = "rows streamed")]
    public void A_run_killed_at_random_moments_ends_with_the_bits_of_one_that_never_was(int budget)
    {
        string whole = Path.Combine(_folder, "whole");
        Stopwatch watch = Stopwatch.StartNew();
        using (Process uninterrupted = Start("", whole, budget))
        {
            WaitForTraining(uninterrupted);
            watch.Restart();
            uninterrupted.WaitForExit();
            Assert.AreEqual(0, uninterrupted.ExitCode);
        }
        TimeSpan training = watch.Elapsed;

        // Kills fall anywhere in the first part of what a whole run takes, so that a run needs several starts. A run
        // that gets done before its turn to be killed is compared, and another is begun.
        byte[] expected = File.ReadAllBytes(whole);
        var random = new Random(1);
        int killed = 0;
        for (int run = 0; killed < Kills; run++)
        {
            Assert.IsLessThan(100, run, "runs end before they can be killed");
            string checkpoints = Path.Combine(_folder, $"checkpoints{run}"), resumed = Path.Combine(_folder, $"resumed{run}");
            while (!File.Exists(resumed))
            {
                using Process process = Start(checkpoints, resumed, budget);
                if (killed < Kills)
                {
                    WaitForTraining(process);
                    Thread.Sleep(training * (random.NextDouble() * 0.3));
                    killed += process.HasExited ? 0 : 1;
                    process.Kill(); // SIGKILL: nothing in the process can clean up
                }
                process.WaitForExit();
            }
            CollectionAssert.AreEqual(expected, File.ReadAllBytes(resumed));
        }
    }

    private static Process Start(string checkpoints, string result, int budget)
    {
        string worker = Path.Combine(AppContext.BaseDirectory, "GenerativeML.TestWorker.dll");
        var start = new ProcessStartInfo("dotnet", [worker, checkpoints, result, $"{budget}"]) { RedirectStandardOutput = true };
        start.Environment["OMP_NUM_THREADS"] = "1";
        return Process.Start(start)!;
    }

    private static void WaitForTraining(Process process) => Assert.AreEqual("training", process.StandardOutput.ReadLine());
}
