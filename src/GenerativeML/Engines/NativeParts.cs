using System.Runtime.CompilerServices;
using Microsoft.ML.OnnxRuntime;
using static TorchSharp.torch;

namespace GenerativeML;

/// <summary>Whether the native parts of the engines are there.</summary>
internal static class NativeParts
{
    private static readonly Lazy<Exception?> Onnx = new(LoadOnnx);
    private static readonly AsyncLocal<(Exception? Onnx, Exception? Torch)?> Pretended = new();

    /// <summary>Why ONNX Runtime cannot be used; null where it can. Loads it if that has not happened yet.</summary>
    public static Exception? OnnxFailure => Pretended.Value is { } pretended ? pretended.Onnx : Onnx.Value;

    /// <summary>The version of ONNX Runtime, which can be used.</summary>
    public static string OnnxVersion => OrtEnv.Instance().GetVersionString();

    /// <summary>Why libtorch cannot be used; null where it can. Loads it if that has not happened yet.</summary>
    public static Exception? TorchFailure => Pretended.Value is { } pretended ? pretended.Torch : Torch();

    /// <summary>Torch on CUDA and for gradients; otherwise ONNX Runtime before torch.</summary>
    /// <exception cref="InvalidOperationException">Neither can be used, or the device is not there.</exception>
    public static T Choose<T>(
        ComputeDevice device, bool fallbackToCpu, Func<T> onnx, Func<Device, T> torch, bool requiresTorch = false)
    {
        if (device != ComputeDevice.Cpu && TorchRuntime.FindCuda(device, fallbackToCpu) is Device cuda)
            return torch(cuda);
        if (requiresTorch)
        {
            TorchRuntime.EnsureLoaded();
            return OnCpu(torch);
        }
        if (OnnxFailure is not Exception noOnnx)
            return onnx();
        if (TorchFailure is not Exception noTorch)
            return OnCpu(torch);
        // Without an inner error: what is innermost is what people look at, and it should be what to do.
        throw new InvalidOperationException(
            "Neither engine that could compute this is there. Reference the package Microsoft.ML.OnnxRuntime from " +
            $"the program that you run ({noOnnx.GetType().Name}: {noOnnx.Message}), or TorchSharp-cpu " +
            $"({noTorch.GetType().Name}: {noTorch.Message}).");
    }

    /// <summary>For tests: until the result is disposed, this thread and what it starts sees these failures.</summary>
    internal static IDisposable Pretend(Exception? onnx, Exception? torch)
    {
        Pretended.Value = (onnx, torch);
        return new Pretence();
    }

    // By themselves, so that who uses ONNX Runtime only does not initialise a type of TorchSharp.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static Exception? Torch() => TorchRuntime.LoadFailure;

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static T OnCpu<T>(Func<Device, T> torch) => torch(TorchSharp.torch.CPU);

    private static Exception? LoadOnnx()
    {
        try
        {
            OrtEnv.Instance();
            return null;
        }
        catch (Exception e)
        {
            // A missing library shows as one of many types, often inside a type initialisation.
            return e is TypeInitializationException { InnerException: Exception inner } ? inner : e;
        }
    }

    private sealed class Pretence : IDisposable
    {
        public void Dispose() => Pretended.Value = null;
    }
}
