using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using TorchSharp;

namespace GenerativeML.Torch;

/// <summary>
/// Where a parameter and its gradient lie in memory, for training steps that compute in managed code. The tensors must
/// stay as long as this is used.
/// </summary>
internal readonly unsafe struct TrainedArray
{
    private TrainedArray(float* value, float* gradient, int length)
    {
        Value = value;
        Gradient = gradient;
        Length = length;
    }

    /// <summary>The numbers.</summary>
    public float* Value { get; }

    /// <summary>The gradient, as many numbers.</summary>
    public float* Gradient { get; }

    /// <summary>How many.</summary>
    public int Length { get; }

    /// <summary>The numbers.</summary>
    public ReadOnlySpan<float> Values => new(Value, Length);

    /// <summary>The gradient.</summary>
    public Span<float> Gradients => new(Gradient, Length);

    /// <summary>A tensor on the CPU, and its gradient, which is made if there is none.</summary>
    public static TrainedArray Of(torch.Tensor tensor)
    {
        if (tensor.grad is null)
            tensor.grad = torch.zeros_like(tensor);
        using torch.Tensor gradient = tensor.grad!;
        return new TrainedArray(Address(tensor), Address(gradient), checked((int)tensor.numel()));
    }

    // Memory of torch: it does not move.
    private static float* Address(torch.Tensor tensor) =>
        (float*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(MemoryMarshal.Cast<byte, float>(tensor.bytes)));
}
