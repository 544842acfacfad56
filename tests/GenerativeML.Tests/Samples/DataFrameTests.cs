using Microsoft.Data.Analysis;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Tests.Samples;

/// <summary>A DataFrame is a view: what we train on, and what generated rows go back to.</summary>
[TestClass]
public sealed class DataFrameTests
{
    private static readonly string[] s_sites = ["north", "south", "west"];

    [TestMethod]
    public void Tables_are_learned_from_a_frame_and_generated_rows_return_to_one()
    {
        DataFrame frame = Frame(400);
        var ml = new MLContext(1);
        IEstimator<TabularTransformer>[] families =
        [
            ml.Generative.TabularVae(new TabularVaeOptions { Epochs = 2, Seed = 1 }), ml.Generative.TabularGan(new TabularGanOptions { Epochs = 2, Seed = 1 }),
        ];
        foreach (IEstimator<TabularTransformer> family in families)
        {
            using TabularTransformer model = family.Fit(frame);
            Check(model.Generate(250, seed: 3));
        }
        using BayesianNetworkTransformer network = ml.Generative.BayesianNetwork().Fit(frame);
        Check(network.Generate(250, seed: 3));

        void Check(IDataView generated)
        {
            DataFrame back = generated.ToDataFrame(maxRows: -1);
            Assert.AreEqual(250L, back.Rows.Count);
            CollectionAssert.AreEqual(
                frame.Columns.Select(c => (c.Name, c.DataType)).ToArray(), back.Columns.Select(c => (c.Name, c.DataType)).ToArray());
            CollectionAssert.AreEqual(generated.GetColumn<string>("site").ToArray(), ((StringDataFrameColumn)back["site"]).ToArray());
            CollectionAssert.AreEqual(
                generated.GetColumn<float>("pressure").ToArray(), ((SingleDataFrameColumn)back["pressure"]).Select(v => v!.Value).ToArray());
            Assert.IsTrue(((StringDataFrameColumn)back["site"]).All(s_sites.Contains));
            Assert.IsTrue(((DateTimeDataFrameColumn)back["when"]).All(t => t!.Value.Year is 2023 or 2024 or 2025));
        }
    }

    [TestMethod]
    public void Vectors_are_learned_from_a_frame_and_scores_return_to_one()
    {
        DataFrame frame = Frame(400);
        var ml = new MLContext(1);
        using var detector = ml.Transforms.Conversion.ConvertType("count", outputKind: DataKind.Single)
            .Append(ml.Transforms.Concatenate("Features", "pressure", "flow", "count"))
            .Append(ml.AnomalyDetection.Trainers.Autoencoder(new() { Epochs = 2, Seed = 1 }))
            .Fit(frame);
        IDataView scored = detector.Transform(frame);
        float[] scores = [.. scored.GetColumn<float>("Score")];
        DataFrame back = scored.ToDataFrame(-1, "site", "Score");
        CollectionAssert.AreEqual(scores, ((SingleDataFrameColumn)back["Score"]).Select(v => v!.Value).ToArray());
        Assert.AreEqual(400L, back.Rows.Count);

        // The same rows from elsewhere have the same scores.
        using var stream = new MemoryStream();
        ml.Data.SaveAsBinary(frame, stream);
        stream.Position = 0;
        string path = Path.GetTempFileName();
        try
        {
            File.WriteAllBytes(path, stream.ToArray());
            CollectionAssert.AreEqual(scores, detector.Transform(ml.Data.LoadFromBinary(path)).GetColumn<float>("Score").ToArray());
        }
        finally
        {
            File.Delete(path);
        }
    }

    private static DataFrame Frame(int rows)
    {
        var random = new Random(1);
        int[] sites = [.. Enumerable.Range(0, rows).Select(_ => random.Next(3))];
        return new DataFrame(
            new StringDataFrameColumn("site", sites.Select(site => s_sites[site])),
            new SingleDataFrameColumn("pressure", sites.Select(site => 2 * site + random.NextSingle())),
            new SingleDataFrameColumn("flow", sites.Select(site => random.NextSingle() - site)),
            new Int32DataFrameColumn("count", sites.Select(_ => random.Next(50))),
            new BooleanDataFrameColumn("alarm", sites.Select(site => random.NextSingle() < 0.2 * site)),
            new DateTimeDataFrameColumn("when", sites.Select(_ => new DateTime(2024, 1, 1).AddHours(random.Next(8760)))));
    }
}
