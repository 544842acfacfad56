using GenerativeML.Benchmarks;
using GenerativeML.Tests.Conformance;
using GenerativeML.Tests.Images;
using GenerativeML.Tests.Rows;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Tests.Generation;

/// <summary>What vectors are generated under conditions, and which conditions are refused.</summary>
[TestClass]
[DoNotParallelize]
public class VectorGenerationTests
{
    private readonly MLContext _ml = new(seed: 1);

    private VectorGenerator Vae() => _ml.Generative.Vae(new VaeOptions
    {
        ConditionColumnNames = ["Kind", "Large"], HiddenLayers = [32], LearningRate = 5e-3, Epochs = 60,
    }).Fit(LabelledVectors.Rows(600));

    private GanTransformer Gan() => _ml.Generative.Gan(new GanOptions
    {
        ConditionColumnNames = ["Kind", "Large"], GeneratorLayers = [16], DiscriminatorLayers = [16], Epochs = 2,
    }).Fit(LabelledVectors.Rows(60));

    [TestMethod]
    public void Every_row_has_the_labels_that_are_asked_for_and_vectors_that_go_with_them()
    {
        using VectorGenerator model = Vae();
        IDataView rows = model.Generate(3000, seed: 4, new RowCondition().Equal("Kind", 2).Equal("Large", true));
        Labelled[] all = Read(rows);
        Assert.HasCount(3000, all);
        Assert.IsTrue(all.All(r => r.Kind == 2 && r.Large));
        // In training rows of this kind and size the slots are 0, 20 and 0 on average.
        double[] means = [.. Enumerable.Range(0, 3).Select(j => all.Average(r => (double)r.Features[j]))];
        Assert.AreEqual(20, means[1], 3);
        Assert.IsLessThan(6, Math.Max(Math.Abs(means[0]), Math.Abs(means[2])));
    }

    [TestMethod]
    public void Without_a_condition_labels_come_as_in_the_training_rows()
    {
        using GanTransformer model = Gan();
        Labelled[] all = Read(model.Generate(6000));
        foreach (uint kind in new uint[] { 1, 2, 3 })
            Assert.AreEqual(1 / 3.0, all.Count(r => r.Kind == kind) / 6000.0, 0.03);
        Assert.AreEqual(0.5, all.Count(r => r.Large) / 6000.0, 0.03);
        Labelled[] some = Read(model.Generate(600, where: new RowCondition().Equal("Large", false)));
        Assert.IsTrue(some.All(r => !r.Large));
        Assert.AreEqual(3, some.Select(r => r.Kind).Distinct().Count());
    }

    [TestMethod]
    public void A_way_between_rows_begins_and_ends_as_they_are_reconstructed_and_keeps_to_its_conditions()
    {
        using VectorGenerator model = _ml.Generative.Vae(new VaeOptions
        {
            ConditionColumnNames = ["Kind", "Large"], HiddenLayers = [16], Epochs = 20, ReconstructionColumnName = "Seen",
            Likelihood = VaeLikelihood.Gaussian,
        }).Fit(LabelledVectors.Rows(600));
        TableView rows = LabelledVectors.Rows(8);
        float[][] given = [.. rows.GetColumn<float[]>("Features")], seen = [.. model.Transform(rows).GetColumn<float[]>("Seen")];
        RowCondition where = new RowCondition().Equal("Kind", 2).Equal("Large", false);
        Labelled[] way = Read(model.Interpolate(given[1], given[7], 2000, where)); // rows 1 and 7 are of this kind
        Assert.HasCount(2000, way);
        Assert.IsTrue(way.All(row => row.Kind == 2 && !row.Large));
        Same(seen[1], way[0].Features, 1e-5);
        Same(seen[7], way[^1].Features, 1e-5);
        for (int i = 1; i < way.Length; i++)
            Same(way[i - 1].Features, way[i].Features, 0.05); // no jumps, not between blocks either
        Same(seen[1], Read(model.Interpolate(given[1], given[1], 2, where))[1].Features, 1e-5);

        foreach (RowCondition? open in new[] { null, new RowCondition().Equal("Kind", 2) })
        {
            StringAssert.Contains(
                Assert.Throws<ArgumentException>(() => model.Interpolate(given[0], given[1], where: open)).Message, "'Kind', 'Large'");
        }
        Assert.Throws<ArgumentOutOfRangeException>(() => model.Interpolate(given[0], given[1], rows: 1, where));
        StringAssert.Contains(Assert.Throws<ArgumentException>(() => model.Interpolate([1, 2], given[1], 3, where)).Message, "2 features");
        StringAssert.Contains(
            Assert.Throws<ArgumentException>(() => model.Interpolate(given[0], [1, 2, float.NaN], 3, where)).Message, "Feature 2");
        Assert.Throws<NotSupportedException>(() => model.Interpolate(TestImages.Grey(1, 0), TestImages.Grey(1, 0), 3, where));
        using GanTransformer gan = Gan();
        Assert.Throws<NotSupportedException>(() => gan.Interpolate(given[0], given[1], 3, where));
    }

