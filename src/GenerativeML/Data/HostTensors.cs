using System.Runtime.InteropServices;
using TorchSharp;

namespace GenerativeML;

/// <summary>The way between host arrays and tensors.</summary>
internal static class HostTensors
{
    public static torch.ScalarType TypeOf(FieldKind kind) =>
        kind == FieldKind.Single ? torch.ScalarType.Float32 : torch.ScalarType.Int64;

    /// <summary>An uninitialised tensor (rows, width) of a field, on the CPU.</summary>
    public static torch.Tensor Empty(RowField field, long rows) =>
        torch.empty(rows, (long)field.Width, TypeOf(field.Kind));

    /// <summary>Copies <paramref name="count"/> rows of a block over rows of a contiguous CPU tensor.</summary>
    public static void Write(RowBlock block, int field, int start, int count, torch.Tensor target, long at)
    {
        RowField f = block.Fields[field];
        using torch.Tensor rows = target.narrow(0, at, count);
        ReadOnlySpan<byte> bytes = f.Kind == FieldKind.Single
            ? MemoryMarshal.AsBytes(block.Singles(field).Slice(start * f.Width, count * f.Width))
            : MemoryMarshal.AsBytes(block.Int64s(field).Slice(start * f.Width, count * f.Width));
        bytes.CopyTo(rows.bytes);
    }

    /// <summary>The first <paramref name="count"/> rows of a block as tensors on a device.</summary>
    public static Batch ToBatch(RowBlock block, int count, torch.Device device)
    {
        var tensors = new torch.Tensor[block.Fields.Count];
        for (int f = 0; f < tensors.Length; f++)
        {
            torch.Tensor host = Empty(block.Fields[f], count);
            Write(block, f, 0, count, host, 0);
            tensors[f] = OnDevice(host, device);
        }
        return new Batch(tensors, count);
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
