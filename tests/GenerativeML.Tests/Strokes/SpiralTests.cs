using GenerativeML.Tests.Rows;
using Microsoft.ML;
using Microsoft.ML.Data;
using TorchSharp;

namespace GenerativeML.Tests.Strokes;

[TestClass]
[DoNotParallelize]
public sealed class SpiralTests
{
    private static readonly MLContext s_ml = new(1);

    private static readonly SpiralOptions s_small = new()
    {
        Strokes = 2, Channels = 2, HiddenWidth = 4, DiscriminatorChannels = 2, BatchSize = 8, Seed = 1, PressureLevels = 2, BrushWidths = [1],
    };

    [TestMethod]
    public void Rewards_and_advantages_are_those_worked_by_hand()
    {
        // Two paintings of two strokes: what they are worth is 1, 3, 2 and 0, −1, 4.
        float[] worth = [1, 0, 3, -1, 2, 4];
        CollectionAssert.AreEqual((float[])[2, -1, -1, 5], SpiralRewards.Of(worth, 2, 2, temporal: true));
        CollectionAssert.AreEqual((float[])[0, 0, 1, 4], SpiralRewards.Of(worth, 2, 2, temporal: false));

        // Of the last of three strokes 2 − (−1) = 3; of the one before 0 + ½·(−1) − 1 + ¼·3 = −0.75; of the first
        // 1 + ½·1 − ½ + ¼·(−0.75) = 0.8125. The second painting is the same, ten times as large.
        float[] rewards = [1, 10, 0, 0, 2, 20], values = [0.5f, 5, 1, 10, -1, -10];
        float[] advantages = SpiralRewards.Advantages(rewards, values, rows: 2, discount: 0.5, trace: 0.5);
        CollectionAssert.AreEqual((float[])[0.8125f, 8.125f, -0.75f, -7.5f, 3, 30], advantages);
        // Credited all the way it is the whole return: 1 + ½·0 + ¼·2, less what was expected.
        Assert.AreEqual(1.5f - 0.5f, SpiralRewards.Advantages(rewards, values, 2, 0.5, 1)[0], 1e-6);

        // Of the first painting's alone: mean 1.0208 and deviation 1.5377.
        SpiralRewards.Normalize(advantages, 2, row => row == 0);
        float[] own = [0.8125f, -0.75f, 3];
        double mean = own.Average(), deviation = Math.Sqrt(own.Average(a => (a - mean) * (a - mean)));
        for (int t = 0; t < 3; t++)
        {
            Assert.AreEqual((own[t] - mean) / deviation, advantages[2 * t], 1e-5);
            Assert.AreEqual(10 * own[t], advantages[2 * t + 1], 1e-5);
        }
    }

