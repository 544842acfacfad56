using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms.Image;

namespace GenerativeML.Tests.Images;

/// <summary>Pictures in and pictures out, of any size, and what is no picture.</summary>
[TestClass]
public sealed class ImageModalityTests
{
    private readonly MLContext _ml = new(seed: 2);

    [TestMethod]
    [DataRow(ImageResize.Crop, 2, 2, new[] { 0.2f, 0.4f, 0.2f, 0.4f })] // the middle, as it is
    [DataRow(ImageResize.Pad, 4, 4, new[] { 0, 0, 0, 0, 0, 0.2f, 0.4f, 0.6f, 0, 0.2f, 0.4f, 0.6f, 0, 0, 0, 0 })]
    // A triangle two pixels wide: (0.75·0 + 0.75·0.2 + 0.25·0.4) / 1.75, and its mirror.
    [DataRow(ImageResize.Stretch, 2, 1, new[] { 0.25f / 1.75f, 0.8f / 1.75f })]
    public void A_picture_is_resized_as_worked_out_by_hand(ImageResize resize, int width, int height, float[] expected)
    {
        using MLImage image = TestImages.Grey(4, 0, 51, 102, 153, 0, 51, 102, 153);
        float[] found = TestImages.Read(image, new(1, height, width), resize);
        for (int i = 0; i < expected.Length; i++)
            Assert.AreEqual(expected[i], found[i], 1e-6f, string.Join(' ', found));
    }

    [TestMethod]
    public void Colours_and_alpha_come_and_go_by_the_shapes_channels()
    {
        byte[] pixels = [255, 0, 51, 255, 0, 102, 0, 204];
        using MLImage image = MLImage.CreateFromPixels(2, 1, MLPixelFormat.Rgba32, pixels);
        float[] all = TestImages.Read(image, new(4, 1, 2));
        CollectionAssert.AreEqual(new[] { 1, 0, 0, 0.4f, 0.2f, 0, 1, 0.8f }, all);
        CollectionAssert.AreEqual(all[..6], TestImages.Read(image, new(3, 1, 2)));
        Assert.AreEqual(0.299f + 0.114f * 0.2f, TestImages.Read(image, new(1, 1, 2))[0], 1e-6f);
        using MLImage same = ImagePixels.ToImage(all, new(4, 1, 2))!;
        CollectionAssert.AreEqual(pixels, same.Pixels.ToArray());
        using MLImage swapped = MLImage.CreateFromPixels(2, 1, MLPixelFormat.Bgra32, [51, 0, 255, 255, 0, 102, 0, 204]);
        CollectionAssert.AreEqual(all, TestImages.Read(swapped, new(4, 1, 2)));
        using MLImage clamped = ImagePixels.ToImage([-1, 2], new(1, 1, 2))!;
        CollectionAssert.AreEqual(new byte[] { 0, 0, 0, 255, 255, 255, 255, 255 }, clamped.Pixels.ToArray());
    }

    [TestMethod]
    public void The_extremes_of_sizes_are_read()
    {
        using MLImage dot = TestImages.Grey(1, 102);
        Assert.IsTrue(TestImages.Read(dot, new(1, 3, 5)).All(v => Math.Abs(v - 0.4f) < 1e-6));
        using MLImage large = TestImages.Grey(3000, [.. Enumerable.Repeat((byte)51, 3000 * 2000)]);
        Assert.IsTrue(TestImages.Read(large, new(1, 8, 8)).All(v => Math.Abs(v - 0.2f) < 1e-5));
    }

