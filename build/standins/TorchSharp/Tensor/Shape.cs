using static TorchSharp.Dispatch.Operators;

namespace TorchSharp;

public static partial class torch
{
    public partial class Tensor
    {
        public Tensor this[long i] => select(0, i);
        public Tensor this[long i, long j] => select(0, i).select(0, j);

        public Tensor zeros_like(ScalarType? dtype = null, Device? device = null, bool requires_grad = false) => torch.zeros_like(this, dtype, device, requires_grad);
        public Tensor clone() => Call("clone", this);
        public Tensor detach() => Call("detach", this);
        public Tensor contiguous() => Call("contiguous", this);
        public Tensor copy_(Tensor source, bool nonBlocking = false) => Mutate("copy_", this, source, nonBlocking);
        public Tensor set_(Tensor source) => Mutate("set_.source_Tensor", this, source);
        public Tensor fill_(Scalar value) => Mutate("fill_.Scalar", this, value);
        // Unlike every other operator in place, and as in TorchSharp, the result is a new object.
        public Tensor zero_() => Mutate("zero_", this).to(dtype);

        public Tensor view(params long[] shape) => Call("view", this, shape);
        public Tensor reshape(params long[] shape) => Call("reshape", this, shape);
        public Tensor expand(params long[] sizes) => Call("expand", this, sizes);
        public Tensor t() => Call("t", this);
        public Tensor transpose(long dim0, long dim1) => Call("transpose.int", this, dim0, dim1);
        public Tensor unsqueeze(long dim) => Call("unsqueeze", this, dim);
        public Tensor squeeze(long? dim = null) => dim is null ? Call("squeeze", this) : Call("squeeze.dim", this, dim);
        public Tensor narrow(long dim, long start, long length) => Call("narrow", this, dim, start, length);
        public Tensor select(long dim, long index) => Call("select.int", this, dim, index);

        public Tensor index_select(long dim, Tensor index) => Call("index_select", this, dim, index);
        public Tensor gather(long dim, Tensor index) => Call("gather", this, dim, index);
        public Tensor[] chunk(long chunks, long dim = 0) => CallMany("chunk", this, chunks, dim);
        public Tensor triu_(long diagonal = 0) => Mutate("triu_", this, diagonal);
        public Tensor scatter_add_(long dim, Tensor index, Tensor src) => Mutate("scatter_add_", this, dim, index, src);
        public Tensor scatter_(long dim, Tensor index, Tensor src) => Mutate("scatter_.src", this, dim, index, src);
    }
}
