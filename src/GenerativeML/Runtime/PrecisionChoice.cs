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

    // AMX and recent GPUs gain a factor of 2 to 6 in large products, other CPUs lose one; in between lies nothing, so
    // that the answer does not change from run to run.
    private const double LeastGain = 1.5;

    private static readonly ConcurrentDictionary<string, bool> Probed = new();

    /// <param name="precision">What the options say.</param>
    /// <param name="device">Where the products are made.</param>
    /// <param name="width">The width of the network's widest layer.</param>
    /// <param name="rows">The rows that pass through it in a step: of a text, its tokens.</param>
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

    /// <summary>Whether a device's products are clearly faster in bfloat16; measured once in a process.</summary>
    public static bool IsBFloat16Faster(torch.Device device) =>
        Probed.GetOrAdd(device.ToString(), _ => IsFaster(device));

    private static bool IsFaster(torch.Device device)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        using IDisposable noGradient = torch.no_grad();
        torch.Tensor a = torch.ones(512, 512, torch.ScalarType.Float32, device);
        torch.Tensor b = a.to(torch.ScalarType.BFloat16);
        try
        {
            double full = Seconds(a, device), half = Seconds(b, device);
            return full > LeastGain * half;
        }
        catch (System.Runtime.InteropServices.ExternalException)
        {
            return false; // this device has no such product
        }
    }

    private static double Seconds(torch.Tensor x, torch.Device device)
    {
        double best = double.PositiveInfinity;
        for (int i = 0; i < 6; i++)
        {
            long start = Stopwatch.GetTimestamp();
            x.matmul(x).Dispose();
            if (device.type == DeviceType.CUDA)
                torch.cuda.synchronize(device);
            best = Math.Min(best, Stopwatch.GetElapsedTime(start).TotalSeconds);
        }
        return best;
    }
}
