using System.Text;
using Microsoft.ML;
using Microsoft.ML.Data;
using TorchSharp;

namespace GenerativeML.Tests.Images;

/// <summary>Patches of a network's features: what is remembered, what is strange, and which networks are taken.</summary>
[TestClass]
public sealed class PatchCoreTests
{
    private const int Side = 8;

    private readonly MLContext _ml = new(seed: 2);

    // The network gives pixels as they are, three times, on a grid of 8 × 8, and their halves on one of 4 × 4.
    private static string PixelsPath { get; } = ImageNetworks.Write(
        "pixels.onnx", x => [x.Apply(Function.Relu), x.Apply(Function.Relu).Halved()], side: Side);

    [TestMethod]
    public void Score_and_map_are_what_is_worked_out_by_the_paper()
    {
        float[][] train = Images(6, seed: 1), test = Images(4, seed: 2);
        test[1] = train[3];
        test[2][3 * Side + 5] = 0.99f;
        using VectorTransformer model = Trainer(Pixels() with { MemoryShare = 1, PredictedLabelColumnName = null }).Fit(View(train));
        IDataView scored = model.Transform(View(test));
        float[] scores = [.. scored.GetColumn<float>("Score")];
        float[][] maps = [.. scored.GetColumn<float[]>("Map")];
        HostWeights weights = model.State.Model.Weights;

        double[][] memory = [.. train.SelectMany(image => Patches(image))];
        Assert.HasCount(memory.Length * 6, weights["memory"]);
        for (int i = 0; i < test.Length; i++)
        {
            double[][] patches = Patches(test[i]);
            double[] distances = [.. patches.Select(patch => memory.Min(other => Distance(patch, other)))];
            int worst = Array.IndexOf(distances, distances.Max());
            double[] nearest = memory.MinBy(other => Distance(patches[worst], other))!;
            double[] around = [.. memory.OrderBy(other => Distance(nearest, other)).Take(9).Select(other => Distance(patches[worst], other))];
            double weight = 1 - Math.Exp(distances[worst]) / around.Sum(Math.Exp);
            Assert.AreEqual(weight * distances[worst], scores[i], 1e-4, $"{i}");
            // A map is blurred by 4/224 of its side, which here is next to nothing: each place has its own patch's distance.
            float floor = weights["map_floor"][0], scale = weights["map_scale"][0];
            for (int p = 0; p < distances.Length; p++)
                Assert.AreEqual((distances[p] - floor) * scale, maps[i][p], 1e-3 * scale, $"{i}, {p}");
        }
        // The scale is told by training images, each patch by its nearest other one.
        double[][] ordinary = [.. train.Select(image => Patches(image).Select(
            patch => memory.Select(other => Distance(patch, other)).Where(d => d > 1e-9).Min()).ToArray())];
        double zero = ordinary.Select(map => map.Average()).Order().ElementAt(3), one = ordinary.Max(map => map.Max());
        Assert.AreEqual(zero, weights["map_floor"][0], 1e-4);
        Assert.AreEqual(1, (one - zero) * weights["map_scale"][0], 0.01);
        Assert.AreEqual(0, scores[1], 1e-5f, "an image that was trained on, all of whose patches are remembered");
    }

