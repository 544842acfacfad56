using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Tests.Platform;

/// <summary>Who disposes a transformer, and how <c>PredictionEngine</c> uses it.</summary>
[TestClass]
public sealed class LifetimeTests
{
    [TestMethod]
    public void A_chain_disposes_its_transformers_once()
    {
        var probe = new ProbeTransformer();
        var chain = new TransformerChain<ITransformer>(probe);
        chain.Dispose();
        chain.Dispose();
        Assert.AreEqual(1, probe.Disposals);
    }

    [TestMethod]
    public void A_prediction_engine_disposes_its_transformer_unless_told_not_to()
    {
        var ml = new MLContext();
        var probe = new ProbeTransformer();
        ml.Model.CreatePredictionEngine<PlatformRow, PlatformRow>(
            probe, new PredictionEngineOptions { OwnsTransformer = false }).Dispose();
        Assert.AreEqual(0, probe.Disposals);
        ml.Model.CreatePredictionEngine<PlatformRow, PlatformRow>(probe).Dispose();
        Assert.AreEqual(1, probe.Disposals);
    }

    [TestMethod]
    public void A_prediction_engine_makes_one_row_with_every_column_active_and_moves_its_position()
    {
        var ml = new MLContext();
        var probe = new ProbeTransformer();
        using PredictionEngine<PlatformRow, IdOnly> engine = ml.Model.CreatePredictionEngine<PlatformRow, IdOnly>(probe);
        DataViewRow input = probe.Mapper!.Input!;
        CollectionAssert.AreEqual(engine.OutputSchema.Select(c => c.Name).ToArray(), probe.Mapper.ActiveColumns.ToArray());
        Assert.AreEqual(-1, input.Position);
        for (int i = 0; i < 3; i++)
        {
            Assert.AreEqual(i * 7, engine.Predict(new PlatformRow { Id = i * 7 }).Id);
            Assert.AreEqual(i, input.Position);
        }
        Assert.AreSame(input, probe.Mapper.Input, "the row was made once");
    }

    [TestMethod]
    public void Mappers_in_a_row_have_to_hand_on_the_same_schema_object()
    {
        var ml = new MLContext();
        var chain = new TransformerChain<ITransformer>(
            new ProbeTransformer { RowsCarryAnotherSchema = true },
            ml.Transforms.CopyColumns("Copy", "Value").Fit(ml.Data.LoadFromEnumerable(PlatformRow.Make(1))));
        Assert.ThrowsExactly<InvalidOperationException>(
            () => ml.Model.CreatePredictionEngine<PlatformRow, PlatformRow>(chain));
    }

    [TestMethod]
    public void A_prediction_engine_gives_what_Transform_gives()
    {
        var ml = new MLContext();
        List<PlatformRow> rows = PlatformRow.Make(10);
        IDataView data = ml.Data.LoadFromEnumerable(rows);
        ITransformer model = ml.Transforms.Concatenate("All", "Value", "Features")
            .Append(ml.Transforms.NormalizeMinMax("All")).Fit(data);
        float[][] expected = [.. model.Transform(data).GetColumn<float[]>("All")];
        using PredictionEngine<PlatformRow, AllOnly> engine = ml.Model.CreatePredictionEngine<PlatformRow, AllOnly>(model);
        for (int i = 0; i < rows.Count; i++)
            CollectionAssert.AreEqual(expected[i], engine.Predict(rows[i]).All);
    }

    [TestMethod]
    public void A_vector_without_a_declared_size_does_not_fit_a_prediction_engine_of_a_known_one()
    {
        var ml = new MLContext();
        ITransformer model = ml.Transforms.NormalizeMinMax("Features")
            .Fit(ml.Data.LoadFromEnumerable(PlatformRow.Make(3)));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(
            () => ml.Model.CreatePredictionEngine<UnsizedRow, UnsizedRow>(model));
    }

    private sealed class IdOnly
    {
        public int Id { get; set; }
    }

    private sealed class AllOnly
    {
        public float[] All { get; set; } = [];
    }
}
