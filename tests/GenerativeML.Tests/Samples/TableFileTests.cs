using System.Globalization;
using System.IO.Compression;
using System.Text;
using DataFiles;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Tests.Samples;

/// <summary>How delimited text as people have it is read, and written back.</summary>
[TestClass]
public sealed class TableFileTests
{
    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    [TestCleanup]
    public void Cleanup() => Directory.Delete(_folder, recursive: true);

    [TestMethod]
    public void Types_follow_from_the_values()
    {
        TableFile table = Read("""
            name, whole, gap, precise, mixed, long, yes, code, day, moment
            x, 1, 2.5, 0.123456789, 1, 1, True, 007, 2024-02-29, 2024-01-01T10:00:00+02:00
            y, -3, , 2, z, 9007199254740993, false, 12, 2024/12/31, 2024-01-02 00:30
            "z, z", 5, ?, 3, 2, -7, TRUE, 5, null, n/a
            """);
        CollectionAssert.AreEqual(
            new DataViewType[]
            {
                TextDataViewType.Instance, NumberDataViewType.Int32, NumberDataViewType.Single, NumberDataViewType.Double,
                TextDataViewType.Instance, NumberDataViewType.Int64, BooleanDataViewType.Instance, TextDataViewType.Instance,
                DateTimeDataViewType.Instance, DateTimeDataViewType.Instance,
            },
            table.Schema.Select(c => c.Type).ToArray());
        Assert.AreEqual(3L, table.RowCount);
        CollectionAssert.AreEqual(new[] { 2.5f, float.NaN, float.NaN }, Values<float>(table, "gap"));
        Assert.AreEqual("z, z", Values<string>(table, "name")[2]);
        Assert.AreEqual(0.123456789, Values<double>(table, "precise")[0]);
        CollectionAssert.AreEqual(new[] { 1, 9007199254740993, -7 }, Values<long>(table, "long"));
        CollectionAssert.AreEqual(new[] { true, false, true }, Values<bool>(table, "yes"));
        CollectionAssert.AreEqual(
            new[] { new DateTime(2024, 2, 29), new DateTime(2024, 12, 31), DateTime.MinValue }, Values<DateTime>(table, "day"));
        CollectionAssert.AreEqual(
            new[] { new DateTime(2024, 1, 1, 8, 0, 0), new DateTime(2024, 1, 2, 0, 30, 0), DateTime.MinValue }, Values<DateTime>(table, "moment"));
    }

    [TestMethod]
    public void Every_mark_of_a_missing_value_is_one()
    {
        TableFile table = Read("n;t\n1.5;a\n" + string.Concat(
            new[] { "", "NA", "n/a", "#N/A", "null", "None", "?", "-", "--", "nan", "NaN" }.Select(mark => $"{mark};{mark}\n")));
        float[] numbers = Values<float>(table, "n");
        Assert.HasCount(12, numbers);
        Assert.AreEqual(11, numbers.Count(float.IsNaN));
        Assert.AreEqual("NA", Values<string>(table, "t")[2], "a text may well say NA, of Namibia");
    }

    [TestMethod]
    [DataRow("a,b\n1.5,x\n2,y\n", ',')]
    [DataRow("a;b\n1,5;x,y\n2;z,w\n", ';')]
    [DataRow("1,5;2,5;3,5\n4,5;5,5;6,5\n", ';')]
    [DataRow("a\tb\n1.5\tx y\n2\tz\n", '\t')]
    [DataRow("a|b\r\n1.5|x\r\n2|y\r\n", '|')]
    [DataRow("1.5 4 x\n2 5 y\n", ' ')]
    [DataRow("a,b\n1.5,\"x;y;z\"\n2,\"v;w\"\n", ',')]
    [DataRow("sep=;\na;b\n1,5;x\n2;y\n", ';')]
    [DataRow("# by a logger\n# in 2024\na;b\n1.5;x\n2;y\n", ';')]
    public void The_separator_is_found(string text, char separator)
    {
        var table = (DelimitedFile)Read(text);
        Assert.AreEqual(separator, table.Separator);
        Assert.AreEqual(2L, table.RowCount);
        Assert.AreEqual(text[0] is 'a' or '#' or 's', table.HasHeader);
        Assert.AreEqual(separator is ';' && text[0] == '1' ? 4.5f : 2f, Values<float>(table, table.Names[0])[1]);
    }

