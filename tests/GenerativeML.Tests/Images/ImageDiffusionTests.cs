using GenerativeML.Tests.Conformance;
using GenerativeML.Tests.Rows;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms.Image;

namespace GenerativeML.Tests.Images;

/// <summary>What diffusion models of images minimise, and whether they learn to draw.</summary>
[TestClass]
public sealed class ImageDiffusionTests
{
    private readonly MLContext _ml = new(seed: 2);

    [TestMethod]
    [DataRow(1, false)]
    [DataRow(2, true)]
    public void The_loss_moves_every_parameter_as_finite_differences_say(int patch, bool conditional)
    {
        var options = new ImageDiffusionOptions
        {
            Channels = 2, ChannelMultipliers = patch == 1 ? [1, 1] : [1], PatchSize = patch,
            ConditionColumnNames = conditional ? ["Kind"] : [],
        };
        var input = new VectorInput
        {
            Width = 12, Image = new(new(1, 3, 4)), ConditionWidths = conditional ? [2] : [], ConditionRows = conditional ? 9 : 0,
        };
        var network = new ImageDiffusionNetwork((ImageDiffusionOptions)options.Resolve(new RowStatistics(input, [], [], 100)), input);
        LossGradients.Check(network, weights: Rich, step: 2e-3f);

        // Another start than the zeros of the network's own, from which some gradients are zero, too.
        static void Rich(HostWeights weights)
        {
            var random = new SplitMix64(9);
            foreach (TensorSpec spec in weights.Specs.Where(spec => !spec.Name.EndsWith("centres", StringComparison.Ordinal)))
            {
                float[] values = weights[spec.Name];
                NormalNumbers.Fill(ref random, values);
                for (int i = 0; i < values.Length; i++)
                    values[i] *= 0.4f;
            }
            for (int i = 0; i < weights["level.centres"].Length; i++)
                weights["level.centres"][i] = -6 + 0.34f * i;
        }
    }

    [TestMethod]
    public void It_draws_the_bars_that_it_is_asked_for_and_the_same_ones_by_the_same_seed()
    {
        IDataView data = _ml.Data.LoadFromEnumerable(TestImages.Bars(140));
        using DiffusionTransformer model = _ml.Generative.ImageDiffusion(new ImageDiffusionOptions
        {
            FeatureColumnName = "Image", ImageShape = new(1, 8, 8), ConditionColumnNames = ["Stands"], Channels = 8,
            ChannelMultipliers = [1, 2], BatchSize = 28, Epochs = 80, LearningRate = 4e-3, WeightAverageDecay = 0.98,
            Sampling = new() { Steps = 8, GuidanceScale = 1.5 },
        }).Fit(data);
        foreach (bool stands in new[] { false, true })
        {
            int right = 0;
            foreach (float[] pixels in Draw(50, 3, stands))
            {
                float Line(int i) => Enumerable.Range(0, 8).Sum(k => pixels[8 * i + k]);
                float Column(int i) => Enumerable.Range(0, 8).Sum(k => pixels[8 * k + i]);
                float lies = Enumerable.Range(0, 8).Max(Line), upright = Enumerable.Range(0, 8).Max(Column);
                right += stands == upright > lies ? 1 : 0;
            }
            Assert.IsGreaterThanOrEqualTo(45, right, $"standing: {stands}");
        }

        model.Sampling = new() { Sampler = DiffusionSamplerKind.Ddim, Steps = 4 };
        float[][] first = Draw(3, 5, stands: true), more = Draw(70, 5, stands: true), others = Draw(3, 6, stands: true);
        for (int i = 0; i < first.Length; i++)
        {
            CollectionAssert.AreEqual(first[i], more[i], $"{i}: fewer are the first of more");
            CollectionAssert.AreNotEqual(first[i], others[i]);
        }
        model.Sampling = model.Sampling with { Eta = 1 };
        CollectionAssert.AreNotEqual(first[0], Draw(3, 5, stands: true)[0], "fresh noise makes another image");

        float[][] Draw(int count, int seed, bool stands) =>
        [
            .. model.Generate(count, seed, new RowCondition().Equal("Stands", stands)).GetColumn<MLImage>("Image")
                .Select(image => TestImages.Read(image, new(1, 8, 8))),
        ];
    }

    [TestMethod]
    public void Pixels_that_are_given_stay_and_what_is_black_in_all_training_images_is_black()
    {
        TableView data = new TableView(60).AddVector(
            "Features", 12, row => [.. Enumerable.Range(0, 12).Select(j => j == 0 ? 0f : (row + j) % 4 * 85f)]);
        using DiffusionTransformer model = _ml.Generative.ImageDiffusion(new ImageDiffusionOptions
        {
            ImageShape = new(3, 2, 2), Channels = 4, Epochs = 3, Sampling = new() { Steps = 3 },
        }).Fit(data);
        foreach (float[] pixels in model.Generate(20, 1, new RowCondition().Equal("Features.5", 85)).GetColumn<float[]>("Features"))
        {
            Assert.AreEqual(85f, pixels[5]);
            Assert.AreEqual(0f, pixels[0], 1e-4f); // as far as scaling and its undoing are exact
            Assert.IsTrue(pixels.All(v => v is >= -1e-3f and <= 255.001f), string.Join(' ', pixels));
        }
    }

