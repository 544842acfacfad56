using System.Diagnostics;
using System.Text.Json.Nodes;
using Microsoft.ML;
using TorchSharp;

namespace GenerativeML.Benchmarks;

/// <summary>The machine, and how fast a large matrix product is on it: no training can be faster.</summary>
internal sealed record SpeedMachine
{
    private const int Size = 1024, Tries = 20;

    /// <summary>What our side computes with.</summary>
    public required RuntimeDiagnostics Runtime { get; init; }

    /// <summary>Threads that all sides may use.</summary>
    public required int Threads { get; init; }

    /// <summary>Our billions of operations a second in a product of 1024 rows and columns, in float32.</summary>
    public required double GemmGflops { get; init; }

    /// <summary>PyTorch's, in its best setting; null without it.</summary>
    public double? PeerGemmGflops { get; init; }

    /// <summary>The version of PyTorch; null without it.</summary>
    public string? PeerTorch { get; init; }

    /// <summary>The library that PyTorch takes its products from.</summary>
    public IReadOnlyList<string> PeerBlas { get; init; } = [];

    /// <summary>Whether the processor has instructions for products in bfloat16 that are worth while.</summary>
    public bool HasAmx => Runtime.InstructionSets.Contains("AMX BF16");

    /// <summary>Looks at all sides.</summary>
    public static SpeedMachine Look(PyTorchPeer? peer, int threads)
    {
        RuntimeDiagnostics runtime = new MLContext().Generative.Diagnostics();
        SpeedAnswer? best = peer?.Settings
            .Select(setting => peer.Ask(new JsonObject { ["work"] = "about" }, setting, seed: 0)).MaxBy(a => a.GemmGflops);
        return new SpeedMachine
        {
            Runtime = runtime,
            Threads = threads,
            GemmGflops = Gemm(threads),
            PeerGemmGflops = best?.GemmGflops,
            PeerTorch = best?.Torch,
            PeerBlas = best?.Blas ?? [],
        };
    }

    /// <summary>For people.</summary>
    public override string ToString() =>
        $"""
        {Runtime}
        PyTorch       {(PeerTorch is null ? "none: GENERATIVEML_PYTHON can name a Python that has it"
            : $"{PeerTorch}, {string.Join(", ", PeerBlas.Select(Path.GetFileName))}, {PeerGemmGflops:F0} GFLOP/s")}
        for all       threads: {Threads}
        {Size} × {Size}   float32 product: {GemmGflops:F0} GFLOP/s
        """;

    private static double Gemm(int threads)
    {
        int before = torch.get_num_threads();
        torch.set_num_threads(threads);
        try
        {
            using DisposeScope scope = torch.NewDisposeScope();
            torch.Tensor a = torch.ones(Size, Size, torch.ScalarType.Float32);
            double best = double.PositiveInfinity;
            for (int i = 0; i < Tries; i++)
            {
                long start = Stopwatch.GetTimestamp();
                a.matmul(a).Dispose();
                best = Math.Min(best, Stopwatch.GetElapsedTime(start).TotalSeconds);
            }
            return 2.0 * Size * Size * Size / best / 1e9;
        }
        finally
        {
            torch.set_num_threads(before);
        }
    }
}
