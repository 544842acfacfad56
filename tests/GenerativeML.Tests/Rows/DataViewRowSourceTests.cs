using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Tests.Rows;

[TestClass]
public sealed class DataViewRowSourceTests
{
    [TestMethod]
    [DataRow(1)]
    [DataRow(7)]
    [DataRow(1000)]
    public void Every_pass_reads_the_same_rows_in_the_same_order(int count)
    {
        var source = new DataViewRowSource(Table(100), ["Features"], NonFiniteValues.Error);
        for (int pass = 0; pass < 2; pass++)
            CollectionAssert.AreEqual(Enumerable.Range(0, 100).Select(r => (float)r).ToArray(), ReadFirstSlots(source, count));
    }

    [TestMethod]
    public void Several_columns_become_several_fields()
    {
        TableView table = Table(3).AddVector("More", 1, row => [10 * row]);
        var source = new DataViewRowSource(table, ["More", "Features"], NonFiniteValues.Error);
        Assert.AreEqual(new RowField("More", FieldKind.Single, 1), source.Fields[0]);
        Assert.AreEqual(new RowField("Features", FieldKind.Single, 2), source.Fields[1]);
        var block = new RowBlock(source.Fields, 8);
        using IRowReader reader = source.Open();
        Assert.AreEqual(3, reader.Read(block, 2, 6));
        Assert.AreEqual(20, block.SingleRow(0, 4)[0]);
        CollectionAssert.AreEqual(new float[] { 2, -2 }, block.SingleRow(1, 4).ToArray());
    }

    [TestMethod]
    public void No_rows_is_an_error_that_names_the_column()
    {
        var source = new DataViewRowSource(Table(0), ["Features"], NonFiniteValues.Error);
        var error = Assert.Throws<InvalidOperationException>(() => ReadFirstSlots(source, 10));
        StringAssert.Contains(error.Message, "'Features'");
    }

    [TestMethod]
    public void What_is_not_finite_is_counted_over_all_rows_and_the_first_is_named()
    {
        var source = new DataViewRowSource(Spoiled(), ["Features"], NonFiniteValues.Error);
        var error = Assert.Throws<InvalidOperationException>(() => ReadFirstSlots(source, 4));
        StringAssert.Contains(error.Message, "'Features' holds 4 values");
        StringAssert.Contains(error.Message, "in 3 of 10 rows");
        StringAssert.Contains(error.Message, "slot 1 of row 2");
    }

    [TestMethod]
    public void Rows_that_are_not_finite_can_be_dropped()
    {
        var source = new DataViewRowSource(Spoiled(), ["Features"], NonFiniteValues.DropRow);
        CollectionAssert.AreEqual(new float[] { 0, 1, 3, 4, 6, 7, 8 }, ReadFirstSlots(source, 4));
        CollectionAssert.AreEqual(new float[] { 0, 1, 3, 4, 6, 7, 8 }, ReadFirstSlots(source, 1));
    }

    [TestMethod]
    public void Dropping_all_rows_is_an_error()
    {
        TableView table = new TableView(3).AddVector("Features", 1, _ => [float.NaN]);
        var source = new DataViewRowSource(table, ["Features"], NonFiniteValues.DropRow);
        Assert.Throws<InvalidOperationException>(() => ReadFirstSlots(source, 10));
    }

    [TestMethod]
    public void What_is_not_finite_can_be_replaced_by_the_columns_median_and_limits()
    {
        // Slot 0 is finite in rows 0-4 and 6-9, whose middle is 4; slot 1 is −row but in rows 2, 5 (+inf) and 9 (-inf).
        var source = new DataViewRowSource(Spoiled(), ["Features"], NonFiniteValues.Replace);
        var block = new RowBlock(source.Fields, 10);
        using (IRowReader reader = source.Open())
            Assert.AreEqual(10, reader.Read(block, 0, 10));
        Assert.AreEqual(-4, block.SingleRow(0, 2)[1]);
        Assert.AreEqual(4, block.SingleRow(0, 5)[0]);
        Assert.AreEqual(0, block.SingleRow(0, 5)[1]);
        Assert.AreEqual(-8, block.SingleRow(0, 9)[1]);
        Assert.AreEqual(9, block.SingleRow(0, 9)[0]);
        NonFiniteReplacement.SlotRange range = source.Replacement!.Fields[0];
        CollectionAssert.AreEqual(new float[] { 0, -8 }, range.Min);
        CollectionAssert.AreEqual(new float[] { 9, 0 }, range.Max);
    }

    [TestMethod]
    public void One_wild_value_does_not_move_what_takes_the_place_of_a_missing_one()
    {
        TableView table = new TableView(500).AddVector(
            "Features", 1, row => [row == 7 ? -9999 : row == 8 ? float.NaN : 0.8f + row % 10 * 0.01f]);
        var source = new DataViewRowSource(table, ["Features"], NonFiniteValues.Replace);
        source.Open().Dispose();
        Assert.AreEqual(0.845f, source.Replacement!.Fields[0].Median[0], 0.006f);
    }

    [TestMethod]
    public void A_slot_that_is_never_finite_becomes_zero()
    {
        TableView table = new TableView(3).AddVector("Features", 2, row => [row, float.NaN]);
        var source = new DataViewRowSource(table, ["Features"], NonFiniteValues.Replace);
        var block = new RowBlock(source.Fields, 3);
        using IRowReader reader = source.Open();
        Assert.AreEqual(3, reader.Read(block, 0, 3));
        CollectionAssert.AreEqual(new float[] { 0, 0, 1, 0, 2, 0 }, block.Singles(0).ToArray());
    }

    [TestMethod]
    public void A_row_of_another_width_than_promised_is_an_error()
    {
        TableView table = new TableView(3).AddVector("Features", 2, row => row == 1 ? [1f] : [1f, 2f]);
        var source = new DataViewRowSource(table, ["Features"], NonFiniteValues.Error);
        var error = Assert.Throws<InvalidOperationException>(() => ReadFirstSlots(source, 10));
        StringAssert.Contains(error.Message, "'Features'");
    }

    [TestMethod]
    public void Cursors_are_closed_also_after_an_error()
    {
        TableView table = Spoiled();
        Assert.Throws<InvalidOperationException>(
            () => ReadFirstSlots(new DataViewRowSource(table, ["Features"], NonFiniteValues.Error), 3));
        ReadFirstSlots(new DataViewRowSource(table, ["Features"], NonFiniteValues.Replace), 3);
        Assert.AreEqual(0, table.OpenCursors);
    }

    private static TableView Table(int rows) => new TableView(rows).AddVector("Features", 2, row => [row, -row]);

    /// <summary>Ten rows (r, −r); rows 2, 5 and 9 hold four values that are not finite.</summary>
    private static TableView Spoiled() => new TableView(10).AddVector("Features", 2, row => row switch
    {
        2 => [2, float.NaN],
        5 => [float.NaN, float.PositiveInfinity],
        9 => [9, float.NegativeInfinity],
        _ => [row, -row],
    });

    private static float[] ReadFirstSlots(DataViewRowSource source, int count)
    {
        var block = new RowBlock(source.Fields, count);
        var values = new List<float>();
        using IRowReader reader = source.Open();
        for (int n; (n = reader.Read(block, 0, count)) > 0;)
        {
            for (int row = 0; row < n; row++)
                values.Add(block.SingleRow(0, row)[0]);
        }
        Assert.AreEqual(0, reader.Read(block, 0, count), "the end is the end");
        return [.. values];
    }
}
