using TorchSharp;
using static TorchSharp.torch;

namespace GenerativeML.Torch.Tests.Platform;

/// <summary>
/// Who owns a tensor, when it goes, and what is counted: what the training loop and the models rely on.
/// </summary>
[TestClass]
public sealed class TensorLifetimeTests
{
    [TestMethod]
    public void A_scope_disposes_what_was_made_in_it_and_nothing_else()
    {
        using Tensor before = zeros(2);
        Tensor inside;
        using (NewDisposeScope())
            inside = before.add(1);

        Assert.IsTrue(inside.IsInvalid);
        Assert.IsFalse(before.IsInvalid);
    }

    [TestMethod]
    public void A_detached_tensor_outlives_every_scope()
    {
        Tensor kept;
        using (NewDisposeScope())
        {
            using (NewDisposeScope())
                kept = ones(3).DetachFromDisposeScope();
        }

        using (kept)
            Assert.AreEqual(3f, kept.sum().ToSingle());
    }

    [TestMethod]
    public void A_tensor_moved_outwards_lives_as_long_as_the_outer_scope()
    {
        Tensor moved;
        using (NewDisposeScope())
        {
            using (DisposeScope inner = NewDisposeScope())
                moved = inner.MoveToOuter(ones(3));
            Assert.IsFalse(moved.IsInvalid);
        }

        Assert.IsTrue(moved.IsInvalid);
    }

    [TestMethod]
    public void Scopes_belong_to_a_thread()
    {
        using DisposeScope here = NewDisposeScope();
        Tensor? there = null;
        var thread = new Thread(() => there = ones(1));
        thread.Start();
        thread.Join();

        Assert.AreEqual(0, here.DisposablesCount);
        there!.Dispose();
    }

    [TestMethod]
    public void A_scope_that_ends_late_does_not_become_current_again()
    {
        DisposeScope outer = NewDisposeScope();
        DisposeScope inner = NewDisposeScope();
        outer.Dispose();
        Assert.AreSame(inner, CurrentDisposeScope);
        inner.Dispose();

        Assert.IsNull(CurrentDisposeScope);
    }

    [TestMethod]
    public void A_disposed_tensor_refuses_to_be_used()
    {
        Tensor gone = ones(1);
        gone.Dispose();
        gone.Dispose();

        Assert.ThrowsExactly<InvalidOperationException>(() => gone.add(1));
    }

    [TestMethod]
    public void The_count_of_tensors_follows_objects_not_memory()
    {
        long before = Tensor.TotalCount;
        Tensor first = zeros(4);
        Tensor view = first.view(2, 2);
        Assert.AreEqual(before + 2, Tensor.TotalCount);
        first.Dispose();
        view.Dispose();

        Assert.AreEqual(before, Tensor.TotalCount);
    }

    [TestMethod]
    public void A_gradient_is_a_new_object_each_time_it_is_asked_for()
    {
        using Tensor weight = ones(2, requires_grad: true);
        using (Tensor loss = weight.sum())
            loss.backward();
        long before = Tensor.TotalCount;
        using Tensor? once = weight.grad;
        using Tensor? again = weight.grad;

        Assert.AreEqual(before + 2, Tensor.TotalCount);
        Assert.AreNotSame(once, again);
    }

    [TestMethod]
    public void A_parameter_takes_the_tensor_it_is_made_of()
    {
        Tensor data = ones(2);
        using TorchSharp.Modules.Parameter parameter = nn.Parameter(data);

        Assert.IsTrue(data.IsInvalid);
        Assert.IsTrue(parameter.requires_grad);
    }

    [TestMethod]
    public void A_parameter_made_of_a_tensor_stays_counted_for_ever()
    {
        // Why the live-tensor promise is kept with plain tensors: TorchSharp forgets to count the emptied one out.
        long before = Tensor.TotalCount;
        Tensor data = ones(2);
        nn.Parameter(data).Dispose();
        data.Dispose();

        Assert.AreEqual(before + 1, Tensor.TotalCount);
    }

    [TestMethod]
    public void In_place_operators_return_the_object_itself()
    {
        using Tensor tensor = ones(3);

        Assert.AreSame(tensor, tensor.add_(1));
        Assert.AreSame(tensor, tensor.mul_(2));
        Assert.AreSame(tensor, tensor.clamp_(0, 3));
        Assert.AreSame(tensor, tensor.fill_(0));
        Assert.AreSame(tensor, tensor.normal_());
        Assert.AreSame(tensor, tensor.requires_grad_(false));
        Assert.AreSame(tensor, tensor.copy_(tensor));
    }

    [TestMethod]
    public void Zero_in_place_is_the_exception_and_returns_another_object()
    {
        using Tensor tensor = ones(3);
        using Tensor result = tensor.zero_();

        Assert.AreNotSame(tensor, result);
        Assert.AreEqual(0f, tensor.sum().ToSingle());
    }

    [TestMethod]
    public void Detach_and_views_share_memory_and_clone_does_not()
    {
        using Tensor tensor = zeros(4);
        using Tensor detached = tensor.detach();
        using Tensor half = tensor.narrow(0, 2, 2);
        using Tensor clone = tensor.clone();
        tensor.fill_(5);

        Assert.AreEqual(5f, detached[0].item<float>());
        Assert.AreEqual(5f, half[1].item<float>());
        Assert.AreEqual(0f, clone[0].item<float>());
    }
}
