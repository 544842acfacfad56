using GenerativeML.TestData;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Tests.Benchmarks;

/// <summary>The rows that tests and measurements make up as they are read.</summary>
[TestClass]
public sealed class GeneratedRowsTests
{
    [TestMethod]
    [DataRow(0)]
    [DataRow(1)]
    [DataRow(64)]
    [DataRow(65)]
    [DataRow(1003)]
    public void A_cursor_set_holds_each_row_once_and_its_batches_tell_the_order(int count)
    {
        var rows = new GeneratedRows(count, width: 3, seed: 1);
        List<(long Batch, long Row, float[] Features)> whole = Read(rows.GetRowCursor(rows.Schema));
        long[] numbers = [.. Enumerable.Range(0, count).Select(i => (long)i)];
        CollectionAssert.AreEqual(numbers, whole.Select(r => r.Row).ToArray());

        DataViewRowCursor[] set = rows.GetRowCursorSet(rows.Schema, 4);
        var parts = set.SelectMany(Read).OrderBy(r => r.Batch).ThenBy(r => r.Row).ToList();
        CollectionAssert.AreEqual(numbers, parts.Select(r => r.Row).ToArray());
        for (int i = 0; i < count; i++)
            CollectionAssert.AreEqual(whole[i].Features, parts[i].Features);
    }

    [TestMethod]
    public void Rows_differ_by_number_and_by_seed()
    {
        float[] a = new float[5], b = new float[5], c = new float[5];
        new GeneratedRows(10, 5, seed: 1).Compute(3, a);
        new GeneratedRows(10, 5, seed: 1).Compute(4, b);
        new GeneratedRows(10, 5, seed: 2).Compute(3, c);
        CollectionAssert.AreNotEqual(a, b);
        CollectionAssert.AreNotEqual(a, c);
    }

    private static List<(long Batch, long Row, float[] Features)> Read(DataViewRowCursor cursor)
    {
        using (cursor)
        {
            ValueGetter<long> getRow = cursor.GetGetter<long>(cursor.Schema["Row"]);
            ValueGetter<VBuffer<float>> getFeatures = cursor.GetGetter<VBuffer<float>>(cursor.Schema["Features"]);
            List<(long, long, float[])> rows = [];
            long row = 0;
            for (VBuffer<float> features = default; cursor.MoveNext();)
            {
                getRow(ref row);
                getFeatures(ref features);
                rows.Add((cursor.Batch, row, [.. features.DenseValues()]));
            }
            return rows;
        }
    }
}
