using System.Collections.Concurrent;
using Microsoft.ML.OnnxRuntime;

namespace GenerativeML;

/// <summary>Rows by ONNX Runtime, tile by tile; threads take whole tiles, since small products gain nothing.</summary>
internal sealed class OnnxRows : IRowEngine
{
    // Rows at once: enough for products to be fast, fewer where a row becomes as large as pictures do.
    private const int MaxRows = 256, MaxNumbers = 1 << 20;

    private readonly OnnxSession _session;
    private readonly string[] _inputs, _outputs;
    private readonly int _tile;
    private readonly ConcurrentBag<Buffers> _free = [];

    /// <summary>Makes the session for inputs of these widths.</summary>
    public OnnxRows(IForwardPass pass, HostWeights weights, int[] widths)
    {
        var graph = new OnnxGraph(weights);
        _inputs = [.. widths.Select((_, i) => $"input_{i}")];
        OnnxTensor[] results = pass.Run(
            graph.Root, [.. widths.Select((width, i) => graph.Input(_inputs[i], OnnxType.Float, -1, width))]);
        _outputs = [.. results.Select(result => graph.Output(AsRows(result)))];
        _session = new OnnxSession(graph, weights);
        _tile = (int)Math.Clamp(MaxNumbers / Math.Max(1, graph.LargestRow), 1, MaxRows);
    }

    public void Run(int rows, ReadOnlyMemory<float>[] inputs, Memory<float>[] outputs)
    {
        if (rows > _tile)
            RunTiles(rows, inputs, outputs);
        else
            Run(rows, 0, rows, inputs, outputs);
    }

    public void Dispose()
    {
        _session.Dispose();
        foreach (Buffers buffers in _free)
            buffers.Dispose();
    }

    // By itself: what the lambda captures would be allocated for every single row.
    private void RunTiles(int rows, ReadOnlyMemory<float>[] inputs, Memory<float>[] outputs) => Parallel.For(
        0, (rows + _tile - 1) / _tile, new() { MaxDegreeOfParallelism = Environment.ProcessorCount },
        i => Run(rows, i * _tile, Math.Min(_tile, rows - i * _tile), inputs, outputs));

    private void Run(int rows, int first, int count, ReadOnlyMemory<float>[] inputs, Memory<float>[] outputs)
    {
        Buffers buffers = _free.TryTake(out Buffers? free) ? free : new(_inputs.Length, _outputs.Length);
        try
        {
            for (int i = 0; i < inputs.Length; i++)
            {
                int width = inputs[i].Length / rows;
                inputs[i].Span.Slice(first * width, count * width).CopyTo(buffers.Inputs[i].Resize(count, width));
                buffers.InputValues[i] = buffers.Inputs[i].Value!;
            }
            for (int i = 0; i < outputs.Length; i++)
            {
                buffers.Outputs[i].Resize(count, outputs[i].Length / rows);
                buffers.OutputValues[i] = buffers.Outputs[i].Value!;
            }
            _session.Native.Run(_session.Options, _inputs, buffers.InputValues, _outputs, buffers.OutputValues);
            for (int i = 0; i < outputs.Length; i++)
            {
                int width = outputs[i].Length / rows;
                buffers.Outputs[i].Resize(count, width).CopyTo(outputs[i].Span[(first * width)..]);
            }
        }
        finally
        {
            _free.Add(buffers);
        }
    }

    // Whatever its shape: (rows, all the rest).
    private static OnnxTensor AsRows(OnnxTensor x) =>
        x.Rank == 2 ? x : x.Rank == 1 ? x.Unsqueeze(1) : x.Reshape(0, -1);

    // What one run at a time uses; kept, since making a value of ONNX Runtime takes longer than a small row.
    private sealed class Buffers(int inputs, int outputs) : IDisposable
    {
        public OrtValue[] InputValues { get; } = new OrtValue[inputs];

        public OrtValue[] OutputValues { get; } = new OrtValue[outputs];

        public PinnedRows[] Inputs { get; } = [.. Enumerable.Range(0, inputs).Select(_ => new PinnedRows())];

        public PinnedRows[] Outputs { get; } = [.. Enumerable.Range(0, outputs).Select(_ => new PinnedRows())];

        public void Dispose() => Array.ForEach([.. Inputs, .. Outputs], rows => rows.Value?.Dispose());
    }

    // Rows in memory that stays where it is, and ONNX Runtime's name for them.
    private sealed class PinnedRows
    {
        private float[] _values = [];
        private int _count, _width;

        public OrtValue? Value { get; private set; }

        public Span<float> Resize(int count, int width)
        {
            int length = count * width;
            if (Value is not null && count == _count && width == _width)
                return _values.AsSpan(0, length);
            if (length > _values.Length)
                _values = GC.AllocateUninitializedArray<float>(length, pinned: true);
            Value?.Dispose();
            Value = OrtValue.CreateTensorValueFromMemory(
                OrtMemoryInfo.DefaultInstance, _values.AsMemory(0, length), [count, width]);
            (_count, _width) = (count, width);
            return _values.AsSpan(0, length);
        }
    }
}