    [TestMethod]
    public void Pictures_come_out_of_a_model_of_pictures_also_when_it_was_saved()
    {
        BarPicture[] bars = TestImages.Bars(40);
        IDataView data = _ml.Data.LoadFromEnumerable(bars);
        ImageVaeTrainer trainer = _ml.Generative.ImageVae(Options() with
        {
            ReconstructionColumnName = "Seen", ConditionColumnNames = ["Stands"], ImageShape = new(1, 8, 8),
        });
        SchemaShape.Column promised = trainer.GetOutputSchema(MLNetInternals.ShapeOf(data.Schema)).Single(c => c.Name == "Seen");
        using VectorGenerator model = trainer.Fit(data);
        using var saved = new MemoryStream();
        _ml.Model.Save(model, data.Schema, saved);
        saved.Position = 0;
        using var loaded = (VectorGenerator)_ml.Model.Load(saved, out _);
        Assert.AreEqual("Image, Stands", string.Join(", ", loaded.GeneratedSchema.Select(c => c.Name)));
        foreach (VectorGenerator one in new[] { model, loaded })
        {
            IDataView seen = one.Transform(data);
            Assert.AreEqual(new ImageDataViewType(8, 8), seen.Schema["Seen"].Type);
            Assert.AreEqual(promised.ItemType, seen.Schema["Seen"].Type);
            MLImage[] pictures = [.. seen.GetColumn<MLImage>("Seen")];
            Assert.HasCount(40, pictures);
            Assert.AreEqual((8, 8), (pictures[39].Width, pictures[39].Height));
            IDataView made = one.Generate(5, seed: 3, new RowCondition().Equal("Stands", true));
            Assert.AreEqual(new ImageDataViewType(8, 8), made.Schema["Image"].Type);
            Assert.IsTrue(made.GetColumn<MLImage>("Image").All(i => i.Pixels.Length == 256));
            Assert.IsTrue(made.GetColumn<bool>("Stands").All(stands => stands));
        }
        byte[] first = Bytes(model), again = Bytes(loaded);
        CollectionAssert.AreEqual(first, again);

        static byte[] Bytes(VectorGenerator generator) =>
            [.. generator.Generate(3, seed: 5).GetColumn<MLImage>("Image").SelectMany(i => i.Pixels.ToArray())];
    }

    [TestMethod]
    public void What_is_no_picture_is_named_or_left_out()
    {
        BarPicture[] bars = TestImages.Bars(30);
        bars[7].Image = null;
        IDataView data = _ml.Data.LoadFromEnumerable(bars);
        string message = Assert.Throws<InvalidOperationException>(
            () => _ml.Generative.ImageVae(Options()).Fit(data)).Message;
        StringAssert.Contains(message, "Column 'Image' holds no image, or one that cannot be read, in 1 of 30 rows");
        StringAssert.Contains(message, "row 7");
        using VectorGenerator model = _ml.Generative.ImageVae(Options() with
        {
            NonFiniteValues = NonFiniteValues.DropRow, ReconstructionColumnName = "Seen",
        }).Fit(data);
        MLImage?[] seen = [.. model.Transform(data).GetColumn<MLImage?>("Seen")];
        Assert.IsNull(seen[7]);
        Assert.AreEqual(29, seen.Count(image => image is not null));
    }