    [TestMethod]
    [DataRow("1234.5", '.', 1234.5)]
    [DataRow("1,234.5", '.', 1234.5)]
    [DataRow("-1,234,567", '.', -1234567.0)]
    [DataRow("1.234,5", ',', 1234.5)]
    [DataRow("1 234 567,25", ',', 1234567.25)]
    [DataRow("12'500.5", '.', 12500.5)]
    [DataRow("1,5e3", ',', 1500.0)]
    [DataRow("+.5", '.', 0.5)]
    [DataRow("12\u2019500", '.', 12500.0)]
    [DataRow("-inf", '.', double.NegativeInfinity)]
    [DataRow("1,23", '.', double.NaN)]
    [DataRow("12,34,567", '.', double.NaN)]
    [DataRow("1,2345", '.', double.NaN)]
    [DataRow("0,123", '.', double.NaN)]
    [DataRow(",123", '.', double.NaN)]
    [DataRow("1,234 567", '.', double.NaN)]
    [DataRow("1.234.567,", '.', double.NaN)]
    [DataRow("1,234,", '.', double.NaN)]
    [DataRow("1,23a", '.', double.NaN)]
    [DataRow("1.2.3", '.', double.NaN)]
    [DataRow("5 %", '.', double.NaN)]
    [DataRow("-", '.', double.NaN)]
    public void Numbers_have_a_decimal_sign_and_thousands_in_threes(string text, char sign, double expected)
    {
        Assert.AreEqual(!double.IsNaN(expected), ColumnInference.TryNumber(text, sign, out double value), text);
        if (!double.IsNaN(expected))
            Assert.AreEqual(expected, value);
    }

    [TestMethod]
    public void Numbers_of_two_readings_are_read_as_the_others()
    {
        TableFile german = Read("a;b\n1.000;0,5\n12.500;1,25\n");
        CollectionAssert.AreEqual(new[] { 1000, 12500 }, Values<int>(german, "a"));
        CollectionAssert.AreEqual(new[] { 0.5f, 1.25f }, Values<float>(german, "b"));
        CollectionAssert.AreEqual(new[] { 1000, 12500 }, Values<int>(Read("a,b\n\"1,000\",0.5\n\"12,500\",1.25\n"), "a"));
        TableFile alone = Read("a;b\n1,234;x\n2,345;y\n");
        CollectionAssert.AreEqual(new[] { 1.234f, 2.345f }, Values<float>(alone, "a"));
        StringAssert.Contains(alone.Notes.Single(), "'a'");
    }

    [TestMethod]
    public void Days_and_months_that_could_change_places_are_no_dates()
    {
        CollectionAssert.AreEqual(new[] { new DateTime(2024, 1, 2), new DateTime(2024, 1, 31) }, Values<DateTime>(Read("t,x\n2.1.2024,1\n31.01.2024,2\n"), "t"));
        CollectionAssert.AreEqual(new[] { new DateTime(2024, 1, 2), new DateTime(2024, 1, 31) }, Values<DateTime>(Read("t,x\n1/2/2024,1\n1/31/2024,2\n"), "t"));
        TableFile both = Read("t,x\n1/2/2024,1\n3/4/2024,2\n");
        Assert.AreEqual(TextDataViewType.Instance, both.Schema["t"].Type);
        StringAssert.Contains(both.Notes.Single(), "'t'");
    }

    [TestMethod]
    [DataRow("utf-8", true)]
    [DataRow("utf-16", true)]
    [DataRow("utf-16", false)]
    [DataRow("utf-16BE", true)]
    [DataRow("utf-16BE", false)]
    [DataRow("utf-32", true)]
    [DataRow("iso-8859-1", false)]
    public void Encodings_are_found(string name, bool mark)
    {
        Encoding encoding = Encoding.GetEncoding(name);
        string path = Path.Combine(_folder, "encoded.csv");
        File.WriteAllBytes(path, [.. mark ? encoding.Preamble : [], .. encoding.GetBytes("größe,b\n1,ü\n3,ß\n")]);
        TableFile table = TableFile.Open(path);
        CollectionAssert.AreEqual(new[] { "größe", "b" }, table.Names);
        CollectionAssert.AreEqual(new[] { "ü", "ß" }, Values<string>(table, "b"));
    }

