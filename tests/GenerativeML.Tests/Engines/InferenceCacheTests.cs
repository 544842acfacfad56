using System.Text;

namespace GenerativeML.Tests.Engines;

[TestClass]
public sealed class InferenceCacheTests
{
    [TestMethod]
    public void Without_either_engine_the_error_names_both_packages_and_both_reasons()
    {
        using IDisposable none = NativeParts.Pretend(
            new DllNotFoundException("no onnx"), new DllNotFoundException("no torch"));
        using var cache = new InferenceCache(Weights(), ComputeDevice.Cpu, fallbackToCpu: false);

        var error = Assert.ThrowsExactly<InvalidOperationException>(() => RunOne(cache));

        foreach (string part in (string[])["Microsoft.ML.OnnxRuntime", "TorchSharp-cpu", "no onnx", "no torch"])
            Assert.Contains(part, error.Message);
    }

    [TestMethod]
    public void A_device_that_is_not_there_is_an_error_or_the_CPU()
    {
        if (TorchSharp.torch.cuda.is_available())
            Assert.Inconclusive("There is one.");
        using var strict = new InferenceCache(Weights(), ComputeDevice.Cuda(), fallbackToCpu: false);
        Assert.ThrowsExactly<InvalidOperationException>(() => RunOne(strict));
        using var lenient = new InferenceCache(Weights(), ComputeDevice.Cuda(), fallbackToCpu: true);
        RunOne(lenient);
    }

    [TestMethod]
    public void What_was_disposed_is_made_again_and_no_rows_are_no_work()
    {
        var cache = new InferenceCache(Weights(), ComputeDevice.Cpu, fallbackToCpu: false);
        cache.Run("", () => throw new InvalidOperationException(), 0, [default], [default]);
        float[] before = RunOne(cache);
        cache.Dispose();
        cache.Dispose();
        CollectionAssert.AreEqual(before, RunOne(cache));
    }

    [TestMethod]
    public void An_output_that_is_not_wanted_is_left_out()
    {
        HostWeights weights = Weights();
        var graph = new OnnxGraph(weights);
        graph.Output(new Both().Run(graph.Root, [graph.Input("x", OnnxType.Float, -1, 4)])[1]);
        string file = Encoding.Latin1.GetString(graph.ToFile(long.MaxValue).File);
        Assert.DoesNotContain("l.weight", file);
        Assert.Contains("other.weight", file);
    }

    [TestMethod]
    public void Large_weights_are_given_beside_the_file()
    {
        HostWeights weights = Weights();
        float[] x = [1, 2, 3, 4, 5, 6, 7, 8];
        float[] expected = Run(long.MaxValue, borrow: false);
        CollectionAssert.AreEqual(expected, Run(0, borrow: false));
        float[] borrowed = Run(0, borrow: true);
        for (int i = 0; i < expected.Length; i++)
            Assert.AreEqual(expected[i], borrowed[i], 1e-5f);

        float[] Run(long largestInline, bool borrow)
        {
            var graph = new OnnxGraph(weights);
            string output = graph.Output(new Net().Run(graph.Root, [graph.Input("x", OnnxType.Float, -1, 4)])[0]);
            (_, IReadOnlyList<string> external) = graph.ToFile(largestInline);
            Assert.HasCount(largestInline == 0 ? 2 : 0, external);
            using var session = new OnnxSession(graph, weights, borrow: borrow, largestInline: largestInline);
            GC.Collect();
            using var input = Microsoft.ML.OnnxRuntime.OrtValue.CreateTensorValueFromMemory(x, [2, 4]);
            using var results = session.Native.Run(session.Options, ["x"], [input], [output]);
            return results[0].GetTensorDataAsSpan<float>().ToArray();
        }
    }

    [TestMethod]
    public void Many_threads_may_use_one_cache_from_the_start()
    {
        using var cache = new InferenceCache(Weights(), ComputeDevice.Cpu, fallbackToCpu: false);
        float[] x = [.. Enumerable.Range(0, 4 * 700).Select(i => MathF.Sin(i))];
        float[] expected = new float[3 * 700];
        cache.RunOnce(new Net(), 700, [x], [expected]);

        Parallel.For(0, 64, new() { MaxDegreeOfParallelism = 8 }, i =>
        {
            int rows = i % 2 == 0 ? 1 + i : 700;
            float[] found = new float[3 * rows];
            cache.Run("", () => new Net(), rows, [x.AsMemory(0, 4 * rows)], [found]);
            Assert.IsTrue(expected.AsSpan(0, 3 * rows).SequenceEqual(found));
        });
    }

