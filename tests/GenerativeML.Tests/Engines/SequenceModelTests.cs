namespace GenerativeML.Tests.Engines;

[TestClass]
public sealed class SequenceModelTests
{
    private const int Context = 12, Vocabulary = 11;

    private static readonly long[] Text = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3];

    [TestMethod]
    [DataRow(false, 8)]
    [DataRow(false, 5)]
    [DataRow(true, 8)]
    [DataRow(true, 5)]
    public void Token_by_token_at_once_and_in_parts_are_the_same(bool torch, int headWidth)
    {
        using IDisposable? engine = torch ? NativeParts.Pretend(new DllNotFoundException(), null) : null;
        HostWeights weights = Weights(headWidth);
        using var model = Model(weights, headWidth);
        using SequenceState state = model.Start(1);
        for (int i = 0; i < Text.Length; i++)
            AssertClose(Expected(weights, headWidth, Text[..(i + 1)]), state.Add(0, 1, Text.AsSpan(i, 1)));
        Assert.AreEqual(Text.Length, state.Lengths[0]);

        state.Lengths[0] = 0;
        AssertClose(Expected(weights, headWidth, Text), state.Add(0, 1, Text));
        state.Lengths[0] = 4; // what is behind is forgotten
        AssertClose(Expected(weights, headWidth, Text[..7]), state.Add(0, 1, Text.AsSpan(4, 3)));
        AssertClose(Expected(weights, headWidth, [.. Text[..7], 8, 8]), state.Add(0, 1, [8, 8]));
    }

    [TestMethod]
    [DataRow(false)]
    [DataRow(true)]
    public void Sequences_of_other_lengths_do_not_see_each_other(bool torch)
    {
        using IDisposable? engine = torch ? NativeParts.Pretend(new DllNotFoundException(), null) : null;
        HostWeights weights = Weights(8);
        using var model = Model(weights, 8);
        using SequenceState state = model.Start(3);
        long[][] texts = [[1, 2, 3, 4], [5], [6, 7]];
        for (int i = 0; i < 3; i++)
            AssertClose(Expected(weights, 8, texts[i]), state.Add(i, 1, texts[i]));
        for (int step = 0; step < 3; step++)
        {
            (int first, int count) = step == 1 ? (1, 2) : (0, 3);
            long[] next = [.. Enumerable.Range(first, count).Select(i => (long)(i + step))];
            ReadOnlySpan<float> found = state.Add(first, count, next);
            for (int i = 0; i < count; i++)
            {
                texts[first + i] = [.. texts[first + i], next[i]];
                AssertClose(Expected(weights, 8, texts[first + i]), found.Slice(i * Vocabulary, Vocabulary));
            }
        }
        using SequenceState together = model.Start(2);
        ReadOnlySpan<float> both = together.Add(0, 2, [1, 2, 3, 9, 8, 7]);
        AssertClose(Expected(weights, 8, [1, 2, 3]), both[..Vocabulary]);
        AssertClose(Expected(weights, 8, [9, 8, 7]), both[Vocabulary..]);
    }

    [TestMethod]
    public void A_step_gets_the_same_bits_alone_and_among_others()
    {
        HostWeights weights = Weights(8);
        using var model = Model(weights, 8);
        using SequenceState one = model.Start(1), many = model.Start(16);
        for (int i = 0; i < Text.Length; i++)
        {
            float[] alone = one.Add(0, 1, [Text[i]]).ToArray();
            long[] tokens = [.. Enumerable.Range(0, 16).Select(s => s == 5 ? Text[i] : s % Vocabulary)];
            Assert.IsTrue(many.Add(0, 16, tokens).Slice(5 * Vocabulary, Vocabulary).SequenceEqual(alone));
        }
    }

    [TestMethod]
    public void What_does_not_fit_is_refused()
    {
        using var model = Model(Weights(8), 8);
        using SequenceState state = model.Start(2);
        Assert.ThrowsExactly<ArgumentException>(() => state.Add(0, 2, [1, 2, 3]).Length);
        Assert.ThrowsExactly<ArgumentException>(() => state.Add(0, 1, new long[Context + 1]).Length);
        state.Add(0, 1, [1]);
        Assert.ThrowsExactly<ArgumentException>(() => state.Add(0, 2, [1, 2, 3, 4]).Length);
    }

    private static SequenceModel Model(HostWeights weights, int headWidth) =>
        new(new TinyGpt(headWidth), weights, Context, Vocabulary);

    // Without a cache, by definition.
    private static double[] Expected(HostWeights weights, int headWidth, long[] tokens)
    {
        ReferenceTensor Row(Func<long, double> value) => ReferenceTensor.Of([1, tokens.Length], i => value(i[1]));
        return new TinyGpt(headWidth).Run(
            new ReferenceOps(weights).Root, [Row(i => tokens[i]), Row(i => i)])[0].Values;
    }

    private static HostWeights Weights(int headWidth)
    {
        var random = new Random(headWidth);
        int width = 2 * headWidth;
        TensorSpec Spec(string name, params long[] shape) => new(name, TensorType.F32, shape);
        var weights = new HostWeights([
            Spec("wte.weight", Vocabulary, width), Spec("wpe.weight", Context, width),
            .. Enumerable.Range(0, 2).SelectMany(i => new TensorSpec[]
            {
                Spec($"h.{i}.attn.weight", 3 * width, width), Spec($"h.{i}.attn.bias", 3 * width),
                Spec($"h.{i}.proj.weight", width, width), Spec($"h.{i}.ln.weight", width),
            })]);
        foreach (TensorSpec spec in weights.Specs)
        {
            foreach (ref float value in weights[spec.Name].AsSpan())
                value = 2 * random.NextSingle() - 1;
        }
        return weights;
    }

    private static void AssertClose(double[] expected, ReadOnlySpan<float> found)
    {
        Assert.AreEqual(expected.Length, found.Length);
        for (int i = 0; i < expected.Length; i++)
            Assert.AreEqual(expected[i], found[i], 1e-5 * (1 + Math.Abs(expected[i])));
    }

    private sealed class TinyGpt(int headWidth) : IForwardPass
    {
        public T[] Run<T>(Scope<T> w, T[] inputs)
            where T : struct, ITensor<T>
        {
            T x = w["wte.weight"].Embed(inputs[0]) + w["wpe.weight"].Embed(inputs[1]);
            for (int i = 0; i < 2; i++)
            {
                Scope<T> block = w.Of($"h.{i}");
                T packed = block.Linear("attn", block.LayerNorm("ln", x));
                x += block.Linear("proj", block.Attention(packed, 2, headWidth));
            }
            return [x.Slice(1, -1, 1).Squeeze(1).Linear(w["wte.weight"])];
        }
    }
}
