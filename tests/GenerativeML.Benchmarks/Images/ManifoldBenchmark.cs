using System.CommandLine;

namespace GenerativeML.Benchmarks;

/// <summary>
/// <c>manifolds</c>: precision, recall, density and coverage of two sets of standard normal vectors, beside what their
/// authors' own program gives (https://github.com/clovaai/generative-evaluation-prdc, README): 10,000 of 1,000 numbers each.
/// </summary>
internal static class ManifoldBenchmark
{
    /// <summary>The command.</summary>
    public static Command Command()
    {
        Command command = new("manifolds", "Precision, recall, density and coverage of normal vectors, beside published values.");
        command.SetAction(_ =>
        {
            const int Count = 10_000, Width = 1000;
            (double precision, double recall, double density, double coverage) =
                ImageMetrics.Manifolds(Normals(1), Normals(2), Width);
            Console.WriteLine(
                $"precision {precision:F4} (.4772), recall {recall:F4} (.4705), density {density:F4} (1.0555), coverage {coverage:F4} (.9735)");

            static float[] Normals(ulong seed)
            {
                float[] values = new float[Count * Width];
                var random = new SplitMix64(seed);
                NormalNumbers.Fill(ref random, values);
                return values;
            }
        });
        return command;
    }
}
