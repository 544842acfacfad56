using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Tests.Rows;

[TestClass]
public sealed class BatchCursorTests
{
    private const int Rows = 1003;

    private sealed record Seen(
        int Id, float Score, bool Label, string Words, string Text, uint Key, string Twice, ulong RowId, long Batch);

    [TestMethod]
    [DataRow(1, 0, 1, false)]
    [DataRow(7, 0, 1, false)]
    [DataRow(256, 0, 1, false)]
    [DataRow(1, 0, 4, false)]
    [DataRow(7, 0, 4, false)]
    [DataRow(256, 0, 4, false)]
    [DataRow(1, 0, 1, true)]
    [DataRow(7, 0, 1, true)]
    [DataRow(256, 0, 1, true)]
    [DataRow(1, 0, 4, true)]
    [DataRow(7, 0, 4, true)]
    [DataRow(256, 0, 4, true)]
    [DataRow(1, 3, 1, false)]
    [DataRow(7, 1, 1, true)]
    [DataRow(7, 9, 4, false)]
    [DataRow(256, 2, 1, false)]
    public void Rows_out_equal_rows_in(int batchSize, int ahead, int cursors, bool shuffled)
    {
        TableView table = Table(Rows);
        var model = new AffineModel(batchSize: batchSize) { BatchesAhead = ahead };
        IDataView view = View(table, model);

        // The same random numbers give the same order; the source alone says what it is.
        List<Seen>[] expected = ReadSource(table, cursors, shuffled ? new Random(5) : null);
        List<Seen>[] actual = [.. Cursors(view, view.Schema, cursors, shuffled ? new Random(5) : null).Select(ReadAll)];

        Assert.HasCount(expected.Length, actual);
        for (int c = 0; c < expected.Length; c++)
            CollectionAssert.AreEqual(expected[c], actual[c]);
        Assert.AreEqual(Rows, model.Rows);
        Assert.AreEqual(expected.Sum(rows => (rows.Count + batchSize - 1) / batchSize), model.Calls);
        Assert.AreEqual(0, table.OpenCursors);
    }

    [TestMethod]
    public void A_batch_gives_each_row_what_a_batch_of_one_gives_it()
    {
        List<Seen> single = ReadAll(Cursors(View(Table(99), new AffineModel(batchSize: 1)))[0]);
        foreach (int batchSize in new[] { 2, 98, 99, 100 })
            CollectionAssert.AreEqual(single, ReadAll(Cursors(View(Table(99), new AffineModel(batchSize: batchSize)))[0]));
    }

    [TestMethod]
    public void Without_a_requested_output_the_model_is_not_called()
    {
        TableView table = Table(50);
        var model = new AffineModel();
        IDataView view = View(table, model);
        using DataViewRowCursor cursor = view.GetRowCursor([view.Schema["Id"], view.Schema["Name"]]);
        ValueGetter<int> id = cursor.GetGetter<int>(view.Schema["Id"]);
        int rows = 0;
        for (int value = 0; cursor.MoveNext(); rows++)
        {
            id(ref value);
            Assert.AreEqual(rows, value);
        }
        Assert.AreEqual(50, rows);
        Assert.AreEqual(0, model.Calls);
        Assert.AreEqual(0, table.Reads[table.Schema["Features"].Index], "a column was read that nobody needs");
        Assert.AreEqual(50, view.GetRowCount());
    }

    [TestMethod]
    public void Only_requested_outputs_are_computed_and_only_their_inputs_are_read()
    {
        TableView table = Table(20);
        var model = new AffineModel(batchSize: 6);
        IDataView view = View(table, model);
        using (DataViewRowCursor cursor = view.GetRowCursor([view.Schema["Twice"]]))
        {
            while (cursor.MoveNext())
            {
            }
            Assert.IsTrue(cursor.IsColumnActive(view.Schema["Twice"]));
            Assert.IsFalse(cursor.IsColumnActive(view.Schema["Features"]));
        }
        Assert.AreEqual("Twice", model.LastWanted);
        Assert.AreEqual(20, table.Reads[table.Schema["Features"].Index]);
        Assert.AreEqual(0, table.Reads[table.Schema["Name"].Index]);
    }

    [TestMethod]
    public void An_input_that_passes_through_as_well_is_read_once()
    {
        TableView table = Table(20);
        IDataView view = View(table, new AffineModel(batchSize: 6));
        foreach (Seen row in ReadAll(Cursors(view)[0]))
            Assert.AreEqual(AffineModel.ScoreOf(Features(row.Id)), row.Score);
        Assert.AreEqual(20, table.Reads[table.Schema["Features"].Index]);
    }

