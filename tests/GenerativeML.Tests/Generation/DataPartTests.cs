using Microsoft.ML;
using Microsoft.ML.Data;
using GenerativeML.Tests.Conformance;

namespace GenerativeML.Tests.Generation;

[TestClass]
[DoNotParallelize] // it sets environment variables
public class DataPartTests
{
    private static readonly string[] s_variables =
    [
        "PMI_RANK", "PMI_SIZE", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "RANK", "WORLD_SIZE", "SLURM_ARRAY_TASK_ID",
        "SLURM_ARRAY_TASK_COUNT", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_STEP", "SLURM_PROCID", "SLURM_NTASKS", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID",
        "SLURM_NODEID", "SLURM_STEP_TASKS_PER_NODE", "JOB_COMPLETION_INDEX",
    ];

    private readonly MLContext _ml = new(seed: 1);

    [TestMethod]
    [DataRow(3)]
    [DataRow(7)]
    [DataRow(64)]
    public void Parts_of_generated_rows_are_the_whole_and_no_block_is_made_twice(int count)
    {
        var source = new CountingRows(blockRows: 8);
        var whole = new GeneratedDataView(source, 8 * 70 + 3);
        long[] expected = [.. Enumerable.Range(0, 8 * 70 + 3).Select(i => (long)i)];
        IDataView[] parts = [.. Enumerable.Range(0, count).Select(i => whole.Part(i, count))];
        CollectionAssert.AreEqual(expected, parts.SelectMany(p => p.GetColumn<long>("Number")).ToArray());
        Assert.AreEqual(71, source.Made);
        Assert.AreEqual(expected.Length, parts.Sum(p => p.GetRowCount()));
        Assert.IsLessThan(16L, parts.Max(p => p.GetRowCount()!.Value) - parts.Min(p => p.GetRowCount()!.Value));
        // A part of a part, sets of cursors, another order, and rows' numbers in the whole.
        CollectionAssert.AreEqual(
            parts[1].GetColumn<long>("Number").ToArray(),
            Enumerable.Range(0, 2).SelectMany(i => parts[1].Part(i, 2).GetColumn<long>("Number")).ToArray());
        using DataViewRowCursor shuffled = parts[1].GetRowCursor(whole.Schema, new Random(1));
        CollectionAssert.AreEquivalent(parts[1].GetColumn<long>("Number").ToArray(), Numbers(shuffled));
        CollectionAssert.AreEquivalent(
            parts[1].GetColumn<long>("Number").ToArray(),
            parts[1].GetRowCursorSet(whole.Schema, 3).SelectMany(Numbers).ToArray());
    }

    [TestMethod]
    [DataRow(3)]
    [DataRow(7)]
    [DataRow(64)]
    public void Parts_of_any_view_are_the_whole_whether_or_not_it_knows_its_rows(int count)
    {
        IDataView known = _ml.Data.LoadFromEnumerable(Enumerable.Range(0, 50).Select(i => new Number { Value = i }).ToList());
        IDataView unknown = _ml.Data.FilterRowsByColumn(known, "Value", lowerBound: 5);
        Assert.IsNull(unknown.GetRowCount());
        foreach (IDataView whole in new[] { known, unknown })
        {
            IDataView[] parts = [.. Enumerable.Range(0, count).Select(i => whole.Part(i, count))];
            CollectionAssert.AreEqual(
                whole.GetColumn<float>("Value").ToArray(), parts.SelectMany(p => p.GetColumn<float>("Value")).ToArray());
            Assert.IsLessThanOrEqualTo(1L, parts.Max(p => p.GetRowCount()!.Value) - parts.Min(p => p.GetRowCount()!.Value));
        }
    }

    [TestMethod]
    public void Scores_and_texts_of_parts_are_those_of_the_whole()
    {
        IDataView texts = _ml.Data.LoadFromEnumerable(Enumerable.Range(0, 20).Select(i => new Line { Text = $"line {i * 7 % 20}" }).ToList());
        using GptTransformer gpt = _ml.Generative.Gpt(new GptOptions
        {
            Layers = 1, Heads = 1, Width = 8, ContextLength = 16, Steps = 3, ScoreColumnName = "Score",
            Generation = new() { MaxNewTokens = 4, Seed = 5 },
        }).Fit(texts);
        IDataView whole = gpt.Transform(texts);
        string[] expected = ViewRows.Read(whole);
        foreach (int count in new[] { 3, 7, 64 })
        {
            CollectionAssert.AreEqual(
                expected, Enumerable.Range(0, count).SelectMany(i => ViewRows.Read(whole.Part(i, count))).ToArray());
            CollectionAssert.AreEqual(
                expected, Enumerable.Range(0, count).SelectMany(i => ViewRows.Read(gpt.Transform(texts.Part(i, count)))).ToArray());
        }
    }

