using System.Runtime.InteropServices;
using GenerativeML;
using Microsoft.ML;

namespace GenerativeML.TestWorker;

/// <summary>
/// Trains recurrent cells in the process's first thread, which is the one that takes the signals which another sends to the
/// process meanwhile: those by which .NET stops threads for a collection, where they run its code; others do nothing.
/// </summary>
internal static partial class Recurring
{
    private const int Activation = 34; // SIGRTMIN for programs

    public static void Run()
    {
        var sending = new Thread(() =>
        {
            while (true)
            {
                _ = Kill(Environment.ProcessId, Activation);
                Thread.Sleep(1);
            }
        })
        {
            IsBackground = true,
        };
        var ml = new MLContext(seed: 1);
        IDataView texts = ml.Data.LoadFromEnumerable(Enumerable.Range(0, 64).Select(
            i => new Line { Text = string.Concat(Enumerable.Range(0, 400).Select(j => (char)('a' + i * j % 26))) }));
        sending.Start();
        using RecurrentLanguageModelTransformer model = ml.Generative.RecurrentLanguageModel(
            new RecurrentLanguageModelOptions { Width = 128, Layers = 1, Steps = 60 }).Fit(texts);
    }

    [DllImport("libc", EntryPoint = "kill")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static extern int Kill(int process, int signal);

    private sealed class Line
    {
        public string Text { get; set; } = "";
    }
}
