using TorchSharp;

namespace GenerativeML.Tests;

[TestClass]
public class ExchangeTests
{
    [TestMethod]
    [DataRow(2, 8, false)]
    [DataRow(3, 10, false)]
    [DataRow(4, 3, false)]
    [DataRow(7, 700, false)]
    [DataRow(5, 0, false)]
    [DataRow(5, 0, true)]
    [DataRow(2, 200_000, true)]
    [DataRow(3, 300_001, true)] // parts of other sizes, by one piece and by two
    [DataRow(3, 3 * 65_536 + 1, true)]
    public void All_get_the_same_sum_and_each_sends_its_share_of_it(int size, int length, bool isOneMachine)
    {
        float[] Values(int rank) => [.. Enumerable.Range(0, length).Select(i => MathF.Sin(i * (rank + 1)))];
        (float[] Sum, long Sent)[] ends = With(size, end =>
        {
            float[] values = Values(end.Rank);
            end.AllReduce(values);
            return (values, end.BytesSent);
        }, isOneMachine);
        float[][] all = [.. Enumerable.Range(0, size).Select(Values)];
        for (int i = 0; i < length; i++)
            Assert.AreEqual(all.Sum(values => (double)values[i]), ends[0].Sum[i], 1e-5);
        foreach ((float[] sum, long _) in ends)
            CollectionAssert.AreEqual(ends[0].Sum, sum);
        // 2(n − 1)/n of the values each, and where they cannot be divided, on average.
        Assert.AreEqual(2L * (size - 1) * length * sizeof(float), ends.Sum(e => e.Sent));
        if (length % size == 0)
            Assert.IsTrue(ends.All(e => e.Sent == 2L * (size - 1) * length / size * sizeof(float)));
    }

    [TestMethod]
    public void What_the_first_has_is_given_to_all_and_what_each_says_is_heard_in_order()
    {
        (byte[] Given, byte[][] Said)[] ends = With(5, end =>
        {
            byte[] given = [(byte)(end.Rank + 7), 1];
            end.Broadcast(given);
            return (given, end.Gather([.. Enumerable.Repeat((byte)end.Rank, end.Rank)]));
        });
        foreach ((byte[] given, byte[][] said) in ends)
        {
            CollectionAssert.AreEqual(new byte[] { 7, 1 }, given);
            CollectionAssert.AreEqual(new[] { 0, 1, 2, 3, 4 }, said.Select(s => s.Length).ToArray());
            Assert.IsTrue(said.Select((s, i) => s.All(b => b == i)).All(same => same));
        }
    }

    [TestMethod]
    [DataRow(10, 3, 1)]
    [DataRow(2, 4, 1)]
    [DataRow(24, 5, 3)]
    [DataRow(25, 2, 4)]
    public void Parts_of_rows_are_all_of_them_in_whole_groups(int rows, int parts, int together)
    {
        var whole = new RowRange(0, rows, rows, together);
        RowRange[] all = [.. Enumerable.Range(0, parts).Select(i => whole.Part(i, parts))];
        Assert.AreEqual(rows, all.Sum(p => p.Count));
        Assert.IsTrue(all.Zip(all.Skip(1)).All(p => p.First.First + p.First.Count == p.Second.First));
        Assert.IsTrue(all.All(p => p.First % together == 0 || p.Count == 0));
        Assert.IsGreaterThan(0, all[0].Count);
        Assert.IsLessThanOrEqualTo((2 * together) - 1, all.Max(p => p.Count) - all.Min(p => p.Count));
        RowRange[] inner = [.. Enumerable.Range(0, 2).Select(i => all[0].Part(i, 2))];
        Assert.AreEqual(all[0].Count, inner.Sum(p => p.Count));
    }

    [TestMethod]
    public void Rows_have_the_numbers_that_they_have_in_the_whole_batch()
    {
        const int Of = 12, Together = 3;
        var whole = new SeededRandom(torch.CPU, 5);
        (Func<SeededRandom, int, torch.Tensor> Draw, int Axis, int Each)[] draws =
        [
            ((r, n) => r.Normal([n, 300]), 0, 1),
            ((r, n) => r.Uniform([n * 4, 7, 5], -1, 1), 0, 4), // as of several heads
            ((r, n) => r.Bernoulli([5, n, 70], 0.4, rowAxis: 1), 1, 1), // of several networks side by side
            ((r, n) => r.Uniform([n / Together, 1, 1], 0, 1), 0, -Together), // one for each group
            ((r, n) => r.Normal([7, 9], rowAxis: SeededRandom.ForAll), -1, 0),
        ];
        torch.Tensor[] all = [.. draws.Select(d => d.Draw(whole, Of))];
        foreach (RowRange part in new[] { new RowRange(0, 6, Of, Together), new RowRange(6, 3, Of, Together), new RowRange(9, 3, Of, Together) })
        {
            var random = new SeededRandom(torch.CPU, 5) { Rows = part };
            for (int i = 0; i < draws.Length; i++)
            {
                (Func<SeededRandom, int, torch.Tensor> draw, int axis, int each) = draws[i];
                torch.Tensor drawn = draw(random, part.Count), expected = all[i];
                if (axis >= 0)
                {
                    long start = each > 0 ? part.First * each : part.First / -each;
                    expected = expected.narrow(axis, start, drawn.shape[axis]);
                }
                Assert.IsTrue(drawn.equal(expected).all().item<bool>(), $"draw {i} of {part}");
            }
            Assert.IsTrue(random.Normal([1], rowAxis: SeededRandom.ForAll).equal(whole.Copy().Normal([1])).item<bool>());
        }
    }

    private static T[] With<T>(int size, Func<Exchange, T> work, bool isOneMachine = false) =>
        ThreadRing.Run(size, (options, _) => work(options.Connect()!), isOneMachine: isOneMachine);
}