    [TestMethod]
    public void Parts_come_from_what_launchers_and_schedulers_say()
    {
        Assert.AreEqual(new DataPart(2, 8), From(null, ("PMI_RANK", "2"), ("PMI_SIZE", "8")));
        Assert.AreEqual(new DataPart(1, 4), From(null, ("OMPI_COMM_WORLD_RANK", "1"), ("OMPI_COMM_WORLD_SIZE", "4")));
        Assert.AreEqual(new DataPart(3, 4), From(null, ("RANK", "3"), ("WORLD_SIZE", "4")));
        Assert.AreEqual(
            new DataPart(2, 5), From(null, ("SLURM_ARRAY_TASK_ID", "12"), ("SLURM_ARRAY_TASK_COUNT", "5"), ("SLURM_ARRAY_TASK_MIN", "10")));
        Assert.AreEqual(
            new DataPart(2, 5), From(
                null, ("SLURM_ARRAY_TASK_ID", "14"), ("SLURM_ARRAY_TASK_COUNT", "5"), ("SLURM_ARRAY_TASK_MIN", "10"), ("SLURM_ARRAY_TASK_STEP", "2")));
        Assert.AreEqual(new DataPart(1, 3), From(null, ("SLURM_PROCID", "1"), ("SLURM_STEP_NUM_TASKS", "3")));
        Assert.AreEqual(new DataPart(0, 1), From(null, ("SLURM_PROCID", "0"), ("SLURM_NTASKS", "8")), "a batch script by itself");
        Assert.AreEqual(new DataPart(1, 4), From(null, ("RANK", "1"), ("SLURM_PROCID", "1"), ("SLURM_STEP_NUM_TASKS", "4")), "a rank of nothing");
        Assert.Contains("by the count given", Assert.ThrowsExactly<InvalidOperationException>(() => From(3, ("RANK", "1"), ("WORLD_SIZE", "2"))).Message);
        (string, string)[] nodes = [("SLURM_LOCALID", "1"), ("SLURM_STEP_TASKS_PER_NODE", "4(x2),3")];
        Assert.AreEqual(new DataPart(1, 4), By([.. nodes, ("SLURM_NODEID", "1")], () => DataPart.Here));
        Assert.AreEqual(new DataPart(1, 3), By([.. nodes, ("SLURM_NODEID", "2")], () => DataPart.Here));
        Assert.AreEqual(new DataPart(6, 7), From(7, ("JOB_COMPLETION_INDEX", "6")));
        Assert.AreEqual(new DataPart(0, 1), From(null));
        Assert.Contains("give the count", Assert.ThrowsExactly<InvalidOperationException>(() => From(null, ("JOB_COMPLETION_INDEX", "6"))).Message);
        Assert.Contains("is 7, which is none of 7", Assert.ThrowsExactly<InvalidOperationException>(() => From(7, ("JOB_COMPLETION_INDEX", "7"))).Message);
        Assert.Contains("is 'x'", Assert.ThrowsExactly<InvalidOperationException>(() => From(null, ("RANK", "x"), ("WORLD_SIZE", "2"))).Message);
        Assert.ThrowsExactly<InvalidOperationException>(() => From(4));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => new DataPart(3, 3));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => new DataPart(0, 0));
    }

    private static DataPart From(int? count, params (string Name, string Value)[] environment) =>
        By(environment, () => DataPart.FromEnvironment(count))!.Value;

    private static DataPart? By((string Name, string Value)[] environment, Func<DataPart?> read)
    {
        string?[] before = [.. s_variables.Select(Environment.GetEnvironmentVariable)];
        try
        {
            foreach (string name in s_variables)
                Environment.SetEnvironmentVariable(name, environment.FirstOrDefault(e => e.Name == name).Value);
            return read();
        }
        finally
        {
            foreach ((string name, string? value) in s_variables.Zip(before))
                Environment.SetEnvironmentVariable(name, value);
        }
    }

    private static long[] Numbers(DataViewRowCursor cursor)
    {
        using (cursor)
        {
            var numbers = new List<long>();
            ValueGetter<long> getter = cursor.GetGetter<long>(cursor.Schema["Number"]);
            ValueGetter<DataViewRowId> id = cursor.GetIdGetter();
            while (cursor.MoveNext())
            {
                long number = 0;
                DataViewRowId row = default;
                getter(ref number);
                id(ref row);
                Assert.AreEqual((ulong)number, row.Low);
                numbers.Add(number);
            }
            return [.. numbers];
        }
    }

    private sealed class Number
    {
        public float Value { get; set; }
    }

    private sealed class Line
    {
        public string Text { get; set; } = "";
    }
}
