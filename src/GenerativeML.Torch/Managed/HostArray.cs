using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using TorchSharp;

namespace GenerativeML.Torch;

/// <summary>
/// Where a tensor's numbers lie, for training steps that compute in managed code, or nothing. The tensor must stay as
/// long as this is used.
/// </summary>
internal readonly unsafe struct HostArray
{
    private readonly float* _first;

    private HostArray(float* first) => _first = first;

    /// <summary>Whether there is a tensor.</summary>
    public bool IsThere => _first != null;

    /// <summary>The numbers of a contiguous tensor of Single on the CPU, or of none.</summary>
    public static HostArray Of(torch.Tensor? tensor) => new(tensor is null ? null : Address(tensor));

    /// <summary>Where a number is.</summary>
    public float* At(nint index) => _first + index;

    /// <summary>Where the first number of a contiguous tensor on the CPU is. Memory of torch: it does not move.</summary>
    public static float* Address(torch.Tensor tensor) =>
        (float*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(MemoryMarshal.Cast<byte, float>(tensor.bytes)));
}
