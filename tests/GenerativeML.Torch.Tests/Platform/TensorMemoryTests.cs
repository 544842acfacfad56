using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace GenerativeML.Torch.Tests.Platform;

/// <summary>How values get in and out of tensors.</summary>
[TestClass]
public sealed class TensorMemoryTests
{
    [TestMethod]
    public void The_bytes_of_a_tensor_are_its_memory()
    {
        using Tensor tensor = zeros(2, 2);
        MemoryMarshal.Cast<byte, float>(tensor.bytes)[3] = 7;

        Assert.AreEqual(7f, tensor[1, 1].item<float>());
    }

    [TestMethod]
    public void Setting_bytes_of_another_length_is_refused()
    {
        using Tensor tensor = zeros(2);

        Assert.ThrowsExactly<ArgumentException>(() => tensor.bytes = new byte[7]);
    }

    [TestMethod]
    public void The_bytes_of_a_transposed_tensor_are_refused()
    {
        using Tensor tensor = zeros(2, 3);
        using Tensor transposed = tensor.t();

        Assert.ThrowsExactly<InvalidOperationException>(() => _ = transposed.bytes.Length);
    }

    [TestMethod]
    public void A_tensor_copies_the_array_it_is_made_of()
    {
        float[] values = [1, 2, 3, 4];
        using Tensor tensor = torch.tensor(values, [2, 2]);
        values[0] = 9;

        CollectionAssert.AreEqual(new float[] { 1, 2, 3, 4 }, tensor.data<float>().ToArray());
        CollectionAssert.AreEqual(new long[] { 2, 2 }, tensor.shape);
    }

    [TestMethod]
    public void Elements_come_in_order_from_a_transposed_tensor()
    {
        using Tensor tensor = torch.tensor(new float[] { 1, 2, 3, 4, 5, 6 }, [2, 3]);
        using Tensor transposed = tensor.t();

        CollectionAssert.AreEqual(new float[] { 1, 4, 2, 5, 3, 6 }, transposed.data<float>().ToArray());
        Assert.AreEqual(6f, transposed.data<float>()[2, 1]);
    }

    [TestMethod]
    public void Elements_are_read_as_the_type_they_have()
    {
        using Tensor numbers = arange(3);

        Assert.AreEqual(ScalarType.Int64, numbers.dtype);
        Assert.ThrowsExactly<ArgumentException>(() => numbers.data<float>());
        Assert.AreEqual(2f, numbers[2].ToSingle());
    }

    [TestMethod]
    public void Item_wants_one_element()
    {
        using Tensor two = zeros(2);

        Assert.ThrowsExactly<ArgumentException>(() => two.item<float>());
    }

    [TestMethod]
    public void Factories_follow_the_default_type_and_what_they_are_told()
    {
        using Tensor plain = zeros(1);
        using Tensor told = full(2, 1.5, float64);
        using Tensor like = told.zeros_like();

        Assert.AreEqual(float32, plain.dtype);
        Assert.AreEqual(float64, told.dtype);
        Assert.AreEqual(float64, like.dtype);
    }

    [TestMethod]
    public void An_impossible_shape_is_an_external_exception_that_names_the_shapes()
    {
        using Tensor two = zeros(2);
        using Tensor three = zeros(3);

        var error = Assert.ThrowsExactly<ExternalException>(() => two.add(three));
        Assert.Contains("must match the size of tensor", error.Message);
    }

    [TestMethod]
    public void Conversion_to_the_type_it_has_shares_memory()
    {
        using Tensor tensor = zeros(2);
        using Tensor same = tensor.to(float32);
        using Tensor copy = tensor.to(float32, copy: true);
        tensor.fill_(1);

        Assert.AreEqual(1f, same[0].item<float>());
        Assert.AreEqual(0f, copy[0].item<float>());
    }
}
