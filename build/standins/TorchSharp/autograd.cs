using TorchSharp.Dispatch;

namespace TorchSharp;

public static partial class torch
{
    public static class autograd
    {
        public static IList<Tensor> grad(
            IList<Tensor> outputs, IList<Tensor> inputs, IList<Tensor>? grad_outputs = null, bool retain_graph = false,
            bool create_graph = false, bool allow_unused = false)
        {
            var found = new nint[inputs.Count];
            Library.Check(Library.torch_autograd_grad(
                Handles(outputs)!, outputs.Count, Handles(inputs)!, inputs.Count, Handles(grad_outputs),
                retain_graph ? 1 : 0, create_graph ? 1 : 0, allow_unused ? 1 : 0, found));
            GC.KeepAlive(outputs);
            GC.KeepAlive(inputs);
            GC.KeepAlive(grad_outputs);
            // An input that the outputs do not depend on has no gradient, and so no tensor.
            return [.. found.Select(handle => handle == 0 ? null! : new Tensor(handle))];
        }

        public static void backward(
            IList<Tensor> tensors, IList<Tensor>? grad_tensors = null, bool? retain_graph = null,
            bool create_graph = false, IList<Tensor>? inputs = null)
        {
            Library.Check(Library.torch_backward(
                Handles(tensors)!, tensors.Count, Handles(grad_tensors), retain_graph ?? create_graph ? 1 : 0,
                create_graph ? 1 : 0, Handles(inputs), inputs?.Count ?? 0));
            GC.KeepAlive(tensors);
            GC.KeepAlive(grad_tensors);
            GC.KeepAlive(inputs);
        }

        private static nint[]? Handles(IList<Tensor>? tensors) => tensors?.Select(tensor => tensor.Handle).ToArray();
    }
}