    [TestMethod]
    public void Sparse_vectors_are_read_as_dense_ones()
    {
        var type = new VectorDataViewType(NumberDataViewType.Single, 5);
        var table = new TableView(10).Add("Features", type, row => new VBuffer<float>(5, 2, [row, 1f], [1, 4]));
        IDataView view = View(table, new AffineModel(width: 5, batchSize: 3));
        float[] scores = [.. view.GetColumn<float>("Score")];
        CollectionAssert.AreEqual(Enumerable.Range(0, 10).Select(row => (2f * row) + 5).ToArray(), scores);

        // Passed on, they stay what they were.
        using DataViewRowCursor cursor = view.GetRowCursor(view.Schema);
        ValueGetter<VBuffer<float>> getter = cursor.GetGetter<VBuffer<float>>(view.Schema["Features"]);
        VBuffer<float> value = default;
        for (int row = 0; cursor.MoveNext(); row++)
        {
            getter(ref value);
            CollectionAssert.AreEqual(new[] { 1, 4 }, value.GetIndices().ToArray());
            CollectionAssert.AreEqual(new[] { 0f, row, 0, 0, 1 }, value.DenseValues().ToArray());
        }
    }

    [TestMethod]
    public void An_empty_view_has_no_rows_and_calls_nothing()
    {
        var model = new AffineModel();
        using DataViewRowCursor cursor = Cursors(View(Table(0), model))[0];
        Assert.IsFalse(cursor.MoveNext());
        Assert.IsFalse(cursor.MoveNext());
        Assert.AreEqual(-1, cursor.Position);
        Assert.AreEqual(0, model.Calls);
    }

    [TestMethod]
    public void Position_counts_from_zero_and_is_minus_one_before_and_after()
    {
        using DataViewRowCursor cursor = Cursors(View(Table(9), new AffineModel(batchSize: 4)))[0];
        Assert.AreEqual(-1, cursor.Position);
        for (int row = 0; row < 9; row++)
        {
            Assert.IsTrue(cursor.MoveNext());
            Assert.AreEqual(row, cursor.Position);
        }
        Assert.IsFalse(cursor.MoveNext());
        Assert.AreEqual(-1, cursor.Position);
    }

    [TestMethod]
    public void A_getter_on_no_row_or_of_the_wrong_type_or_for_an_inactive_column_says_so()
    {
        IDataView view = View(Table(3), new AffineModel());
        DataViewSchema.Column score = view.Schema["Score"], id = view.Schema["Id"];
        using DataViewRowCursor cursor = view.GetRowCursor([score, id]);
        ValueGetter<float> getter = cursor.GetGetter<float>(score);
        float value = 0;
        Assert.Throws<InvalidOperationException>(() => getter(ref value));
        Assert.Throws<InvalidOperationException>(() => cursor.GetGetter<double>(score));
        Assert.Throws<InvalidOperationException>(() => cursor.GetGetter<string>(id));
        Assert.Throws<ArgumentOutOfRangeException>(() => cursor.GetGetter<bool>(view.Schema["PredictedLabel"]));
        Assert.Throws<ArgumentOutOfRangeException>(() => cursor.GetGetter<VBuffer<float>>(view.Schema["Features"]));
    }

    [TestMethod]
    public void An_output_of_the_inputs_name_hides_the_input()
    {
        TableView table = Table(20);
        var model = new AffineModel(batchSize: 6, score: "Features");
        IDataView view = View(table, model);
        Assert.IsTrue(view.Schema.First(c => c.Name == "Features").IsHidden);
        float[] scores = [.. view.GetColumn<float>("Features")];
        CollectionAssert.AreEqual(Enumerable.Range(0, 20).Select(r => AffineModel.ScoreOf(Features(r))).ToArray(), scores);

        // The hidden column can still be read, by number.
        using DataViewRowCursor cursor = view.GetRowCursor(view.Schema);
        ValueGetter<VBuffer<float>> hidden = cursor.GetGetter<VBuffer<float>>(view.Schema[table.Schema["Features"].Index]);
        VBuffer<float> value = default;
        Assert.IsTrue(cursor.MoveNext());
        hidden(ref value);
        CollectionAssert.AreEqual(Features(0), value.DenseValues().ToArray());
    }

    [TestMethod]
    public void A_row_that_is_not_finite_gets_no_score_and_spoils_no_other()
    {
        var table = new TableView(10).AddVector(
            "Features", 2, row => row == 3 ? [1, float.NaN] : row == 8 ? [float.PositiveInfinity, 0] : [row, row]);
        IDataView view = View(table, new AffineModel(width: 2, batchSize: 10));
        float[] scores = [.. view.GetColumn<float>("Score")];
        bool[] labels = [.. view.GetColumn<bool>("PredictedLabel")];
        float[][] twice = [.. view.GetColumn<float[]>("Twice")];
        for (int row = 0; row < 10; row++)
        {
            bool bad = row is 3 or 8;
            Assert.AreEqual(bad ? float.NaN : 3 * row, scores[row]);
            CollectionAssert.AreEqual(bad ? [float.NaN, float.NaN] : new float[] { 2 * row, 2 * row }, twice[row]);
            Assert.IsFalse(labels[row]);
        }
    }

