using System.Runtime.InteropServices;

namespace TorchSharp.Utils;

/// <summary>The elements of a tensor on the CPU.</summary>
public sealed class TensorAccessor<T> where T : unmanaged
{
    private readonly torch.Tensor _tensor;

    internal TensorAccessor(torch.Tensor tensor) => _tensor = tensor;

    public unsafe T this[params long[] indices]
    {
        get
        {
            var (shape, strides) = (_tensor.shape, _tensor.stride());
            // One index into a tensor of several dimensions counts its elements in order.
            if (indices.Length == 1 && shape.Length != 1)
                indices = Unravel(indices[0], shape);
            long offset = 0;
            for (int d = 0; d < shape.Length; d++)
            {
                if ((ulong)indices[d] >= (ulong)shape[d])
                    throw new IndexOutOfRangeException();
                offset += indices[d] * strides[d];
            }
            return ((T*)_tensor.Address())[offset];
        }
    }

    public T[] ToArray()
    {
        using torch.Tensor dense = _tensor.detach().contiguous();
        return MemoryMarshal.Cast<byte, T>(dense.bytes).ToArray();
    }

    private static long[] Unravel(long index, long[] shape)
    {
        var indices = new long[shape.Length];
        for (int d = shape.Length - 1; d >= 0; d--)
            (index, indices[d]) = Math.DivRem(index, shape[d]);
        return indices;
    }
}
