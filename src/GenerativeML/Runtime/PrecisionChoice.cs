using System.Collections.Concurrent;
using System.Diagnostics;
using TorchSharp;

namespace GenerativeML;

/// <summary>Decides whether matrix products are made in bfloat16.</summary>
internal static class PrecisionChoice
{
    // Narrower layers spend their time on operator calls and casts, where bfloat16 can only lose.
    private const int LeastWidth = 256;

    // AMX and recent GPUs gain a factor of 2 to 6, other CPUs lose one; in between lies nothing, so that the answer
    // does not change from run to run.
    private const double LeastGain = 1.5;

    private static readonly ConcurrentDictionary<string, bool> Probed = new();

    /// <param name="precision">What the options say.</param>
    /// <param name="device">Where the products are made.</param>
    /// <param name="width">The width of the network's widest layer.</param>
    public static bool UseBFloat16(Precision precision, torch.Device device, int width) => precision switch
    {
        Precision.Float32 => false,
        Precision.BFloat16 => true,
        _ => width >= LeastWidth && IsBFloat16Faster(device),
    };

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
