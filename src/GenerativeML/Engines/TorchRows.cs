using TorchSharp;
using static TorchSharp.torch;

namespace GenerativeML;

/// <summary>Rows by torch, on a device or on the CPU.</summary>
internal sealed class TorchRows : IRowEngine
{
    private readonly IForwardPass _pass;
    private readonly IReadOnlyList<PassInput> _inputs;
    private readonly Device _device;
    private readonly Dictionary<string, Tensor> _weights;
    private readonly Lock? _gate;
    private readonly int _tile;

    /// <summary>Brings the weights to the device.</summary>
    public TorchRows(IForwardPass pass, IReadOnlyList<PassInput> inputs, HostWeights weights, Device device)
    {
        (_pass, _inputs, _device) = (pass, inputs, device);
        // A device computes one call at a time, and wants many rows for it.
        bool cpu = device.type == DeviceType.CPU;
        (_gate, _tile) = (cpu ? null : new Lock(), cpu ? 256 : 4096);
        _weights = weights.ToTensors(device);
    }

    public void Run(int rows, InputRows[] data, Memory<float>[] outputs, int threads)
    {
        _gate?.Enter();
        try
        {
            using IDisposable noGradient = no_grad();
            for (int first = 0; first < rows; first += _tile)
                Run(rows, first, Math.Min(_tile, rows - first), data, outputs);
        }
        finally
        {
            _gate?.Exit();
        }
    }

    public void Dispose()
    {
        foreach (Tensor weight in _weights.Values)
            weight.Dispose();
    }

    private void Run(int rows, int first, int count, InputRows[] data, Memory<float>[] outputs)
    {
        using DisposeScope scope = NewDisposeScope();
        var values = new TorchTensor[_inputs.Count];
        for (int i = 0; i < values.Length; i++)
        {
            int width = data[i].Length / rows;
            Tensor all = _inputs[i].IsIndex
                ? HostTensors.Index(data[i].Indices.Span.Slice(first * width, count * width), _device)
                : HostTensors.FromRows(data[i].Singles.Span.Slice(first * width, count * width), count, width, _device);
            values[i] = all.view([count, .. _inputs[i].RowShape]);
        }
        TorchTensor[] results = _pass.Run(new TorchOps(_weights).Root, values);
        for (int i = 0; i < outputs.Length; i++)
        {
            int width = outputs[i].Length / rows;
            if (width > 0)
                HostTensors.CopyTo(results[i], outputs[i].Span.Slice(first * width, count * width));
        }
    }
}

/// <summary>Weights as tensors.</summary>
internal static class TorchWeights
{
    /// <summary>Copies of all weights on a device, in no dispose scope.</summary>
    public static Dictionary<string, Tensor> ToTensors(this HostWeights weights, Device device)
    {
        using IDisposable noGradient = no_grad();
        return weights.Specs.ToDictionary(spec => spec.Name, spec =>
        {
            using DisposeScope scope = NewDisposeScope();
            float[] values = weights[spec.Name];
            return HostTensors.FromRows(values, 1, values.Length, device).view(spec.Shape.ToArray())
                .DetachFromDisposeScope();
        });
    }
}