    [TestMethod]
    public void Larger_patches_that_know_where_they_are_score_and_show_as_worked_out()
    {
        float[][] train = Images(5, seed: 1), test = Images(3, seed: 2);
        const double smoothing = 0.1, weight = 2;
        PatchCoreOptions defaults = new();
        using VectorTransformer model = Trainer(Pixels() with
        {
            MemoryShare = 1, PredictedLabelColumnName = null, PatchSide = 5, PositionWeight = defaults.PositionWeight, ScoreShare = defaults.ScoreShare,
            MapSmoothing = smoothing,
        }).Fit(View(train));
        IDataView scored = model.Transform(View(test));
        float[] scores = [.. scored.GetColumn<float>("Score")];
        float[][] maps = [.. scored.GetColumn<float[]>("Map")];
        (float floor, float scale) = (model.State.Model.Weights["map_floor"][0], model.State.Model.Weights["map_scale"][0]);
        double[][] memory = [.. train.SelectMany(Placed)];
        for (int i = 0; i < test.Length; i++)
        {
            double[] distances = [.. Placed(test[i]).Select(patch => memory.Min(other => Distance(patch, other)))];
            Assert.AreEqual(distances.OrderDescending().Take(7).Average(), scores[i], 1e-4, $"{i}"); // a tenth of 64, rounded up
            for (int p = 0; p < distances.Length; p++)
            {
                double[] near = [.. distances.Select((_, q) => Math.Exp(
                    -(Math.Pow(p / Side - q / Side, 2) + Math.Pow(p % Side - q % Side, 2)) / (2 * Math.Pow(smoothing * Side, 2))))];
                double smooth = near.Zip(distances, (n, d) => n * d).Sum() / near.Sum();
                Assert.AreEqual((smooth - floor) * scale, maps[i][p], 1e-3 * scale, $"{i}, {p}");
            }
        }

        static double[][] Placed(float[] image) => [.. Patches(image, 5).Select((patch, place) =>
        {
            double length = Math.Sqrt(patch.Sum(v => v * v));
            return patch.Select(v => v / length)
                .Append(weight * (place / Side + 0.5) / Side).Append(weight * (place % Side + 0.5) / Side).ToArray();
        })];
    }

    [TestMethod]
    public void A_spot_that_no_training_image_has_is_found_and_shown_where_it_is()
    {
        float[][] strange = Images(5, seed: 3);
        int[] spots = [18, 20, 34, 36, 34]; // the corners of squares of 2 × 2, each a cell of the coarse grid, within the image
        for (int i = 0; i < spots.Length; i++)
        {
            foreach (int place in (int[])[0, 1, Side, Side + 1])
                strange[i][spots[i] + place] = 1;
        }
        using VectorTransformer model = Trainer(Pixels() with { MemoryShare = 0.3 }).Fit(View(Images(40, seed: 1)));
        IDataView scored = model.Transform(View(strange)), fresh = model.Transform(View(Images(5, seed: 4)));
        Assert.IsGreaterThan(fresh.GetColumn<float>("Score").Max(), scored.GetColumn<float>("Score").Min());
        CollectionAssert.AreEqual(Enumerable.Repeat(true, 5).ToArray(), scored.GetColumn<bool>("PredictedLabel").ToArray());
        float[][] maps = [.. scored.GetColumn<float[]>("Map")];
        for (int i = 0; i < spots.Length; i++)
            Assert.Contains(Array.IndexOf(maps[i], maps[i].Max()) - spots[i], new[] { 0, 1, Side, Side + 1 }, string.Join(' ', maps[i]));
    }

    [TestMethod]
    public void What_is_chosen_lies_farthest_from_all_before()
    {
        var random = new Random(5);
        double[][] points = [.. Enumerable.Range(0, 60).Select(_ => Enumerable.Range(0, 3).Select(_ => random.NextDouble()).ToArray())];
        points[20] = points[30];
        long[] chosen = Choose(points, 60);
        CollectionAssert.AllItemsAreUnique(chosen);
        for (int i = 1; i < 58; i++) // the last ones may be as near as rounding
        {
            double[] nearest = [.. points.Select(p => Enumerable.Range(0, i).Min(j => Distance(p, points[chosen[j]])))];
            Assert.AreEqual(nearest.Max(), nearest[chosen[i]], 1e-5, $"{i}");
        }

        // Of more than 128 features distances are told by mixtures: of five heaps far apart there is one of each.
        double[][] heaps = [.. Enumerable.Range(0, 50).Select(i => Enumerable.Range(0, 200)
            .Select(j => (j == i % 5 ? 30 : 0) + random.NextDouble()).ToArray())];
        CollectionAssert.AreEquivalent(new long[] { 0, 1, 2, 3, 4 }, Choose(heaps, 5).Select(i => i % 5).ToArray());

        static long[] Choose(double[][] rows, int count)
        {
            using torch.Tensor all = HostTensors.FromRows(
                [.. rows.SelectMany(row => row).Select(v => (float)v)], rows.Length, rows[0].Length, torch.CPU);
            return Coreset.Choose(all, count, seed: 7);
        }
    }

