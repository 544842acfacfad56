using TorchSharp;

namespace GenerativeML.Tests;

[TestClass]
public class TrainingDataTests
{
    private const long Streamed = 12 * 100; // bytes: room to keep a hundred one-column rows and their order
    private const long Cached = 1 << 20;

    private static TrainingData Data(long rows, long budget, double validation = 0, int seed = 3) =>
        TrainingData.Prepare(
            ArrayRows.Numbered(rows),
            new TestOptions { CacheBudgetBytes = budget, ValidationFraction = validation },
            seed, torch.CPU, []);

    private static List<float[]> Read(IEnumerable<Batch> batches)
    {
        var all = new List<float[]>();
        foreach (Batch batch in batches)
            all.Add(batch[0].data<float>().ToArray());
        return all;
    }

    private static List<float[]> Epoch(TrainingData data, int epoch, int batchSize, long skip = 0) =>
        Read(data.Epoch(epoch, batchSize, skip, CancellationToken.None));

    [TestMethod]
    [DataRow(Cached)]
    [DataRow(Streamed)]
    public void An_epoch_holds_every_row_once(long budget)
    {
        using TrainingData data = Data(1003, budget);
        List<float[]> batches = Epoch(data, 0, 64);
        Assert.HasCount((int)data.BatchesPerEpoch(64), batches);
        Assert.IsTrue(batches.All(b => b.Length is 62 or 63), "16 batches of 1003 rows: as equal as can be");
        CollectionAssert.AreEqual(
            Enumerable.Range(0, 1003).Select(i => (float)i).ToArray(), batches.SelectMany(b => b).Order().ToArray());
    }

    [TestMethod]
    [DataRow(Cached)]
    [DataRow(Streamed)]
    public void Order_follows_from_the_seed_and_the_epoch(long budget)
    {
        using TrainingData one = Data(1000, budget), same = Data(1000, budget), other = Data(1000, budget, seed: 4);
        float[] first = [.. Epoch(one, 0, 64).SelectMany(b => b)];
        CollectionAssert.AreEqual(first, Epoch(same, 0, 64).SelectMany(b => b).ToArray());
        CollectionAssert.AreNotEqual(first, Epoch(one, 1, 64).SelectMany(b => b).ToArray());
        CollectionAssert.AreNotEqual(first, Epoch(other, 0, 64).SelectMany(b => b).ToArray());
        Assert.IsTrue(first.Zip(first.Skip(1)).Count(p => p.First < p.Second) is > 400 and < 600, "not shuffled");
    }

    [TestMethod]
    [DataRow(Cached)]
    [DataRow(Streamed)]
    public void An_epoch_can_be_entered_at_any_batch(long budget)
    {
        using TrainingData data = Data(1003, budget);
        List<float[]> whole = Epoch(data, 2, 50);
        foreach (int skip in new[] { 1, 7, 20 })
        {
            List<float[]> rest = Epoch(data, 2, 50, skip);
            Assert.HasCount(whole.Count - skip, rest);
            for (int i = 0; i < rest.Count; i++)
                CollectionAssert.AreEqual(whole[skip + i], rest[i]);
        }
    }

    [TestMethod]
    [DataRow(Cached)]
    [DataRow(Streamed)]
    public void Validation_rows_are_never_trained_on(long budget)
    {
        using TrainingData data = Data(1000, budget, validation: 0.2);
        float[] held = [.. Read(data.Validation(64)).SelectMany(b => b)];
        float[] trained = [.. Epoch(data, 0, 64).SelectMany(b => b)];
        Assert.AreEqual(data.ValidationRows, held.Length);
        Assert.IsGreaterThan(20, held.Length);
        CollectionAssert.AreEqual(
            Enumerable.Range(0, 1000).Select(i => (float)i).ToArray(), held.Concat(trained).Order().ToArray());
    }

    [TestMethod]
    public void Rows_within_the_budget_are_read_once()
    {
        var rows = ArrayRows.Numbered(1000);
        using TrainingData data = TrainingData.Prepare(rows, new TestOptions(), 0, torch.CPU, []);
        Epoch(data, 0, 64);
        Epoch(data, 1, 64);
        Assert.AreEqual(1, rows.Opened);
    }

    [TestMethod]
    public void An_error_of_the_source_reaches_the_trainer_as_it_was_thrown()
    {
        var rows = new ArrayRows(1000, 1, (i, _) => i) { FailAt = 500 };
        using TrainingData data = TrainingData.Prepare(
            rows, new TestOptions { CacheBudgetBytes = Streamed }, 0, torch.CPU, []);
        Assert.ThrowsExactly<IOException>(() => Epoch(data, 0, 64));
    }

    [TestMethod]
    [DataRow(Cached)]
    [DataRow(Streamed)]
    public void No_tensor_is_left_behind_by_an_epoch_that_is_broken_off(long budget)
    {
        using TrainingData data = Data(1000, budget);
        long before = torch.Tensor.TotalCount;
        foreach (Batch _ in data.Epoch(0, 10, 0, CancellationToken.None))
            break;
        Assert.AreEqual(before, torch.Tensor.TotalCount);
    }

    [TestMethod]
    public void Empty_input_is_refused()
    {
        InvalidOperationException error = Assert.ThrowsExactly<InvalidOperationException>(() => Data(0, Cached));
        StringAssert.Contains(error.Message, "no rows");
    }

    [TestMethod]
    public void Moments_are_those_of_the_rows()
    {
        var moments = new ColumnMoments(0, 2);
        var rows = new ArrayRows(1000, 2, (i, j) => j == 0 ? 1e6f + i % 10 : 7);
        TrainingData.Prepare(rows, new TestOptions(), 0, torch.CPU, [moments]).Dispose();
        Assert.AreEqual(1000, moments.Count);
        Assert.AreEqual(1e6 + 4.5, moments.Mean[0], 1e-6);
        Assert.AreEqual(Math.Sqrt(8.25), moments.Deviation[0], 1e-9); // of 0…9, each equally often
        Assert.AreEqual(0, moments.Deviation[1]);
        Assert.AreEqual(1e6f + 9, moments.Maximum[0]);
        Assert.AreEqual(1e6f, moments.Minimum[0]);
    }

    [TestMethod]
    public void A_sample_takes_every_row_equally_often()
    {
        var taken = new int[100];
        for (int seed = 0; seed < 2000; seed++)
        {
            var sample = new RowSample(0, 1, 10, seed);
            TrainingData.Prepare(ArrayRows.Numbered(100), new TestOptions(), 0, torch.CPU, [sample]).Dispose();
            foreach (float row in sample.ToArray())
                taken[(int)row]++;
        }
        // Each row's count is binomial (2000, 0.1): 200 ± 13.4. Chi-square with 99 degrees of freedom: 99 ± 14.
        double chiSquare = taken.Sum(n => (n - 200.0) * (n - 200.0) / (200 * 0.9));
        Assert.IsLessThan(99 + 5 * 14.1, chiSquare);
    }
}
