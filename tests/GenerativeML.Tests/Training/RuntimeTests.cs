using GenerativeML.Tests.Rows;
using Microsoft.ML;
using TorchSharp;

namespace GenerativeML.Tests;

[TestClass]
public class RuntimeTests
{
    [TestMethod]
    public void Precision_is_what_the_options_say_and_automatic_only_for_wide_layers()
    {
        Assert.IsFalse(PrecisionChoice.UseBFloat16(Precision.Float32, torch.CPU, 4096));
        Assert.IsTrue(PrecisionChoice.UseBFloat16(Precision.BFloat16, torch.CPU, 8));
        Assert.IsFalse(PrecisionChoice.UseBFloat16(Precision.Auto, torch.CPU, 128));
        Assert.IsTrue(PrecisionChoice.IsLarge(128, 12 * 64), "a small GPT's step");
        Assert.IsTrue(PrecisionChoice.IsLarge(256, 128));
        Assert.IsFalse(PrecisionChoice.IsLarge(256, 127));
        Assert.IsFalse(PrecisionChoice.IsLarge(96, 1 << 20), "casts take as long as products");
        if (Processor.InstructionSets().Contains(Processor.AmxBFloat16))
            Assert.IsTrue(PrecisionChoice.UseBFloat16(Precision.Auto, torch.CPU, 128, 768));
        // Whatever the probe finds on this machine, it finds it once.
        Assert.AreEqual(
            PrecisionChoice.UseBFloat16(Precision.Auto, torch.CPU, 4096),
            PrecisionChoice.UseBFloat16(Precision.Auto, torch.CPU, 4096));
    }

    [TestMethod]
    public void Threads_are_one_for_small_products_and_the_processors_of_the_process_for_large_ones()
    {
        Assert.AreEqual(1, TorchThreads.Choose(256 * 32 * 64, started: 4, processors: 8));
        Assert.AreEqual(4, TorchThreads.Choose(128 * 784 * 400, started: 4, processors: 8));
        Assert.AreEqual(2, TorchThreads.Choose(128 * 784 * 400, started: 16, processors: 2), "a container with 2 of 16");
        Assert.AreEqual(8, TorchThreads.Choose(128 * 784 * 400, started: 1, processors: 8), "a build that counts none");
    }

    [TestMethod]
    public void Threads_are_as_before_when_the_work_is_done()
    {
        int before = torch.get_num_threads();
        try
        {
            torch.set_num_threads(3);
            using (TorchThreads.For(1))
                Assert.AreEqual(AreGiven ? 3 : 1, torch.get_num_threads());
            Assert.AreEqual(3, torch.get_num_threads());
        }
        finally
        {
            torch.set_num_threads(before);
        }
    }

    private static bool AreGiven =>
        Environment.GetEnvironmentVariables().Keys.Cast<string>().Any(
            k => k is "OMP_NUM_THREADS" or "MKL_NUM_THREADS" or "OPENBLAS_NUM_THREADS");

    [TestMethod]
    public void Training_says_that_the_CPU_stands_in()
    {
        foreach (bool missing in new[] { true, false })
        {
            var said = new List<string>();
            var ml = new MLContext(1);
            ml.Log += (_, line) => said.Add(line.RawMessage);
            ml.Generative.GaussianMixture(new GaussianMixtureOptions
            {
                Components = 1, Device = missing ? ComputeDevice.Cuda(99) : ComputeDevice.Cpu, FallbackToCpu = true,
            }).Fit(new TableView(50).AddVector("Features", 2, row => [row % 7, row % 5])).Dispose();
            Assert.AreEqual(missing ? 1 : 0, said.Count(line => line.Contains("cuda:99 is not there", StringComparison.Ordinal)));
        }
    }

    [TestMethod]
    public void A_CUDA_device_that_is_not_there_is_an_error_unless_the_CPU_may_stand_in()
    {
        ComputeDevice missing = ComputeDevice.Cuda(99);
        InvalidOperationException error = Assert.ThrowsExactly<InvalidOperationException>(
            () => TorchRuntime.Resolve(missing, fallbackToCpu: false));
        StringAssert.Contains(error.Message, "cuda:99");
        StringAssert.Contains(error.Message, "FallbackToCpu");
        Assert.AreEqual(DeviceType.CPU, TorchRuntime.Resolve(missing, fallbackToCpu: true).type);
        Assert.AreEqual(DeviceType.CPU, TorchRuntime.Resolve(ComputeDevice.Cpu, fallbackToCpu: false).type);
    }

