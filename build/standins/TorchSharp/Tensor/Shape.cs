using static TorchSharp.Dispatch.Operators;

namespace TorchSharp;

public static partial class torch
{
    public partial class Tensor
    {
        public Tensor this[long i] => select(0, i);
        public Tensor this[long i, long j] => select(0, i).select(0, j);
        public Tensor this[params Tensor[] indices] => index(indices);

        public Tensor zeros_like(ScalarType? dtype = null, Device? device = null, bool requires_grad = false) => torch.zeros_like(this, dtype, device, requires_grad);
        public Tensor clone() => Call("clone", this);
        public Tensor detach() => Call("detach", this);
        public Tensor detach_() => Mutate("detach_", this);
        public Tensor contiguous() => Call("contiguous", this);
        public Tensor copy_(Tensor source, bool nonBlocking = false) => Mutate("copy_", this, source, nonBlocking);
        public Tensor set_(Tensor source) => Mutate("set_.source_Tensor", this, source);
        public Tensor fill_(Scalar value) => Mutate("fill_.Scalar", this, value);
        // Unlike every other operator in place, and as in TorchSharp, the result is a new object.
        public Tensor zero_() => Mutate("zero_", this).alias();

        public Tensor view(params long[] shape) => Call("view", this, shape);
        public Tensor reshape(params long[] shape) => Call("reshape", this, shape);
        public Tensor flatten(long start_dim = 0, long end_dim = -1) => Call("flatten.using_ints", this, start_dim, end_dim);
        public Tensor expand(params long[] sizes) => Call("expand", this, sizes);
        public Tensor expand_as(Tensor other) => Call("expand_as", this, other);
        public Tensor repeat(params long[] sizes) => Call("repeat", this, sizes);
        public Tensor t() => Call("t", this);
        public Tensor transpose(long dim0, long dim1) => Call("transpose.int", this, dim0, dim1);
        public Tensor permute(params long[] permutation) => Call("permute", this, permutation);
        public Tensor unsqueeze(long dim) => Call("unsqueeze", this, dim);
        public Tensor squeeze(long? dim = null) => dim is null ? Call("squeeze", this) : Call("squeeze.dim", this, dim);
        public Tensor narrow(long dim, long start, long length) => Call("narrow", this, dim, start, length);
        public Tensor select(long dim, long index) => Call("select.int", this, dim, index);
        public Tensor slice(long dim, long start, long finish, long step) => Call("slice.Tensor", this, dim, start, finish, step);
        public Tensor[] chunk(long chunks, long dim = 0) => CallMany("chunk", this, chunks, dim);
        public Tensor[] split(long size, int dim = 0) => CallMany("split.Tensor", this, size, (long)dim);
        public Tensor[] split(long[] sizes, long dim = 0) => CallMany("split_with_sizes", this, sizes, dim);
        public Tensor[] unbind(long dimension = 0) => CallMany("unbind.int", this, dimension);
        public Tensor flip(params long[] dims) => Call("flip", this, dims);

        public Tensor index(params Tensor[] indices) => Call("index.Tensor", this, indices);
        public Tensor index_select(long dim, Tensor index) => Call("index_select", this, dim, index);
        public Tensor index_copy_(long dim, Tensor index, Tensor source) => Mutate("index_copy_", this, dim, index, source);
        public Tensor index_add_(long dim, Tensor index, Tensor source, Scalar alpha) => Mutate("index_add_", this, dim, index, source, alpha);
        public Tensor gather(long dim, Tensor index) => Call("gather", this, dim, index);
        public Tensor scatter_(long dim, Tensor index, Tensor src) => Mutate("scatter_.src", this, dim, index, src);
        public Tensor masked_fill(Tensor mask, Scalar value) => Call("masked_fill.Scalar", this, mask, value);
        public Tensor masked_fill_(Tensor mask, Scalar value) => Mutate("masked_fill_.Scalar", this, mask, value);
        public Tensor masked_select(Tensor mask) => Call("masked_select", this, mask);
        public Tensor where(Tensor condition, Tensor y) => Call("where.self", condition, this, y);
        public Tensor nonzero() => Call("nonzero", this);
        public Tensor tril(long diagonal = 0) => Call("tril", this, diagonal);
        public Tensor triu(long diagonal = 0) => Call("triu", this, diagonal);
        public Tensor diag(long diagonal = 0) => Call("diag", this, diagonal);
    }
}