    [TestMethod]
    public void Packed_files_are_unpacked()
    {
        string path = Path.Combine(_folder, "table.csv.gz");
        using (var file = new GZipStream(File.Create(path), CompressionLevel.Fastest))
            file.Write("a,b\n1,2\n3,4\n"u8);
        CollectionAssert.AreEqual(new[] { 2, 4 }, Values<int>(TableFile.Open(path), "b"));
    }

    [TestMethod]
    public void Quotes_hold_separators_quotes_and_line_breaks()
    {
        TableFile table = Read("a,b\n1,\"x\ny, \"\"z\"\"\"\n\n2,w\n");
        CollectionAssert.AreEqual(new[] { "x\ny, \"z\"", "w" }, Values<string>(table, "b"));
        StringAssert.Contains(
            Assert.ThrowsExactly<InvalidDataException>(() => Read("a,b\n1,\"x\ny\"\n2,3,4\n")).Message, "line 4: 3 values, and 2");
    }

    [TestMethod]
    [DataRow("5;a\n6;b\n", false)]
    [DataRow("a;b\nc;d\n", true)]
    [DataRow("2019;x\nd;e\n", false)]
    [DataRow("x;y\n5;a\n", true)]
    [DataRow("x;y\n2024-01-01;a\n", true)]
    [DataRow("x;y\ntrue;a\n", true)]
    [DataRow("?;7\n5;8\n", false)]
    [DataRow("007;x\nd;e\n", false)]
    [DataRow(";y\n0;1\n1;2\n", true)]
    public void A_header_names_what_is_below(string text, bool expected)
    {
        var table = (DelimitedFile)Read(text);
        Assert.AreEqual(expected, table.HasHeader, text);
        Assert.AreEqual(text.Count(c => c == '\n') - (expected ? 1 : 0), table.RowCount);
        Assert.AreEqual(expected && text[0] != ';' ? text.Split(';')[0] : "0", table.Names[0]);
        Assert.IsFalse(((DelimitedFile)TableFile.Open(table.Path, new() { HasHeader = false })).HasHeader);
    }

    [TestMethod]
    public void Columns_go_by_name_or_number()
    {
        TableFile table = Read("a,b\n1,2\n");
        Assert.ThrowsExactly<InvalidDataException>(() => table.ColumnOf("c"));
        Assert.AreEqual(1, table.ColumnOf("b"));
        Assert.AreEqual(1, table.ColumnOf("1"));
        Assert.ThrowsExactly<InvalidDataException>(() => table.ColumnOf("2"));
    }

    [TestMethod]
    public void What_is_saved_is_read_back_the_same()
    {
        foreach (string text in new[]
        {
            "t,i,f,d,b,w\nx,1,2.5,0.123456789,true,2024-01-01\n,2,,7,false,\n\"a,\"\"b\"\"\nc\",3,0.1,1e-9,true,2024-01-01 10:00:00.5\n",
            "t;i;f;d;b;w\nx;1;2,5;0,123456789;true;31.12.2024\ny;2;;7;false;1.1.2024\nz;3;0,1;1e-9;true;2.1.2024\n",
        })
        {
            var table = (DelimitedFile)Read(text);
            string saved = Path.Combine(_folder, "saved.csv");
            table.Save(table, saved);
            Assert.AreEqual(text[..text.IndexOf('\n', StringComparison.Ordinal)], File.ReadLines(saved).First());
            Same(table, TableFile.Open(saved));
            CollectionAssert.AreEqual(new[] { "saved.csv", "table.csv" }, Directory.GetFiles(_folder).Select(Path.GetFileName).Order().ToArray());
        }
    }

