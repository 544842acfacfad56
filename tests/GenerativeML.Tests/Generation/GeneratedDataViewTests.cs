using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Tests.Generation;

[TestClass]
public sealed class GeneratedDataViewTests
{
    [TestMethod]
    [DataRow(0)]
    [DataRow(1)]
    [DataRow(7)]
    [DataRow(8)]
    [DataRow(1001)]
    public void Every_cursor_and_set_and_shuffle_gives_each_row_once_under_its_own_id(int rows)
    {
        var view = new GeneratedDataView(new CountingRows(8), rows);
        long[] expected = [.. Enumerable.Range(0, rows).Select(i => (long)i)];
        Assert.AreEqual(rows, view.GetRowCount());
        CollectionAssert.AreEqual(expected, Read(view.GetRowCursor(view.Schema)));

        foreach (Random? shuffle in new[] { null, new Random(4) })
        {
            DataViewRowCursor[] set = view.GetRowCursorSet(view.Schema, 3, shuffle);
            long[][] parts = new long[set.Length][];
            Parallel.For(0, set.Length, k => parts[k] = Read(set[k]));
            CollectionAssert.AreEqual(expected, parts.SelectMany(part => part).Order().ToArray());
        }
        long[] shuffled = Read(view.GetRowCursor(view.Schema, new Random(4)));
        CollectionAssert.AreEqual(shuffled, Read(view.GetRowCursor(view.Schema, new Random(4))));
        CollectionAssert.AreEqual(expected, shuffled.Order().ToArray());
        if (rows > 8)
            CollectionAssert.AreNotEqual(expected, shuffled);
    }

    [TestMethod]
    public void The_cursors_of_a_set_have_batches_of_their_own_in_rising_order()
    {
        var view = new GeneratedDataView(new CountingRows(4), 50);
        foreach (Random? shuffle in new[] { null, new Random(1) })
        {
            var seen = new HashSet<long>();
            foreach (DataViewRowCursor cursor in view.GetRowCursorSet([], 3, shuffle))
            {
                var own = new List<long>();
                for (long position = 0; cursor.MoveNext(); position++)
                {
                    Assert.AreEqual(position, cursor.Position);
                    own.Add(cursor.Batch);
                }
                CollectionAssert.AreEqual(own.Order().ToArray(), own);
                Assert.IsTrue(own.Distinct().All(seen.Add), "two cursors share a batch");
            }
            Assert.HasCount(13, seen);
        }
    }

    [TestMethod]
    public void A_billion_rows_cost_neither_memory_nor_time_before_they_are_read()
    {
        var source = new CountingRows(1024);
        var view = new GeneratedDataView(source, 1_000_000_000_000);
        DataViewSchema.Column number = view.Schema["Number"];
        foreach (Random? shuffle in new[] { null, new Random(1) })
        {
            using DataViewRowCursor cursor = view.GetRowCursor([number], shuffle);
            ValueGetter<long> getter = cursor.GetGetter<long>(number);
            long value = 0;
            for (int i = 0; i < 5000; i++)
            {
                Assert.IsTrue(cursor.MoveNext());
                if (i % 2500 == 2499)
                    getter(ref value);
            }
            Assert.IsTrue(value is >= 0 and < 1_000_000_000_000);
        }
        Assert.AreEqual(4, source.Made, "blocks of which no value was read were made");
    }

    [TestMethod]
    public void A_block_that_failed_is_made_anew()
    {
        var source = new CountingRows(8) { Failure = new InvalidOperationException("once") };
        var view = new GeneratedDataView(source, 8);
        using DataViewRowCursor cursor = view.GetRowCursor(view.Schema);
        ValueGetter<long> getter = cursor.GetGetter<long>(view.Schema["Number"]);
        long value = -1;
        Assert.Throws<InvalidOperationException>(() => getter(ref value));
        cursor.MoveNext();
        cursor.MoveNext();
        Assert.Throws<InvalidOperationException>(() => getter(ref value));
        getter(ref value);
        Assert.AreEqual(1, value);
    }

    [TestMethod]
    public void What_cannot_be_asked_for_is_refused()
    {
        var source = new CountingRows(8);
        Assert.Throws<ArgumentOutOfRangeException>(() => new GeneratedDataView(source, -1));
        var view = new GeneratedDataView(source, 8);
        using DataViewRowCursor cursor = view.GetRowCursor([view.Schema["Number"]]);
        Assert.Throws<ArgumentOutOfRangeException>(() => cursor.GetGetter<long>(view.Schema["Tenfold"]));
        Assert.Throws<InvalidOperationException>(() => cursor.GetGetter<int>(view.Schema["Number"]));
        cursor.Dispose();
        Assert.IsFalse(cursor.MoveNext());
        Assert.AreEqual(-1, cursor.Position);
    }

    private static long[] Read(DataViewRowCursor cursor)
    {
        using (cursor)
        {
            var rows = new List<long>();
            ValueGetter<long> number = cursor.GetGetter<long>(cursor.Schema["Number"]);
            ValueGetter<long> tenfold = cursor.GetGetter<long>(cursor.Schema["Tenfold"]);
            ValueGetter<DataViewRowId> id = cursor.GetIdGetter();
            long value = 0, ten = 0;
            DataViewRowId at = default;
            while (cursor.MoveNext())
            {
                number(ref value);
                tenfold(ref ten);
                id(ref at);
                Assert.AreEqual((ulong)value, at.Low);
                Assert.AreEqual(value * 10, ten);
                rows.Add(value);
            }
            return [.. rows];
        }
    }
}
