using Microsoft.ML.OnnxRuntime;
using static TorchSharp.torch;

namespace GenerativeML;

/// <summary>
/// A trained network that reads whole sequences of tokens, all of a run equally long, of any number and length. Engines are
/// chosen as in <see cref="InferenceCache"/>; what computes is made when it is first needed, and again after it was
/// disposed. Safe to use from several threads.
/// </summary>
/// <remarks>
/// The forward pass takes tokens (B, T), the places (T) and the numbers of those tokens among all (B·T) whose results are
/// wanted, (R), to any outputs.
/// </remarks>
internal sealed class PassageModel(
    IForwardPass pass, HostWeights weights, ComputeDevice device, bool fallbackToCpu, int threads, bool borrow) : IDisposable
{
    private readonly ReaderWriterLockSlim _lock = new();
    private IPassageEngine? _engine;

    /// <summary>
    /// Reads so many sequences, one after the other in <paramref name="tokens"/>; fills the outputs, each of which has a
    /// shape. One without elements is not wanted.
    /// </summary>
    /// <exception cref="InvalidOperationException">Neither engine can be used.</exception>
    public void Run(long[] tokens, int sequences, long[] results, params (Memory<float> Values, long[] Shape)[] outputs)
    {
        using IDisposable running = RunningComputations.Enter();
        while (true)
        {
            _lock.EnterReadLock();
            try
            {
                if (_engine is not null)
                {
                    _engine.Run(tokens, sequences, results, outputs);
                    return;
                }
            }
            finally
            {
                _lock.ExitReadLock();
            }
            _lock.EnterWriteLock();
            try
            {
                _engine ??= NativeParts.Choose<IPassageEngine>(
                    device, fallbackToCpu, () => new OnnxPassages(pass, weights, threads, borrow),
                    place => new TorchPassages(pass, weights, place));
            }
            finally
            {
                _lock.ExitWriteLock();
            }
        }
    }

    public void Dispose()
    {
        _lock.EnterWriteLock();
        try
        {
            _engine?.Dispose();
            _engine = null;
        }
        finally
        {
            _lock.ExitWriteLock();
        }
    }

    /// <summary>The places of sequences' tokens.</summary>
    private static long[] Places(long[] tokens, int sequences) =>
        [.. Enumerable.Range(0, tokens.Length / sequences).Select(i => (long)i)];

    private interface IPassageEngine : IDisposable
    {
        void Run(long[] tokens, int sequences, long[] results, (Memory<float> Values, long[] Shape)[] outputs);
    }

    /// <summary>By ONNX Runtime: one graph for all numbers and lengths.</summary>
    private sealed class OnnxPassages : IPassageEngine
    {
        private static readonly string[] s_inputs = ["tokens", "places", "results"];

        private readonly OnnxSession _session;
        private readonly string[] _outputs;

        public OnnxPassages(IForwardPass pass, HostWeights weights, int threads, bool borrow)
        {
            var graph = new OnnxGraph(weights);
            OnnxTensor[] results = pass.Run(
                graph.Root,
                [
                    graph.Input(s_inputs[0], OnnxType.Int64, -1, -1), graph.Input(s_inputs[1], OnnxType.Int64, -1),
                    graph.Input(s_inputs[2], OnnxType.Int64, -1),
                ]);
            _outputs = [.. results.Select(graph.Output)];
            _session = new OnnxSession(graph, weights, threads, borrow);
        }

        public void Run(long[] tokens, int sequences, long[] results, (Memory<float> Values, long[] Shape)[] outputs)
        {
            long length = tokens.Length / sequences;
            using OrtValue input = OrtValue.CreateTensorValueFromMemory(tokens, [sequences, length]);
            using OrtValue places = OrtValue.CreateTensorValueFromMemory(Places(tokens, sequences), [length]);
            using OrtValue wanted = OrtValue.CreateTensorValueFromMemory(results, [results.Length]);
            int[] filled = [.. Enumerable.Range(0, outputs.Length).Where(i => !outputs[i].Values.IsEmpty)];
            OrtValue[] values =
            [
                .. filled.Select(i => OrtValue.CreateTensorValueFromMemory(
                    OrtMemoryInfo.DefaultInstance, outputs[i].Values, outputs[i].Shape)),
            ];
            try
            {
                _session.Native.Run(
                    _session.Options, s_inputs, [input, places, wanted], [.. filled.Select(i => _outputs[i])], values);
            }
            finally
            {
                Array.ForEach(values, value => value.Dispose());
            }
        }

        public void Dispose() => _session.Dispose();
    }

    /// <summary>By torch, on a device or on the CPU.</summary>
    private sealed class TorchPassages(IForwardPass pass, HostWeights weights, Device device)
        : TorchEngine(weights, device), IPassageEngine
    {
        public void Run(long[] tokens, int sequences, long[] results, (Memory<float> Values, long[] Shape)[] outputs) =>
            Compute(() =>
            {
                TorchTensor[] inputs =
                [
                    HostTensors.Index(tokens, Device).reshape(sequences, -1),
                    HostTensors.Index(Places(tokens, sequences), Device), HostTensors.Index(results, Device),
                ];
                TorchTensor[] all = pass.Run(new TorchOps(Weights).Root, inputs);
                for (int i = 0; i < outputs.Length; i++)
                {
                    if (!outputs[i].Values.IsEmpty)
                        HostTensors.CopyTo(all[i], outputs[i].Values.Span);
                }
            });
    }
}
