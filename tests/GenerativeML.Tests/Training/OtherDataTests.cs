using GenerativeML.Tests.Rows;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Tests.Training;

/// <summary>A run does not go on with data whose tokens are the same as before and mean something else.</summary>
[TestClass]
public sealed class OtherDataTests
{
    private readonly MLContext _ml = new(seed: 1);
    private readonly string _folder = Directory.CreateTempSubdirectory("generativeml-").FullName;

    [TestCleanup]
    public void Delete() => Directory.Delete(_folder, recursive: true);

    [TestMethod]
    public void A_text_in_another_alphabet_is_refused()
    {
        IEstimator<ITransformer> trainer = _ml.Generative.Gpt(new GptOptions
        {
            Layers = 1, Heads = 1, Width = 8, ContextLength = 8, BatchSize = 4, Steps = 4, Checkpoint = new(_folder) { Every = 2 },
        });
        Refuses(trainer, Texts("abcab"), Texts("abcab"), Texts("xyzxy"));

        static TableView Texts(string text) =>
            new TableView(20).Add("Text", TextDataViewType.Instance, _ => text.AsMemory());
    }

    [TestMethod]
    public void A_table_of_other_categories_or_numbers_is_refused()
    {
        IEstimator<ITransformer> trainer = _ml.Generative.TabularVae(new TabularVaeOptions
        {
            Epochs = 2, BatchSize = 32, Checkpoint = new(_folder) { Every = 2 },
        });
        Refuses(trainer, Table("abc", 0), Table("abc", 0), Table("xyz", 0), Table("abc", 1000));

        static TableView Table(string letters, int more) => new TableView(120)
            .Add("C", TextDataViewType.Instance, row => letters.AsMemory(row % 3, 1))
            .Add("N", NumberDataViewType.Single, row => row * 7919 % 120 + 0.5f + more);
    }

    private static void Refuses(IEstimator<ITransformer> trainer, IDataView first, IDataView same, params IDataView[] others)
    {
        (trainer.Fit(first) as IDisposable)?.Dispose();
        (trainer.Fit(same) as IDisposable)?.Dispose();
        foreach (IDataView other in others)
        {
            StringAssert.Contains(
                Assert.Throws<InvalidOperationException>(() => trainer.Fit(other)).Message, "belongs to another training run");
        }
    }
}
