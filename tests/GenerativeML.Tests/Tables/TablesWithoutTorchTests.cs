using Microsoft.ML;

namespace GenerativeML.Tests.Tables;

/// <summary>Saved generators of tables generate in a process where there is no libtorch.</summary>
[TestClass]
public sealed class TablesWithoutTorchTests
{
    private readonly string _folder = Directory.CreateTempSubdirectory("generativeml-").FullName;

    [TestCleanup]
    public void Cleanup() => Directory.Delete(_folder, recursive: true);

    [TestMethod]
    [DataRow("vae")]
    [DataRow("gan")]
    public void A_saved_generator_gives_the_same_rows_without_libtorch(string method)
    {
        var ml = new MLContext(1);
        string[] columns = ["Single", "Colour", "Key"];
        IEstimator<TabularTransformer> trainer = method == "vae"
            ? ml.Generative.TabularVae(new TabularVaeOptions { Epochs = 2, HiddenWidth = 8, ColumnNames = columns })
            : ml.Generative.TabularGan(new TabularGanOptions { Epochs = 2, HiddenLayers = [8], ColumnNames = columns });
        string zip = Path.Combine(_folder, "model.zip"), text = Path.Combine(_folder, "rows.txt");
        using var expected = new MemoryStream();
        using (TabularTransformer model = trainer.Fit(MixedTable.Rows(100)))
        {
            ml.Model.Save(model, null, zip);
            ml.Data.SaveAsText(model.Generate(40, seed: 7), expected);
        }
        string program = TorchlessProcess.CopyManaged(Path.Combine(_folder, "program"));
        (int code, _, string errors) = TorchlessProcess.Run(
            program, "GenerativeML.ModelHost.dll", [zip, "generate", "40", text, .. columns]);
        Assert.AreEqual(0, code, errors);
        Assert.AreEqual(System.Text.Encoding.UTF8.GetString(expected.ToArray()), File.ReadAllText(text));
    }
}
