using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Tests.Platform;

/// <summary>Cursors: their ends, their sets, shuffling, and the views that choose rows.</summary>
[TestClass]
public sealed class CursorTests
{
    private const int Rows = 1000;

    private readonly MLContext _ml = new(seed: 1);

    private IDataView Data => _ml.Data.LoadFromEnumerable(PlatformRow.Make(Rows));

    private IDataView Normalized => _ml.Transforms.NormalizeMinMax("Features").Fit(Data).Transform(Data);

    [TestMethod]
    public void A_cursor_is_at_minus_one_before_the_first_row_and_behind_the_last()
    {
        IDataView data = _ml.Data.LoadFromEnumerable(PlatformRow.Make(2));
        using DataViewRowCursor cursor = data.GetRowCursor(data.Schema);
        Assert.AreEqual(-1, cursor.Position);
        Assert.IsTrue(cursor.MoveNext());
        Assert.AreEqual(0, cursor.Position);
        Assert.IsTrue(cursor.MoveNext());
        Assert.IsFalse(cursor.MoveNext());
        Assert.AreEqual(-1, cursor.Position);
        Assert.IsFalse(cursor.MoveNext());
    }

    [TestMethod]
    public void Objects_come_in_their_order_whatever_generator_is_given()
    {
        Assert.AreEqual(Rows, Data.GetRowCount());
        Assert.IsFalse(Data.CanShuffle);
        Assert.IsNull(_ml.Data.LoadFromEnumerable(PlatformRow.Make(3).Where(_ => true)).GetRowCount());
        Assert.HasCount(1, Data.GetRowCursorSet(Data.Schema, 4));
        CollectionAssert.AreEqual(Enumerable.Range(0, Rows).ToArray(), Ids(Data, new Random(1)));
    }

    [TestMethod]
    public void Equal_generators_give_equal_orders()
    {
        IDataView cache = _ml.Data.Cache(Normalized);
        Assert.IsTrue(cache.CanShuffle);
        CollectionAssert.AreNotEqual(Ids(cache, null), Ids(cache, new Random(1)));
        CollectionAssert.AreEqual(Ids(cache, new Random(1)), Ids(cache, new Random(1)));
        CollectionAssert.AreEquivalent(Ids(cache, null), Ids(cache, new Random(1)));
    }

    [TestMethod]
    public void A_row_keeps_its_identity_when_shuffled()
    {
        IDataView data = _ml.Data.Cache(Normalized);
        Dictionary<int, DataViewRowId> ordered = Identities(null), shuffled = Identities(new Random(3));
        foreach ((int id, DataViewRowId identity) in ordered)
            Assert.AreEqual(identity, shuffled[id]);

        Dictionary<int, DataViewRowId> Identities(Random? random)
        {
            using DataViewRowCursor cursor = data.GetRowCursor([data.Schema["Id"]], random);
            ValueGetter<int> getter = cursor.GetGetter<int>(data.Schema["Id"]);
            ValueGetter<DataViewRowId> identity = cursor.GetIdGetter();
            var found = new Dictionary<int, DataViewRowId>();
            while (cursor.MoveNext())
            {
                int id = 0;
                DataViewRowId row = default;
                getter(ref id);
                identity(ref row);
                found.Add(id, row);
            }
            return found;
        }
    }

    [TestMethod]
    public void A_cursor_set_shares_the_rows_and_its_batches_tell_their_order()
    {
        foreach (IDataView data in (IDataView[])[Normalized, _ml.Data.Cache(Data)])
        {
            DataViewRowCursor[] cursors = data.GetRowCursorSet(data.Schema, 4);
            var found = new List<(long Batch, long Position, int Id)>[cursors.Length];
            Thread[] threads = [.. cursors.Select((cursor, i) => new Thread(() => found[i] = Read(cursor)))];
            foreach (Thread thread in threads)
                thread.Start();
            foreach (Thread thread in threads)
                thread.Join();
            int[] ids = [.. found.SelectMany(rows => rows).OrderBy(r => r.Batch).ThenBy(r => r.Position).Select(r => r.Id)];
            CollectionAssert.AreEqual(Enumerable.Range(0, Rows).ToArray(), ids);
            foreach (List<(long Batch, long Position, int Id)> rows in found)
                Assert.IsTrue(rows.Zip(rows.Skip(1)).All(pair => pair.First.Batch <= pair.Second.Batch));
        }
    }

