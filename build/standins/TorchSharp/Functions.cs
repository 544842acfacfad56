using static TorchSharp.Dispatch.Operators;

namespace TorchSharp;

public static partial class torch
{
    public static Tensor cat(IList<Tensor> tensors, long dim = 0) => Call("cat", tensors.ToArray(), dim);
    public static Tensor where(Tensor condition, Tensor x, Tensor y) => Call("where.self", condition, x, y);
    public static Tensor log1p(Tensor input) => Call("log1p", input);
    public static Tensor tanh(Tensor input) => Call("tanh", input);
    public static Tensor sigmoid(Tensor input) => Call("sigmoid", input);
}