    [TestMethod]
    public void The_gradient_estimate_is_that_of_the_expected_reward()
    {
        // Two strokes on 2 × 2 pixels: 32 choices each, all 1024 paintings at once, each counted by its probability.
        using DisposeScope scope = torch.NewDisposeScope();
        SpiralOptions options = s_small with { ReconstructionShare = 1, RewardBlend = 0, Discount = 1, TraceDecay = 1 };
        var network = new SpiralNetwork(options, new SpiralInput(new(new ImageShape(1, 2, 2)), 0, 1, DarkInk: false, Energy: 1));
        using var layers = new TorchLayers(network.Declare, torch.CPU, 3);
        Scope<TorchTensor> w = new TorchOps(layers.Tensors).Root;
        const int choices = 4 * 4 * 2, all = choices * choices;
        float[] image = [1, 0.25f, 0.5f, 0];
        using var batch = new Batch([torch.tensor(Enumerable.Range(0, all).SelectMany(_ => image).ToArray()).view(all, 4)], all);
        SpiralEpisodes episodes = Forced(network, w, Enumerable.Repeat(image, all).SelectMany(pixels => pixels).ToArray(), all, (row, t) =>
        {
            int choice = t == 0 ? row / choices : row % choices;
            return [choice / 8, choice / 2 % 4, choice % 2, 0];
        });
        float[] rewards = network.Rewards(w, batch, episodes, default);

        // The expectation of the sum of rewards.
        double Expected()
        {
            using DisposeScope inner = torch.NewDisposeScope();
            float[] logs = network.Evaluate(w, episodes, torch.CPU).LogProbability.data<float>().ToArray();
            double sum = 0, probability = 0;
            for (int row = 0; row < all; row++)
            {
                double p = Math.Exp(logs[row] + (double)logs[all + row]);
                (sum, probability) = (sum + p * (rewards[row] + (double)rewards[all + row]), probability + p);
            }
            Assert.AreEqual(1, probability, 1e-4, "all paintings are there");
            return sum;
        }

        SpiralStrokes strokes = network.Evaluate(w, episodes, torch.CPU);
        float[] chances = strokes.LogProbability.data<float>().ToArray(), values = strokes.Value.data<float>().ToArray();
        float[] advantages = SpiralRewards.Advantages(rewards, values, all, 1, 1);
        for (int i = 0; i < advantages.Length; i++)
            advantages[i] *= (float)(2 * all * Math.Exp(chances[i % all] + (double)chances[all + i % all])); // the loss is a mean
        SpiralNetwork.PolicyLoss(strokes.LogProbability, advantages).backward();

        // The value head has no part in it, and the last layer of each head has.
        int compared = 0;
        foreach (string name in layers.Tensors.Keys.Where(n => !n.Contains("value", StringComparison.Ordinal)))
        {
            torch.Tensor weight = layers.Tensors[name], gradient = weight.grad!;
            torch.Tensor direction = torch.randn(weight.shape, generator: new torch.Generator((ulong)name.Length));
            double estimated = -gradient.mul(direction).sum().item<float>();
            const double step = 3e-4;
            double above = Moved(step), below = Moved(-step);
            Assert.AreEqual((above - below) / (2 * step), estimated, 3e-4 + 0.05 * Math.Abs(estimated), name);
            compared += Math.Abs(estimated) > 1e-3 ? 1 : 0;

            double Moved(double by)
            {
                using (torch.no_grad())
                    weight.Add(direction, by);
                double expected = Expected();
                using (torch.no_grad())
                    weight.Add(direction, -by);
                return expected;
            }
        }
        Assert.IsGreaterThan(10, compared, "the directions that matter");
    }

    [TestMethod]
    public void Rewards_are_of_the_error_and_of_the_judgement_as_they_are_blended()
    {
        using DisposeScope scope = torch.NewDisposeScope();
        SpiralOptions options = s_small with { RewardBlend = 0.25, ComplementDiscriminator = false };
        SpiralNetwork network = Network(options, energy: 4);
        using var layers = new TorchLayers(network.Declare, torch.CPU, 3);
        Scope<TorchTensor> w = new TorchOps(layers.Tensors).Root;
        float[] pixels = [.. Enumerable.Range(0, 2 * 9).Select(i => i % 4 / 4f)];
        using var batch = new Batch([torch.tensor(pixels).view(2, 9)], 2);
        SpiralEpisodes episodes = Forced(network, w, pixels, 2, (row, t) => [2 + 3 * row, 4, 1, 0], given: [false, true]);
        float[] rewards = network.Rewards(w, batch, episodes, default);
        for (int t = 0; t < 2; t++)
        {
            // The first of two is free; distances count by the root of an empty canvas's, which is 2.
            double freeGain = Judged(0, t + 1) - Judged(0, t), gain = Judged(1, t + 1) - Judged(1, t);
            Assert.AreEqual(freeGain / 2, rewards[2 * t], 1e-5);
            Assert.AreEqual(0.25 * gain / 2 + 0.75 * (Error(t) - Error(t + 1)) / 4, rewards[2 * t + 1], 1e-5);
        }

        double Error(int t) => Canvas(1, t).Zip(pixels[9..], (a, b) => (double)(a - b) * (a - b)).Sum();

        float[] Canvas(int row, int t) => episodes.Canvases.AsSpan((t * 2 + row) * 9, 9).ToArray();

        // By stock operators.
        double Judged(int row, int t)
        {
            torch.Tensor x = torch.tensor(Canvas(row, t)).view(1, 1, 3, 3);
            for (int i = 1; i <= 3; i++)
                x = torch.nn.functional.leaky_relu(torch.nn.functional.conv2d(
                    x, layers.Tensors[$"discriminator.down.{i}.weight"], layers.Tensors[$"discriminator.down.{i}.bias"], [2, 2], [1, 1]), 0.2);
            return torch.nn.functional.linear(
                x.reshape(1, -1), layers.Tensors["discriminator.judgement.weight"], layers.Tensors["discriminator.judgement.bias"]).item<float>();
        }
    }

