using System.CommandLine;
using System.Globalization;
using GenerativeML.Benchmarks;

CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
RootCommand root = new("Measures GenerativeML: one command for each question. The protocols are the same for all implementations.")
{
    AnomalyBenchmark.Command(),
    MemoryBenchmark.Command(),
    MemoryMeasurement.Command(),
    HostileBenchmark.Command(),
};
return root.Parse(args).Invoke();