    [TestMethod]
    public void Files_that_are_no_images_are_rows_without_one_and_others_may_have_any_size()
    {
        string folder = Directory.CreateTempSubdirectory().FullName;
        try
        {
            for (int i = 0; i < 20; i++)
            {
                using MLImage image = TestImages.Grey(
                    3 + i % 4, [.. Enumerable.Range(0, (3 + i % 4) * (2 + i % 3)).Select(p => (byte)(p * 20 * (i % 3)))]);
                image.Save(Path.Combine(folder, $"{i}.png"));
            }
            File.WriteAllText(Path.Combine(folder, "20.png"), "text");
            Directory.CreateDirectory(Path.Combine(folder, "21.png"));
            IDataView paths = _ml.Data.LoadFromEnumerable(Enumerable.Range(0, 23).Select(i => new { Path = $"{i}.png" }));
            IDataView data = _ml.Transforms.LoadImages("Image", folder, "Path").Fit(paths).Transform(paths);
            StringAssert.Contains(
                Assert.Throws<ArgumentOutOfRangeException>(() => _ml.Generative.ImageVae(Options()).Fit(data)).Message,
                "set the option ImageShape, or bring them to one size before, by ResizeImages");
            ImageVaeOptions sized = Options() with { ImageShape = new(3, 4, 4) };
            StringAssert.Contains(
                Assert.Throws<InvalidOperationException>(() => _ml.Generative.ImageVae(sized).Fit(data)).Message,
                "in 3 of 23 rows; the first is row 20");
            using VectorGenerator model = _ml.Generative.ImageVae(
                sized with { NonFiniteValues = NonFiniteValues.DropRow }).Fit(data);
            IDataView made = model.Generate(5);
            IReadOnlyList<string> files = made.SaveImages("Image", Path.Combine(folder, "made"));
            Assert.HasCount(5, files);
            made.SaveGrid("Image", Path.Combine(folder, "sheet.png"), rows: 9, columns: 2);
            using MLImage sheet = MLImage.CreateFromFile(Path.Combine(folder, "sheet.png"));
            Assert.AreEqual((9, 14), (sheet.Width, sheet.Height)); // 2 × 3 places of 4 × 4, and lines of one between them
            // Of the rows that were read, too, whose last three have no image; in the size of the first.
            data.SaveGrid("Image", Path.Combine(folder, "new", "read.png"), rows: 1, columns: 23);
            using MLImage read = MLImage.CreateFromFile(Path.Combine(folder, "new", "read.png"));
            Assert.AreEqual((4 * 23 - 1, 2), (read.Width, read.Height)); // the first has 3 × 2
            CollectionAssert.AreEqual(new byte[] { 0, 0, 0, 255 }, read.Pixels[(4 * 4 * 22)..(4 * 4 * 22 + 4)].ToArray()); // of the last, which has none
            Assert.HasCount(20, data.SaveImages("Image", Path.Combine(folder, "read")));
            byte[] expected = made.GetColumn<MLImage>("Image").First().Pixels.ToArray();
            using MLImage first = MLImage.CreateFromFile(files[0]);
            CollectionAssert.AreEqual(
                TestImages.Read(first, new(3, 4, 4)),
                TestImages.Read(MLImage.CreateFromPixels(4, 4, MLPixelFormat.Rgba32, expected), new(3, 4, 4)));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [TestMethod]
    public void A_sheet_of_large_images_shows_them_smaller()
    {
        string folder = Directory.CreateTempSubdirectory().FullName;
        try
        {
            using MLImage large = MLImage.CreateFromPixels(3000, 1500, MLPixelFormat.Rgba32, [.. Enumerable.Repeat(byte.MaxValue, 3000 * 1500 * 4)]);
            IDataView view = _ml.Data.LoadFromEnumerable([new Large { Image = large }, new Large { Image = large }]);
            string path = Path.Combine(folder, "sheet.png");
            view.SaveGrid("Image", path);
            using MLImage sheet = MLImage.CreateFromFile(path);
            // Two of 3000 × 1500 side by side, in 4096² pixels and 1 between them.
            Assert.AreEqual((6001, 1500), (sheet.Width, sheet.Height));
            _ml.Data.LoadFromEnumerable(Enumerable.Repeat(new Large { Image = large }, 20)).SaveGrid("Image", path, rows: 1000, columns: 4);
            using MLImage smaller = MLImage.CreateFromFile(path);
            Assert.IsInRange(0.95 * (1 << 24), 1 << 24, (double)smaller.Width * smaller.Height);
            Assert.AreEqual(4 * 3000 / (5 * 1500.0), smaller.Width / (double)smaller.Height, 0.01);
            Assert.Throws<ArgumentException>(() => view.SaveGrid("Image", Path.Combine(folder, "sheet.bmp")));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [TestMethod]
    public void Vectors_go_out_in_the_layout_and_range_in_which_they_came()
    {
        IDataView data = new Rows.TableView(40).AddVector(
            "Features", 12, row => [.. Enumerable.Range(0, 12).Select(j => (row + j) % 4 * 85f)]);
        using VectorGenerator model = _ml.Generative.ImageVae(Options() with
        {
            FeatureColumnName = "Features", ImageShape = new(3, 2, 2), ReconstructionColumnName = "Seen", Epochs = 30,
        }).Fit(data);
        Assert.AreEqual(data.Schema["Features"].Type, model.GeneratedSchema["Features"].Type);
        foreach (float[] values in model.Generate(20).GetColumn<float[]>("Features")
            .Concat(model.Transform(data).GetColumn<float[]>("Seen")))
        {
            Assert.HasCount(12, values);
            Assert.IsTrue(values.All(v => v is >= 0 and <= 255), string.Join(' ', values));
            Assert.IsGreaterThan(5f, values.Max());
        }
    }

    [TestMethod]
    [DataRow(2, 2, 3)]
    [DataRow(3, 16, 5)]
    public void Stages_that_would_halve_a_single_pixel_are_refused(int height, int width, int stages)
    {
        IDataView data = new Rows.TableView(20).AddVector(
            "Features", height * width, row => [.. Enumerable.Range(0, height * width).Select(j => (row + j) % 4 / 3f)]);
        var shape = new ImageShape(1, height, width);
        int[] channels = [.. Enumerable.Repeat(2, stages)];
        IEstimator<ITransformer>[] refused =
        [
            _ml.Generative.ImageVae(new ImageVaeOptions { ImageShape = shape, Channels = channels }),
            _ml.AnomalyDetection.Trainers.ImageAutoencoder(new ImageAutoencoderOptions { ImageShape = shape, Channels = channels }),
        ];
        foreach (IEstimator<ITransformer> each in refused)
        {
            StringAssert.Contains(
                Assert.Throws<InvalidOperationException>(() => each.Fit(data)).Message,
                $"they can have {stages - 1} at most");
        }
        _ml.Generative.ImageVae(Options() with
        {
            FeatureColumnName = "Features", ImageShape = shape, Channels = channels[1..], Epochs = 1,
        }).Fit(data).Dispose();
    }

    [TestMethod]
    public void Conditions_of_other_types_are_refused_with_the_way_to_make_them_labels()
    {
        IDataView data = new Rows.TableView(8).AddVector("Features", 4, row => [row, row, row, row])
            .Add("Number", NumberDataViewType.Int32, row => row % 2).Add("Text", TextDataViewType.Instance, row => $"{row % 2}".AsMemory());
        foreach (string column in new[] { "Number", "Text" })
        {
            ImageVaeTrainer trainer = _ml.Generative.ImageVae(
                Options() with { FeatureColumnName = "Features", ConditionColumnNames = [column] });
            foreach (Action refused in new Action[] { () => trainer.Fit(data), () => trainer.GetOutputSchema(Rows.SchemaTests.Shape(data.Schema)) })
            {
                string message = Assert.Throws<ArgumentOutOfRangeException>(refused).Message;
                StringAssert.Contains(message, $"'{column}' is of the wrong type");
                StringAssert.Contains(message, "MapValueToKey makes a key of texts and whole numbers, and ConvertType a Single of numbers.");
            }
        }
        // What it names helps.
        IDataView keys = _ml.Transforms.Conversion.MapValueToKey("Number").Append(_ml.Transforms.Conversion.MapValueToKey("Text"))
            .Fit(data).Transform(data);
        _ml.Generative.ImageVae(Options() with { FeatureColumnName = "Features", ConditionColumnNames = ["Number", "Text"] })
            .Fit(keys).Dispose();
    }

    private static ImageVaeOptions Options() => new()
    {
        FeatureColumnName = "Image", Channels = [4], HiddenWidth = 8, LatentDimension = 2, Epochs = 2, BatchSize = 16,
    };

    private sealed class Large
    {
        [Microsoft.ML.Transforms.Image.ImageType(1500, 3000)]
        public MLImage? Image { get; set; }
    }
}
