using System.IO.Compression;
using System.Text;
using AnomalyDetection;
using DataFiles;
using Microsoft.ML;
using Microsoft.ML.Data;
using Parquet;
using Parquet.Schema;

namespace GenerativeML.Tests.Samples;

/// <summary>The samples as people start them, on files as people have them.</summary>
[TestClass]
public sealed class SampleProgramTests
{
    private readonly string _folder = Directory.CreateTempSubdirectory("genml-samples").FullName;

    [TestCleanup]
    public void Clean() => Directory.Delete(_folder, recursive: true);

    [TestMethod]
    public void Causes_are_told_of_a_packed_file_of_semicolons_and_decimal_commas()
    {
        string path = Path.Combine(_folder, "seen.csv.gz");
        using (var file = new StreamWriter(new GZipStream(File.Create(path), CompressionLevel.Fastest), Encoding.Latin1))
        {
            file.Write("Prüfer;Temperatur;Zustand\n");
            for (int i = 0; i < 400; i++)
                file.Write($"{(i % 3 == 0 ? "Jörg" : "Ute")};{(i % 2 == 0 ? "20,5" : "81,25")};{(i % 2 == 0 ? "kalt" : "heiß")}\n");
        }
        string output = Run("WhatCausedIt", 0, "--data", path, "--evidence", "Temperatur=81,25", "--out", _folder);
        StringAssert.Contains(output, "heiß");
        StringAssert.Contains(File.ReadAllText(Path.Combine(_folder, "network.svg")), "Zustand");
        StringAssert.Contains(Run("WhatCausedIt", 2, "--data", path, "--evidence", "Druck=1", "--out", _folder), "Druck");
    }

    [TestMethod]
    public async Task A_table_is_generated_of_a_Parquet_file()
    {
        string path = Path.Combine(_folder, "table.parquet");
        var schema = new ParquetSchema(new DataField<double>("x"), new DataField<string>("kind"));
        using (FileStream file = File.Create(path))
        {
            await using ParquetWriter writer = await ParquetWriter.CreateAsync(schema, file);
            using ParquetRowGroupWriter group = writer.CreateRowGroup();
            await group.WriteAsync<double>(schema.DataFields[0], Enumerable.Range(0, 200).Select(i => i % 7 + 0.5).ToArray());
            await group.WriteAsync(schema.DataFields[1], Enumerable.Range(0, 200).Select(i => i % 2 == 0 ? "even" : "odd").ToArray());
            group.CompleteValidate();
        }
        Run("SyntheticData", 0, "--data", path, "--label", "kind", "--epochs", "1", "--rows", "20", "--out", _folder);
        TableFile made = TableFile.Open(Path.Combine(_folder, "synthetic.csv"));
        CollectionAssert.AreEqual(new[] { "x", "kind" }, made.Names);
        Assert.AreEqual(20L, made.RowCount);
        StringAssert.Contains(File.ReadAllText(Path.Combine(_folder, "report.html")), "table.parquet");
    }

    [TestMethod]
    public void Strange_rows_are_found_where_the_first_row_is_said_to_be_names()
    {
        string path = Path.Combine(_folder, "years.tsv");
        File.WriteAllText(path, "2023\t2024\n" + string.Concat(Enumerable.Range(0, 60).Select(i => $"{i % 5}\t{(i == 33 ? 900 : i % 5 * 2)}\n")));
        string[] asked = ["--data", path, "--epochs", "1", "--out", _folder];
        StringAssert.Contains(Run("AnomalyDetection", 0, [.. asked, "--header", "yes"]), "2023");
        File.WriteAllText(path, "a\tb\n1\t2\n3\n");
        StringAssert.Contains(Run("AnomalyDetection", 2, asked), "line 3: 1 values");
    }

    [TestMethod]
    public void Strange_pictures_of_a_folder_are_found_and_shown_with_where_they_are()
    {
        Write("train", Plates.Train(1, 40));
        foreach (IGrouping<string, Photograph> kind in Plates.Test(1, 12).GroupBy(photograph => photograph.Kind))
            Write(Path.Combine("test", kind.Key), [.. kind]);
        File.WriteAllText(Path.Combine(_folder, "train", "broken.png"), "no picture");
        string output = Run("AnomalyDetection", 0, "--images", _folder, "--grey", "--size", "32", "--contamination", "0.1", "--out", _folder);
        StringAssert.Contains(output, "rows: 12");
        StringAssert.Contains(output, "flagged of scratch: 2 of 2");
        using (MLImage sheet = MLImage.CreateFromFile(Path.Combine(_folder, "maps.png")))
            Assert.AreEqual((8 * 33 - 1, 8 * 33 - 1), (sheet.Width, sheet.Height)); // of four kinds two lines each
        using var model = (VectorTransformer)new MLContext().Model.Load(Path.Combine(_folder, "detector.zip"), out _);
        Assert.IsTrue(float.IsFinite(model.Threshold));
        StringAssert.Contains(Run("AnomalyDetection", 2, "--images", Path.Combine(_folder, "nowhere"), "--out", _folder), "nowhere");

        StringAssert.Contains(Run("AnomalyDetection", 1, "--images", _folder, "--data", "a.csv"), "--data is for tables");
        StringAssert.Contains(Run("AnomalyDetection", 1, "--images", "--ignore", "a"), "--ignore is for tables");
        StringAssert.Contains(Run("AnomalyDetection", 1, "--grey"), "--grey is for pictures");
        Write("test", Plates.Test(2, 1));
        StringAssert.Contains(Run("AnomalyDetection", 2, "--images", _folder, "--out", _folder), "needs one for each");

        void Write(string part, Photograph[] photographs)
        {
            string folder = Directory.CreateDirectory(Path.Combine(_folder, part)).FullName;
            for (int i = 0; i < photographs.Length; i++)
                photographs[i].Image!.Save(Path.Combine(folder, $"{i}.png"));
        }
    }

    // What a program says, on either channel.
    private static string Run(string program, int code, params string[] arguments)
    {
        (int left, string[] lines, string errors) = TorchlessProcess.Run(AppContext.BaseDirectory, program + ".dll", arguments);
        string said = string.Join('\n', lines) + errors;
        Assert.AreEqual(code, left, said);
        return said;
    }
}