    [TestMethod]
    public void Half_way_between_rows_of_a_flow_is_the_row_whose_latent_vector_is_the_mean_of_theirs()
    {
        TableView rows = ConformanceData.Table(200);
        using VectorGenerator flow = _ml.AnomalyDetection.Trainers.NormalizingFlow(new NormalizingFlowOptions
        {
            Steps = 2, HiddenLayers = [16], Epochs = 5, LatentColumnName = "Latent",
        }).Fit(rows);
        float[][] given = [.. rows.GetColumn<float[]>("Features").Take(2)];
        IDataView way = flow.Interpolate(given[0], given[1], 3);
        float[][] made = [.. way.GetColumn<float[]>("Features")], latent = [.. flow.Transform(way).GetColumn<float[]>("Latent")];
        Same(given[0], made[0], 1e-4);
        Same(given[1], made[2], 1e-4);
        Same([.. latent[0].Zip(latent[2], (a, b) => (a + b) / 2)], latent[1], 1e-3);
    }

    [TestMethod]
    public void A_way_between_pictures_is_of_pictures()
    {
        IDataView bars = _ml.Data.LoadFromEnumerable(TestImages.Bars(40));
        using VectorGenerator model = _ml.Generative.ImageVae(new ImageVaeOptions
        {
            FeatureColumnName = "Image", ImageShape = new(1, 8, 8), Channels = [4], HiddenWidth = 16, Epochs = 2,
            ReconstructionColumnName = "Seen",
        }).Fit(bars);
        MLImage[] given = [.. bars.GetColumn<MLImage>("Image").Take(2)];
        MLImage[] seen = [.. model.Transform(bars).GetColumn<MLImage>("Seen").Take(2)];
        MLImage[] way = [.. model.Interpolate(given[0], given[1], 4).GetColumn<MLImage>("Image")];
        Assert.HasCount(4, way);
        CollectionAssert.AreEqual(seen[0].Pixels.ToArray(), way[0].Pixels.ToArray());
        CollectionAssert.AreEqual(seen[1].Pixels.ToArray(), way[3].Pixels.ToArray());
    }

    [TestMethod]
    public void What_cannot_be_met_is_refused_before_any_work_and_says_why()
    {
        using GanTransformer model = Gan();
        Assert.Throws<ArgumentOutOfRangeException>(() => model.Generate(-1));
        Refuses(model, "'Height'", new RowCondition().Equal("Height", 1));
        Refuses(model, "no training row", new RowCondition().Equal("Kind", 4));
        Refuses(model, "two values", new RowCondition().Equal("Kind", 1).Equal("Kind", 2));
        Refuses(model, "single values", new RowCondition().Between("Kind", 1, 2));
        Refuses(model, "Boolean", new RowCondition().Equal("Large", "yes"));
        Refuses(model, "Key<UInt32", new RowCondition().Equal("Kind", true));
        Assert.AreEqual(0, model.Generate(0).GetRowCount());
    }

    [TestMethod]
    public void A_label_that_is_not_there_or_of_another_type_is_refused_before_training()
    {
        TableView data = LabelledVectors.Rows(20).Add("Name", TextDataViewType.Instance, row => $"{row}".AsMemory());
        Refuses("Colour");
        Refuses("Name");

        void Refuses(string label)
        {
            IEstimator<ITransformer> estimator = _ml.Generative.Gan(new() { ConditionColumnNames = [label] });
            StringAssert.Contains(Assert.Throws<ArgumentOutOfRangeException>(() => estimator.Fit(data)).Message, $"'{label}'");
            StringAssert.Contains(
                Assert.Throws<ArgumentOutOfRangeException>(
                    () => estimator.GetOutputSchema(SchemaTests.Shape(data.Schema))).Message,
                $"'{label}'");
        }
    }

