using TorchSharp;

namespace GenerativeML.Tests;

/// <summary>Rows drawn in managed memory, against the probabilities that the same decoder has in torch.</summary>
[TestClass]
public sealed class TabularRowsTests
{
    private static readonly int[] Tokens = [2, 37, 3];

    [TestMethod]
    public void Rows_are_as_likely_as_torch_says()
    {
        const int rows = 60_000;
        using DisposeScope scope = torch.NewDisposeScope();
        TabularDecoder decoder = Decoder();
        double[,,] expected = InTorch(decoder, 4000), found = new double[Tokens[0], Tokens[1], Tokens[2]];
        int[][] drawn = new TabularRows(decoder).Draw([.. Tokens.Select(n => new AnyOf(n))], rows, seed: 8);
        for (int i = 0; i < rows; i++)
            found[drawn[0][i], drawn[1][i], drawn[2][i]] += 1.0 / rows;

        double likeliest = 0, least = 1;
        for (int a = 0; a < Tokens[0]; a++)
        {
            for (int b = 0; b < Tokens[1]; b++)
            {
                for (int c = 0; c < Tokens[2]; c++)
                {
                    double p = expected[a, b, c];
                    (likeliest, least) = (Math.Max(likeliest, p), Math.Min(least, p));
                    // Five deviations of the count, and as much for the codes that the expectation is a mean over.
                    double deviation = Math.Sqrt(p / rows) + 1.5 * p / Math.Sqrt(4000);
                    Assert.AreEqual(p, found[a, b, c], 5 * deviation + 1e-5, $"{a} {b} {c}");
                }
            }
        }
        Assert.IsGreaterThan(20 * least, likeliest, "the rows should not be alike");
    }

    [TestMethod]
    public void Of_limited_tokens_those_that_are_allowed_are_drawn_as_often_as_among_free_rows_that_meet_the_limit()
    {
        const int rows = 40_000;
        using DisposeScope scope = torch.NewDisposeScope();
        var model = new TabularRows(Decoder());
        float[] allowed = [.. Enumerable.Range(0, Tokens[1]).Select(i => i % 5 == 1 ? 1f : 0)];
        int[][] free = model.Draw([.. Tokens.Select(n => new AnyOf(n))], 5 * rows, seed: 8);
        int[][] limited = model.Draw([new AnyOf(2), new AnyOf(37, allowed), new AnyOf(3)], rows, seed: 9);
        int[] met = [.. Enumerable.Range(0, 5 * rows).Where(i => allowed[free[1][i]] > 0)];
        Assert.IsGreaterThan(rows / 3, met.Length);
        foreach (int token in limited[1])
            Assert.AreEqual(1, allowed[token]);
        for (int p = 0; p < Tokens.Length; p++)
        {
            for (int t = 0; t < Tokens[p]; t++)
            {
                double expected = met.Count(i => free[p][i] == t) / (double)met.Length;
                double found = limited[p].Count(token => token == t) / (double)rows;
                // One of eight candidates is taken, which leaves a little of the distribution without the limit.
                Assert.AreEqual(expected, found, 5 * Math.Sqrt(2 * 0.25 / met.Length) + 0.02, $"{p}: {t}");
            }
        }
    }

    [TestMethod]
    public void A_point_falls_to_the_token_that_covers_it_and_to_none_without_a_share()
    {
        float[] share = new float[70];
        (share[3], share[17], share[40], share[41], share[66]) = (0.1f, 0.2f, 0.3f, 0.15f, 0.25f);
        foreach ((double point, int token) in new[]
        {
            (0, 3), (0.0999, 3), (0.1001, 17), (0.2999, 17), (0.3001, 40), (0.5999, 40), (0.6001, 41), (0.7499, 41),
            (0.7501, 66), (0.999999999, 66),
        })
        {
            Assert.AreEqual(token, TokenChoice.Draw(share, 1, point), $"at {point}");
            Assert.AreEqual(token, TokenChoice.Draw([.. share.Select(s => 8 * s)], 8, point), $"at {point}, times 8");
        }
        Assert.AreEqual(66, TokenChoice.Draw(share, 1.001, 1 - 1e-16), "rounding left a rest");
    }

    /// <summary>One whose weights all matter.</summary>
    private static TabularDecoder Decoder()
    {
        using var random = new SeededRandom(torch.CPU, 3);
        var shape = new TabularVaeShape
        {
            LatentDimension = 2, ContextWidth = 9, HiddenWidth = 11, Tokens = Tokens, Segments = [0, 0, 0],
        };
        var decoder = new TabularDecoder(shape, random);
        foreach ((string name, torch.Tensor value) in decoder.NamedTensors())
            value.detach().copy_(random.Normal(value.shape, name.Contains("bias") ? 0.3 : 0.45));
        return decoder;
    }

    /// <summary>The joint distribution: the mean over codes of the product of the positions' shares.</summary>
    private static double[,,] InTorch(TabularDecoder decoder, int codes)
    {
        using IDisposable noGradient = torch.no_grad();
        using var random = new SeededRandom(torch.CPU, 4);
        torch.Tensor code = random.Normal([codes, decoder.Shape.LatentDimension]);
        double[,,] joint = new double[Tokens[0], Tokens[1], Tokens[2]];
        torch.Tensor start = decoder.Context(code), first = Share(0, start);
        for (int a = 0; a < Tokens[0]; a++)
        {
            torch.Tensor afterFirst = start.add(Told(0, a)), second = Share(1, afterFirst);
            for (int b = 0; b < Tokens[1]; b++)
            {
                torch.Tensor third = Share(2, afterFirst.add(Told(1, b)));
                for (int c = 0; c < Tokens[2]; c++)
                {
                    joint[a, b, c] = first.narrow(1, a, 1).mul(second.narrow(1, b, 1)).mul(third.narrow(1, c, 1))
                        .mean().item<float>();
                }
            }
        }
        return joint;

        torch.Tensor Share(int position, torch.Tensor known)
        {
            torch.Tensor hidden = decoder.Hidden(position, known.unsqueeze(0), code).select(0, 0);
            return decoder.Logits(position, hidden, decoder.Of(position, decoder.OutputWeight)).softmax(1);
        }

        torch.Tensor Told(int position, int token) =>
            decoder.Of(position, decoder.TokenEmbedding).narrow(0, token, 1);
    }

    /// <summary>Tokens of which nothing is written.</summary>
    private sealed class AnyOf : TokenValues
    {
        public AnyOf(int tokens, float[]? allowed = null)
        {
            Assert.IsGreaterThan(0, tokens);
            Allowed = allowed;
        }

        public override void Draw(int token, TableBlock block, int column, int row, ref SplitMix64 random)
        {
        }
    }
}
