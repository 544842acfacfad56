using TorchSharp;
using static TorchSharp.torch;

namespace GenerativeML.Torch.Tests.Platform;

/// <summary>What a public call has to leave as it was.</summary>
[TestClass]
public sealed class ModesTests
{
    [TestMethod]
    public void No_grad_ends_with_its_block_also_after_an_exception()
    {
        Assert.ThrowsExactly<InvalidOperationException>(() =>
        {
            using IDisposable off = no_grad();
            Assert.IsFalse(is_grad_enabled());
            throw new InvalidOperationException();
        });

        Assert.IsTrue(is_grad_enabled());
    }

    [TestMethod]
    public void Grad_modes_nest()
    {
        using (no_grad())
        {
            using (set_grad_enabled(true))
                Assert.IsTrue(is_grad_enabled());
            Assert.IsFalse(is_grad_enabled());
        }

        Assert.IsTrue(is_grad_enabled());
    }

    [TestMethod]
    public void Inference_mode_records_nothing()
    {
        using Tensor weight = ones(2, requires_grad: true);
        using (inference_mode())
        {
            using Tensor result = weight.mul(2);
            Assert.IsFalse(result.requires_grad);
            Assert.IsTrue(is_inference_mode_enabled());
        }

        Assert.IsFalse(is_inference_mode_enabled());
    }

    [TestMethod]
    public void Grad_mode_belongs_to_a_thread()
    {
        using IDisposable off = no_grad();
        bool there = false;
        var thread = new Thread(() => there = is_grad_enabled());
        thread.Start();
        thread.Join();

        Assert.IsTrue(there);
    }

    [TestMethod]
    public void The_number_of_threads_is_what_it_was_set_to()
    {
        int before = get_num_threads();
        set_num_threads(2);
        int during = get_num_threads();
        set_num_threads(before);

        Assert.AreEqual(2, during);
        Assert.AreEqual(before, get_num_threads());
    }

    [TestMethod]
    public void The_default_type_is_what_it_was_set_to()
    {
        ScalarType before = get_default_dtype();
        set_default_dtype(float64);
        using Tensor during = zeros(1);
        set_default_dtype(before);

        Assert.AreEqual(float64, during.dtype);
        Assert.AreEqual(float32, before);
    }

    [TestMethod]
    public void A_device_says_what_it_is()
    {
        using Tensor tensor = zeros(1);

        Assert.AreEqual(DeviceType.CPU, tensor.device.type);
        Assert.AreEqual("cpu", tensor.device.ToString());
        Assert.AreEqual(1, new Device("cuda:1").index);
        Assert.AreEqual(cuda.is_available(), cuda.device_count() > 0);
    }

    [TestMethod]
    public void A_device_that_is_not_there_is_an_error_when_something_is_to_be_on_it()
    {
        if (cuda.is_available())
            Assert.Inconclusive("This machine has a CUDA device.");
        var device = new Device(DeviceType.CUDA, 0);
        using Tensor tensor = zeros(1);

        Assert.ThrowsExactly<InvalidOperationException>(() => zeros(1, device: device));
        Assert.ThrowsExactly<InvalidOperationException>(() => tensor.to(device));
    }
}
