using GenerativeML.Tests.Conformance;
using Microsoft.ML;

namespace GenerativeML.Tests.Tables;

/// <summary>Saved generators, of tables and of vectors, generate in a process where there is no libtorch.</summary>
[TestClass]
public sealed class TablesWithoutTorchTests
{
    private readonly string _folder = Directory.CreateTempSubdirectory("generativeml-").FullName;

    [TestCleanup]
    public void Cleanup() => Directory.Delete(_folder, recursive: true);

    [TestMethod]
    [DataRow("vae")]
    [DataRow("diffusion")]
    [DataRow("gan")]
    [DataRow("bayesian network")]
    [DataRow("gan of vectors")]
    public void A_saved_generator_gives_the_same_rows_without_libtorch(string method)
    {
        var ml = new MLContext(1);
        bool vectors = method == "gan of vectors";
        string[] columns = vectors ? ["Features"] : ["Single", "Colour", "Key"];
        IDataView data = vectors ? LabelledVectors.Rows(100) : MixedTable.Rows(100);
        IEstimator<ITransformer> trainer = vectors
            ? ml.Generative.Gan(new GanOptions { Epochs = 2, GeneratorLayers = [8], DiscriminatorLayers = [8] })
            : method == "vae" ? ml.Generative.TabularVae(new TabularVaeOptions { Epochs = 2, HiddenWidth = 8, ColumnNames = columns })
            : method == "diffusion" ? ml.Generative.TabularDiffusion(
                new TabularDiffusionOptions { Epochs = 2, HiddenWidth = 8, Blocks = 1, ColumnNames = columns })
            : method == "bayesian network" ? ml.Generative.BayesianNetwork(new BayesianNetworkOptions { ColumnNames = columns })
            : ml.Generative.TabularGan(new TabularGanOptions { Epochs = 2, HiddenLayers = [8], ColumnNames = columns });
        string zip = Path.Combine(_folder, "model.zip"), text = Path.Combine(_folder, "rows.txt");
        using var expected = new MemoryStream();
        ITransformer model = trainer.Fit(data);
        using (var disposable = (IDisposable)model)
        {
            ml.Model.Save(model, null, zip);
            ml.Data.SaveAsText(model.FindGenerator().Generate(40, seed: 7), expected);
        }
        string program = TorchlessProcess.CopyManaged(Path.Combine(_folder, "program"));
        (int code, _, string errors) = TorchlessProcess.Run(
            program, "GenerativeML.ModelHost.dll", [zip, "generate", "40", text, .. columns]);
        Assert.AreEqual(0, code, errors);
        Assert.AreEqual(System.Text.Encoding.UTF8.GetString(expected.ToArray()), File.ReadAllText(text));
    }
}
