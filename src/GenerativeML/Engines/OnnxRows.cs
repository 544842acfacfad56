using System.Collections.Concurrent;
using Microsoft.ML.OnnxRuntime;

namespace GenerativeML;

/// <summary>Rows by ONNX Runtime, tile by tile; threads take whole tiles, since small products gain nothing.</summary>
internal sealed class OnnxRows(IForwardPass pass, IReadOnlyList<PassInput> inputs, HostWeights weights) : IRowEngine
{
    // Rows at once: enough for products to be fast, fewer where a row becomes as large as pictures do.
    private const int MostRows = 256, MostNumbers = 1 << 22;

    private readonly ConcurrentDictionary<ulong, Lazy<OutputSet>> _sets = new();

    public void Run(int rows, InputRows[] data, Memory<float>[] outputs, int threads)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(outputs.Length, 64);
        ulong wanted = 0;
        for (int i = 0; i < outputs.Length; i++)
            wanted |= outputs[i].IsEmpty ? 0 : 1UL << i;
        if (wanted == 0)
            return;
        OutputSet set = Find(wanted);
        int tile = set.Tile;
        if (threads > 1 && rows > tile)
        {
            RunParallel(set, rows, data, outputs, threads);
            return;
        }
        for (int first = 0; first < rows; first += tile)
            set.Run(rows, first, Math.Min(tile, rows - first), data, outputs);
    }

    public void Dispose()
    {
        foreach (Lazy<OutputSet> set in _sets.Values)
            set.Value.Dispose();
    }

    // Lambdas by themselves: what they capture would be allocated for every single row.
    private OutputSet Find(ulong wanted) => _sets.TryGetValue(wanted, out Lazy<OutputSet>? known)
        ? known.Value
        : Add(wanted);

    private OutputSet Add(ulong wanted) =>
        _sets.GetOrAdd(wanted, key => new(() => new OutputSet(pass, inputs, weights, key))).Value;

    private static void RunParallel(
        OutputSet set, int rows, InputRows[] data, Memory<float>[] outputs, int threads)
    {
        int tile = set.Tile;
        Parallel.For(0, (rows + tile - 1) / tile, new() { MaxDegreeOfParallelism = threads }, i =>
            set.Run(rows, i * tile, Math.Min(tile, rows - i * tile), data, outputs));
    }

    // A session for some of the outputs: one for all would compute all.
    private sealed class OutputSet : IDisposable
    {
        private readonly IReadOnlyList<PassInput> _inputs;
        private readonly OnnxSession _session;
        private readonly string[] _inputNames, _outputNames;
        private readonly int[] _outputs;
        private readonly ConcurrentBag<Buffers> _free = [];

        public OutputSet(IForwardPass pass, IReadOnlyList<PassInput> inputs, HostWeights weights, ulong wanted)
        {
            _inputs = inputs;
            var graph = new OnnxGraph(weights);
            _inputNames = [.. inputs.Select((_, i) => $"input_{i}")];
            OnnxTensor[] all = pass.Run(graph.Root, [.. inputs.Select((input, i) => graph.Input(
                _inputNames[i], input.IsIndex ? OnnxType.Int64 : OnnxType.Float, [-1, .. input.RowShape]))]);
            _outputs = [.. Enumerable.Range(0, all.Length).Where(i => (wanted >> i & 1) != 0)];
            _outputNames = [.. _outputs.Select(i => graph.Output(AsRows(all[i])))];
            _session = new OnnxSession(graph, weights);
            Tile = (int)Math.Clamp(MostNumbers / Math.Max(1, graph.LargestRow), 1, MostRows);
        }

        public int Tile { get; }

        public void Run(int rows, int first, int count, InputRows[] data, Memory<float>[] outputs)
        {
            Buffers buffers = _free.TryTake(out Buffers? free) ? free : new(_inputs.Count, _outputs.Length);
            try
            {
                for (int i = 0; i < _inputs.Count; i++)
                {
                    long[] shape = _inputs[i].RowShape;
                    buffers.InputValues[i] = _inputs[i].IsIndex
                        ? (buffers.Indices[i] ??= new()).Take(data[i].Indices, rows, first, count, shape)
                        : (buffers.Singles[i] ??= new()).Take(data[i].Singles, rows, first, count, shape);
                }
                for (int i = 0; i < _outputs.Length; i++)
                {
                    int width = outputs[_outputs[i]].Length / rows;
                    buffers.OutputValues[i] = buffers.Outputs[i].Resize(count, width, [-1]);
                }
                _session.Native.Run(
                    _session.Options, _inputNames, buffers.InputValues, _outputNames, buffers.OutputValues);
                for (int i = 0; i < _outputs.Length; i++)
                    buffers.Outputs[i].Give(outputs[_outputs[i]], rows, first, count);
            }
            finally
            {
                _free.Add(buffers);
            }
        }

        public void Dispose()
        {
            _session.Dispose();
            foreach (Buffers buffers in _free)
                buffers.Dispose();
        }

        // Whatever its shape: (rows, all the rest).
        private static OnnxTensor AsRows(OnnxTensor x) =>
            x.Rank == 2 ? x : x.Rank == 1 ? x.Unsqueeze(1) : x.Reshape(0, -1);
    }

    // What one run at a time uses; kept, since making a value of ONNX Runtime takes longer than a small row.
    private sealed class Buffers(int inputs, int outputs) : IDisposable
    {
        public OrtValue[] InputValues { get; } = new OrtValue[inputs];

        public OrtValue[] OutputValues { get; } = new OrtValue[outputs];

        public Pinned<float>?[] Singles { get; } = new Pinned<float>?[inputs];

        public Pinned<long>?[] Indices { get; } = new Pinned<long>?[inputs];

        public Pinned<float>[] Outputs { get; } = [.. Enumerable.Range(0, outputs).Select(_ => new Pinned<float>())];

        public void Dispose() => Array.ForEach([.. InputValues, .. OutputValues], v => v?.Dispose());
    }

    // Rows in memory that stays where it is, and ONNX Runtime's name for them.
    private sealed class Pinned<T>
        where T : unmanaged
    {
        private T[] _values = [];
        private OrtValue? _value;
        private int _count, _width;

        public OrtValue Resize(int count, int width, long[] rowShape)
        {
            if (_value is not null && count == _count && width == _width)
                return _value;
            int length = count * width;
            if (length > _values.Length)
                _values = GC.AllocateUninitializedArray<T>(length, pinned: true);
            _value?.Dispose();
            long known = rowShape.Aggregate(1L, (product, size) => size < 0 ? product : product * size);
            long[] shape = [count, .. rowShape.Select(size => size < 0 ? width / known : size)];
            _value = OrtValue.CreateTensorValueFromMemory(
                OrtMemoryInfo.DefaultInstance, _values.AsMemory(0, length), shape);
            (_count, _width) = (count, width);
            return _value;
        }

        public OrtValue Take(ReadOnlyMemory<T> all, int rows, int first, int count, long[] rowShape)
        {
            int width = all.Length / rows;
            OrtValue value = Resize(count, width, rowShape);
            all.Span.Slice(first * width, count * width).CopyTo(_values);
            return value;
        }

        public void Give(Memory<T> all, int rows, int first, int count)
        {
            int width = all.Length / rows;
            _values.AsSpan(0, count * width).CopyTo(all.Span[(first * width)..]);
        }
    }
}