    [TestMethod]
    public void Of_many_patches_each_is_as_likely_to_be_a_candidate()
    {
        // 64 patches an image, all alike but for the image: of 50 images 320 candidates, some six of each.
        float[][] flat = [.. Enumerable.Range(0, 50).Select(i => Enumerable.Repeat(i / 50f, Side * Side).ToArray())];
        using VectorTransformer model = Trainer(Pixels() with
        {
            CandidatePatches = 320, MemoryShare = 1, PredictedLabelColumnName = null,
        }).Fit(View(flat));
        float[] memory = model.State.Model.Weights["memory"];
        int[] counts = new int[50];
        for (int row = 0; row < 320; row++)
            counts[(int)MathF.Round(memory[row * 6] * 50)]++;
        // Sums of 320 draws in five parts of ten images: 64 each, with a deviation of 7.
        foreach (int[] part in counts.Chunk(10))
            Assert.IsInRange(64 - 5 * 7, 64 + 5 * 7, part.Sum());
    }

    [TestMethod]
    public void Lines_are_resized_and_smoothed_as_by_hand()
    {
        AssertMap([[1, 0], [0.75f, 0.25f], [0.25f, 0.75f], [0, 1]], Resampling.Resize(4, 2));
        AssertMap([[3 / 7f, 3 / 7f, 1 / 7f, 0], [0, 1 / 7f, 3 / 7f, 3 / 7f]], Resampling.Resize(2, 4));
        Resampling box = Resampling.Mean(3, away => away < 2 ? 1 : 0);
        AssertMap([[1 / 2f, 1 / 2f, 0], [1 / 3f, 1 / 3f, 1 / 3f], [0, 1 / 2f, 1 / 2f]], box);
        AssertMap(
            [[1 / 3f, 1 / 3f, 0], [1 / 3f, 1 / 3f, 1 / 3f], [0, 1 / 3f, 1 / 3f]], Resampling.Mean(3, away => away < 2 ? 1 : 0, whole: 3));
        AssertMap([[1 / 2f, 1 / 3f, 0], [1 / 2f, 1 / 3f, 1 / 2f], [0, 1 / 3f, 1 / 2f]], box.Transpose());
        AssertMap([[0.875f, 0.125f], [0.5f, 0.5f], [0.125f, 0.875f]], new Resampling(3, 4, [.5f, .5f, 0, 0, 0, .5f, .5f, 0, 0, 0, .5f, .5f])
            .After(Resampling.Resize(4, 2)));

        static void AssertMap(float[][] expected, Resampling actual)
        {
            Assert.AreEqual((expected.Length, expected[0].Length), (actual.To, actual.From));
            float[] all = [.. expected.SelectMany(row => row)];
            for (int i = 0; i < all.Length; i++)
                Assert.AreEqual(all[i], actual.Values[i], 1e-6f, $"{i}");
        }
    }

    [TestMethod]
    public void The_last_feature_maps_of_strides_8_and_16_are_taken_and_what_is_behind_is_cut_off()
    {
        (OnnxBackbone backbone, byte[] file) = OnnxBackbone.Read(ImageNetworks.HalvingsPath, [], null);
        Assert.AreEqual("image 16 16", $"{backbone.Input} {backbone.Height} {backbone.Width}");
        CollectionAssert.AreEqual(
            new[] { "3 2 2", "3 1 1" }, backbone.Stages.Select(s => $"{s.Channels} {s.Height} {s.Width}").ToArray());
        Assert.IsTrue(backbone.Stages.All(s => s.Name.StartsWith("Relu", StringComparison.Ordinal)), "the last, not the mean before it");
        Assert.Contains("12345", Encoding.Latin1.GetString(File.ReadAllBytes(ImageNetworks.HalvingsPath)));
        Assert.DoesNotContain("12345", Encoding.Latin1.GetString(file));

        // A colour picture of 32 × 32, less its mean: pixels are means of each two by two, by triangles, so that halves of it are
        // told exactly where it is the same all over.
        var picture = new ImageShape(4, 32, 32);
        float[] image = [.. Enumerable.Range(0, 4 * 32 * 32).Select(i => i / 1024 / 4f + 0.25f)];
        using BackboneSession session = backbone.Open(file, picture, [0.1f, 0.2f, 0.3f], [0.5f, 0.25f, 1]);
        // The same bytes, read by another name or in another order, are another network.
        foreach (OnnxBackbone other in (OnnxBackbone[])[backbone with { Input = "images" }, backbone with { Stages = [.. backbone.Stages.Reverse()] }])
        {
            StringAssert.Contains(
                Assert.Throws<InvalidOperationException>(() => other.Open(file, picture, [0, 0, 0], [1, 1, 1])).Message, "damaged");
        }
        float[] features = new float[2 * backbone.FeatureWidth];
        session.Run(2, (float[])[.. image, .. image.Select(v => v / 2)], features);
        float[] colours = [(0.25f - 0.1f) / 0.5f, (0.5f - 0.2f) / 0.25f, 0.75f - 0.3f];
        float[] halves = [(0.125f - 0.1f) / 0.5f, (0.25f - 0.2f) / 0.25f, 0.375f - 0.3f];
        float[] expected =
        [
            .. colours.SelectMany(c => Enumerable.Repeat(c, 4)), .. colours, .. halves.SelectMany(c => Enumerable.Repeat(c, 4)), .. halves,
        ];
        for (int i = 0; i < expected.Length; i++)
            Assert.AreEqual(expected[i], features[i], 1e-5f, $"{i}");
    }

