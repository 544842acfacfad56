using System.Text.RegularExpressions;
using System.Xml.Linq;
using AnomalyDetection;
using DataFiles;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Tests.Samples;

[TestClass]
public sealed class HtmlReportTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("generativeml-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string Page(bool labelled, string name = "table.csv")
    {
        string path = Path.Combine(_folder, "table.csv");
        File.WriteAllLines(path, ["a,b,label", .. Enumerable.Range(0, 60).Select(i => $"{i},{i % 7},{(i % 10 == 0 ? 1 : 0)}")]);
        var file = new Readings(TableFile.Open(path, new() { AsText = ["label"] }), "label", []);
        List<Outcome> outcomes = [.. Enumerable.Range(0, 60).Select(i =>
            new Outcome(1 + i % 10, i % 10 == 9, labelled ? (i % 10 == 9 ? "1" : "0") : null))];
        AnomalyDetectionMetrics? metrics = labelled ? Detection.Grade(new MLContext(1), outcomes) : null;
        List<StrangeRow> rows = [new(9, 10, labelled ? "1" : null, [new("<a&b>", 3, 1, 0.75), new("b", float.NaN, 2, 0.25)])];
        return new HtmlReport(name, file, outcomes, metrics, 8.5, rows).Write();
    }

    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public void The_page_needs_no_other_file_and_its_drawings_are_sound(bool labelled)
    {
        string page = Page(labelled);
        Assert.IsFalse(Regex.IsMatch(page, """<script|<link|src=|url\((?!#)|@import|(?<!xmlns(:xlink)?=")https?:"""), "it asks for something else");
        MatchCollection drawings = Regex.Matches(page, "<svg.*?</svg>", RegexOptions.Singleline);
        Assert.HasCount(labelled ? 2 : 1, drawings); // without labels there is no curve
        foreach (Match drawing in drawings)
        {
            XElement svg = XElement.Parse(drawing.Value);
            Assert.IsTrue(svg.Descendants().Any());
            Assert.IsFalse(drawing.Value.Contains("NaN", StringComparison.Ordinal), "a coordinate is not a number");
        }
    }

    [TestMethod]
    public void Figures_and_reasons_stand_on_the_page()
    {
        string page = Page(labelled: true);
        StringAssert.Contains(page, "1.000"); // the outcomes are told apart without error
        StringAssert.Contains(page, "8.5");
        StringAssert.Contains(page, "75 %");
        StringAssert.Contains(page, "missing");
    }

    [TestMethod]
    public void Names_from_the_file_are_text_and_not_markup()
    {
        string page = Page(labelled: true, name: "<b>.csv");
        Assert.IsFalse(page.Contains("<b>.csv", StringComparison.Ordinal));
        Assert.IsFalse(page.Contains("<a&b>", StringComparison.Ordinal));
        StringAssert.Contains(page, "&lt;a&amp;b&gt;");
    }
}
