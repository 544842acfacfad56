namespace GenerativeML.Tests.Engines;

[TestClass]
public sealed class SequenceModelTests
{
    private const int Context = 12, Vocabulary = 11;

    private static readonly int[] Text = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3];

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
        using SequenceState state = model.Start(1, Context);
        for (int i = 0; i < Text.Length; i++)
        {
            state.Read([Text[i]], [i]);
            AssertClose(Expected(weights, headWidth, Text[..(i + 1)]), state);
        }
        state.Read(0, 0, Text, all: true);
        for (int i = 0; i < Text.Length; i++)
            AssertClose(Expected(weights, headWidth, Text[..(i + 1)]), state, i);
        state.Read(0, 4, Text.AsSpan(4, 3), all: false); // what is behind is forgotten
        AssertClose(Expected(weights, headWidth, Text[..7]), state);
        state.Read(0, 7, [8, 8], all: false);
        AssertClose(Expected(weights, headWidth, [.. Text[..7], 8, 8]), state);
    }

    [TestMethod]
    [DataRow(false)]
    [DataRow(true)]
    public void Sequences_of_other_lengths_do_not_see_each_other(bool torch)
    {
        using IDisposable? engine = torch ? NativeParts.Pretend(new DllNotFoundException(), null) : null;
        HostWeights weights = Weights(8);
        using var model = Model(weights, 8);
        using SequenceState state = model.Start(3, Context - 2);
        int[][] texts = [[1, 2, 3, 4], [5], [6, 7]];
        for (int i = 0; i < 3; i++)
        {
            state.Read(i, 0, texts[i], all: false);
            AssertClose(Expected(weights, 8, texts[i]), state);
        }
        for (int step = 0; step < 3; step++)
        {
            int count = step == 1 ? 2 : 3;
            int[] next = [.. Enumerable.Range(0, count).Select(i => i + step)];
            state.Read(next, [.. texts.Take(count).Select(t => t.Length)]);
            for (int i = 0; i < count; i++)
            {
                texts[i] = [.. texts[i], next[i]];
                AssertClose(Expected(weights, 8, texts[i]), state, i);
            }
        }
        state.Copy(from: 2, to: 0, texts[2].Length);
        state.Read(0, texts[2].Length, [9], all: false);
        AssertClose(Expected(weights, 8, [.. texts[2], 9]), state);
    }

    [TestMethod]
    public void A_step_gets_the_same_bits_alone_and_among_others()
    {
        HostWeights weights = Weights(8);
        using var model = Model(weights, 8);
        using SequenceState one = model.Start(1, Context), many = model.Start(16, Context);
        for (int i = 0; i < Text.Length; i++)
        {
            one.Read([Text[i]], [i]);
            int[] tokens = [.. Enumerable.Range(0, 16).Select(s => s == 5 ? Text[i] : s % Vocabulary)];
            many.Read(tokens, [.. Enumerable.Repeat(i, 16)]);
            Assert.IsTrue(many.Logits(5).SequenceEqual(one.Logits(0)));
        }
    }

    private static SequenceModel Model(HostWeights weights, int headWidth) =>
        new(new TinyGpt(headWidth), weights, 2 * headWidth, Vocabulary);

    // Without a cache, by definition.
    private static double[] Expected(HostWeights weights, int headWidth, int[] tokens)
    {
        ReferenceTensor Row(Func<long, double> value) => ReferenceTensor.Of([1, tokens.Length], i => value(i[1]));
        return new TinyGpt(headWidth).Run(
            new ReferenceOps(weights).Root,
            [Row(i => tokens[i]), Row(i => i), ReferenceTensor.Of([1], _ => tokens.Length - 1)])[1].Values;
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

    private static void AssertClose(double[] expected, SequenceState state, int result = 0)
    {
        ReadOnlySpan<float> found = state.Logits(result);
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
            T results = x.Reshape(-1, 2 * headWidth).Embed(inputs[2]);
            return [results, results.Linear(w["wte.weight"])];
        }
    }
}
