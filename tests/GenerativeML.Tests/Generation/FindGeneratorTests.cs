using GenerativeML.Tests.Conformance;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Tests.Generation;

[TestClass]
public sealed class FindGeneratorTests
{
    [TestMethod]
    public void The_last_generator_of_a_chain_is_found_also_in_a_loaded_one_and_within_others()
    {
        var ml = new MLContext(seed: 1);
        IDataView data = ConformanceData.Table(60);
        ITransformer chain = ml.Transforms.CopyColumns("Copy", "Features")
            .Append(ml.Generative.Vae(new VaeOptions { HiddenLayers = [8], LatentDimension = 2, Epochs = 1 })
                .Append(ml.Transforms.CopyColumns("More", "Latent")))
            .Append(ml.Transforms.CopyColumns("Last", "More"))
            .Fit(data);
        using var saved = new MemoryStream();
        ml.Model.Save(chain, data.Schema, saved);
        string[] expected = ViewRows.Read(chain.FindGenerator().Generate(5, seed: 7));
        Assert.HasCount(5, expected);
        ITransformer loaded = new MLContext().Model.Load(saved, out _);
        CollectionAssert.AreEqual(expected, ViewRows.Read(loaded.FindGenerator().Generate(5, seed: 7)));
        Assert.AreSame(loaded.FindGenerator(), loaded.Find<VectorGenerator>());
    }

    [TestMethod]
    public void A_model_without_one_is_told()
    {
        var ml = new MLContext(seed: 1);
        ITransformer none = ml.Transforms.CopyColumns("Copy", "Features").Fit(ConformanceData.Table(2));
        StringAssert.Contains(Assert.Throws<InvalidOperationException>(() => none.FindGenerator()).Message, "generates rows");
        StringAssert.Contains(
            Assert.Throws<InvalidOperationException>(() => none.Find<GptTransformer>()).Message, "GptTransformer");
        Assert.Throws<ArgumentNullException>(() => ((ITransformer)null!).FindGenerator());
    }
}