    [TestMethod]
    public void A_saved_model_needs_no_file_and_knows_a_network_that_is_damaged()
    {
        string path = Path.Combine(Directory.CreateTempSubdirectory("generativeml-").FullName, "secret.onnx");
        File.Copy(PixelsPath, path);
        PatchCoreTrainer trainer = Trainer(Pixels() with { NetworkPath = path, MemoryShare = 0.5, PredictedLabelColumnName = null });
        Directory.Delete(Path.GetDirectoryName(path)!, recursive: true);
        IDataView data = View(Images(8, seed: 1));
        using VectorTransformer model = trainer.Fit(data);
        using var file = new MemoryStream();
        _ml.Model.Save(model, data.Schema, file);
        file.Position = 0;
        using var loaded = (VectorTransformer)_ml.Model.Load(file, out _);
        IDataView fresh = View(Images(5, seed: 2));
        CollectionAssert.AreEqual(
            model.Transform(fresh).GetColumn<float>("Score").ToArray(), loaded.Transform(fresh).GetColumn<float>("Score").ToArray());
        CollectionAssert.AreEqual(
            model.Transform(fresh).GetColumn<float[]>("Map").SelectMany(m => m).ToArray(),
            loaded.Transform(fresh).GetColumn<float[]>("Map").SelectMany(m => m).ToArray());
        Assert.IsNull(((PatchCoreOptions)loaded.State.Options).NetworkPath);

        loaded.Dispose();
        float[] network = loaded.State.Model.Weights["network"];
        network[3] = BitConverter.Int32BitsToSingle(BitConverter.SingleToInt32Bits(network[3]) ^ 1 << 30);
        StringAssert.Contains(
            Assert.Throws<InvalidOperationException>(() => loaded.Transform(fresh).GetColumn<float>("Score").ToArray()).ToString(), "damaged");
        using var damaged = new MemoryStream();
        _ml.Model.Save(loaded, data.Schema, damaged);
        damaged.Position = 0;
        StringAssert.Contains(Assert.Throws<Exception>(() => _ml.Model.Load(damaged, out _)).ToString(), "file is damaged");
    }