    [TestMethod]
    public void Within_a_mask_images_are_made_that_agree_with_what_is_given_and_what_is_given_stays()
    {
        // All dark or all bright, half of them each, with a pattern that says which pixel is which.
        static byte[] Greys(int i) => [.. Enumerable.Range(0, 16).Select(p => (byte)((i % 2 == 0 ? 40 : 200) + (7 * i + 3 * p) % 11))];
        using DiffusionTransformer model = _ml.Generative.ImageDiffusion(new ImageDiffusionOptions
        {
            FeatureColumnName = "Image", ImageShape = new(1, 4, 4), Channels = 8, ChannelMultipliers = [1], BatchSize = 25, Epochs = 40,
            LearningRate = 5e-3, WeightAverageDecay = 0.98, Sampling = new() { Steps = 8 },
        }).Fit(_ml.Data.LoadFromEnumerable(Enumerable.Range(0, 100).Select(i => new SmallPicture { Image = TestImages.Grey(4, Greys(i)) })));

        // The left two columns are given.
        MLImage mask = TestImages.Grey(4, [.. Enumerable.Range(0, 16).Select(p => p % 4 < 2 ? byte.MinValue : byte.MaxValue)]);
        var shape = new ImageShape(1, 4, 4);
        for (int kind = 0; kind < 2; kind++)
        {
            MLImage image = TestImages.Grey(4, Greys(kind));
            float[] given = TestImages.Read(image, shape);
            float[][] made = Pixels(model.Inpaint(image, mask, 60, seed: 1));
            int agree = made.Count(pixels => Enumerable.Range(0, 16).Where(p => p % 4 >= 2).Average(p => pixels[p]) > 0.47f == (kind == 1));
            Assert.IsGreaterThanOrEqualTo(56, agree, $"kind {kind}"); // by chance 30
            foreach (float[] pixels in made)
            {
                for (int p = 0; p < 16; p++)
                    Assert.IsTrue(p % 4 >= 2 || pixels[p] == given[p], $"{p}: {pixels[p]} of {given[p]}");
            }
            float[] free = [.. given.Select((v, p) => p % 4 < 2 ? v : float.NaN)];
            float[][] same = Pixels(model.Inpaint(free, 3, seed: 1));
            for (int i = 0; i < 3; i++)
                CollectionAssert.AreEqual(made[i], same[i]);
        }
        StringAssert.Contains(Assert.Throws<ArgumentException>(
            () => model.Inpaint(TestImages.Grey(4, Greys(0)), TestImages.Grey(2, 0, 0, 0, 0))).Message, "2 × 2");
        StringAssert.Contains(Assert.Throws<ArgumentException>(() => model.Inpaint(new float[15])).Message, "15");
        Assert.Throws<ArgumentException>(() => model.Inpaint([.. new float[15], float.PositiveInfinity]));
        Assert.Throws<ArgumentException>(() => model.Inpaint(new float[16], 1, 0, new RowCondition().Equal("Image.3", 0)));

        float[][] Pixels(IDataView view) => [.. view.GetColumn<MLImage>("Image").Select(i => TestImages.Read(i, shape))];
    }

    private sealed class SmallPicture
    {
        [ImageType(4, 4)]
        public MLImage? Image { get; set; }
    }

    [TestMethod]
    public void Options_that_do_not_fit_are_refused_by_name()
    {
        Refused<ArgumentException>(new() { Channels = 10, Heads = 4 }, "Heads");
        Refused<ArgumentOutOfRangeException>(new() { PatchSize = 3 }, "PatchSize");
        Refused<ArgumentOutOfRangeException>(new() { Channels = 512, ChannelMultipliers = [1, 3] }, "ChannelMultipliers");
        Refused<ArgumentOutOfRangeException>(new() { ChannelMultipliers = [] }, "ChannelMultipliers");
        Refused<ArgumentOutOfRangeException>(new() { AttentionResolutions = [0] }, "AttentionResolutions");
        Refused<ArgumentException>(new() { ScoreColumnName = "Strange" }, "'Strange'");
        Refused<ArgumentException>(new() { Sampling = new() { GuidanceScale = 2 } }, "GuidanceScale");
        Assert.Throws<ArgumentOutOfRangeException>(
            () => _ml.Generative.ImageDiffusion().Fit(ConformanceData.Table(20, width: 5))); // no square

        void Refused<TError>(ImageDiffusionOptions options, string name)
            where TError : ArgumentException =>
            StringAssert.Contains(Assert.Throws<TError>(() => _ml.Generative.ImageDiffusion(options)).Message, name);
    }
}
