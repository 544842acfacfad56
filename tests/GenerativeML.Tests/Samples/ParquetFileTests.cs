using DataFiles;
using Microsoft.ML;
using Microsoft.ML.Data;
using Parquet;
using Parquet.Schema;
using Parquet.Serialization;
using static GenerativeML.Tests.Samples.TableFileTests;

namespace GenerativeML.Tests.Samples;

/// <summary>How Parquet files are read.</summary>
[TestClass]
public sealed class ParquetFileTests
{
    private readonly string _path = Path.GetTempFileName();

    [TestCleanup]
    public void Clean() => File.Delete(_path);

    [TestMethod]
    public async Task Columns_of_every_kind_are_read_from_every_row_group()
    {
        await Write();
        TableFile table = TableFile.Open(_path);
        Assert.AreEqual(4L, table.RowCount);
        CollectionAssert.AreEqual(
            new DataViewType[]
            {
                NumberDataViewType.Int32, NumberDataViewType.Double, NumberDataViewType.Int32, NumberDataViewType.Int64,
                NumberDataViewType.Double, BooleanDataViewType.Instance, TextDataViewType.Instance, DateTimeDataViewType.Instance,
                TextDataViewType.Instance,
            },
            table.Schema.Select(c => c.Type).ToArray());
        CollectionAssert.AreEqual(new[] { 10, 2, 11, 2 }, Values<int>(table, "i"));
        CollectionAssert.AreEqual(new[] { 1, double.NaN, 1, double.NaN }, Values<double>(table, "gaps"));
        CollectionAssert.AreEqual(new[] { 1, 7, 1, 7 }, Values<int>(table, "full")); // may have gaps, and has none
        CollectionAssert.AreEqual(new[] { 1L << 60, 2, 1L << 60, 2 }, Values<long>(table, "l"));
        CollectionAssert.AreEqual(new[] { 1.25, 2, 1.25, 2 }, Values<double>(table, "m"));
        CollectionAssert.AreEqual(new[] { true, false, true, false }, Values<bool>(table, "b"));
        CollectionAssert.AreEqual(new[] { "ä", "", "ä", "" }, Values<string>(table, "s"));
        Assert.AreEqual(new DateTime(2024, 1, 2, 3, 4, 5), Values<DateTime>(table, "t")[2]);
        CollectionAssert.AreEqual(new[] { "True", "", "True", "" }, Values<string>(table, "perhaps"));
        CollectionAssert.AreEqual(
            new[] { "10", "2", "11", "2" }, Values<string>(TableFile.Open(_path, new() { AsText = ["i"] }), "i"));

        // What is made after it is a text.
        string text = _path + ".csv";
        table.Save(table, text);
        try
        {
            CollectionAssert.AreEqual(Values<int>(table, "i"), Values<int>(TableFile.Open(text), "i"));
        }
        finally
        {
            File.Delete(text);
        }
    }

    [TestMethod]
    public async Task Structures_are_columns_and_lists_are_left_out_by_name()
    {
        Order[] orders = [new() { Id = 1, At = new() { X = 1, Y = "u" }, Tags = ["a", "b"], More = new() { ["k"] = 1 } }, new() { Id = 2 }];
        using (FileStream file = File.Create(_path))
            await ParquetSerializer.SerializeAsync(orders, file);
        TableFile table = TableFile.Open(_path);
        CollectionAssert.AreEqual(new[] { "Id", "At.X", "At.Y" }, table.Names);
        CollectionAssert.AreEqual(new[] { 1, float.NaN }, Values<float>(table, "At.X"));
        CollectionAssert.AreEqual(new[] { "u", "" }, Values<string>(table, "At.Y"));
        Assert.HasCount(3, table.Notes);
        StringAssert.Contains(table.Notes[0], "'Tags.list.element' is left out: it holds lists");
    }

