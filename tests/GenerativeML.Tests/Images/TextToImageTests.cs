using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms.Image;

namespace GenerativeML.Tests.Images;

/// <summary>Diffusion models of images whose conditions are captions.</summary>
[TestClass]
public sealed class TextToImageTests
{
    private static readonly string[] s_places = ["one", "two", "three", "four", "five", "six", "seven"];

    private readonly MLContext _ml = new(seed: 4);

    [TestMethod]
    public void Captions_become_tokens_and_come_back()
    {
        string[] captions = ["a red circle", "two blue squares", "a red square, and two circles"];
        CaptionFormat format = CaptionFormat.Learn(captions, 300, window: null, default);
        float[] slots = new float[format.Window];
        foreach (string caption in captions.Append("a blue circle"))
        {
            Assert.IsTrue(format.TryEncode(caption, slots), caption);
            Assert.AreEqual(caption, format.Decode(slots));
            Assert.IsTrue(slots.All(slot => slot >= 0 && slot < format.Values));
        }
        Assert.AreNotEqual(0f, format.TryEncode(captions[2], slots) ? slots[^1] : 0, "as long as the longest");
        Assert.IsFalse(format.TryEncode(captions[2] + " more", slots));
        Assert.IsFalse(format.TryEncode(" ", slots));
        Assert.AreEqual("", format.Decode(new float[format.Window]));
    }

    [TestMethod]
    public void It_draws_what_captions_ask_for_that_were_never_seen_together()
    {
        const string Asked = "a bright bar that stands at three";
        using DiffusionTransformer model = _ml.Generative.ImageDiffusion(Options() with
        {
            Channels = 8, ChannelMultipliers = [1, 2], BatchSize = 28, Epochs = 60, LearningRate = 5e-3,
            WeightAverageDecay = 0.98, Sampling = new() { Steps = 6, GuidanceScale = 2 },
        }).Fit(_ml.Data.LoadFromEnumerable(Bars(180).Where(bar => bar.Caption != Asked)));
        int right = 0;
        IDataView made = model.Generate(30, 3, new RowCondition().Equal("Caption", Asked));
        foreach (MLImage image in made.GetColumn<MLImage>("Image"))
        {
            float[] pixels = TestImages.Read(image, new(1, 8, 8));
            float lies = Enumerable.Range(0, 8).Max(i => Enumerable.Range(0, 8).Sum(k => pixels[8 * i + k]));
            float upright = Enumerable.Range(0, 8).Max(i => Enumerable.Range(0, 8).Sum(k => pixels[8 * k + i]));
            right += upright > lies && upright > 8 * 0.65f ? 1 : 0; // dark ones are 0.4, bright ones 0.9
        }
        Assert.IsGreaterThanOrEqualTo(22, right); // by chance seven or eight
        Assert.IsTrue(made.GetColumn<string>("Caption").All(caption => caption == Asked));
    }

    [TestMethod]
    public void The_order_of_words_says_which_thing_is_where()
    {
        using DiffusionTransformer model = _ml.Generative.ImageDiffusion(Options() with
        {
            Channels = 8, ChannelMultipliers = [1], AttentionResolutions = [8], BatchSize = 16, Epochs = 40, LearningRate = 5e-3,
            WeightAverageDecay = 0.98, Sampling = new() { Steps = 6 },
        }).Fit(_ml.Data.LoadFromEnumerable(Pairs(128)));
        foreach (string caption in (string[])["light left of grey", "grey left of light"])
        {
            int right = model.Generate(20, 3, new RowCondition().Equal("Caption", caption)).GetColumn<MLImage>("Image").Count(image =>
            {
                float[] pixels = TestImages.Read(image, new(1, 8, 8));
                bool isLightLeft = Enumerable.Range(0, 64).Sum(p => p % 8 < 4 ? pixels[p] : -pixels[p]) > 0;
                return isLightLeft == caption.StartsWith("light", StringComparison.Ordinal);
            });
            Assert.IsGreaterThanOrEqualTo(17, right, caption); // of 20; by chance as many once in 776
        }
    }

