using Microsoft.ML;
using Microsoft.ML.Data;
using GenerativeML.Tests.Rows;

namespace GenerativeML.Tests.Images;

[TestClass]
[DoNotParallelize]
public sealed class ImageDiscriminatorTests
{
    private const int Side = 8, Hundred = 100;

    private static readonly string[] s_classes = ["genuine", "generated"];

    private readonly MLContext _ml = new(seed: 1);

    [TestMethod]
    public void Generated_images_are_told_from_genuine_ones_and_a_saved_model_says_the_same()
    {
        using var curves = new TrainingCurves();
        using VectorTransformer model = _ml.MulticlassClassification.Trainers.ImageDiscriminator(Options() with { Progress = curves }).Fit(Images(200, 1));
        Assert.IsTrue(curves.Reports[^1] is { IsLast: true, Losses.Count: > 0 });
        IDataView fresh = Images(Hundred, 2);
        IDataView scored = model.Transform(fresh);
        MulticlassClassificationMetrics metrics = _ml.MulticlassClassification.Evaluate(scored);
        // The traces of a poor generator are everywhere in an image.
        Assert.IsGreaterThan(0.95, metrics.MacroAccuracy);
        foreach (float[] score in scored.GetColumn<float[]>("Score"))
            Assert.AreEqual(1, score.Sum(), 1e-5);
        Assert.AreEqual(16, scored.GetColumn<float[]>("F").First().Length);

        using var file = new MemoryStream();
        _ml.Model.Save(model, fresh.Schema, file);
        using var loaded = (VectorTransformer)_ml.Model.Load(file, out _);
        foreach ((float[] one, float[] other) in scored.GetColumn<float[]>("Score").Zip(loaded.Transform(fresh).GetColumn<float[]>("Score")))
            CollectionAssert.AreEqual(one, other);
        VBuffer<ReadOnlyMemory<char>> names = default;
        scored.Schema["PredictedLabel"].GetKeyValues(ref names);
        CollectionAssert.AreEqual(s_classes, names.DenseValues().Select(n => n.ToString()).ToArray());
    }

    [TestMethod]
    public void Images_without_a_label_change_nothing_and_the_label_is_read_in_training_alone()
    {
        ImageDiscriminatorOptions options = Options() with { Epochs = 1, BatchSize = Hundred };
        float[] Probabilities(IDataView training)
        {
            using VectorTransformer model = _ml.MulticlassClassification.Trainers.ImageDiscriminator(options).Fit(training);
            return [.. model.Transform(_ml.Transforms.DropColumns("Label").Fit(Images(5, 3)).Transform(Images(5, 3)))
                .GetColumn<float[]>("Score").SelectMany(s => s)];
        }
        Assert.HasCount(10, Probabilities(Images(Hundred, 1, missing: row => row % 10 == 0)));
        Assert.Contains("'Label'", Assert.Throws<InvalidOperationException>(
            () => Probabilities(Images(Hundred, 1, missing: _ => true))).Message);
    }

    [TestMethod]
    public void Wrong_input_is_refused_before_work()
    {
        var trainers = _ml.MulticlassClassification.Trainers;
        Assert.Contains("1 class", Assert.Throws<InvalidOperationException>(
            () => trainers.ImageDiscriminator(Options()).Fit(Images(20, 1, missing: row => row % 2 == 0))).Message);
        Assert.Contains("'Label'", Assert.Throws<ArgumentOutOfRangeException>(
            () => trainers.ImageDiscriminator(Options()).Fit(new TableView(20).AddVector("Features", 64, _ => new float[64]))).Message);
        Assert.Contains("'Features'", Assert.Throws<ArgumentOutOfRangeException>(
            () => trainers.ImageDiscriminator().Fit(new TableView(20).Add("Label", new KeyDataViewType(typeof(uint), 2), r => 1u))).Message);
        Assert.Throws<ArgumentOutOfRangeException>(() => trainers.ImageDiscriminator(Options() with { Dropout = 1 }));
        Assert.Throws<ArgumentOutOfRangeException>(() => trainers.ImageDiscriminator(Options() with { Channels = [] }));
        Assert.Throws<ArgumentException>(() => trainers.ImageDiscriminator(Options() with { ConditionColumnNames = ["Label"] }));
    }

    [TestMethod]
    public void A_second_pass_lowers_the_cross_entropy()
    {
        using VectorTransformer first = _ml.MulticlassClassification.Trainers.ImageDiscriminator(Options() with { Epochs = 1 })
            .Fit(Images(64, 1));
        using VectorTransformer later = _ml.MulticlassClassification.Trainers.ImageDiscriminator(Options() with { Epochs = 2 })
            .Fit(Images(64, 1));
        IDataView rows = Images(64, 1);
        double Loss(VectorTransformer model) => _ml.MulticlassClassification.Evaluate(model.Transform(rows)).LogLoss;
        Assert.IsLessThan(Loss(first), Loss(later));
    }

    private static ImageDiscriminatorOptions Options() => new()
    {
        ImageShape = new(1, Side, Side), Channels = [8], FeatureWidth = 16, Epochs = 12, BatchSize = 16, LatentColumnName = "F",
    };

    // Genuine: an upright line. Generated: one on a ground that is not quite black.
    private IDataView Images(int rows, ulong seed, Func<int, bool>? missing = null)
    {
        var random = new SplitMix64(seed);
        var images = Enumerable.Range(0, rows).Select(row =>
        {
            float[] pixels = new float[Side * Side];
            int column = random.Next(Side);
            for (int i = 0; i < pixels.Length; i++)
                pixels[i] = i % Side == column ? 1 : row % 2 == 1 ? 0.3f * (float)random.NextDouble() : 0;
            return new Row { Features = pixels, Source = missing?.Invoke(row) == true ? "" : s_classes[row % 2] };
        }).ToArray();
        IDataView view = _ml.Data.LoadFromEnumerable(images);
        return _ml.Transforms.Conversion.MapValueToKey(
            "Label", "Source", keyData: _ml.Data.LoadFromEnumerable(s_classes.Select(c => new { Source = c }))).Fit(view).Transform(view);
    }

    private sealed class Row
    {
        [VectorType(Side * Side)]
        public float[] Features { get; set; } = [];

        public string Source { get; set; } = "";
    }
}