    [TestMethod]
    public void An_annotation_that_cannot_be_kept_is_refused_before_any_row_is_read()
    {
        var notes = new DataViewSchema.Annotations.Builder();
        notes.Add("Number", NumberDataViewType.Int64, (ref long value) => value = (1L << 53) + 1);
        TableView data = new TableView(20).AddVector("Features", 2, row => [row, 1 - row], notes.ToAnnotations());
        IEstimator<ITransformer> estimator = _ml.Generative.Vae(new VaeOptions());
        string message = Assert.Throws<InvalidOperationException>(() => estimator.Fit(data)).Message;
        StringAssert.Contains(message, "'Number' of column 'Features'");
        Assert.AreEqual(0, data.Reads.Sum());
    }

    [TestMethod]
    public void Values_that_a_likelihood_cannot_have_are_refused_before_training()
    {
        IEstimator<ITransformer> estimator =
            _ml.Generative.Vae(new VaeOptions { Likelihood = VaeLikelihood.Bernoulli });
        string message = Assert.Throws<InvalidOperationException>(() => estimator.Fit(LabelledVectors.Rows(20))).Message;
        StringAssert.Contains(message, "'Features'");
        StringAssert.Contains(message, "Feature 0");
        estimator = _ml.Generative.Vae(new VaeOptions { FeatureLikelihoods = [VaeLikelihood.Gaussian] });
        StringAssert.Contains(
            Assert.Throws<InvalidOperationException>(() => estimator.Fit(LabelledVectors.Rows(20))).Message, "3 features");
    }

    [TestMethod]
    public void Vectors_that_are_no_images_of_the_shape_are_refused_before_training()
    {
        Refuses(new(), "5 features, no square image");
        Refuses(new() { ImageShape = new(1, 2, 2) }, "5 features, not the 4 of an image of 1 × 2 × 2");

        void Refuses(ImageVaeOptions options, string why) => StringAssert.Contains(
            Assert.Throws<ArgumentOutOfRangeException>(
                () => _ml.Generative.ImageVae(options).Fit(ConformanceData.Table(20, width: 5))).Message,
            why);
    }

    [TestMethod]
    public void A_gan_reports_how_its_training_went_and_the_report_is_saved_with_it()
    {
        using GanTransformer model = Gan();
        GanReport report = model.Report;
        Assert.IsNotEmpty(report.Stages);
        Assert.AreEqual(6, report.ComparedRows, 1);
        Assert.IsTrue(report.Stages.All(s => s.Step > 0 && double.IsFinite(s.SlicedWasserstein)));
        Assert.IsNotEmpty(report.Verdict());
        using var stream = new MemoryStream();
        _ml.Model.Save(model, null, stream);
        stream.Position = 0;
        using var loaded = (GanTransformer)new MLContext().Model.Load(stream, out _);
        Assert.AreEqual(report.ToString(), loaded.Report.ToString());
    }

