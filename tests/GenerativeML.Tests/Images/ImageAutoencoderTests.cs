using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Tests.Images;

/// <summary>What an autoencoder of images learns, and where it says that an image is strange.</summary>
[TestClass]
public sealed class ImageAutoencoderTests
{
    private readonly MLContext _ml = new(seed: 2);

    [TestMethod]
    [DataRow(0.5, 0.4, 0)]
    [DataRow(0, 0, 0.5)]
    [DataRow(0, 0, 0)]
    public void The_loss_moves_every_parameter_as_finite_differences_say(double noise, double cutOut, double masking)
    {
        var options = new ImageAutoencoderOptions
        {
            Channels = [2], LatentDimension = 3, InputNoise = noise, CutOut = cutOut, InputMasking = masking,
            Activation = Activation.Tanh, ReferenceRows = 0,
        };
        LossGradients.Check(new ImageAutoencoderNetwork(
            options, new VectorInput { Width = 12, Image = new(new(2, 3, 2)) }));
    }

    [TestMethod]
    public void A_spot_that_no_training_image_has_is_found_and_shown_where_it_is()
    {
        IDataView data = _ml.Data.LoadFromEnumerable(TestImages.Bars(60));
        using VectorTransformer model = _ml.AnomalyDetection.Trainers.ImageAutoencoder(new ImageAutoencoderOptions
        {
            FeatureColumnName = "Image", ImageShape = new(1, 8, 8), Channels = [8], LatentDimension = 16, Epochs = 60,
            AnomalyMapColumnName = "Map", FeatureScoreColumnName = "Share", ReconstructionColumnName = "Seen",
        }).Fit(data);
        BarPicture[] strange = TestImages.Bars(12);
        int[] spots = new int[strange.Length];
        for (int i = 0; i < strange.Length; i++)
        {
            byte[] pixels = strange[i].Image!.Pixels.ToArray();
            int across = i / 2 < 4 ? 7 : 0; // far from the bar
            spots[i] = i % 2 == 0 ? 8 * across + 3 : 8 * 4 + across;
            pixels.AsSpan(4 * spots[i], 3).Fill((byte)(255 - pixels[4 * spots[i]]));
            strange[i].Image = MLImage.CreateFromPixels(8, 8, MLPixelFormat.Rgba32, pixels);
        }
        IDataView scored = model.Transform(_ml.Data.LoadFromEnumerable(strange));
        float[] sound = [.. model.Transform(data).GetColumn<float>("Score").Take(strange.Length)];
        float[] scores = [.. scored.GetColumn<float>("Score")];
        Assert.IsGreaterThan(
            scores.Length - 2, scores.Zip(sound).Count(pair => pair.First > pair.Second), string.Join(' ', scores.Zip(sound)));
        MLImage[] maps = [.. scored.GetColumn<MLImage>("Map")];
        float[][] shares = [.. scored.GetColumn<float[]>("Share")];
        for (int i = 0; i < maps.Length; i++)
        {
            float[] map = TestImages.Read(maps[i], new(1, 8, 8));
            Assert.IsGreaterThanOrEqualTo(map.Max() - 1e-6f, map[spots[i]], $"{i}: {string.Join(' ', map)}");
            Assert.AreEqual(scores[i], shares[i].Sum(), 1e-3 * scores[i]);
            Assert.AreEqual(shares[i].Max(), shares[i][spots[i]]);
        }
    }

    [TestMethod]
    public void A_map_has_the_scale_of_the_training_images_and_not_its_own()
    {
        IDataView data = _ml.Data.LoadFromEnumerable(TestImages.Bars(60));
        using VectorTransformer model = _ml.AnomalyDetection.Trainers.ImageAutoencoder(new ImageAutoencoderOptions
        {
            FeatureColumnName = "Image", ImageShape = new(1, 8, 8), Channels = [8], LatentDimension = 16, Epochs = 30,
            ScoreColumnName = null, PredictedLabelColumnName = null, AnomalyMapColumnName = "Map",
        }).Fit(data);
        float[] peaks = [.. model.Transform(data).GetColumn<MLImage>("Map").Select(
            map => TestImages.Read(map, new(1, 8, 8)).Max())];
        Assert.IsInRange(1, 2, peaks.Count(peak => peak > 0.998)); // of 60, the 99th hundredth and what is above it
        Assert.IsLessThan(0.8f, peaks.Min());
    }

