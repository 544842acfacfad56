using System.Collections.Concurrent;
using System.Diagnostics;
using TorchSharp;

namespace GenerativeML;

/// <summary>Decides whether matrix products are made in bfloat16.</summary>
internal static class PrecisionChoice
{
    // Of a linear layer forward and back, casts included, on a CPU with AMX: with 128 columns, bfloat16 gains a sixth
    // at 768 rows and a third at 2048; with 256 columns, a fifth at 128 rows and a factor of 2 at 768; below both limits
    // it loses. Limits rather than a measurement of the very size, for that would now and then answer otherwise: the
    // same seed would give another model, and a checkpoint would be refused.
    private const int LeastWidth = 128;
    private const long LeastProduct = 1 << 23;

    // GPUs gain a factor of 2 to 6 in large products, CPUs without AMX lose one or gain little; in between lies next to
    // nothing, so that the answer does not change from run to run.
    private const double LeastGain = 1.5;
    private const int Rounds = 12;

    private static readonly ConcurrentDictionary<string, bool> Probed = new();

    /// <summary>
    /// Decides for a network's widest layer, and the rows that pass through it in a step: of a text, its tokens.
    /// </summary>
    public static bool UseBFloat16(Precision precision, torch.Device device, int width, long rows = 256) =>
        precision switch
        {
            Precision.Float32 => false,
            Precision.BFloat16 => true,
            _ => IsLarge(width, rows) && IsBFloat16Faster(device),
        };

    /// <summary>Whether a layer's products are large enough to gain where large ones do.</summary>
    internal static bool IsLarge(int width, long rows) =>
        width >= LeastWidth && rows >= LeastProduct / ((long)width * width);

    /// <summary>
    /// Whether a device's products are clearly faster in bfloat16: of a CPU with AMX that is known, otherwise it is
    /// measured once in a process.
    /// </summary>
    public static bool IsBFloat16Faster(torch.Device device) =>
        Probed.GetOrAdd(device.ToString(), _ => IsFaster(device));

    private static bool IsFaster(torch.Device device)
    {
        if (device.type == DeviceType.CPU && Processor.InstructionSets().Contains(Processor.AmxBFloat16))
            return true;
        using IDisposable threads = TorchThreads.For(0); // several would measure who else uses the machine
        using DisposeScope scope = torch.NewDisposeScope();
        using IDisposable noGradient = torch.no_grad();
        torch.Tensor a = torch.ones(512, 512, torch.ScalarType.Float32, device);
        torch.Tensor b = a.to(torch.ScalarType.BFloat16);
        try
        {
            double full = double.PositiveInfinity, half = double.PositiveInfinity;
            for (int i = 0; i < Rounds; i++)
            {
                full = Math.Min(full, Seconds(a, device));
                half = Math.Min(half, Seconds(b, device));
            }
            return full > LeastGain * half;
        }
        catch (System.Runtime.InteropServices.ExternalException)
        {
            return false; // this device has no such product
        }
    }

    private static double Seconds(torch.Tensor x, torch.Device device)
    {
        long start = Stopwatch.GetTimestamp();
        x.matmul(x).Dispose();
        if (device.type == DeviceType.CUDA)
            torch.cuda.synchronize(device);
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }
}