    [TestMethod]
    public void Values_that_are_not_finite_are_replaced_where_the_model_knows_by_what()
    {
        var table = new TableView(3).AddVector(
            "Features", 3, _ => [float.NaN, float.PositiveInfinity, float.NegativeInfinity]);
        var replacement = new NonFiniteReplacement([new([1, 2, 3], [-1, -2, -3], [10, 20, 30])]);
        IDataView view = View(table, new AffineModel(batchSize: 2) { Replacement = replacement });
        foreach (float[] twice in view.GetColumn<float[]>("Twice"))
            CollectionAssert.AreEqual(new float[] { 2, 40, -6 }, twice);
    }

    [TestMethod]
    public void Many_cursors_can_run_at_once()
    {
        TableView[] tables = [.. Enumerable.Range(0, 4).Select(_ => Table(500))];
        var model = new AffineModel(batchSize: 16);
        List<Seen> expected = ReadAll(Cursors(View(Table(500), new AffineModel()))[0]);
        var threads = tables.Select(table => Task.Run(() => ReadAll(Cursors(View(table, model))[0]))).ToArray();
        Task.WaitAll(threads);
        foreach (Task<List<Seen>> thread in threads)
            CollectionAssert.AreEqual(expected, thread.Result);
    }

    [TestMethod]
    public void A_disposed_model_is_reported_by_open_cursors()
    {
        var model = new AffineModel(batchSize: 4);
        using DataViewRowCursor cursor = Cursors(View(Table(20), model))[0];
        Assert.IsTrue(cursor.MoveNext());
        model.Dispose();
        for (int row = 1; row < 4; row++)
            Assert.IsTrue(cursor.MoveNext(), "rows that are computed already stay readable");
        Assert.Throws<ObjectDisposedException>(() => cursor.MoveNext());
    }

    [TestMethod]
    public void Batches_ahead_are_computed_while_rows_are_read_but_not_for_who_reads_a_few()
    {
        var model = new AffineModel(batchSize: 4) { BatchesAhead = 3 };
        using DataViewRowCursor cursor = Cursors(View(Table(100), model))[0];
        for (int row = 0; row < 4; row++)
            Assert.IsTrue(cursor.MoveNext());
        Assert.AreEqual(1, model.Calls, "the first batch is all that was asked for");
        for (int row = 4; row < 32; row++)
            Assert.IsTrue(cursor.MoveNext());
        // Somebody computes batches behind the eighth, of which the reader has asked for no row; no more than three.
        Assert.IsTrue(
            Environment.ProcessorCount == 1 || SpinWait.SpinUntil(() => model.Calls == 11, TimeSpan.FromSeconds(30)));
        Assert.AreEqual(31, cursor.Position);
    }

    [TestMethod]
    public void Who_leaves_waits_for_a_batch_that_is_being_computed()
    {
        using var begun = new ManualResetEventSlim();
        using var go = new ManualResetEventSlim();
        var model = new AffineModel(batchSize: 4)
        {
            BatchesAhead = 3,
            Computing = first =>
            {
                if (first < 8)
                    return;
                begun.Set();
                go.Wait();
            },
        };
        DataViewRowCursor cursor = Cursors(View(Table(100), model))[0];
        for (int row = 0; row < 5; row++)
            Assert.IsTrue(cursor.MoveNext());
        Assert.IsTrue(begun.Wait(TimeSpan.FromMinutes(1)), "nobody computes ahead");
        var left = new Thread(cursor.Dispose);
        left.Start();
        Assert.IsFalse(left.Join(50), "it did not wait");
        go.Set();
        Assert.IsTrue(left.Join(TimeSpan.FromMinutes(1)));
        Assert.AreEqual(3, model.Calls, "a batch was computed for nobody");
    }

