using TorchSharp;
using static TorchSharp.torch;

namespace GenerativeML;

/// <summary>Rows by torch, on a device or on the CPU.</summary>
internal sealed class TorchRows(IForwardPass pass, HostWeights weights, Device device) : IRowEngine
{
    private readonly Dictionary<string, Tensor> _weights = weights.ToTensors(device);

    // A device computes one call at a time, and wants many rows for it.
    private readonly Lock? _gate = device.type == DeviceType.CPU ? null : new();
    private readonly int _tile = device.type == DeviceType.CPU ? 256 : 4096;

    public void Run(int rows, ReadOnlyMemory<float>[] inputs, Memory<float>[] outputs)
    {
        _gate?.Enter();
        try
        {
            using IDisposable noGradient = no_grad();
            for (int first = 0; first < rows; first += _tile)
                Run(rows, first, Math.Min(_tile, rows - first), inputs, outputs);
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

    private void Run(int rows, int first, int count, ReadOnlyMemory<float>[] inputs, Memory<float>[] outputs)
    {
        using DisposeScope scope = NewDisposeScope();
        TorchTensor[] values = [.. inputs.Select(Rows)];
        TorchTensor[] results = pass.Run(new TorchOps(_weights).Root, values);
        for (int i = 0; i < outputs.Length; i++)
        {
            int width = outputs[i].Length / rows;
            HostTensors.CopyTo(results[i], outputs[i].Span.Slice(first * width, count * width));
        }

        TorchTensor Rows(ReadOnlyMemory<float> input)
        {
            int width = input.Length / rows;
            return HostTensors.FromRows(input.Span.Slice(first * width, count * width), count, width, device);
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
