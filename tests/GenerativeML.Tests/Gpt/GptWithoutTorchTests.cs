using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Tests.Gpt;

/// <summary>A saved pipeline with a GPT generates and scores where torch is not loaded, or not there at all.</summary>
[TestClass]
public sealed class GptWithoutTorchTests
{
    private readonly string _folder = Directory.CreateTempSubdirectory("genml").FullName;

    [TestCleanup]
    public void Cleanup() => Directory.Delete(_folder, recursive: true);

    [TestMethod]
    public void A_model_of_a_zip_generates_without_the_native_library()
    {
        var ml = new MLContext(1);
        IDataView corpus = ml.Data.LoadFromEnumerable(
            Enumerable.Range(0, 60).Select(i => new Line { Text = $"line {i} of the corpus, not the last" }));
        using GptTransformer model = ml.Generative.Gpt(new GptOptions
        {
            Layers = 1,
            Heads = 2,
            Width = 16,
            ContextLength = 16,
            Steps = 5,
            GeneratedTextColumnName = "GeneratedText",
            ScoreColumnName = "Score",
            Generation = new() { MaxNewTokens = 40 },
        }).Fit(corpus);
        string zip = Path.Combine(_folder, "model.zip");
        ml.Model.Save(model, corpus.Schema, zip);
        IDataView read = model.Transform(ml.Data.LoadFromEnumerable([new Line { Text = "line 7 of" }]));
        string expected = read.GetColumn<string>("GeneratedText").Single().Replace('\n', ' ');
        int score = BitConverter.SingleToInt32Bits(read.GetColumn<float>("Score").Single());

        string managed = TorchlessProcess.CopyManaged(Path.Combine(_folder, "program"));
        foreach (string program in (string[])[AppContext.BaseDirectory, managed])
        {
            (int code, string[] lines, string errors) =
                TorchlessProcess.Run(program, "GenerativeML.ModelHost.dll", zip, "line 7 of");
            Assert.AreEqual(0, code, errors);
            Assert.AreEqual(expected, lines[0]);
            Assert.AreEqual($"{score}", lines[1]);
            TorchlessProcess.AssertTorchless(lines[2..]);
        }
    }

    public sealed class Line
    {
        public string Text { get; set; } = "";
    }
}