    [TestMethod]
    public void Rows_of_texts_go_to_a_file_like_it()
    {
        var table = DelimitedFile.Open(Write("a,b\n1,2\n3,4\n"), new() { AsText = ["1"] });
        string path = Path.Combine(_folder, "rows.csv");
        table.Write(path, table.Texts().Reverse());
        CollectionAssert.AreEqual(new[] { "4", "2" }, Values<string>(table.Like(path), "b"));
        CollectionAssert.AreEqual(new[] { 3, 1 }, Values<int>(table.Like(path), "a"));
    }

    [TestMethod]
    [DataRow("", "is empty")]
    [DataRow("\n \n", "is empty")]
    [DataRow("a,b\n", "no rows")]
    [DataRow("a,b\n1,2,3\n", "line 2: 3 values, and 2")]
    [DataRow("a,b\n1,2\n\n3\n", "line 4: 1 values, and 2")]
    [DataRow("# logged\n#\na,b\n1,2\n3\n", "line 5: 1 values, and 2")]
    [DataRow("sep=;\na;b\n1;\"x\ny\";2\n", "line 3 to 4: 3 values, and 2")]
    [DataRow("a,a\n1,2\n", "two columns of the name 'a'")]
    [DataRow("a,b\n1,\"x\n2,y\n3,z\n", "line 2: a quote is opened and never closed")]
    [DataRow("a,b\n1,x\n2,\"y", "line 3: a quote is opened and never closed")]
    [DataRow("\0\0\0\0", "zero bytes")]
    public void What_is_no_table_is_refused_with_its_line(string text, string expected) =>
        StringAssert.Contains(Assert.ThrowsExactly<InvalidDataException>(() => Read(text)).Message, expected);

    [TestMethod]
    [DataRow("a;b\n1.5;x\n2,5;y\n", "decimal point ('1.5', line 2) and with a decimal comma ('2,5', line 3)")]
    [DataRow("a;b\n9007199254740993;x\n;y\n", "Double does not hold")]
    [DataRow("a;b\n18446744073709551615;x\n1;y\n", "Double does not hold")]
    public void What_no_number_holds_is_text_with_a_note(string text, string note)
    {
        TableFile table = Read(text);
        Assert.AreEqual(TextDataViewType.Instance, table.Schema["a"].Type);
        StringAssert.Contains(table.Notes.Single(), note);
    }

    [TestMethod]
    public void Whole_numbers_further_down_that_a_Double_would_change_are_named()
    {
        TableFileOptions first = new() { InferredRows = 2 };
        string[] kept = ["9007199254740992", "-9007199254740994", "1e300", "inf", "90071992547409931.5", "123456789012345680000"];
        TableFile table = TableFile.Open(Write("id;t\n1;x\n2;x\n" + string.Concat(kept.Select(text => $"{text};x\n"))), first);
        Assert.AreEqual(-9007199254740994, Values<double>(table, "id")[3]);
        foreach (string lost in (string[])["9007199254740993", "-9007199254740993", "9 007 199 254 740 993", "9007199254740993.0", "123456789012345678901"])
        {
            string path = Write($"id;t\n1;x\n2;x\n3;x\n{lost};x\n");
            StringAssert.Contains(
                Assert.ThrowsExactly<InvalidDataException>(() => Values<double>(TableFile.Open(path, first), "id")).Message,
                $"line 5: '{lost}' in column 'id' is no Double to its last digit");
            Assert.AreEqual(lost, Values<string>(TableFile.Open(path, first with { AsText = ["id"] }), "id")[3]);
        }
        string garbage = Write("id;t\n1.5;x\n2;x\nabc;x\n");
        StringAssert.Contains(
            Assert.ThrowsExactly<InvalidDataException>(() => Values<double>(TableFile.Open(garbage, first), "id")).Message, "is no Double, as the rows are");
    }

