using Microsoft.ML.OnnxRuntime;
using TorchSharp;
using static TorchSharp.torch;

namespace GenerativeML;

/// <summary>
/// A trained network that continues sequences: each run adds tokens and attends to those of earlier runs, whose keys
/// and values are kept. Engines are chosen as in <see cref="InferenceModel"/>. The model may be used from several
/// threads, each of its states from one at a time.
/// </summary>
/// <param name="pass">
/// The forward pass: tokens and their positions, both (B, T) of Int64, to the output of the last of them, (B, …).
/// </param>
/// <param name="weights">The weights; they have to stay as they are.</param>
/// <param name="context">The most tokens of a sequence.</param>
/// <param name="outputWidth">Numbers of the output of a sequence.</param>
/// <param name="device">Where to compute.</param>
/// <param name="fallbackToCpu">Whether the CPU may stand in for a CUDA device that is not there.</param>
/// <param name="threads">Threads within an operation of ONNX Runtime: more than one pays for large networks.</param>
/// <param name="borrow">Whether ONNX Runtime uses large weights in place: see <see cref="OnnxSession"/>.</param>
internal sealed class SequenceModel(
    IForwardPass pass, HostWeights weights, int context, int outputWidth, ComputeDevice device = default,
    bool fallbackToCpu = false, int threads = 1, bool borrow = false) : IDisposable
{
    private readonly Lazy<ISequenceEngine> _engine = new(() => NativeParts.Choose<ISequenceEngine>(
        device, fallbackToCpu, () => new OnnxSequences(pass, weights, context, outputWidth, threads, borrow),
        place => new TorchSequences(pass, weights, context, outputWidth, place)));

    /// <summary>Starts sequences, all of them empty.</summary>
    /// <exception cref="InvalidOperationException">Neither engine can be used.</exception>
    public SequenceState Start(int sequences) => _engine.Value.Start(sequences);

    public void Dispose()
    {
        if (_engine.IsValueCreated)
            _engine.Value.Dispose();
    }
}

/// <summary>What keeps a network for sequences.</summary>
internal interface ISequenceEngine : IDisposable
{
    /// <summary>Starts sequences, all of them empty.</summary>
    SequenceState Start(int sequences);
}

/// <summary>Sequences in progress, and the keys and values of their tokens.</summary>
internal abstract class SequenceState(int sequences, int context, int outputWidth) : IDisposable
{
    private readonly float[] _outputs = new float[sequences * outputWidth];

    /// <summary>How many tokens each sequence has. A smaller number forgets the tokens behind.</summary>
    public int[] Lengths { get; } = new int[sequences];

    /// <summary>
    /// Adds tokens to some sequences next to each other: one to each, or, to one sequence or to empty ones, as many as
    /// fit.
    /// </summary>
    /// <param name="first">The first of the sequences.</param>
    /// <param name="count">How many sequences.</param>
    /// <param name="tokens">The tokens of each, sequence by sequence, (count, T).</param>
    /// <returns>The outputs of the last tokens, (count, width), until the next run.</returns>
    public ReadOnlySpan<float> Add(int first, int count, ReadOnlySpan<long> tokens)
    {
        int added = tokens.Length / count;
        Span<int> past = Lengths.AsSpan(first, count);
        if (added == 0 || added * count != tokens.Length || added > 1 && count > 1 && past.ContainsAnyExcept(0))
            throw new ArgumentException("One token for each sequence, or several for one or for empty ones.");
        var positions = new long[tokens.Length];
        for (int i = 0; i < positions.Length; i++)
            positions[i] = past[i / added] + i % added;
        if (positions.Max() >= context)
            throw new ArgumentException($"A sequence has more than {context} tokens.", nameof(tokens));
        Run(first, count, added, tokens.ToArray(), positions, _outputs.AsSpan(0, count * outputWidth));
        foreach (ref int length in past)
            length += added;
        return _outputs.AsSpan(0, count * outputWidth);
    }

    public abstract void Dispose();

    /// <summary>Computes what <see cref="Add"/> promises.</summary>
    protected abstract void Run(
        int first, int count, int added, long[] tokens, long[] positions, Span<float> outputs);
}

/// <summary>By ONNX Runtime, with caches that stay in place.</summary>
internal sealed class OnnxSequences : ISequenceEngine
{
    private readonly int _context, _width;
    private readonly OnnxGraph _graph;
    private readonly OnnxSession _session;
    private readonly string _output;

    /// <summary>Makes the session.</summary>
    public OnnxSequences(
        IForwardPass pass, HostWeights weights, int context, int outputWidth, int threads, bool borrow)
    {
        (_context, _width) = (context, outputWidth);
        _graph = new OnnxGraph(weights, cached: true);
        OnnxTensor tokens = _graph.Input("tokens", OnnxType.Int64, -1, -1);
        OnnxTensor positions = _graph.Input("positions", OnnxType.Int64, -1, -1);
        _output = _graph.Output(pass.Run(_graph.Root, [tokens, positions])[0].Reshape(0, -1));
        _session = new OnnxSession(_graph, weights, threads, borrow);
    }

