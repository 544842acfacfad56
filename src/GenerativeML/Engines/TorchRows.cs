using TorchSharp;
using static TorchSharp.torch;

namespace GenerativeML;

/// <summary>A network's weights on a device, or on the CPU, and what computes with them.</summary>
internal abstract class TorchEngine(HostWeights weights, Device device) : IDisposable
{
    // A device computes one call at a time.
    private readonly Lock? _gate = device.type == DeviceType.CPU ? null : new();

    protected Device Device => device;

    /// <summary>Copies of all weights, in no dispose scope.</summary>
    protected Dictionary<string, Tensor> Weights { get; } = weights.ToTensors(device);

    public void Dispose()
    {
        foreach (Tensor weight in Weights.Values)
            weight.Dispose();
    }

    /// <summary>Computes without gradients, and disposes what is left over.</summary>
    protected void Compute(Action action)
    {
        _gate?.Enter();
        try
        {
            using DisposeScope scope = NewDisposeScope();
            using IDisposable noGradient = no_grad();
            action();
        }
        finally
        {
            _gate?.Exit();
        }
    }
}

/// <summary>Rows by torch.</summary>
internal sealed class TorchRows(IForwardPass pass, HostWeights weights, Device device)
    : TorchEngine(weights, device), IRowEngine
{
    private readonly int _tile = device.type == DeviceType.CPU ? 256 : 4096; // a device wants many rows at once

    public void Run(int rows, ReadOnlyMemory<float>[] inputs, Memory<float>[] outputs) => Compute(() =>
    {
        for (int first = 0; first < rows; first += _tile)
            Run(rows, first, Math.Min(_tile, rows - first), inputs, outputs);
    });

    private void Run(int rows, int first, int count, ReadOnlyMemory<float>[] inputs, Memory<float>[] outputs)
    {
        using DisposeScope scope = NewDisposeScope();
        TorchTensor[] results = pass.Run(new TorchOps(Weights).Root, [.. inputs.Select(Rows)]);
        for (int i = 0; i < outputs.Length; i++)
        {
            int width = outputs[i].Length / rows;
            HostTensors.CopyTo(results[i], outputs[i].Span.Slice(first * width, count * width));
        }

        TorchTensor Rows(ReadOnlyMemory<float> input)
        {
            int width = input.Length / rows;
            return HostTensors.FromRows(input.Span.Slice(first * width, count * width), count, width, Device);
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