    [TestMethod]
    public void A_cursor_set_can_be_read_one_after_the_other()
    {
        IDataView data = Normalized;
        int[] ids = [.. data.GetRowCursorSet(data.Schema, 4).SelectMany(Read).Select(r => r.Id)];
        CollectionAssert.AreEquivalent(Enumerable.Range(0, Rows).ToArray(), ids);
    }

    [TestMethod]
    public void A_cache_reads_its_source_once_and_can_be_shuffled()
    {
        int reads = 0;
        IEnumerable<PlatformRow> Source()
        {
            reads++;
            foreach (PlatformRow row in PlatformRow.Make(10))
                yield return row;
        }
        IDataView cache = _ml.Data.Cache(_ml.Data.LoadFromEnumerable(Source()), "Id", "Features");
        CollectionAssert.AreEqual(Ids(cache, null), Ids(cache, null));
        CollectionAssert.AreEquivalent(Ids(cache, null), Ids(cache, new Random(1)));
        Assert.IsTrue(cache.CanShuffle);
        CollectionAssert.AreEqual(new float[] { 9, 18, 1 }, cache.GetColumn<float[]>("Features").Last());
        Assert.AreEqual(1, reads);
    }

    [TestMethod]
    public void A_shuffled_view_has_all_rows_in_another_order()
    {
        IDataView shuffled = _ml.Data.ShuffleRows(Data, seed: 4, shufflePoolSize: 50, shuffleSource: false);
        int[] ids = Ids(shuffled, null);
        CollectionAssert.AreEquivalent(Enumerable.Range(0, Rows).ToArray(), ids);
        CollectionAssert.AreNotEqual(Enumerable.Range(0, Rows).ToArray(), ids);
        foreach (PlatformRow row in _ml.Data.CreateEnumerable<PlatformRow>(shuffled, reuseRowObject: false))
            Assert.AreEqual(row.Id, row.Features[0], "the columns of a row stay together");
    }

    [TestMethod]
    public void Rows_are_taken_and_skipped()
    {
        CollectionAssert.AreEqual(new[] { 0, 1, 2 }, Ids(_ml.Data.TakeRows(Data, 3), null));
        CollectionAssert.AreEqual(new[] { 998, 999 }, Ids(_ml.Data.SkipRows(Data, 998), null));
        Assert.AreEqual(3, _ml.Data.TakeRows(Data, 3).GetRowCount());
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => _ml.Data.TakeRows(Data, 0));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => _ml.Data.SkipRows(Data, 0));
    }

    [TestMethod]
    public void A_split_puts_each_row_into_one_part_and_is_the_same_each_time()
    {
        DataOperationsCatalog.TrainTestData split = _ml.Data.TrainTestSplit(Data, testFraction: 0.3, seed: 2);
        int[] train = Ids(split.TrainSet, null), test = Ids(split.TestSet, null);
        CollectionAssert.AreEquivalent(Enumerable.Range(0, Rows).ToArray(), train.Concat(test).ToArray());
        Assert.IsInRange(200, 400, test.Length);
        CollectionAssert.AreEqual(test, Ids(split.TestSet, null));
        Assert.AreEqual(Data.Schema.Count, split.TrainSet.Schema.Count);
    }

    private static int[] Ids(IDataView data, Random? random)
    {
        using DataViewRowCursor cursor = data.GetRowCursor([data.Schema["Id"]], random);
        return [.. Read(cursor).Select(r => r.Id)];
    }

    private static List<(long Batch, long Position, int Id)> Read(DataViewRowCursor cursor)
    {
        using (cursor)
        {
            ValueGetter<int> getter = cursor.GetGetter<int>(cursor.Schema["Id"]);
            var rows = new List<(long, long, int)>();
            int id = 0;
            while (cursor.MoveNext())
            {
                getter(ref id);
                rows.Add((cursor.Batch, cursor.Position, id));
            }
            return rows;
        }
    }
}