    public SequenceState Start(int sequences) => new State(this, sequences);

    public void Dispose() => _session.Dispose();

    private sealed class State : SequenceState
    {
        private readonly OnnxSequences _model;
        private readonly OrtIoBinding _binding;
        private readonly float[][] _caches; // (S, heads, context, width) each
        private readonly List<OrtValue> _range = [], _step = [];
        private (int First, int Count) _bound;

        public State(OnnxSequences model, int sequences)
            : base(sequences, model._context, model._width)
        {
            _model = model;
            _binding = model._session.Native.CreateIoBinding();
            _caches = [.. model._graph.Cache.Select(c =>
                GC.AllocateArray<float>(checked(sequences * c.Heads * model._context * c.HeadWidth), pinned: true))];
        }

        public override void Dispose()
        {
            _binding.Dispose();
            Free(_range);
            Free(_step);
        }

        protected override void Run(
            int first, int count, int added, long[] tokens, long[] positions, Span<float> outputs)
        {
            if (_bound != (first, count))
                BindCaches(first, count);
            int[] last = [.. Lengths[first..(first + count)].Select(length => length + added - 1)];
            float[] results = GC.AllocateUninitializedArray<float>(outputs.Length, pinned: true);
            Bind("tokens", tokens, count, added);
            Bind("positions", positions, count, added);
            Bind("last", last, count);
            Bind("total", (int[])[last.Max() + 1]);
            _binding.BindOutput(_model._output, Hold(_step, results.AsMemory(), count, _model._width));
            _model._session.Native.RunWithBinding(_model._session.Options, _binding);
            results.CopyTo(outputs);
            Free(_step);
        }

        private void BindCaches(int first, int count)
        {
            Free(_range);
            for (int i = 0; i < _caches.Length; i++)
            {
                (string past, string present, int heads, int width) = _model._graph.Cache[i];
                int each = heads * _model._context * width;
                OrtValue part = Hold(
                    _range, _caches[i].AsMemory(first * each, count * each), count, heads, _model._context, width);
                _binding.BindInput(past, part);
                _binding.BindOutput(present, part);
            }
            _bound = (first, count);
        }

        private void Bind<T>(string name, T[] values, params long[] shape)
            where T : unmanaged => _binding.BindInput(name, Hold(_step, values.AsMemory(), shape));

        private static OrtValue Hold<T>(List<OrtValue> held, Memory<T> values, params long[] shape)
            where T : unmanaged
        {
            held.Add(OrtValue.CreateTensorValueFromMemory(OrtMemoryInfo.DefaultInstance, values, shape));
            return held[^1];
        }

        private static void Free(List<OrtValue> values)
        {
            values.ForEach(v => v.Dispose());
            values.Clear();
        }
    }
}

/// <summary>By torch, on a device or on the CPU.</summary>
internal sealed class TorchSequences(
    IForwardPass pass, HostWeights weights, int context, int outputWidth, Device device) : ISequenceEngine
{
    private readonly Dictionary<string, Tensor> _weights = weights.ToTensors(device);
    private readonly Lock? _gate = device.type == DeviceType.CPU ? null : new();

    public SequenceState Start(int sequences) => new State(this, sequences, context, outputWidth);

    public void Dispose()
    {
        foreach (Tensor weight in _weights.Values)
            weight.Dispose();
    }

    private void Run(
        TorchCache cache, int first, ReadOnlySpan<int> past, long[] tokens, long[] positions, Span<float> outputs)
    {
        _gate?.Enter();
        try
        {
            using DisposeScope scope = NewDisposeScope();
            using IDisposable noGradient = no_grad();
            long count = past.Length;
            TorchTensor Input(long[] values) => HostTensors.Index(values, device).view(count, -1);
            cache.Begin(first, past, tokens.Length / past.Length, device);
            var ops = new TorchOps(_weights) { Cache = cache };
            HostTensors.CopyTo(pass.Run(ops.Root, [Input(tokens), Input(positions)])[0], outputs);
        }
        finally
        {
            _gate?.Exit();
        }
    }

    private sealed class State(TorchSequences model, int sequences, int context, int width)
        : SequenceState(sequences, context, width)
    {
        private readonly TorchCache _cache = new(sequences, context);

        public override void Dispose() => _cache.Dispose();

        protected override void Run(
            int first, int count, int added, long[] tokens, long[] positions, Span<float> outputs) =>
            model.Run(_cache, first, Lengths.AsSpan(first, count), tokens, positions, outputs);
    }
}