    [TestMethod]
    [DataRow("a,b\n1,x\n2,y\n", null, "a,b", null)]
    [DataRow("a,b\nx,y\nz,w\n", null, "a,b", "names")] // texts above texts: a guess
    [DataRow("1,2\n3,4\n", null, "0,1", "data")]
    [DataRow("2023,2024\n3,4\n", null, "0,1", "data")] // years would be names as well
    [DataRow("2023,2024\n3,4\n", true, "2023,2024", null)]
    [DataRow(",0,1\n0,3.5,4\n1,2.5,2\n", null, "0,1,2", "data")] // by pandas
    [DataRow(",0,1\n7,3.5,4\n1,2.5,2\n", false, "0,1,2", null)]
    [DataRow("007,x\n012,y\n", null, "0,1", "data")]
    [DataRow("a,b\nx,y\nz,w\n", false, "0,1", null)]
    public void The_first_row_is_names_or_data_and_a_guess_is_said(string text, bool? hasHeader, string names, string? note)
    {
        TableFile table = TableFile.Open(Write(text), new() { HasHeader = hasHeader });
        Assert.AreEqual(names, string.Join(',', table.Names));
        Assert.AreEqual(text.Count(c => c == '\n') - (names == text[..text.IndexOf('\n')] ? 1 : 0), table.RowCount);
        if (note is null)
            Assert.IsEmpty(table.Notes);
        else
            StringAssert.Contains(table.Notes.Single(), $"was taken for {note}");
    }

    [TestMethod]
    public void What_a_report_takes_for_no_label_is_missing_in_a_file() =>
        CollectionAssert.AreEqual(Array.Empty<string>(), DetectionReader.MissingMarks.Where(mark => !ColumnInference.IsMissing(mark)).ToArray());

    [TestMethod]
    public void Zeros_and_time_stamps_of_loggers_are_read()
    {
        TableFile table = Read("x;t\n07.5;2024-01-01 10:00:00.5+01:00\n1.5;2024-01-01T10:00:00.123456789Z\n2.5;2024-01-01 10:00+01:00\n");
        CollectionAssert.AreEqual(new[] { 7.5f, 1.5f, 2.5f }, Values<float>(table, "x"));
        DateTime nine = new(2024, 1, 1, 9, 0, 0);
        CollectionAssert.AreEqual(new[] { nine.AddSeconds(0.5), nine.AddHours(1).AddTicks(1234567), nine }, Values<DateTime>(table, "t"));
    }

    [TestMethod]
    public void Bytes_that_are_no_UTF8_are_named_however_late()
    {
        string path = Path.Combine(_folder, "late.csv");
        byte[] lines = Encoding.ASCII.GetBytes("a,b\n" + string.Concat(Enumerable.Repeat("1,some text of twenty\n", 200_000)));
        File.WriteAllBytes(path, [.. lines, .. "1,"u8, 0xfc, (byte)'\n']);
        Exception e = Assert.ThrowsExactly<InvalidDataException>(() => TableFile.Open(path));
        StringAssert.Contains(e.Message, "line 200002");
    }

    [TestMethod]
    public void A_misfit_within_Fit_is_at_the_root_of_its_error()
    {
        var ml = new MLContext(1);
        TableFile table = TableFile.Open(Write("n\n1\n2\n3\nabc\n"), new() { InferredRows = 3 });
        Exception e = Assert.Throws<Exception>(() => ml.Transforms.NormalizeMeanVariance("n").Fit(ml.Data.TrainTestSplit(table, 0.2).TrainSet));
        StringAssert.Contains(((InvalidDataException)e.GetBaseException()).Message, "line 5");
    }

    [TestMethod]
    public void A_folder_and_a_file_that_is_not_there_are_refused()
    {
        StringAssert.Contains(Assert.ThrowsExactly<IOException>(() => TableFile.Open(_folder)).Message, "is a folder");
        Assert.ThrowsExactly<FileNotFoundException>(() => TableFile.Open(Path.Combine(_folder, "none.csv")));
    }

    [TestMethod]
    public void A_quote_that_swallows_the_file_is_named()
    {
        string path = Path.Combine(_folder, "long.csv");
        using (StreamWriter file = File.CreateText(path))
        {
            file.Write("a,b\n1,\"");
            for (int i = 0; i < 2_000_000; i++)
                file.Write($"{i},{i}\n"); // 28 million characters
        }
        StringAssert.Contains(Assert.ThrowsExactly<InvalidDataException>(() => TableFile.Open(path)).Message, "quote");
    }

