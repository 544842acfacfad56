using System.Runtime.CompilerServices;
using Microsoft.ML.OnnxRuntime;

namespace GenerativeML;

/// <summary>Whether the native parts of the engines are there.</summary>
internal static class NativeParts
{
    private static readonly Lazy<Exception?> Onnx = new(LoadOnnx);
    private static readonly AsyncLocal<(Exception? Onnx, Exception? Torch)?> Pretended = new();

    /// <summary>Why ONNX Runtime cannot be used; null where it can. Loads it if that has not happened yet.</summary>
    public static Exception? OnnxFailure => Pretended.Value is { } pretended ? pretended.Onnx : Onnx.Value;

    /// <summary>Why libtorch cannot be used; null where it can. Loads it if that has not happened yet.</summary>
    public static Exception? TorchFailure => Pretended.Value is { } pretended ? pretended.Torch : Torch();

    /// <summary>
    /// Opens an engine: torch on a CUDA device if that is the choice, otherwise ONNX Runtime, and torch on the CPU where
    /// ONNX Runtime's native part is not there.
    /// </summary>
    /// <exception cref="InvalidOperationException">Neither engine can be used, or the device is not there.</exception>
    public static T Choose<T>(
        ComputeDevice device, bool fallbackToCpu, Func<T> onnx, Func<TorchSharp.torch.Device, T> torch)
    {
        if (device != ComputeDevice.Cpu && Cuda() is { } engine)
            return engine();
        if (OnnxFailure is not Exception noOnnx)
            return onnx();
        if (TorchFailure is not Exception noTorch)
            return Cpu();
        throw new InvalidOperationException(
            "Neither engine that could compute this is there. Reference the package Microsoft.ML.OnnxRuntime from " +
            $"the program that you run ({noOnnx.GetType().Name}: {noOnnx.Message}), or TorchSharp-cpu " +
            $"({noTorch.GetType().Name}: {noTorch.Message}).", noOnnx);

        // Types of TorchSharp by themselves, so that a process without libtorch does not meet them.
        [MethodImpl(MethodImplOptions.NoInlining)]
        Func<T>? Cuda() =>
            TorchRuntime.FindCuda(device, fallbackToCpu) is TorchSharp.torch.Device cuda ? () => torch(cuda) : null;

        [MethodImpl(MethodImplOptions.NoInlining)]
        T Cpu() => torch(TorchSharp.torch.CPU);
    }

    /// <summary>For tests: until the result is disposed, this thread and what it starts sees these failures.</summary>
    internal static IDisposable Pretend(Exception? onnx, Exception? torch)
    {
        Pretended.Value = (onnx, torch);
        return new Pretence();
    }

    // By itself, so that whoever asks for ONNX Runtime does not meet a type of TorchSharp.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static Exception? Torch() => TorchRuntime.LoadFailure;

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