    // By structure alone, a score is the mean of its map, in other units. A model without labels is calibrated by the images
    // that it was trained on: in their maps the middle one's mean is black, and the 99th hundredth's strangest place white.
    [TestMethod]
    public void A_score_of_structure_is_the_mean_of_its_map_whatever_the_light_and_the_error()
    {
        float[][] images = TestRows();
        using VectorTransformer model = _ml.AnomalyDetection.Trainers.ImageAutoencoder(ByStructure()).Fit(Rows(images));
        float[][] strange = [.. images.Take(12).Select((image, i) => image.Select((v, k) => k == 5 * i ? 2 - v : v).ToArray())];
        float[][] brighter = [.. strange.Select(image => image.Select(v => v + 0.5f).ToArray())];
        float[] wild = [.. images[0]];
        wild[20] = 1e25f; // whose square is infinite
        IDataView scored = model.Transform(Rows([wild, .. strange, .. brighter]));
        float[] scores = [.. scored.GetColumn<float>("Score")];
        double[] means = Means(scored);
        Assert.IsTrue(scores.All(float.IsFinite) && means.All(double.IsFinite), string.Join(' ', scores));
        int low = Array.IndexOf(scores, scores.Min()), high = Array.IndexOf(scores, scores.Max());
        double unit = (scores[high] - scores[low]) / (means[high] - means[low]);
        for (int i = 0; i < scores.Length; i++)
            Assert.AreEqual(scores[low] + unit * (means[i] - means[low]), scores[i], 1e-4 * scores[high], $"{i}");
        // The contrast to what is around is the same; a logarithm's and a root's slopes are at most 20.
        for (int i = 1; i <= strange.Length; i++)
            Assert.AreEqual(scores[i], scores[i + strange.Length], 1e-3 * scores[i], $"{i}");

        IDataView ordinary = model.Transform(Rows(images));
        float[] peaks = [.. ordinary.GetColumn<float[]>("Map").Select(map => map.Max()).Order()];
        Assert.AreEqual(0, Means(ordinary).Order().ElementAt(images.Length / 2), 1e-4);
        Assert.AreEqual(1, peaks[(int)Math.Ceiling(0.99 * peaks.Length) - 1], 1e-4);

        static double[] Means(IDataView view) => [.. view.GetColumn<float[]>("Map").Select(map => map.Average(v => (double)v))];
    }

    [TestMethod]
    public void A_model_that_only_maps_structure_is_saved_and_loaded()
    {
        IDataView data = Rows(TestRows());
        using VectorTransformer model = _ml.AnomalyDetection.Trainers.ImageAutoencoder(
            ByStructure() with { ScoreColumnName = null, ReferenceRows = 2 }).Fit(data);
        using var file = new MemoryStream();
        _ml.Model.Save(model, data.Schema, file);
        file.Position = 0;
        using var loaded = (VectorTransformer)_ml.Model.Load(file, out _);
        float[][] expected = [.. model.Transform(data).GetColumn<float[]>("Map")];
        CollectionAssert.AreEqual(
            expected.SelectMany(map => map).ToArray(), loaded.Transform(data).GetColumn<float[]>("Map").SelectMany(map => map).ToArray());
    }

    [TestMethod]
    public void Structure_is_refused_where_nothing_shows_it_or_nothing_can_be_compared()
    {
        ImageAutoencoderOptions options = ByStructure();
        var error = Assert.Throws<ArgumentException>(() => _ml.AnomalyDetection.Trainers.ImageAutoencoder(
            options with { ScoreColumnName = null, AnomalyMapColumnName = null, LatentColumnName = "L" }));
        StringAssert.Contains(error.Message, "Option Score is Structure");
        var few = Assert.Throws<InvalidOperationException>(() => _ml.AnomalyDetection.Trainers.ImageAutoencoder(
            options with { ReferenceRows = 1 }).Fit(Rows(TestRows())));
        StringAssert.Contains(few.ToString(), "ReferenceRows");
    }

    // Training computes no structure: what it takes is no part of training's memory.
    [TestMethod]
    public void Memory_of_training_does_not_depend_on_what_is_stored()
    {
        Assert.AreEqual(Numbers(0), Numbers(2048));

        static long Numbers(int stored) => new ImageAutoencoderNetwork(
            new() { ReferenceRows = stored }, new VectorInput { Width = 4096, Image = new(new(1, 64, 64)) }).NumbersPerRow;
    }

    private static ImageAutoencoderOptions ByStructure() => new()
    {
        ImageShape = new(1, 8, 8), Channels = [2], LatentDimension = 2, Epochs = 1, Score = ImageScore.Structure,
        PredictedLabelColumnName = null, AnomalyMapColumnName = "Map",
    };

    // Bars in changing light.
    private static float[][] TestRows() =>
    [
        .. TestImages.Bars(40).Select((bar, i) =>
            TestImages.Read(bar.Image!, new(1, 8, 8)).Select(v => v * (1 + i % 3)).ToArray()),
    ];

    private IDataView Rows(float[][] images)
    {
        SchemaDefinition schema = SchemaDefinition.Create(typeof(Pixels));
        schema["Features"].ColumnType = new VectorDataViewType(NumberDataViewType.Single, images[0].Length);
        return _ml.Data.LoadFromEnumerable(images.Select(image => new Pixels { Features = image }).ToArray(), schema);
    }

    private sealed class Pixels
    {
        public float[] Features { get; set; } = [];
    }
}