    [TestMethod]
    public void What_is_no_network_of_images_is_refused_before_any_work()
    {
        string folder = Directory.CreateTempSubdirectory("generativeml-").FullName;
        string noise = Path.Combine(folder, "noise.onnx"), empty = Path.Combine(folder, "empty.onnx");
        File.WriteAllBytes(noise, [.. Enumerable.Range(0, 100).Select(i => (byte)(i * 37))]);
        File.WriteAllBytes(empty, []);
        Refuses("NetworkPath", options => options with { NetworkPath = null });
        Refuses("none.onnx", options => options with { NetworkPath = Path.Combine(folder, "none.onnx") });
        Refuses("damaged", options => options with { NetworkPath = noise });
        Refuses("no ONNX file", options => options with { NetworkPath = empty });
        Refuses("version 6", options => options with { NetworkPath = ImageNetworks.Write("old.onnx", x => [x.Apply(Function.Relu)], opset: 6), FeatureTensors = [] });
        Refuses("1 × 2 × 16 × 16", options => options with { NetworkPath = ImageNetworks.Write("two.onnx", x => [x.Apply(Function.Relu)], channels: 2), FeatureTensors = [] });
        Refuses("FeatureTensors", options => options with { FeatureTensors = [] }); // its strides are 1 and 2
        Refuses("'nothing'", options => options with { FeatureTensors = ["nothing"] });
        string sum = ImageNetworks.Write("sum.onnx", x => [x.Reshape(1, 768).Apply(Function.Tanh)]);
        Refuses("no feature map", options => options with { NetworkPath = sum, FeatureTensors = ["Tanh_1_0"] });
        Refuses("LatentColumnName", options => options with { LatentColumnName = "Latent" });
        Refuses("ChannelDeviations", options => options with { ChannelDeviations = [1, 0, 1] });
        Refuses("MemoryShare", options => options with { MemoryShare = 0 });
        Refuses("NetworkPath", options => options with { NetworkPath = " " });
        Refuses("NetworkPath", options => options with { NetworkPath = "a\0b" });
        Refuses("FeatureTensors", options => options with { FeatureTensors = ["Relu_0_0", null!] });
        Refuses("FeatureTensors", options => options with { FeatureTensors = [""] });
        Refuses("'Relu_0_0' more than once", options => options with { FeatureTensors = ["Relu_0_0", "Relu_0_0"] });
        Refuses("PatchSide", options => options with { PatchSide = 4 });
        Refuses("PositionWeight", options => options with { PositionWeight = double.NaN });
        Refuses("ScoreShare", options => options with { ScoreShare = 1.1 });
        Refuses("MapSmoothing", options => options with { MapSmoothing = 0 });
        Refuses("ValidationFraction", options => options with { ValidationFraction = 0.1 });
        Directory.Delete(folder, recursive: true);

        var one = Assert.Throws<InvalidOperationException>(() => Trainer(Pixels()).Fit(View(Images(1, seed: 1))));
        StringAssert.Contains(one.Message, "1 row");
        var many = Assert.Throws<InvalidOperationException>(
            () => Trainer(Pixels() with { ImageShape = new(16, 2, 2) }).Fit(View(Images(30, seed: 1))));
        StringAssert.Contains(many.ToString(), "16 channels");
        string root = ImageNetworks.Write("root.onnx", x => [x.Apply(Function.Sqrt)], side: Side);
        var negative = Assert.Throws<InvalidOperationException>(() => Trainer(Pixels() with
        {
            NetworkPath = root, FeatureTensors = ["Sqrt_0_0"], ChannelMeans = [2, 2, 2], PredictedLabelColumnName = null,
        }).Fit(View(Images(4, seed: 1))));
        StringAssert.Contains(negative.Message, "root.onnx");
        StringAssert.Contains(negative.Message, "ChannelMeans");
        Assert.Throws<ArgumentException>(() => new OnnxBackbone("image", Side, Side, [null!], 1, "").Validate());

        void Refuses(string why, Func<PatchCoreOptions, PatchCoreOptions> change) =>
            StringAssert.Contains(Assert.Throws<ArgumentException>(() => Trainer(change(Pixels()))).Message, why);
    }