    [TestMethod]
    [DataRow(0)]
    [DataRow(3)]
    public void An_error_comes_after_all_rows_before_its_batch_and_spoils_no_other_batch(int ahead)
    {
        var model = new AffineModel(batchSize: 4)
        {
            BatchesAhead = ahead,
            Computing = first => { if (first == 20) throw new TimeoutException("sixth batch"); },
        };
        TableView table = new TableView(40).AddVector(
            "Features", 3, row => row == 33 ? throw new FormatException("row 33") : Features(row));
        IDataView view = View(table, model);
        using DataViewRowCursor cursor = view.GetRowCursor([view.Schema["Score"]]);
        ValueGetter<float> score = cursor.GetGetter<float>(view.Schema["Score"]);
        float value = 0;
        for (int row = 0; row < 20; row++)
            Expect(row);
        Assert.AreEqual("sixth batch", Assert.Throws<TimeoutException>(() => cursor.MoveNext()).Message);
        Assert.Throws<InvalidOperationException>(() => score(ref value));
        for (int row = 24; row < 32; row++)
            Expect(row);
        Assert.AreEqual("row 33", Assert.Throws<FormatException>(() => cursor.MoveNext()).Message);
        // What was read of the batch is lost; the rows behind it are not.
        for (int row = 34; row < 40; row++)
            Expect(row);
        Assert.IsFalse(cursor.MoveNext());

        void Expect(int row)
        {
            Assert.IsTrue(cursor.MoveNext());
            score(ref value);
            Assert.AreEqual(AffineModel.ScoreOf(Features(row)), value);
        }
    }

    private static float[] Features(int row) => [row, row * 0.5f, 1 - row];

    private static TableView Table(int rows) => new TableView(rows)
        .Add("Id", NumberDataViewType.Int32, row => row)
        .Add("Name", TextDataViewType.Instance, row => $"row {row}".AsMemory())
        .AddVector("Features", 3, Features)
        .Add("Key", new KeyDataViewType(typeof(uint), 10), row => (uint)((row % 10) + 1));

    private static IDataView View(IDataView source, IBatchModel model) =>
        new BatchDataView(new BatchRowMapper(source.Schema, model), source);

    private static DataViewRowCursor[] Cursors(IDataView view) => Cursors(view, view.Schema, 1, null);

    private static DataViewRowCursor[] Cursors(
        IDataView view, IEnumerable<DataViewSchema.Column> columns, int count, Random? random) =>
        count == 1 ? [view.GetRowCursor(columns, random)] : view.GetRowCursorSet(columns, count, random);

    private static List<Seen> ReadAll(DataViewRowCursor cursor)
    {
        using (cursor)
        {
            DataViewSchema schema = cursor.Schema;
            ValueGetter<int> id = cursor.GetGetter<int>(schema["Id"]);
            ValueGetter<float> score = cursor.GetGetter<float>(schema["Score"]);
            ValueGetter<bool> label = cursor.GetGetter<bool>(schema["PredictedLabel"]);
            ValueGetter<ReadOnlyMemory<char>> words = cursor.GetGetter<ReadOnlyMemory<char>>(schema["Words"]);
            ValueGetter<ReadOnlyMemory<char>> name = cursor.GetGetter<ReadOnlyMemory<char>>(schema["Name"]);
            ValueGetter<uint> key = cursor.GetGetter<uint>(schema["Key"]);
            ValueGetter<VBuffer<float>> twice = cursor.GetGetter<VBuffer<float>>(schema["Twice"]);
            ValueGetter<DataViewRowId> rowId = cursor.GetIdGetter();
            var rows = new List<Seen>();
            int i = 0;
            float s = 0;
            bool l = false;
            uint k = 0;
            ReadOnlyMemory<char> w = default, n = default;
            VBuffer<float> t = default;
            DataViewRowId r = default;
            while (cursor.MoveNext())
            {
                id(ref i);
                score(ref s);
                label(ref l);
                words(ref w);
                name(ref n);
                key(ref k);
                twice(ref t);
                rowId(ref r);
                rows.Add(new(i, s, l, w.ToString(), n.ToString(), k, string.Join(" ", t.DenseValues()), r.Low, cursor.Batch));
            }
            return rows;
        }
    }

    /// <summary>What the rows must be, by reading the source itself and working the outputs out by hand.</summary>
    private static List<Seen>[] ReadSource(TableView table, int cursors, Random? random) =>
    [
        .. Cursors(table, table.Schema, cursors, random).Select(cursor =>
        {
            using (cursor)
            {
                ValueGetter<int> id = cursor.GetGetter<int>(table.Schema["Id"]);
                var rows = new List<Seen>();
                int i = 0;
                while (cursor.MoveNext())
                {
                    id(ref i);
                    float[] features = Features(i);
                    float score = AffineModel.ScoreOf(features);
                    rows.Add(new(
                        i, score, AffineModel.LabelOf(score), AffineModel.WordsOf(score), $"row {i}", (uint)((i % 10) + 1),
                        string.Join(" ", features.Select(x => 2 * x)), (ulong)i, cursor.Batch));
                }
                return rows;
            }
        }),
    ];
}