    [TestMethod]
    public void A_label_of_few_whole_numbers_is_a_category_and_generated_exactly()
    {
        TableView data = new TableView(120)
            .Add("Size", NumberDataViewType.Single, row => (row % 3) switch { 0 => 2f, 1 => 5f, _ => -1f })
            .Add("Weight", NumberDataViewType.Single, row => row % 7 / 4f)
            .Add("Count", NumberDataViewType.Single, row => (float)(row % 21))
            .AddVector("Features", 2, row => [row % 3 + MathF.Sin(row), MathF.Cos(row)]);
        using GanTransformer model = _ml.Generative.Gan(new GanOptions
        {
            ConditionColumnNames = ["Size", "Weight", "Count"], GeneratorLayers = [8], DiscriminatorLayers = [8],
            Epochs = 2,
        }).Fit(data);
        using var stream = new MemoryStream();
        _ml.Model.Save(model, null, stream);
        stream.Position = 0;
        using var loaded = (GanTransformer)new MLContext().Model.Load(stream, out _);
        foreach (GanTransformer gan in new[] { model, loaded })
        {
            CollectionAssert.AreEquivalent(
                new float[] { 2, 5, -1 }, VectorRows.Singles(gan.Generate(300), "Size").Distinct().ToArray());
            RowCondition where = new RowCondition().Equal("Size", 5).Equal("Weight", 0.33);
            Assert.IsTrue(VectorRows.Singles(gan.Generate(50, where: where), "Size").All(size => size == 5));
            Assert.IsTrue(VectorRows.Singles(gan.Generate(50, where: where), "Weight").All(weight => weight == 0.33f));
            Refuses(gan, "no training row", new RowCondition().Equal("Size", 2.5));
            Refuses(gan, "no training row", new RowCondition().Equal("Size", 3));
            Refuses(gan, "Single", new RowCondition().Equal("Size", "2"));
            // Neither fractions nor more than twenty values are categories: any number can be asked for.
            where = new RowCondition().Equal("Count", 30.5);
            Assert.AreEqual(30.5f, VectorRows.Singles(gan.Generate(1, where: where), "Count")[0]);
        }
        // What a value that was never seen goes with is not known.
        TableView other = new TableView(3)
            .Add("Size", NumberDataViewType.Single, row => row - 1f)
            .Add("Weight", NumberDataViewType.Single, row => 0.5f)
            .Add("Count", NumberDataViewType.Single, row => 3f)
            .AddVector("Features", 2, row => [1f, 0.5f]);
        float[] scores = VectorRows.Singles(model.Transform(other), "Score");
        Assert.IsTrue(float.IsFinite(scores[0]));
        Assert.IsTrue(float.IsNaN(scores[1]) && float.IsNaN(scores[2]), $"{scores[1]}, {scores[2]}");
    }

    [TestMethod]
    public void A_category_that_is_missing_is_an_error_or_replaced_by_the_shares_of_all()
    {
        TableView data = new TableView(60)
            .Add("Size", NumberDataViewType.Single, row => row == 9 ? float.NaN : row % 2)
            .AddVector("Features", 2, row => [row % 2 + MathF.Sin(row), MathF.Cos(row)]);
        var options = new GanOptions
        {
            ConditionColumnNames = ["Size"], GeneratorLayers = [8], DiscriminatorLayers = [8], Epochs = 1,
            ValidationFraction = 0,
        };
        string message = Assert.Throws<InvalidOperationException>(() => _ml.Generative.Gan(options).Fit(data)).Message;
        StringAssert.Contains(message, "'Size' holds 1 values that are NaN or infinite, in 1 of 60 rows");
        using GanTransformer model =
            _ml.Generative.Gan(options with { NonFiniteValues = NonFiniteValues.Replace }).Fit(data);
        Assert.IsTrue(VectorRows.Singles(model.Transform(data), "Score").All(float.IsFinite));
        Assert.IsTrue(VectorRows.Singles(
            model.Generate(20, where: new RowCondition().Equal("Size", 1)), "Size").All(size => size == 1));
    }

    private static void Same(float[] expected, float[] found, double within)
    {
        Assert.HasCount(expected.Length, found);
        for (int i = 0; i < expected.Length; i++)
            Assert.AreEqual(expected[i], found[i], within, $"feature {i}");
    }

    private static void Refuses(IDataGenerator model, string why, RowCondition where) => StringAssert.Contains(
        Assert.Throws<ArgumentException>(() => model.Generate(10, where: where)).Message, why);

    private static Labelled[] Read(IDataView rows)
    {
        using DataViewRowCursor cursor = rows.GetRowCursor(rows.Schema);
        ValueGetter<uint> kind = cursor.GetGetter<uint>(rows.Schema["Kind"]);
        ValueGetter<VBuffer<float>> features = cursor.GetGetter<VBuffer<float>>(rows.Schema["Features"]);
        ValueGetter<bool> large = cursor.GetGetter<bool>(rows.Schema["Large"]);
        var all = new List<Labelled>();
        (uint k, VBuffer<float> f, bool l) = (0, default, false);
        while (cursor.MoveNext())
        {
            kind(ref k);
            features(ref f);
            large(ref l);
            all.Add(new Labelled(k, [.. f.DenseValues()], l));
        }
        return [.. all];
    }

    private sealed record Labelled(uint Kind, float[] Features, bool Large);
}