    [TestMethod]
    public async Task Damaged_files_are_refused()
    {
        await Write();
        byte[] sound = File.ReadAllBytes(_path);
        foreach (byte[] bytes in new byte[][] { [], [.. "PAR1"u8], sound[..(sound.Length / 2)], [.. "PAR1"u8, .. new byte[40], .. "PAR1"u8] })
        {
            File.WriteAllBytes(_path, bytes);
            Assert.ThrowsExactly<InvalidDataException>(() => TableFile.Open(_path), $"{bytes.Length} bytes");
        }
        var random = new Random(1);
        int refused = 0;
        for (int i = 0; i < 200; i++)
        {
            byte[] bytes = [.. sound];
            for (int k = 0; k < 4; k++)
                bytes[4 + random.Next(bytes.Length - 8)] ^= (byte)random.Next(1, 256);
            File.WriteAllBytes(_path, bytes);
            try
            {
                TableFile table = TableFile.Open(_path);
                _ = table.Preview();
            }
            catch (InvalidDataException)
            {
                refused++;
            }
        }
        Assert.IsGreaterThan(50, refused, "or else nothing was damaged");
    }

    [TestMethod]
    public async Task A_file_that_another_program_holds_is_not_called_damaged()
    {
        await Write();
        TableFile table = TableFile.Open(_path);
        using FileStream held = new(_path, FileMode.Open, FileAccess.ReadWrite, FileShare.None);
        StringAssert.Contains(Assert.ThrowsExactly<IOException>(() => ParquetFile.Open(_path, new())).Message, "another process");
        Assert.ThrowsExactly<IOException>(() => table.Preview());
    }

    [TestMethod]
    public async Task Files_without_rows_are_refused()
    {
        var schema = new ParquetSchema(new DataField<int>("i"));
        using (FileStream file = File.Create(_path))
        {
            await using ParquetWriter writer = await ParquetWriter.CreateAsync(schema, file);
        }
        StringAssert.Contains(Assert.ThrowsExactly<InvalidDataException>(() => TableFile.Open(_path)).Message, "no rows");
    }

    private async Task Write()
    {
        var schema = new ParquetSchema(
            new DataField<int>("i"), new DataField<int?>("gaps"), new DataField<int?>("full"), new DataField<long>("l"), new DataField<decimal>("m"),
            new DataField<bool>("b"), new DataField<string>("s"), new DataField<DateTime>("t"), new DataField<bool?>("perhaps"), new DataField<int[]>("list"));
        DataField[] fields = schema.DataFields;
        using FileStream file = File.Create(_path);
        await using ParquetWriter writer = await ParquetWriter.CreateAsync(schema, file);
        for (int g = 0; g < 2; g++)
        {
            using ParquetRowGroupWriter group = writer.CreateRowGroup();
            await group.WriteAsync<int>(fields[0], new[] { 10 + g, 2 });
            await group.WriteAsync<int>(fields[1], new int?[] { 1, null });
            await group.WriteAsync<int>(fields[2], new int?[] { 1, 7 });
            await group.WriteAsync<long>(fields[3], new[] { 1L << 60, 2 });
            await group.WriteAsync<decimal>(fields[4], new[] { 1.25m, 2 });
            await group.WriteAsync<bool>(fields[5], new[] { true, false });
            await group.WriteAsync(fields[6], new string[] { "ä", null! });
            await group.WriteAsync<DateTime>(fields[7], new[] { new DateTime(2024, 1, 2, 3, 4, 5), new DateTime(2024, 1, 1) });
            await group.WriteAsync<bool>(fields[8], new bool?[] { true, null });
            await group.WriteAsync<int>(fields[9], new[] { 1, 2, 3 }, new[] { 0, 1, 0 });
            group.CompleteValidate();
        }
    }

    private sealed class Order
    {
        public int Id { get; set; }

        public Place? At { get; set; }

        public List<string> Tags { get; set; } = [];

        public Dictionary<string, int> More { get; set; } = [];
    }

    private sealed class Place
    {
        public float X { get; set; }

        public string Y { get; set; } = "";
    }
}