    [TestMethod]
    public void The_same_words_in_another_order_are_read_otherwise_and_what_is_behind_them_is_not_read()
    {
        const int Width = 8;
        var encoder = new TextEncoder(values: 6, window: 5, Width, depth: 2, heads: 2);
        using var layers = new TorchLayers(l => encoder.Declare(l, "text"), TorchSharp.torch.CPU, seed: 2);
        HostWeights weights = layers.ToHost(layers.Tensors.Select(t => new TensorSpec(t.Key, TensorType.F32, t.Value.shape)));
        float[] first = Mean(1, 2, 3, 0, 0);
        Assert.IsGreaterThan(0.01f, Mean(3, 2, 1, 0, 0).Zip(first, (a, b) => Math.Abs(a - b)).Max());

        // Other vectors of the padding, and of the places where it is, change nothing.
        weights["text.token.weight"].AsSpan(0, Width).Fill(9);
        weights["text.position.weight"].AsSpan(3 * Width).Fill(-9);
        CollectionAssert.AreEqual(first, Mean(1, 2, 3, 0, 0));
        CollectionAssert.AreNotEqual(first, Mean(1, 2, 3, 4, 0));

        float[] Mean(params float[] tokens)
        {
            float[] mean = new float[Width];
            using var engine = new TorchRows(new MeanPass(encoder), weights, TorchSharp.torch.CPU);
            engine.Run(1, [tokens], [mean]);
            return mean;
        }
    }

    [TestMethod]
    public void A_saved_model_draws_the_same_and_captions_that_it_cannot_read_are_errors()
    {
        using DiffusionTransformer model = _ml.Generative.ImageDiffusion(Options()).Fit(_ml.Data.LoadFromEnumerable(Bars(30)));
        using var file = new MemoryStream();
        _ml.Model.Save(model, null, file);
        using var loaded = (DiffusionTransformer)_ml.Model.Load(file, out _);
        RowCondition where = new RowCondition().Equal("Caption", "a bar that stands at four");
        for (int i = 0; i < 2; i++)
        {
            CollectionAssert.AreEqual(Pixels(model), Pixels(loaded));
            float[] Pixels(IDataGenerator from) =>
                [.. from.Generate(3, 1, where).GetColumn<MLImage>("Image").SelectMany(image => TestImages.Read(image, new(1, 8, 8)))];
        }
        string[] drawn = [.. loaded.Generate(40, 2).GetColumn<string>("Caption").Distinct()];
        CollectionAssert.IsSubsetOf(drawn, Bars(30).Select(bar => bar.Caption).Distinct().ToArray());

        Refused("", "empty");
        Refused("  ", "empty");
        Refused("a bar that stands and stands and stands and stands and stands", "tokens");
        StringAssert.Contains(
            Assert.Throws<ArgumentException>(() => loaded.Generate(1, 1, new RowCondition().Equal("Caption", 3))).Message, "'Caption'");

        void Refused(string caption, string why) => StringAssert.Contains(Assert.Throws<ArgumentException>(
            () => loaded.Generate(1, 1, new RowCondition().Equal("Caption", caption))).Message, why);
    }

    [TestMethod]
    public void Training_captions_that_cannot_be_read_are_errors_or_unknown()
    {
        Captioned[] bars = Bars(30);
        foreach (Captioned bar in bars.Where((_, i) => i % 3 == 0))
            bar.Caption = "";
        IDataView data = _ml.Data.LoadFromEnumerable(bars);
        StringAssert.Contains(
            Assert.Throws<InvalidOperationException>(() => _ml.Generative.ImageDiffusion(Options()).Fit(data)).Message,
            "'Caption' holds an empty caption");
        StringAssert.Contains(
            Assert.Throws<InvalidOperationException>(
                () => _ml.Generative.ImageDiffusion(Options() with { CaptionWindow = 2 }).Fit(data)).Message,
            "more than 2 tokens, in 30 of 30 rows");
        using DiffusionTransformer replaced =
            _ml.Generative.ImageDiffusion(Options() with { NonFiniteValues = NonFiniteValues.Replace }).Fit(data);
        Assert.IsTrue(replaced.Generate(60, 1).GetColumn<string>("Caption").Contains(""), "some are not known, as in training");
    }

