using GenerativeML.Benchmarks;
using Microsoft.ML;

namespace GenerativeML.Tests;

[TestClass]
public sealed class GptWeightsTests
{
    private const string Words = "the cat sat on the mat and the dog ran after the cat. ";

    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    [TestCleanup]
    public void DeleteFiles() => Directory.Delete(_folder, recursive: true);

    [TestMethod]
    [DataRow(GptWeightLayout.Linear)]
    [DataRow(GptWeightLayout.Conv1D)]
    public void Saved_weights_make_the_same_model_without_training(GptWeightLayout layout)
    {
        var ml = new MLContext(seed: 1);
        using GptTransformer trained = Fit(ml, Words);
        string path = Path.Combine(_folder, "model.safetensors");
        trained.SaveWeights(path, layout);
        Assert.Throws<InvalidOperationException>(() => ml.Generative.PretrainedGpt(
            Options(path) with { Device = ComputeDevice.Cuda(99), FallbackToCpu = false }));
        using GptTransformer again = ml.Generative.PretrainedGpt(Options(path));
        CollectionAssert.AreEqual(Scores(ml, trained), Scores(ml, again));
        GenerationOptions seeded = new() { Seed = 3 };
        Assert.AreEqual(trained.Generate("the ", seeded).Text, again.Generate("the ", seeded).Text);
    }

    [TestMethod]
    public void Adapters_saved_alone_and_the_weights_they_belong_to_make_the_tuned_model()
    {
        var ml = new MLContext(seed: 1);
        string weights = Path.Combine(_folder, "model.safetensors");
        string adapters = Path.Combine(_folder, "lora.safetensors");
        float[] before;
        using (GptTransformer trained = Fit(ml, Words))
        {
            trained.SaveWeights(weights);
            before = Scores(ml, trained);
            InvalidOperationException none = Assert.ThrowsExactly<InvalidOperationException>(
                () => trained.SaveAdapters(adapters));
            StringAssert.Contains(none.Message, "Lora");
        }
        using GptTransformer tuned = Fit(ml, "after the dog the cat ran. ", weights);
        tuned.SaveAdapters(adapters);
        using GptTransformer again = ml.Generative.PretrainedGpt(Options(weights, adapters));
        CollectionAssert.AreEqual(Scores(ml, tuned), Scores(ml, again));
        CollectionAssert.AreNotEqual(before, Scores(ml, again));
    }

    [TestMethod]
    public void A_vocabulary_that_does_not_match_the_weights_is_an_error_that_says_so()
    {
        var ml = new MLContext(seed: 1);
        string path = Path.Combine(_folder, "model.safetensors");
        using GptTransformer trained = Fit(ml, Words);
        trained.SaveWeights(path);
        FormatException error = Assert.ThrowsExactly<FormatException>(
            () => ml.Generative.PretrainedGpt(Options(path, tokenizer: new CharacterTokenizer("abc"))));
        StringAssert.Contains(error.Message, "'wte.weight' should be [4, 16], a row for each token of the vocabulary");
    }

    [TestMethod]
    public void Weights_without_a_file_or_a_tokenizer_are_refused()
    {
        var ml = new MLContext();
        Assert.ThrowsExactly<ArgumentException>(() => ml.Generative.PretrainedGpt(new() { Tokenizer = Characters }));
        Assert.ThrowsExactly<ArgumentException>(() => ml.Generative.PretrainedGpt(new()));
        Assert.ThrowsExactly<FileNotFoundException>(() => ml.Generative.PretrainedGpt(Options("no such file")));
    }

    private static readonly CharacterTokenizer Characters = new(Words);

    private static GptOptions Options(
        string? weights = null, string? adapters = null, LoraOptions? lora = null,
        CharacterTokenizer? tokenizer = null) => new()
        {
            Layers = 2, Heads = 2, Width = 16, ContextLength = 16, Steps = 20, JoinRows = true,
            ScoreColumnName = "Score", Tokenizer = tokenizer ?? Characters, InitialWeights = weights,
            InitialAdapters = adapters, Lora = lora,
        };

    private static GptTransformer Fit(MLContext ml, string text, string? weights = null)
    {
        LoraOptions? lora = weights is null ? null : new() { Rank = 2 };
        return ml.Generative.Gpt(Options(weights, lora: lora)).Fit(Rows(ml, text, text, text));
    }

    private static float[] Scores(MLContext ml, GptTransformer model) =>
        VectorRows.Singles(model.Transform(Rows(ml, "the cat", "dog ran after")), "Score");

    private static IDataView Rows(MLContext ml, params string[] texts) =>
        ml.Data.LoadFromEnumerable(texts.Select(t => new Row { Text = t }));

    private sealed class Row
    {
        public string Text { get; set; } = "";
    }
}
