using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime;

namespace GenerativeML;

/// <summary>A graph that ONNX Runtime computes. Safe to use from several threads.</summary>
internal sealed class OnnxSession : IDisposable
{
    // Weights up to this size, together, are part of the file; larger ones would be copied too often on their way.
    private const long LargestInline = 16 << 20;

    // Places in the C API's table, which only ever grows: the C# API lacks the last of these functions.
    private const int ApiVersion = 20, GetErrorMessage = 2, ReleaseStatus = 93;
    private const int AddExternalInitializersFromFilesInMemory = 279;

    private GCHandle[] _pins = [];

    /// <summary>
    /// Takes a graph and its weights. Large weights that are borrowed stay in their arrays: neither copied nor packed,
    /// which takes no memory, and products of few rows take about 1.3 times as long. Then a row's bits depend on its
    /// batch. Another limit than <see cref="LargestInline"/> is for tests.
    /// </summary>
    public OnnxSession(
        OnnxGraph graph, HostWeights weights, int threads = 1, bool borrow = false, long largestInline = LargestInline)
    {
        (byte[] file, IReadOnlyList<string> external) = graph.ToFile(largestInline);
        borrow &= external.Count > 0;
        using var options = new SessionOptions { IntraOpNumThreads = threads };
        options.AddSessionConfigEntry("session.intra_op.allow_spinning", "0");
        options.AddSessionConfigEntry("session.use_external_initializer_file_buffers_directly", borrow ? "1" : "0");
        options.AddSessionConfigEntry("session.disable_prepacking", borrow ? "1" : "0");
        try
        {
            if (external.Count > 0)
                GiveWeights(options, external, weights);
            Native = new InferenceSession(file, options);
        }
        finally
        {
            if (!borrow || Native is null)
                Unpin();
        }
    }

    public InferenceSession Native { get; }

    public RunOptions Options { get; } = new();

    public void Dispose()
    {
        Native.Dispose();
        Options.Dispose();
        Unpin();
    }

    // Each weight is a file of its own, in memory.
    private unsafe void GiveWeights(SessionOptions options, IReadOnlyList<string> names, HostWeights weights)
    {
        _pins = [.. names.Select(name => GCHandle.Alloc(weights[name], GCHandleType.Pinned))];
        nint[] buffers = [.. _pins.Select(p => p.AddrOfPinnedObject())];
        nuint[] lengths = [.. names.Select(name => (nuint)weights[name].Length * sizeof(float))];
        nint[] texts = [.. names.Select(Marshal.StringToCoTaskMemUTF8)];
        nint* api = ((delegate* unmanaged<uint, nint*>)(*OrtGetApiBase()))(ApiVersion);
        var add =
            (delegate* unmanaged<nint, nint*, nint*, nuint*, nuint, nint>)api[AddExternalInitializersFromFilesInMemory];
        fixed (nint* text = texts, buffer = buffers)
        fixed (nuint* length = lengths)
        {
            nint status = add(options.DangerousGetHandle(), text, buffer, length, (nuint)names.Count);
            Array.ForEach(texts, Marshal.FreeCoTaskMem);
            if (status == 0)
                return;
            string? message = Marshal.PtrToStringUTF8(((delegate* unmanaged<nint, nint>)api[GetErrorMessage])(status));
            ((delegate* unmanaged<nint, void>)api[ReleaseStatus])(status);
            throw new InvalidOperationException(message);
        }
    }

    private void Unpin()
    {
        Array.ForEach(_pins, p => p.Free());
        _pins = [];
    }

    [DllImport("onnxruntime")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories | DllImportSearchPath.AssemblyDirectory)]
    private static extern unsafe nint* OrtGetApiBase();
}