    [TestMethod]
    public void A_checkpoint_of_other_captions_is_refused_without_telling_their_vocabulary()
    {
        string folder = Directory.CreateTempSubdirectory().FullName;
        try
        {
            ImageDiffusionOptions options = Options() with { Checkpoint = new(folder) { Every = 1 } };
            _ml.Generative.ImageDiffusion(options).Fit(_ml.Data.LoadFromEnumerable(Bars(30))).Dispose();
            Captioned[] others = Bars(30);
            foreach (Captioned bar in others)
                bar.Caption = bar.Caption.Replace("bar", "rod", StringComparison.Ordinal);
            string message = Assert.Throws<InvalidOperationException>(
                () => _ml.Generative.ImageDiffusion(options).Fit(_ml.Data.LoadFromEnumerable(others))).Message;
            StringAssert.Contains(message, "how captions are read");
            Assert.IsLessThan(1000 + folder.Length, message.Length, message);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [TestMethod]
    public void Training_moves_every_weight()
    {
        IReadOnlyDictionary<string, float[]> one = Trained(1), two = Trained(2);
        foreach (string name in one.Keys.Where(name => name.Contains('.', StringComparison.Ordinal) && name != "level.centres"))
            CollectionAssert.AreNotEqual(one[name], two[name], name);

        Dictionary<string, float[]> Trained(int epochs)
        {
            using DiffusionTransformer model = _ml.Generative.ImageDiffusion(Options() with { Epochs = epochs, WeightDecay = 0 })
                .Fit(_ml.Data.LoadFromEnumerable(Bars(60)));
            HostWeights weights = model.State.Model.Weights;
            return weights.Specs.ToDictionary(spec => spec.Name, spec => weights[spec.Name]);
        }
    }

    private static ImageDiffusionOptions Options() => new()
    {
        FeatureColumnName = "Image", ImageShape = new(1, 8, 8), ConditionColumnNames = ["Caption"], Channels = 4,
        ChannelMultipliers = [1, 1], CaptionWidth = 16, CaptionLayers = 1, BatchSize = 15, Epochs = 2,
        Sampling = new() { Steps = 2 },
    };

    // Bars that lie or stand, dark or bright, at changing places.
    private static Captioned[] Bars(int count) => [.. Enumerable.Range(0, count).Select(i =>
    {
        (bool stands, bool bright) = (i % 2 == 1, i / 2 % 2 == 1);
        byte[] greys = new byte[64];
        for (int k = 0; k < 16; k++)
        {
            (int along, int across) = (k / 2, i / 4 % 7 + k % 2);
            greys[stands ? along * 8 + across : across * 8 + along] = (byte)(bright ? 230 : 100);
        }
        return new Captioned
        {
            Image = TestImages.Grey(8, greys),
            Caption = $"a {(bright ? "bright" : "dark")} bar that {(stands ? "stands" : "lies")} at {s_places[i / 4 % 7]}",
        };
    })];

    // Two squares side by side, in an order that the caption says.
    private static Captioned[] Pairs(int count) => [.. Enumerable.Range(0, count).Select(i =>
    {
        bool isLightLeft = i % 2 == 0;
        byte[] greys = new byte[64];
        for (int k = 0; k < 18; k++)
        {
            (int x, int y) = (k % 3, k / 3 % 3);
            bool isLeft = k < 9;
            greys[(1 + i / 2 % 4 + y) * 8 + x + (isLeft ? 0 : 4) + i / 8 % 2] = (byte)(isLeft == isLightLeft ? 230 : 100);
        }
        return new Captioned { Image = TestImages.Grey(8, greys), Caption = isLightLeft ? "light left of grey" : "grey left of light" };
    })];

    private sealed class MeanPass(TextEncoder encoder) : IForwardPass
    {
        public T[] Run<T>(Scope<T> w, T[] inputs)
            where T : struct, ITensor<T> => [encoder.Read(w.Of("text"), inputs[0]).Mean];
    }

    private sealed class Captioned
    {
        [ImageType(8, 8)]
        public MLImage? Image { get; set; }

        public string Caption { get; set; } = "";
    }
}