    [TestMethod]
    public void What_comes_after_the_first_part_has_to_fit_and_is_named()
    {
        TableFileOptions first = new() { InferredRows = 3 };
        string path = Write("n;b;t\n1;true;x\n2;false;y\n3;true;z\n4,5;;w\n;no;v\nabc;true;u\n");
        TableFile table = TableFile.Open(path, first);
        Assert.IsNull(table.RowCount);
        Assert.AreEqual(NumberDataViewType.Double, table.Schema["n"].Type, "there is room for gaps");
        Assert.AreEqual(TextDataViewType.Instance, table.Schema["b"].Type);
        StringAssert.Contains(
            Assert.ThrowsExactly<InvalidDataException>(() => Values<double>(table, "n")).Message, "line 5: '4,5' in column 'n'");
        Assert.HasCount(6, Values<string>(table, "t"));
        CollectionAssert.AreEqual(new[] { "1", "2", "3", "4,5", "", "abc" }, Values<string>(TableFile.Open(path, first with { AsText = ["n"] }), "n"));
    }

    [TestMethod]
    public void Rows_are_never_all_in_memory()
    {
        string path = Path.Combine(_folder, "large.csv");
        using (StreamWriter file = File.CreateText(path))
        {
            file.WriteLine("number,text");
            for (int i = 0; i < 300_000; i++)
                file.WriteLine($"{i}.25,a text that is some sixty characters long, of row {i,9}".Replace(", of", " of", StringComparison.Ordinal));
        }
        Assert.IsGreaterThan(15_000_000, new FileInfo(path).Length);
        long before = GC.GetTotalMemory(forceFullCollection: true), rows = 0, most = 0;
        TableFile table = TableFile.Open(path);
        most = GC.GetTotalMemory(forceFullCollection: true) - before;
        using DataViewRowCursor cursor = ((IDataView)table).GetRowCursor(table.Schema);
        ValueGetter<ReadOnlyMemory<char>> text = cursor.GetGetter<ReadOnlyMemory<char>>(table.Schema["text"]);
        for (ReadOnlyMemory<char> value = default; cursor.MoveNext(); rows++)
        {
            text(ref value);
            if (rows % 50_000 == 0)
                most = Math.Max(most, GC.GetTotalMemory(forceFullCollection: true) - before);
        }
        Assert.AreEqual(300_000, rows);
        Assert.IsLessThan(3_000_000, most, "more than a reader's buffers is held");
    }

    [TestMethod]
    public void Rows_are_read_by_several_at_once()
    {
        TableFile table = Read("i,t\n" + string.Concat(Enumerable.Range(0, 2000).Select(i => $"{i},\"t\n{i}\"\n")));
        Parallel.For(0, 8, _ =>
        {
            CollectionAssert.AreEqual(Enumerable.Range(0, 2000).ToArray(), Values<int>(table, "i"));
            CollectionAssert.AreEqual(Enumerable.Range(0, 2000).Select(i => $"t\n{i}").ToArray(), Values<string>(table, "t"));
        });
    }

    internal static T[] Values<T>(IDataView table, string column) => [.. table.GetColumn<T>(column)];

    private static void Same(IDataView a, IDataView b)
    {
        CollectionAssert.AreEqual(a.Schema.Select(c => (c.Name, c.Type)).ToArray(), b.Schema.Select(c => (c.Name, c.Type)).ToArray());
        string[] Shown(IDataView view) =>
            [.. view.Preview().RowView.Select(row => string.Join('|', row.Values.Select(v => Convert.ToString(v.Value, CultureInfo.InvariantCulture))))];
        CollectionAssert.AreEqual(Shown(a), Shown(b));
        Assert.HasCount(3, Shown(a));
    }

    private TableFile Read(string text) => TableFile.Open(Write(text));

    private string Write(string text)
    {
        string path = Path.Combine(_folder, "table.csv");
        File.WriteAllText(path, text);
        return path;
    }
}
