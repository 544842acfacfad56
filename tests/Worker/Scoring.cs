using System.Diagnostics;
using System.Runtime.Loader;
using GenerativeML;

namespace GenerativeML.TestWorker;

/// <summary>
/// Runs a network, and says which native libraries were looked for in vain, and which the process has then.
/// </summary>
internal static class Scoring
{
    public static void Run()
    {
        AssemblyLoadContext.Default.ResolvingUnmanagedDll += (_, name) =>
        {
            Console.WriteLine($"missing {name}");
            return 0;
        };
        var weights = new HostWeights([new("l.weight", TensorType.F32, 1, 2), new("l.bias", TensorType.F32, 1)]);
        float[] factors = [2, 3];
        factors.CopyTo(weights["l.weight"], 0);
        using var cache = new InferenceCache(weights, ComputeDevice.Cpu, fallbackToCpu: false);
        float[] result = new float[2];
        cache.RunOnce(new Sum(), 2, [new float[] { 1, 10, 5, 7 }], [result]);
        Console.WriteLine($"{result[0]} {result[1]}");
        using Process self = Process.GetCurrentProcess();
        foreach (ProcessModule module in self.Modules)
            Console.WriteLine(module.FileName);
    }

    private sealed class Sum : IForwardPass
    {
        public T[] Run<T>(Scope<T> w, T[] inputs)
            where T : struct, ITensor<T> => [w.Linear("l", inputs[0])];
    }
}