    [TestMethod]
    public void A_file_that_is_spread_or_too_deep_or_too_large_is_refused()
    {
        ProtobufMessage relu = OnnxFile.Node("Relu", "", ["image"], ["map"], []);
        ProtobufMessage outside = OnnxFile.ExternalTensor("heavy", OnnxType.Float, [4], ("location", "heavy.bin"));
        ProtobufMessage sparse = Message((1, outside)), branch = Attribute(6, Message((1, relu), (5, outside)));
        (string Why, ProtobufMessage Graph)[] files =
        [
            ("'heavy'", Message((1, relu), (5, outside))),
            ("'heavy'", Message((1, relu), (15, sparse))),
            ("'heavy'", Message((1, relu), (1, Operation(Attribute(5, outside))))),
            ("'heavy'", Message((1, relu), (1, Operation(Attribute(10, outside))))),
            ("'heavy'", Message((1, relu), (1, Operation(Attribute(22, sparse))))),
            ("'heavy'", Message((1, relu), (1, Operation(branch)))),
            ("'heavy'", Message((1, relu), (1, Operation(Attribute(6, Message((1, Operation(branch)))))))),
            ("64 levels", Enumerable.Range(0, 3000).Aggregate(Message((1, relu)), (graph, _) => Message((1, Operation(Attribute(6, graph)))))),
            ("30000 × 30000", Message((1, relu), (11, OnnxFile.Value("image", OnnxType.Float, [1, 3, 30000, 30000])))),
        ];
        foreach ((string why, ProtobufMessage graph) in files)
        {
            string path = Save(graph);
            StringAssert.Contains(Assert.Throws<ArgumentException>(() => OnnxBackbone.Read(path, [], null), why).Message, why);
        }
        byte[] saved = File.ReadAllBytes(Save(files[0].Graph));
        OnnxBackbone backbone = OnnxBackbone.Of("image", Side, Side, [new("map", 3, Side, Side)], saved);
        StringAssert.Contains(
            Assert.Throws<InvalidOperationException>(() => backbone.Open(saved, new(3, Side, Side), [0, 0, 0], [1, 1, 1])).Message, "'heavy'");

        // A million patches of six features, and in the end as many distances from each of 64: 256 MB.
        PatchCoreOptions many = Pixels() with
        {
            Backbone = OnnxBackbone.Read(PixelsPath, Pixels().FeatureTensors, null).Backbone, CandidatePatches = 1_000_000, MemoryRows = 1_000_000,
            BatchSize = 16,
        };
        StringAssert.Contains(
            Assert.Throws<InvalidOperationException>(() => many.Fitting(1_000_000, 250_000_000)).Message, "CandidatePatches");
        Assert.AreSame(many, many.Fitting(1_000_000, 300_000_000));

        static ProtobufMessage Operation(ProtobufMessage attribute) =>
            OnnxFile.Node("If", "", ["image"], ["any"], []).Add(5, attribute);

        static ProtobufMessage Attribute(int field, ProtobufMessage value) => new ProtobufMessage().Add(1, "value").Add(field, value);
    }

    [TestMethod]
    public void Maps_that_a_shortcut_goes_around_are_not_taken_by_themselves()
    {
        string[] ends = [];
        string path = ImageNetworks.Write("bottleneck.onnx", x =>
        {
            OnnxTensor fine = x.Halved().Halved().Halved();
            fine = (fine + fine.Apply(Function.Tanh)).Apply(Function.Relu);
            // The block makes its own map first, and halves it then, as those of ResNet50 do.
            OnnxTensor coarse = (fine.Apply(Function.Tanh).Halved() + fine.Halved()).Apply(Function.Relu);
            OnnxTensor last = coarse.Apply(Function.Tanh).Halved() + coarse.Halved();
            ends = [fine.Name, coarse.Name];
            return [last.Reshape(1, 3).Reduce(Reduction.Sum, 1)];
        }, side: 32);
        CollectionAssert.AreEqual(ends, OnnxBackbone.Read(path, [], null).Backbone.Stages.Select(stage => stage.Name).ToArray());
    }

    [TestMethod]
    public void An_operation_whose_first_output_is_left_out_is_kept()
    {
        float[] weights = [.. Enumerable.Range(0, 64).Select(i => i % 9 == 0 ? 0.5f : 0)];
        string path = Save(Message(
            (1, OnnxFile.Node("Squeeze", "", ["image", "zero"], ["lines"], [])),
            (1, OnnxFile.Node("RNN", "", ["lines", "w", "none", ""], ["", "h"], [("hidden_size", Side)])),
            (1, OnnxFile.Node("Unsqueeze", "", ["h", "zero"], ["map"], [])),
            (5, OnnxFile.Tensor("zero", OnnxType.Int64, [1], new long[] { 0 })),
            (5, OnnxFile.Tensor("w", OnnxType.Float, [1, Side, Side], weights)),
            (5, OnnxFile.Tensor("none", OnnxType.Float, [1, Side, Side], new float[64])),
            (11, OnnxFile.Value("image", OnnxType.Float, [1, 3, Side, Side]))));
        (OnnxBackbone backbone, byte[] file) = OnnxBackbone.Read(path, ["map"], null);
        Assert.AreEqual(new BackboneStage("map", 1, Side, Side), backbone.Stages.Single());
        using BackboneSession session = backbone.Open(file, new(1, Side, Side), [0, 0, 0], [1, 1, 1]);
        float[] image = Images(1, seed: 1)[0], made = new float[64];
        session.Run(1, image, made);
        for (int i = 0; i < 64; i++) // of the last of three channels, which are alike
            Assert.AreEqual(MathF.Tanh(image[i] / 2), made[i], 1e-5f);
    }

