using TorchSharp;
using static TorchSharp.torch;

namespace GenerativeML.Torch.Tests.Platform;

/// <summary>Random numbers: what determinism without side effects stands on.</summary>
[TestClass]
public sealed class GeneratorTests
{
    [TestMethod]
    public void The_same_seed_draws_the_same_numbers()
    {
        using var first = new Generator(7);
        using var second = new Generator(7);

        CollectionAssert.AreEqual(Draw(first), Draw(second));
    }

    [TestMethod]
    public void A_state_put_back_draws_the_same_numbers_again()
    {
        using var generator = new Generator(7);
        Draw(generator);
        using Tensor state = generator.get_state();
        float[] next = Draw(generator);
        generator.set_state(state);

        CollectionAssert.AreEqual(next, Draw(generator));
    }

    [TestMethod]
    public void A_state_is_bytes_that_another_generator_takes()
    {
        using var generator = new Generator(7);
        Draw(generator);
        using Tensor state = generator.get_state();
        byte[] saved = state.bytes.ToArray();
        using Tensor loaded = torch.tensor(saved);
        using var other = new Generator(1);
        other.set_state(loaded);

        Assert.AreEqual(ScalarType.Byte, state.dtype);
        CollectionAssert.AreEqual(Draw(generator), Draw(other));
    }

    [TestMethod]
    public void A_generator_of_its_own_leaves_the_process_s_alone()
    {
        using Tensor before = get_rng_state();
        using var generator = new Generator(7);
        Draw(generator);
        using Tensor after = get_rng_state();

        CollectionAssert.AreEqual(before.bytes.ToArray(), after.bytes.ToArray());
    }

    [TestMethod]
    public void The_process_s_state_can_be_put_back()
    {
        using Tensor before = get_rng_state();
        using Tensor first = randn(5);
        set_rng_state(before);
        using Tensor second = randn(5);

        CollectionAssert.AreEqual(first.data<float>().ToArray(), second.data<float>().ToArray());
    }

    [TestMethod]
    public void Every_draw_takes_a_generator()
    {
        using DisposeScope scope = NewDisposeScope();
        float[] Both(Func<Generator, Tensor> draw)
        {
            using var first = new Generator(3);
            using var second = new Generator(3);
            float[] values = draw(first).to(float32).data<float>().ToArray();
            CollectionAssert.AreEqual(values, draw(second).to(float32).data<float>().ToArray());
            return values;
        }

        Both(g => rand(6, generator: g));
        Both(g => zeros(6).uniform_(-1, 1, g));
        Both(g => zeros(6).normal_(0, 1, g));
        Both(g => zeros(6).bernoulli_(0.5, g));
        float[] order = Both(g => randperm(6, generator: g));
        CollectionAssert.AreEquivalent(new float[] { 0, 1, 2, 3, 4, 5 }, order);
        Assert.IsTrue(Both(g => randint(10, 20, [50], generator: g)).All(v => v is >= 10 and < 20));
    }

    private static float[] Draw(Generator generator)
    {
        using Tensor drawn = randn(5, generator: generator);
        return drawn.data<float>().ToArray();
    }
}
