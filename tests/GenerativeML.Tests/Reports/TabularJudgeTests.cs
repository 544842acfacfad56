using System.Globalization;
using System.Text;
using System.Text.Json;
using GenerativeML.Tests.Rows;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Tests.Reports;

/// <summary>The report's figures are those of an independent program.</summary>
[TestClass]
public sealed class TabularJudgeTests
{
    private const int Rows = 500, Trained = 400;

    [TestMethod]
    public void Shapes_trends_distances_and_copies_are_those_of_the_judge_in_Python()
    {
        Row[] real = [.. Drawn(Rows, seed: 1, shift: 0)], synthetic = [.. Drawn(300, seed: 2, shift: 0.3)];
        int[] order = [.. Enumerable.Range(0, Rows)];
        new SplitMix64(5).Shuffle<int>(order);
        Row[] training = [.. order[..Trained].Select(i => real[i])], test = [.. order[Trained..].Select(i => real[i])];
        synthetic[7] = training[3];

        SyntheticDataReport report = SyntheticDataReport.Compare(
            View(training), View(synthetic), new() { HoldOut = View(test), Detection = false });
        JsonElement judged = Judge(real, synthetic);

        foreach (ColumnComparison column in report.Columns)
            Assert.AreEqual(judged.GetProperty("shapes").GetProperty(column.Name).GetDouble(), column.Shape, 1e-9);
        foreach (PairComparison pair in report.Pairs)
        {
            double expected = judged.GetProperty("trends").GetProperty($"{pair.First} × {pair.Second}").GetDouble();
            Assert.AreEqual(expected, pair.Trend, 1e-9, pair.ToString());
        }
        Assert.AreEqual(judged.GetProperty("pairs").GetDouble(), report.MeanTrend, 1e-9);
        JsonElement distance = judged.GetProperty("distance"), copies = judged.GetProperty("copies");
        Assert.AreEqual(distance.GetProperty("synthetic").GetDouble(), report.ClosestRecords!.Synthetic, 1e-6);
        Assert.AreEqual(distance.GetProperty("test").GetDouble(), report.ClosestRecords.HoldOut, 1e-6);
        Assert.AreEqual(distance.GetProperty("ratio").GetDouble(), report.ClosestRecords.Ratio, 1e-6);
        Assert.AreEqual(copies.GetProperty("synthetic").GetDouble(), report.ClosestRecords.SyntheticCopies, 1e-9);
        Assert.AreEqual(copies.GetProperty("test").GetDouble(), report.ClosestRecords.HoldOutCopies, 1e-9);
        Assert.IsGreaterThan(0, report.ClosestRecords.SyntheticCopies);
    }

    private static JsonElement Judge(Row[] real, Row[] synthetic)
    {
        string folder = Directory.CreateTempSubdirectory().FullName;
        try
        {
            string data = Write(Path.Combine(folder, "real.csv"), real);
            string made = Write(Path.Combine(folder, "made.csv"), synthetic);
            string output = TorchPeer.Run(
                "tabular_judge.py", data, made, "--label", "class", "--seed", "5",
                "--only", "shapes,pairs,distance,copies");
            return JsonDocument.Parse(output).RootElement;
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static IEnumerable<Row> Drawn(int rows, ulong seed, double shift)
    {
        SplitMix64 random = new(seed);
        string[] colours = ["red", "green", "dark, blue", "", "?"];
        for (int i = 0; i < rows; i++)
        {
            double x = random.NextDouble() + random.NextDouble() + shift;
            int whole = (int)(20 * x * random.NextDouble());
            double? gap = random.NextDouble() < 0.2 ? null : Math.Round(x * 10 + random.NextDouble(), 2);
            string colour = colours[random.Next(x > 1 ? 5 : 3)];
            yield return new(Math.Round(x, 3), whole, gap, colour, random.NextDouble() < x / 2 ? "yes" : "no");
        }
    }

    private static TableView View(Row[] rows) => new TableView(rows.Length)
        .Add("x", NumberDataViewType.Double, i => rows[i].X)
        .Add("whole", NumberDataViewType.Int32, i => rows[i].Whole)
        .Add("gap", NumberDataViewType.Double, i => rows[i].Gap ?? double.NaN)
        .Add("colour", TextDataViewType.Instance, i => rows[i].Colour.AsMemory())
        .Add("class", TextDataViewType.Instance, i => rows[i].Class.AsMemory());

    private static string Write(string path, Row[] rows)
    {
        StringBuilder text = new("x,whole,gap,colour,class\n");
        foreach (Row row in rows)
        {
            text.Append(CultureInfo.InvariantCulture, $"{row.X},{row.Whole},{row.Gap},\"{row.Colour}\",{row.Class}\n");
        }
        File.WriteAllText(path, text.ToString());
        return path;
    }

    private sealed record Row(double X, int Whole, double? Gap, string Colour, string Class);
}