    private static ProtobufMessage Message(params (int Field, ProtobufMessage Part)[] parts) =>
        parts.Aggregate(new ProtobufMessage(), (message, part) => message.Add(part.Field, part.Part.Bytes));

    private static string Save(ProtobufMessage graph)
    {
        string path = Path.Combine(Directory.CreateTempSubdirectory("generativeml-").FullName, "written.onnx");
        File.WriteAllBytes(path, new ProtobufMessage().Add(1, 10L).Add(7, graph.Add(2, "g").Bytes).Add(8, Message().Add(2, 20L).Bytes).Bytes);
        return path;
    }

    private static PatchCoreOptions Pixels() => new()
    {
        NetworkPath = PixelsPath, FeatureTensors = ["Relu_0_0", "AveragePool_2_0"], ChannelMeans = [0, 0, 0], ChannelDeviations = [1, 1, 1],
        ImageShape = new(1, Side, Side), AnomalyMapColumnName = "Map", PositionWeight = 0, ScoreShare = 0, // as in the paper
    };

    private PatchCoreTrainer Trainer(PatchCoreOptions options) => _ml.AnomalyDetection.Trainers.PatchCore(options);

    // Means of squares of so many pixels, and of means of two by two, which are brought back to the grid between the nearest.
    private static double[][] Patches(float[] image, int across = 3)
    {
        double[] coarse = new double[16], fine = [.. image.Select(v => (double)v)];
        for (int i = 0; i < image.Length; i++)
            coarse[i / Side / 2 * 4 + i % Side / 2] += image[i] / 4.0;
        double[] around = Around(fine, 8), far = Around(coarse, 4);
        return [.. Enumerable.Range(0, Side * Side).Select(i =>
        {
            double between = Between(far, (i / Side + 0.5) / 2 - 0.5, (i % Side + 0.5) / 2 - 0.5);
            return new[] { around[i], around[i], around[i], between, between, between };
        })];

        double[] Around(double[] values, int side) => [.. values.Select((_, at) => values.Where((_, i) =>
            Math.Abs(i / side - at / side) <= across / 2 && Math.Abs(i % side - at % side) <= across / 2).Sum() / (across * across))];

        static double Between(double[] values, double y, double x)
        {
            (y, x) = (Math.Clamp(y, 0, 3), Math.Clamp(x, 0, 3));
            (int top, int left) = (Math.Min((int)y, 2), Math.Min((int)x, 2));
            (double down, double across) = (y - top, x - left);
            return (1 - down) * ((1 - across) * values[top * 4 + left] + across * values[top * 4 + left + 1])
                + down * ((1 - across) * values[top * 4 + 4 + left] + across * values[top * 4 + 5 + left]);
        }
    }

    private static double Distance(double[] a, double[] b) => Math.Sqrt(a.Zip(b, (x, y) => (x - y) * (x - y)).Sum());

    // Soft waves.
    private static float[][] Images(int count, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ =>
        {
            (double phase, double slope) = (random.NextDouble() * 6, random.NextDouble());
            return Enumerable.Range(0, Side * Side)
                .Select(i => (float)(0.4 + 0.2 * Math.Sin(phase + i / Side * slope + i % Side * (1 - slope)) + 0.02 * random.NextDouble())).ToArray();
        })];
    }

    private IDataView View(float[][] images)
    {
        SchemaDefinition schema = SchemaDefinition.Create(typeof(Picture));
        schema["Features"].ColumnType = new VectorDataViewType(NumberDataViewType.Single, Side * Side);
        return _ml.Data.LoadFromEnumerable(images.Select(image => new Picture { Features = image }).ToArray(), schema);
    }

    private sealed class Picture
    {
        public float[] Features { get; set; } = [];
    }
}