    [TestMethod]
    public void Memory_stays_as_it_is_over_thousands_of_runs()
    {
        using var model = new OnnxRows(new Net(), Weights(), [4]);
        float[] x = new float[4 * 600], y = new float[3 * 600];
        Runs(500);
        long before = Resident();
        Runs(4000);
        // A value of ONNX Runtime that were lost in each run would be some 200 bytes, a buffer 8 kB: 32 MB in all. What
        // the collector and the allocator keep for themselves is a few megabytes.
        Assert.IsLessThan(16L << 20, Resident() - before);

        void Runs(int count)
        {
            for (int i = 0; i < count; i++)
            {
                int rows = i % 3 == 0 ? 1 : 599 + i % 2;
                model.Run(rows, [x.AsMemory(0, 4 * rows)], [y.AsMemory(0, 3 * rows)]);
            }
        }

        static long Resident()
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
            using var process = System.Diagnostics.Process.GetCurrentProcess();
            return process.WorkingSet64;
        }
    }

    [TestMethod]
    public void The_file_is_written_as_the_format_has_it()
    {
        // x + 1, field by field as onnx.proto says.
        var graph = new OnnxGraph(new HostWeights([]));
        graph.Output(graph.Input("x", OnnxType.Float, -1, 2) + 1);
        byte[] expected =
        [
            0x08, 10, // ir_version
            0x12, 12, .. "GenerativeML"u8, // producer_name
            0x3A, 118, // graph
            0x0A, 28, 0x0A, 1, .. "x"u8, 0x0A, 7, .. "Float 1"u8, 0x12, 7, .. "Add_0_0"u8, // node: inputs, output
            0x22, 3, .. "Add"u8, 0x3A, 0, // its operation, of ONNX's own
            0x12, 7, .. "network"u8, // name
            0x2A, 17, 0x10, 1, 0x42, 7, .. "Float 1"u8, 0x4A, 4, 0, 0, 0x80, 0x3F, // initializer: Single, name, bytes
            0x5A, 22, 0x0A, 1, .. "x"u8, 0x12, 17, 0x0A, 15, 0x08, 1, // input: name, tensor of Single
            0x12, 11, 0x0A, 5, 0x12, 3, .. "x_0"u8, 0x0A, 2, 0x08, 2, // by 2
            0x62, 34, 0x0A, 7, .. "Add_0_0"u8, 0x12, 23, 0x0A, 21, 0x08, 1, // output
            0x12, 17, 0x0A, 11, 0x12, 9, .. "Add_0_0_0"u8, 0x0A, 2, 0x08, 2,
            0x42, 2, 0x10, 20, // operations of ONNX, version 20
        ];
        Assert.AreEqual(Convert.ToHexString(expected), Convert.ToHexString(graph.ToFile(long.MaxValue).File));
    }

    private static float[] RunOne(InferenceCache cache)
    {
        float[] result = new float[3];
        cache.Run("", () => new Net(), 1, [new float[4]], [result]);
        return result;
    }

    private static HostWeights Weights()
    {
        TensorSpec Spec(string name, params long[] shape) => new(name, TensorType.F32, shape);
        var weights = new HostWeights([Spec("l.weight", 3, 4), Spec("l.bias", 3), Spec("other.weight", 2, 4)]);
        foreach (TensorSpec spec in weights.Specs)
        {
            for (int i = 0; i < weights[spec.Name].Length; i++)
                weights[spec.Name][i] = MathF.Cos(i + spec.Name.Length);
        }
        return weights;
    }

    private sealed class Net : IForwardPass
    {
        public T[] Run<T>(Scope<T> w, T[] inputs)
            where T : struct, ITensor<T> => [w.Linear("l", inputs[0]).Apply(Function.Tanh)];
    }

    private sealed class Both : IForwardPass
    {
        public T[] Run<T>(Scope<T> w, T[] inputs)
            where T : struct, ITensor<T> => [w.Linear("l", inputs[0]), w.Linear("other", inputs[0])];
    }
}
