using System.Globalization;

namespace GenerativeML;

/// <summary>Where a network is trained and evaluated.</summary>
/// <remarks>
/// Without a device in the options, <c>MLContext.GpuDeviceId</c> decides, as it does for ML.NET's own trainers: a
/// number means that CUDA device, null means the CPU.
/// </remarks>
public readonly record struct ComputeDevice
{
    // All fields zero mean the CPU, so that it is what default gives.
    private readonly string? _kind;
    private readonly int _number; // one more than the index

    private ComputeDevice(string kind, int index) => (_kind, _number) = (kind, index + 1);

    /// <summary>The CPU.</summary>
    public static ComputeDevice Cpu => default;

    /// <summary>The first CUDA device if this process has one, otherwise the CPU.</summary>
    public static ComputeDevice Auto { get; } = new("auto", -1);

    /// <summary>A CUDA device.</summary>
    /// <param name="index">Its number, counted from zero.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="index"/> is negative.</exception>
    public static ComputeDevice Cuda(int index = 0)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(index);
        return new("cuda", index);
    }

    /// <summary><c>cpu</c>, <c>cuda</c> or <c>auto</c>.</summary>
    public string Kind => _kind ?? "cpu";

    /// <summary>The number of the CUDA device; −1 where there is none to name.</summary>
    public int Index => _number - 1;

    /// <summary><c>cpu</c>, <c>auto</c> or <c>cuda:0</c>, as torch writes it.</summary>
    public override string ToString() =>
        Index < 0 ? Kind : string.Create(CultureInfo.InvariantCulture, $"{Kind}:{Index}");
}
