using System.Runtime.InteropServices;
using TorchSharp;

namespace GenerativeML;

/// <summary>
/// Rows on the device, one tensor (Rows, …) for each field, and what each row counts in a mean over the batch, as its tokens
/// where that is one over tokens; without, one each.
/// </summary>
internal sealed class Batch(IReadOnlyList<torch.Tensor> fields, int rows, double[]? weights = null) : IDisposable
{
    /// <summary>The tensor of field <paramref name="field"/>, (Rows, …).</summary>
    public torch.Tensor this[int field] => fields[field];

    /// <summary>The tensors of all fields.</summary>
    public IReadOnlyList<torch.Tensor> Fields => fields;

    /// <summary>The number of rows.</summary>
    public int Rows => rows;

    /// <summary>What the batch counts in a mean over batches.</summary>
    public double Weight { get; } = weights?.Sum() ?? rows;

    /// <summary>Which rows of a larger batch these are, of which there is no more here; null: all.</summary>
    public RowRange? Range { get; init; }

    /// <summary>Some of the rows of the larger batch, all of which are here; views.</summary>
    public Batch Part(RowRange range)
    {
        int start = range.First - (Range?.First ?? 0);
        return range.Count == rows
            ? this
            : new Batch([.. fields.Select(f => f.narrow(0, start, range.Count))], range.Count, weights?[start..(start + range.Count)]);
    }

    /// <summary>What a part of the larger batch counts in its mean; all of a larger batch's rows count alike where only some are here.</summary>
    public double ShareOf(Batch part, RowRange range) => Range is null ? part.Weight / Weight : range.Count / (double)range.Of;

    /// <summary>Disposes the tensors.</summary>
    public void Dispose()
    {
        foreach (torch.Tensor field in fields)
            field.Dispose();
    }
}

/// <summary>The way between host arrays and tensors.</summary>
internal static class HostTensors
{
    /// <summary>An uninitialised tensor (rows, width) of a field, on the CPU.</summary>
    public static torch.Tensor Empty(RowField field, long rows) =>
        torch.empty([rows, field.Width], field.Kind == FieldKind.Single ? torch.float32 : torch.int64);

    /// <summary>Copies the first rows of a block over rows of a contiguous CPU tensor, from number at on.</summary>
    public static void Write(RowBlock block, int field, int count, torch.Tensor target, long at)
    {
        int values = count * block.Fields[field].Width;
        using torch.Tensor rows = target.narrow(0, at, count);
        ReadOnlySpan<byte> bytes = block.Fields[field].Kind == FieldKind.Single
            ? MemoryMarshal.AsBytes(block.Singles(field)[..values])
            : MemoryMarshal.AsBytes(block.Int64s(field)[..values]);
        bytes.CopyTo(rows.bytes);
    }

    /// <summary>The first rows of a block, which are some of a batch, as tensors on a device.</summary>
    public static Batch ToBatch(RowBlock block, RowRange rows, torch.Device device)
    {
        int count = rows.Count;
        var tensors = new torch.Tensor[block.Fields.Count];
        for (int f = 0; f < tensors.Length; f++)
        {
            torch.Tensor host = Empty(block.Fields[f], count);
            Write(block, f, count, host, 0);
            tensors[f] = OnDevice(host, device);
        }
        return new Batch(tensors, count) { Range = rows };
    }

    /// <summary>A tensor (rows, width) on a device, from a row-major array.</summary>
    public static torch.Tensor FromRows(ReadOnlySpan<float> values, long rows, long width, torch.Device device)
    {
        torch.Tensor host = torch.empty(rows, width, torch.ScalarType.Float32);
        MemoryMarshal.AsBytes(values).CopyTo(host.bytes);
        return OnDevice(host, device);
    }

    /// <summary>Row numbers as an index tensor on a device.</summary>
    public static torch.Tensor Index(ReadOnlySpan<long> rows, torch.Device device)
    {
        torch.Tensor host = torch.empty((long)rows.Length, torch.ScalarType.Int64);
        MemoryMarshal.AsBytes(rows).CopyTo(host.bytes);
        return OnDevice(host, device);
    }

    /// <summary>Copies a tensor's elements to an array, whatever its device and layout.</summary>
    public static void CopyTo(torch.Tensor source, Span<float> target)
    {
        using torch.Tensor detached = source.detach();
        using torch.Tensor host = detached.cpu();
        using torch.Tensor dense = host.contiguous();
        MemoryMarshal.Cast<byte, float>(dense.bytes).CopyTo(target);
    }

    /// <summary>The tensor itself on the CPU; elsewhere a copy, with the original disposed.</summary>
    public static torch.Tensor OnDevice(torch.Tensor host, torch.Device device)
    {
        if (host.device_type == device.type)
            return host;
        torch.Tensor moved = host.to(device);
        host.Dispose();
        return moved;
    }
}