    [TestMethod]
    public void A_system_that_is_too_old_is_told_apart_from_a_library_that_is_missing()
    {
        const string old =
            """
            Unable to load shared library 'LibTorchSharp' or one of its dependencies.
            /app/LibTorchSharp.so: cannot open shared object file: No such file or directory
            /lib/x86_64-linux-gnu/libstdc++.so.6: version `GLIBCXX_3.4.32' not found (required by /app/libLibTorchSharp.so)
            """;
        string message = TorchRuntime.OldSystem(old)!;
        StringAssert.Contains(message, "/lib/x86_64-linux-gnu/libstdc++.so.6 lacks GLIBCXX_3.4.32.");
        StringAssert.Contains(message, "Ubuntu 24.04");
        StringAssert.Contains(message, "build/setup.sh");
        Assert.IsNull(TorchRuntime.OldSystem(old.Split('\n')[1]));
    }

    [TestMethod]
    public void Another_version_of_TorchSharp_than_the_tested_one_is_named_with_it()
    {
        Assert.IsNull(TorchRuntime.VersionWarning, "the tests run with the tested version");
        Assert.IsNull(TorchRuntime.WarningOf(new Version(0, 107, 0, 0)));
        string warning = TorchRuntime.WarningOf(new Version(0, 108, 1, 0))!;
        StringAssert.Contains(warning, "0.107.0");
        StringAssert.Contains(warning, "0.108.1");
    }

    [TestMethod]
    public void Devices_are_written_as_torch_writes_them()
    {
        Assert.AreEqual("cpu", ComputeDevice.Cpu.ToString());
        Assert.AreEqual(ComputeDevice.Cpu, default);
        Assert.AreEqual("auto", ComputeDevice.Auto.ToString());
        Assert.AreEqual("cuda:2", ComputeDevice.Cuda(2).ToString());
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => ComputeDevice.Cuda(-1));
    }

    [TestMethod]
    public void Random_tensors_are_those_of_sixteen_generators_side_by_side()
    {
        var seeds = new SplitMix64(9);
        uint[] words = [.. Enumerable.Range(0, 32).Select(_ => seeds.Next()).SelectMany(w => new[] { (uint)w, (uint)(w >> 32) })];
        var random = new SeededRandom(torch.CPU, 9);
        using torch.Tensor drawn = random.Uniform([16 * 3], 0, 1);
        float[] values = drawn.data<float>().ToArray();
        for (int lane = 0; lane < 16; lane++)
        {
            uint s0 = words[lane], s1 = words[lane + 16], s2 = words[lane + 32], s3 = words[lane + 48];
            for (int n = 0; n < 3; n++)
            {
                uint result = uint.RotateLeft(s0 + s3, 7) + s0, shifted = s1 << 9; // xoshiro128++ as published
                s2 ^= s0;
                s3 ^= s1;
                s1 ^= s2;
                s0 ^= s3;
                s2 ^= shifted;
                s3 = uint.RotateLeft(s3, 11);
                Assert.AreEqual((result >> 8) / (float)(1 << 24), values[(n * 16) + lane]);
            }
        }
    }

    [TestMethod]
    public void Random_tensors_follow_their_distributions_and_their_seed_alone()
    {
        using DisposeScope scope = torch.NewDisposeScope();
        var random = new SeededRandom(torch.CPU, 3);
        const int Count = 100_000;
        float[] uniform = random.Uniform([Count], -1, 3).data<float>().ToArray();
        Assert.IsTrue(uniform.All(u => u is >= -1 and < 3));
        Assert.AreEqual(1, uniform.Average(), 5 * (4 / Math.Sqrt(12)) / Math.Sqrt(Count));
        float[] normal = random.Normal([Count], 2).data<float>().ToArray();
        Assert.AreEqual(0, normal.Average(), 5 * 2 / Math.Sqrt(Count));
        Assert.AreEqual(4, normal.Average(x => x * x), 5 * 4 * Math.Sqrt(2.0 / Count));
        float[] bernoulli = random.Bernoulli([Count], 0.3).data<float>().ToArray();
        Assert.IsTrue(bernoulli.All(b => b is 0 or 1));
        Assert.AreEqual(0.3, bernoulli.Average(), 5 * Math.Sqrt(0.21 / Count));
        // Neighbours, at every distance at which parts of the computation repeat, have nothing to do with each other.
        foreach (int distance in new[] { 1, 16, 32, 512, 1024 })
        {
            double together = normal.Zip(normal.Skip(distance), (a, b) => (double)a * b).Average();
            Assert.AreEqual(0, together, 5 * 4 / Math.Sqrt(Count), $"{distance}");
        }
        Assert.AreEqual(3 * 16, normal.Average(x => Math.Pow(x, 4)), 5 * 16 * Math.Sqrt(96.0 / Count), "the fourth moment");
        random.Seed(3);
        CollectionAssert.AreEqual(uniform, random.Uniform([Count], -1, 3).data<float>().ToArray());
    }
}