    [TestMethod]
    public void The_discriminator_sees_half_of_a_given_image_beside_half_of_its_painting()
    {
        using DisposeScope scope = torch.NewDisposeScope();
        SpiralNetwork network = Network(s_small, side: 4);
        const int rows = 40;
        torch.Tensor seen = network.Composed(torch.ones(rows, 16), torch.zeros(rows, 16), new StepContext(0, 1, new(torch.CPU), Seed: 5));
        float[][] masks = [.. seen.data<float>().ToArray().Chunk(16)];
        Assert.IsTrue(masks.Take(rows / 2).All(mask => mask.All(shown => shown == 1)), "free ones are seen whole");
        string[] halves = ["1111111100000000", "0000000011111111", "1100110011001100", "0011001100110011"];
        CollectionAssert.AreEquivalent(halves, masks.Skip(rows / 2).Select(mask => string.Concat(mask)).Distinct().ToArray());
    }

    [TestMethod]
    [DataRow(GanObjective.WassersteinGradientPenalty)]
    [DataRow(GanObjective.NonSaturating)]
    [DataRow(GanObjective.LeastSquares)]
    public void The_discriminators_loss_is_of_images_and_finished_paintings(GanObjective objective)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        SpiralNetwork network = Network(s_small with { DiscriminatorObjective = objective, ComplementDiscriminator = false });
        using var layers = new TorchLayers(network.Declare, torch.CPU, 3);
        Scope<TorchTensor> w = new TorchOps(layers.Tensors).Root;
        using var batch = new Batch([torch.rand(6, 9, generator: new torch.Generator(1))], 6);
        var step = new StepContext(0, 1, new(torch.CPU, 7), Seed: 7);
        IReadOnlyList<LossTerm> terms = network.Loss(w, batch, 0, step);
        CollectionAssert.AreEqual((string[])["discriminator", "gradient penalty"], terms.Select(t => t.Name).ToArray());
        // The same strokes again, from the same seed.
        var seeds = new SplitMix64(7);
        SpiralEpisodes episodes = SpiralEpisodes.Play(
            network, network.ComputeBy(w, torch.CPU), batch[0].data<float>().ToArray(), [false, false, false, true, true, true],
            [.. Enumerable.Range(0, 6).Select(_ => new SplitMix64(seeds.Next()))], 1);
        double[] real = Judged(batch[0]), made = Judged(torch.tensor(episodes.Finished.ToArray()).view(6, 9));
        double expected = objective switch
        {
            GanObjective.NonSaturating => real.Average(x => Math.Log(1 + Math.Exp(-x))) + made.Average(x => Math.Log(1 + Math.Exp(x))),
            GanObjective.LeastSquares => 0.5 * (real.Average(x => (x - 1) * (x - 1)) + made.Average(x => x * x)),
            _ => made.Average() - real.Average(),
        };
        Assert.AreEqual(expected, terms[0].Value.item<float>(), 1e-5);
        Assert.IsGreaterThan(0f, terms[1].Value.item<float>());
        // The agent's update of the step is of the same paintings; what the critic expected is compared with what came.
        IReadOnlyList<LossTerm> agent = network.Loss(w, batch, 1, step);
        CollectionAssert.AreEqual((string[])["policy", "value", "entropy"], agent.Select(t => t.Name).ToArray());
        SpiralStrokes strokes = network.Evaluate(w, episodes, torch.CPU);
        Assert.AreEqual(-0.06 * strokes.Entropy.mean().item<float>(), agent[2].Value.item<float>(), 1e-6);

