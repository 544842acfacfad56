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