        double[] Judged(torch.Tensor pictures) =>
            [.. network.Judge<TorchTensor>(w, pictures).Value.data<float>().ToArray().Select(x => (double)x)];
    }

    [TestMethod]
    [DataRow(true, false)]
    [DataRow(false, true)]
    public void The_agents_three_losses_are_those_worked_from_what_it_says_of_its_strokes(bool temporal, bool complement)
    {
        const int rows = 5, free = 2, steps = 3, pixels = 16, all = steps * rows;
        const double discount = 0.9, trace = 0.7;
        using DisposeScope scope = torch.NewDisposeScope();
        SpiralNetwork network = Network(
            s_small with
            {
                Strokes = steps, BrushWidths = [1, 2], PressureLevels = 3, ReconstructionShare = 0.6, RewardBlend = 0.25, Discount = discount,
                TraceDecay = trace, EntropyWeight = 0.2, ValueWeight = 0.8, TemporalCreditAssignment = temporal, ComplementDiscriminator = complement,
            },
            side: 4, energy: 4);
        using var layers = new TorchLayers(network.Declare, torch.CPU, 3);
        Scope<TorchTensor> w = new TorchOps(layers.Tensors).Root;
        using var batch = new Batch([torch.rand(rows, pixels, generator: new torch.Generator(1))], rows);
        var step = new StepContext(3, 10, new(torch.CPU, 7), Seed: 7);
        IReadOnlyList<LossTerm> terms = network.Loss(w, batch, 1, step);

        // The same strokes again, from the same seed, and what the agent says of them.
        float[] images = batch[0].data<float>().ToArray();
        var seeds = new SplitMix64(7);
        SpiralCompute compute = network.ComputeBy(w, torch.CPU);
        SpiralEpisodes episodes = SpiralEpisodes.Play(
            network, compute, images, [false, false, true, true, true], [.. Enumerable.Range(0, rows).Select(_ => new SplitMix64(seeds.Next()))], 1);
        float[][] said = [.. network.ResultWidths.Select(width => new float[all * width])];
        compute(SpiralPass.Look, all, [episodes.Seen], [said[0], said[1], said[2]]);
        compute(SpiralPass.Bend, all, [said[1], said[2], episodes.Bends], [said[3]]);
        compute(SpiralPass.Press, all, [said[1], said[2], episodes.Ends, episodes.Paths], [said[4], said[5]]);
        float[] valueOf = layers.Tensors["agent.value.weight"].data<float>().ToArray(), bias = layers.Tensors["agent.value.bias"].data<float>().ToArray();
        double[] logs = new double[all], entropies = new double[all], values = new double[all];
        for (int i = 0; i < all; i++)
        {
            foreach ((int head, int action) in ((int, int)[])[(0, 0), (3, 1), (4, 2), (5, 3)])
            {
                double[] logits = [.. said[head].Skip(i * network.ResultWidths[head]).Take(network.ResultWidths[head]).Select(x => (double)x)];
                double sum = Math.Log(logits.Sum(Math.Exp));
                logs[i] += logits[episodes.Actions[action][i]] - sum;
                entropies[i] -= logits.Sum(x => Math.Exp(x - sum) * (x - sum));
            }
            values[i] = bias[0] + valueOf.Select((x, j) => x * (double)said[2][i * valueOf.Length + j]).Sum();
        }

        // What each canvas is worth: of a free painting the judgement, of a given image a quarter of it and three of the error.
        double[] worth = new double[all + rows];
        for (int t = 0; t <= steps; t++)
        {
            torch.Tensor canvases = torch.tensor(episodes.Canvases.AsSpan(t * rows * pixels, rows * pixels).ToArray()).view(rows, pixels);
            float[] judged = network.Judge<TorchTensor>(w, network.Composed(canvases, batch[0], step)).Value.data<float>().ToArray();
            for (int row = 0; row < rows; row++)
            {
                double error = Enumerable.Range(0, pixels).Sum(i => Math.Pow(episodes.Canvases[(t * rows + row) * pixels + i] - (double)images[row * pixels + i], 2));
                worth[t * rows + row] = row < free ? judged[row] / 2.0 : 0.25 * judged[row] / 2 - 0.75 * error / 4;
            }
        }
        double[] advantages = new double[all], normal = new double[all];
        for (int row = 0; row < rows; row++)
        {
            double Surprise(int t) => Reward(t) + (t + 1 < steps ? discount * values[(t + 1) * rows + row] : 0) - values[t * rows + row];
            double Reward(int t) => temporal ? worth[(t + 1) * rows + row] - worth[t * rows + row] : t == steps - 1 ? worth[steps * rows + row] - worth[row] : 0;
            for (int t = 0; t < steps; t++)
                advantages[t * rows + row] = Enumerable.Range(t, steps - t).Sum(k => Math.Pow(discount * trace, k - t) * Surprise(k));
        }
        foreach (bool ofFree in (bool[])[true, false])
        {
            int[] some = [.. Enumerable.Range(0, all).Where(i => i % rows < free == ofFree)];
            double mean = some.Average(i => advantages[i]), deviation = Math.Sqrt(some.Average(i => Math.Pow(advantages[i] - mean, 2)));
            foreach (int i in some)
                normal[i] = (advantages[i] - mean) / deviation;
        }
        Assert.AreEqual(-Enumerable.Range(0, all).Average(i => normal[i] * logs[i]), terms[0].Value.item<float>(), 1e-4, "policy");
        Assert.AreEqual(0.8 / 2 * advantages.Average(a => a * a), terms[1].Value.item<float>(), 1e-5, "value");
        Assert.AreEqual(-0.2 * (1 - 0.9 * 3 / 10) * entropies.Average(), terms[2].Value.item<float>(), 1e-5, "entropy");

        // The critic learns from its own term alone, and what it says is no target for itself.
        terms[0].Value.Plus(terms[2].Value).backward(retain_graph: true);
        Assert.IsNull(layers.Tensors["agent.value.weight"].grad);
        terms[1].Value.backward();
        double expected = -0.8 * advantages.Average();
        Assert.AreEqual(expected, layers.Tensors["agent.value.bias"].grad!.item<float>(), 1e-5);
    }

    [TestMethod]
    public void A_trained_agent_paints_the_same_by_ONNX_Runtime_and_by_torch_and_its_columns_agree()
    {
        float[][] images = Bars(12);
        using SpiralTransformer model = s_ml.Generative.Spiral(s_small with { ScoreColumnName = "Score", Steps = 5, Strokes = 4 }).Fit(View(images));
        IDataView painted = model.Transform(View(images));
        float[] scores = [.. painted.GetColumn<float>("Score")];
        float[][] paintings = [.. painted.GetColumn<float[]>("Painting")];
        string[] texts = [.. painted.GetColumn<string>("Strokes")];
        SpiralNetwork network = model.Model.Network;
        Dictionary<string, torch.Tensor> weights = model.Model.Weights.ToTensors(torch.CPU);
        SpiralEpisodes episodes = SpiralEpisodes.Play(
            network, network.ComputeBy(new TorchOps(weights).Root, torch.CPU), images.SelectMany(pixels => pixels).ToArray(),
            [.. images.Select(_ => true)], new SplitMix64[images.Length], temperature: null);
        for (int row = 0; row < images.Length; row++)
        {
            StrokePainting painting = StrokePainting.Parse(texts[row]);
            CollectionAssert.AreEqual(episodes.StrokesOf(row).ToArray(), painting.Strokes.ToArray());
            CollectionAssert.AreEqual(painting.ToPixels(), paintings[row]);
            Assert.AreEqual(painting.ToPixels().Zip(images[row], (a, b) => (double)(a - b) * (a - b)).Average(), scores[row], 1e-5);
            Assert.AreEqual(texts[row], model.Paint(images[row]).ToString());
            Assert.HasCount(4, painting.Strokes);
            for (int i = 1; i < 4; i++)
                Assert.AreEqual((painting.Strokes[i - 1].EndX, painting.Strokes[i - 1].EndY), (painting.Strokes[i].StartX, painting.Strokes[i].StartY));
        }
        foreach (torch.Tensor weight in weights.Values)
            weight.Dispose();

        // Free ones: a painting is the same alone and among others, and its image is what its strokes paint.
        IDataView others = model.Generate(70, seed: 3);
        string[] free = [.. others.GetColumn<string>("Strokes")];
        Assert.AreEqual(free[0], model.Paint(seed: 3).ToString());
        Assert.IsGreaterThan(50, free.Distinct().Count());
        CollectionAssert.AreEqual(StrokePainting.Parse(free[65]).ToPixels(), others.GetColumn<float[]>("Image").ElementAt(65));
        model.Temperature = 1e-4;
        Assert.IsLessThan(10, model.Generate(30).GetColumn<string>("Strokes").Distinct().Count());
    }

    [TestMethod]
    public void An_agent_learns_to_paint_what_it_is_given()
    {
        // Three white columns to the left or to the right, which a wide brush paints with one stroke that begins there.
        float[][] images = [.. Enumerable.Range(0, 32).Select(n => Enumerable.Range(0, 25).Select(i => (n % 2 == 0 ? i % 5 : 4 - i % 5) < 3 ? 1f : 0f).ToArray())];
        SpiralOptions options = s_small with
        {
            ReconstructionShare = 1, RewardBlend = 0, ScoreColumnName = "Score", Channels = 4, HiddenWidth = 16, BatchSize = 32,
            LearningRate = 3e-3, BrushWidths = [3], DarkInk = false,
        };
        Assert.IsLessThan(0.2, Error(100)); // bare 0.6, all white 0.4

        double Error(int steps)
        {
            using SpiralTransformer model = s_ml.Generative.Spiral(options with { Steps = steps }).Fit(View(images));
            return model.Transform(View(images)).GetColumn<float>("Score").Average();
        }
    }

    [TestMethod]
    public void Pictures_of_dark_ink_and_vectors_of_other_units_are_painted_in_their_own()
    {
        SpiralOptions options = s_small with { Steps = 2, ScoreColumnName = "Score" };
        float[][] images = Bars(10);
        // Dark on bright, from 0 to 255: the same strokes, and paintings the other way round.
        float[][] dark = [.. images.Select(image => image.Select(v => 255 * (1 - v)).ToArray())];
        using SpiralTransformer bright = s_ml.Generative.Spiral(options).Fit(View(images)), model = s_ml.Generative.Spiral(options).Fit(View(dark));
        Assert.IsTrue(model.DarkInk && !bright.DarkInk);
        float[][] expected = [.. bright.Transform(View(images)).GetColumn<float[]>("Painting")];
        float[][] painted = [.. model.Transform(View(dark)).GetColumn<float[]>("Painting")];
        for (int row = 0; row < images.Length; row++)
        {
            for (int i = 0; i < 25; i++)
                Assert.AreEqual(255 * (1 - expected[row][i]), painted[row][i], 1e-2);
        }

        // Colour pictures of another size, which are read as grey.
        var rows = new TableView(6).Add("Image", new Microsoft.ML.Transforms.Image.ImageDataViewType(10, 10), row => Picture(row));
        using SpiralTransformer pictures = s_ml.Generative.Spiral(options with { ImageShape = new(1, 5, 5) }).Fit(rows);
        MLImage first = pictures.Transform(rows).GetColumn<MLImage>("Painting").First(), free = pictures.Generate(1).GetColumn<MLImage>("Image").First();
        Assert.AreEqual((5, 5, 5, 5), (first.Height, first.Width, free.Height, free.Width));
        Assert.AreEqual(
            pictures.Transform(rows).GetColumn<string>("Strokes").First(), pictures.Paint(Picture(0)).ToString());

        foreach ((int width, int height) in ((int, int)[])[(1, 1), (300, 7), (3, 200)])
        {
            using MLImage other = White(width, height), same = White(5, 5);
            Assert.AreEqual(pictures.Paint(same).ToString(), pictures.Paint(other).ToString());
        }

        static MLImage White(int width, int height) => MLImage.CreateFromPixels(
            width, height, MLPixelFormat.Rgba32, [.. Enumerable.Repeat((byte)255, 4 * width * height)]);

        static MLImage Picture(int row) => MLImage.CreateFromPixels(
            10, 10, MLPixelFormat.Rgba32, [.. Enumerable.Range(0, 400).Select(i => (byte)(i % 4 == 3 || i / 4 % 10 == row ? 255 : 0))]);
    }

    [TestMethod]
    public void What_an_agent_cannot_take_is_refused_before_work()
    {
        StringAssert.Contains(Refused(s_small with { Strokes = 0 }, 5), "Strokes");
        StringAssert.Contains(Refused(s_small with { ImageShape = new(3, 5, 5) }, 5), "grey");
        StringAssert.Contains(Refused(s_small with { ImageShape = new(1, 65, 5) }, 5), "64");
        StringAssert.Contains(Refused(s_small with { DiscriminatorObjective = GanObjective.Hinge }, 5), "Hinge");
        StringAssert.Contains(Refused(s_small with { ReconstructionShare = 0, ScoreColumnName = "Score" }, 5), "ReconstructionShare");
        StringAssert.Contains(Refused(s_small with { BrushWidths = [] }, 5), "BrushWidths");
        StringAssert.Contains(Refused(s_small with { Steps = 1, Epochs = 1 }, 5), "Epochs");
        StringAssert.Contains(Refused(s_small, 65), "1 × 65 × 65");
        StringAssert.Contains(Refused(s_small with { ImageShape = new(1, 4, 5) }, 5), "1 × 4 × 5");
        var colours = new TableView(4).AddVector("Image", 48, _ => new float[48]);
        StringAssert.Contains(Assert.Throws<ArgumentOutOfRangeException>(() => s_ml.Generative.Spiral(s_small).Fit(colours)).Message, "3 × 4 × 4");
        StringAssert.Contains(Assert.Throws<InvalidOperationException>(() => s_ml.Generative.Spiral(s_small).Fit(View([], 25))).Message, "no rows");
        StringAssert.Contains(Assert.Throws<InvalidOperationException>(
            () => s_ml.Generative.Spiral(s_small).Fit(View([new float[25], [.. new float[24], float.NaN]]))).Message, "NaN");

        using SpiralTransformer given = s_ml.Generative.Spiral(s_small with { ReconstructionShare = 1, Steps = 1 }).Fit(View(Bars(4)));
        StringAssert.Contains(Assert.Throws<InvalidOperationException>(() => given.Generate(1)).Message, "ReconstructionShare");
        Assert.Throws<ArgumentException>(() => given.Paint(new float[24]));
        using SpiralTransformer free = s_ml.Generative.Spiral(s_small with { ReconstructionShare = 0, Steps = 1 }).Fit(View(Bars(4)));
        StringAssert.Contains(Assert.Throws<InvalidOperationException>(() => free.Paint(new float[25])).Message, "ReconstructionShare");
        Assert.HasCount(1, free.Transform(View(Bars(4))).Schema);
        Assert.Throws<ArgumentException>(() => free.Generate(1, where: new RowCondition().Equal("Image", "7")));

        static string Refused(SpiralOptions options, int side) =>
            Assert.Throws<ArgumentException>(() => s_ml.Generative.Spiral(options).Fit(View([new float[side * side]])), "").Message;
    }

    private static SpiralNetwork Network(SpiralOptions options, int side = 3, float energy = 1) =>
        new(options, new SpiralInput(new(new ImageShape(1, side, side)), 0, 1, DarkInk: false, energy));

    /// <summary>Plays strokes that are chosen in advance: end, control point, pressure and width of each.</summary>
    private static SpiralEpisodes Forced(
        SpiralNetwork network, Scope<TorchTensor> w, float[] images, int rows, Func<int, int, int[]> actions, bool[]? given = null)
    {
        SpiralCompute compute = network.ComputeBy(w, torch.CPU);
        int t = 0;
        return SpiralEpisodes.Play(network, Choose, images, given ?? [.. Enumerable.Repeat(true, rows)], new SplitMix64[rows], temperature: null);

        void Choose(SpiralPass pass, int count, ReadOnlyMemory<float>[] inputs, Memory<float>[] outputs)
        {
            compute(pass, count, inputs, outputs);
            (int Part, int Output)[] chosen = pass switch { SpiralPass.Look => [(0, 0)], SpiralPass.Bend => [(1, 0)], _ => [(2, 0), (3, 1)] };
            foreach ((int part, int output) in chosen)
            {
                Span<float> logits = outputs[output].Span;
                logits.Clear();
                for (int row = 0; row < count; row++)
                    logits[row * (logits.Length / count) + actions(row, t)[part]] = 1;
            }
            t += pass == SpiralPass.Press ? 1 : 0;
        }
    }

    // White bars on 5 × 5 pixels: upright ones and level ones.
    private static float[][] Bars(int count) =>
    [
        .. Enumerable.Range(0, count).Select(n => Enumerable.Range(0, 25)
            .Select(i => (n % 2 == 0 ? i % 5 : i / 5) == n / 2 % 5 ? 1f : 0f).ToArray()),
    ];

    private static TableView View(float[][] images, int? width = null) =>
        new TableView(images.Length).AddVector("Image", width ?? images[0].Length, row => images[row]);
}
