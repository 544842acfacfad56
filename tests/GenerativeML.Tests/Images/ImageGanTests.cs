using Microsoft.ML;
using Microsoft.ML.Data;
using TorchSharp;

namespace GenerativeML.Tests.Images;

/// <summary>What GANs of images minimise, and whether they learn to draw.</summary>
[TestClass]
public sealed class ImageGanTests
{
    public static IEnumerable<object[]> Games =>
        from objective in Enum.GetValues<GanObjective>()
        select new object[] { objective, (int)objective % 2 == 1 };

    [TestMethod]
    [DynamicData(nameof(Games))]
    public void Both_losses_move_every_parameter_as_finite_differences_say(GanObjective objective, bool conditional)
    {
        bool smooth = objective is GanObjective.WassersteinGradientPenalty or GanObjective.Hinge or GanObjective.NonSaturating;
        List<string> absorbed = ["generator.2.convolution.bias"];
        if (!smooth)
            absorbed.Add("discriminator.2.bias");
        if (objective is GanObjective.Wasserstein or GanObjective.WassersteinGradientPenalty or GanObjective.Hinge)
            absorbed.Add("discriminator.judgement.bias");
        LossGradients.Check(Network(objective, conditional), [.. absorbed], Rich, step: 5e-4f);
    }

    [TestMethod]
    [DataRow(GanObjective.LeastSquares, 1)]
    [DataRow(GanObjective.Wasserstein, 5)]
    public void In_a_run_the_generator_goes_on_with_rows_that_were_judged(GanObjective objective, int every)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        ImageGanNetwork network = Network(objective, conditional: false);
        var weights = new HostWeights(network.Tensors());
        Rich(weights);
        Dictionary<string, torch.Tensor> tensors = weights.ToTensors(torch.CPU);
        torch.Tensor moved = tensors["generator.innermost.weight"].requires_grad_();
        torch.Tensor rows = new SeededRandom(torch.CPU, 2).Normal([6, 20]);
        float[] own = Generator(draw: 4);
        Assert.AreNotEqual(own[0], Generator(draw: 4, seed: 8)[0], 1e-4);
        AssertClose(own, Generator(draw: 5)); // the step decides, whatever was drawn before
        Discriminator(draw: 4, every - 1);
        AssertClose(own, Generator(draw: 5));
        // What was made before weights changed shows that it is gone on with, and once; in parts a step would keep all of it.
        Assert.AreEqual(own[0], AfterDiscriminator(every - 1, share: 1), 1e-5);
        Assert.AreNotEqual(own[0], AfterDiscriminator(every - 1, share: 0.5), 1e-4);
        if (every > 1)
            Assert.AreNotEqual(own[0], AfterDiscriminator(every - 2, share: 1), 1e-4); // the generator has no update in this step
        using (torch.no_grad())
            Assert.AreNotEqual(own[0], AfterDiscriminator(every - 1, share: 1), 1e-4); // and where losses are only looked at

        float AfterDiscriminator(long step, double share)
        {
            using torch.Tensor before = moved.detach().clone();
            Discriminator(draw: 4, step, share);
            using (torch.no_grad())
                moved.Scale(0.5);
            float loss = Loss(1, 5, every - 1, 7, share).item<float>();
            float again = Loss(1, 5, every - 1, 7, share).item<float>();
            using (torch.no_grad())
                moved.copy_(before);
            Assert.AreNotEqual(own[0], again, 1e-4);
            return loss;
        }

        // The loss, and its gradient.
        float[] Generator(ulong draw, ulong seed = 7, double share = 1)
        {
            torch.Tensor loss = Loss(1, draw, every - 1, seed, share);
            return [loss.item<float>(), .. torch.autograd.grad([loss], [moved])[0].data<float>()];
        }

        void Discriminator(ulong draw, long step, double share = 1)
        {
            using DisposeScope inner = torch.NewDisposeScope();
            Loss(0, draw, step, 7, share);
        }

        torch.Tensor Loss(int update, ulong draw, long step, ulong seed, double share)
        {
            var ops = new TorchOps(tensors) { Random = new SeededRandom(torch.CPU, draw) };
            return network.Loss(new(ops.Root, rows, null, update, new StepContext(step, 100, ops.Random!, seed, share)))[0].Value;
        }

        static void AssertClose(float[] expected, float[] actual)
        {
            foreach ((float e, float a) in expected.Zip(actual))
                Assert.AreEqual(e, a, 1e-5 * Math.Max(1, Math.Abs(e)));
        }
    }

    [TestMethod]
    public void R1_of_a_quadratic_discriminator_is_its_closed_form()
    {
        using DisposeScope scope = torch.NewDisposeScope();
        torch.Tensor weight = torch.tensor([3f, 4f], [2]).requires_grad_();
        torch.Tensor real = torch.tensor([1f, 2f, 0f, 1f], [2, 2]);
        // D(x) = Σ w·x²: its gradient is 2·w·x, the squared norm 4·Σ w²·x².
        torch.Tensor penalty = GanLoss.R1(x => x.mul(x).mul(weight).sum(1L, keepdim: true), real, 1);
        Assert.AreEqual((4 * (9 * 1 + 16 * 4) + 4 * (16 * 1)) / 2.0, penalty.item<float>(), 1e-3);
        penalty.backward();
        float[] gradient = weight.grad!.data<float>().ToArray();
        Assert.AreEqual(8 * 3 * 1 / 2.0, gradient[0], 1e-3);
        Assert.AreEqual(8 * 4 * (4 + 1) / 2.0, gradient[1], 1e-3);
    }

    [TestMethod]
    public void Augmentation_is_seen_through_by_gradients_and_differs_from_image_to_image()
    {
        using DisposeScope scope = torch.NewDisposeScope();
        var options = new ImageGanOptions { Augmentation = true, Channels = [2] };
        var network = Resolved(options, new VectorInput { Width = 256, Image = new(new(1, 16, 16)) });
        torch.Tensor rows = torch.ones([6, 256]).Scaled(0.5).requires_grad_();
        torch.Tensor seen = network.Augmented(rows, new SeededRandom(torch.CPU, 3));
        CollectionAssert.AreEqual(new long[] { 6, 256 }, seen.shape);
        float[] again = network.Augmented(rows, new SeededRandom(torch.CPU, 3)).data<float>().ToArray();
        CollectionAssert.AreEqual(again, seen.data<float>().ToArray());
        Assert.HasCount(6, again.Chunk(256).Select(row => row.Max()).Distinct().ToArray());
        Assert.IsTrue(again.Chunk(256).All(row => row.Contains(0f)), "something is covered in each");
        seen.sum().backward();
        float[] gradient = rows.grad!.data<float>().ToArray();
        Assert.IsTrue(gradient.All(float.IsFinite));
        Assert.IsGreaterThan(6 * 100, gradient.Count(g => g != 0));
    }

    [TestMethod]
    public void It_draws_the_bars_that_it_is_asked_for()
    {
        var ml = new MLContext(seed: 2);
        IDataView data = ml.Data.LoadFromEnumerable(TestImages.Bars(140));
        using GanTransformer model = ml.Generative.ImageGan(new ImageGanOptions
        {
            FeatureColumnName = "Image", ImageShape = new(1, 8, 8), ConditionColumnNames = ["Stands"],
            Channels = [16], NoiseDimension = 8, BatchSize = 28, Epochs = 120, LearningRate = 2e-3, Stages = 1,
            DiscriminatorStepsPerGeneratorStep = 1, WeightAverageDecay = 0.98,
        }).Fit(data);
        foreach (bool stands in new[] { false, true })
        {
            int right = 0;
            foreach (MLImage image in model.Generate(50, 3, new RowCondition().Equal("Stands", stands)).GetColumn<MLImage>("Image"))
            {
                float[] pixels = TestImages.Read(image, new(1, 8, 8));
                float Line(int i) => Enumerable.Range(0, 8).Sum(k => pixels[8 * i + k]);
                float Column(int i) => Enumerable.Range(0, 8).Sum(k => pixels[8 * k + i]);
                float lies = Enumerable.Range(0, 8).Max(Line), upright = Enumerable.Range(0, 8).Max(Column);
                right += stands == upright > lies ? 1 : 0;
            }
            Assert.IsGreaterThanOrEqualTo(45, right, $"standing: {stands}");
        }
    }

    private static ImageGanNetwork Network(GanObjective objective, bool conditional) => Resolved(
        new ImageGanOptions
        {
            Objective = objective, Channels = [2, 2], NoiseDimension = 2,
            // Without both, there is batch normalisation.
            R1Weight = objective == GanObjective.NonSaturating ? 0.5 : 0,
            SpectralNormalization = objective == GanObjective.Hinge,
            ConditionColumnNames = conditional ? ["Kind"] : [],
        },
        new VectorInput
        {
            Width = 20, Image = new(new(1, 4, 5)), ConditionWidths = conditional ? [2] : [], ConditionRows = conditional ? 9 : 0,
        });

    private static ImageGanNetwork Resolved(ImageGanOptions options, VectorInput input) =>
        ImageGanNetwork.Of((ImageGanOptions)options.Resolve(new RowStatistics(input, [], [], 100)), input);

    // First weights as the paper has them are too small to tell by differences.
    private static void Rich(HostWeights weights)
    {
        var random = new SplitMix64(9);
        foreach (TensorSpec spec in weights.Specs)
        {
            float[] values = weights[spec.Name];
            NormalNumbers.Fill(ref random, values);
            for (int i = 0; i < values.Length; i++)
            {
                values[i] = spec.Name.EndsWith("running_var", StringComparison.Ordinal)
                    ? 1
                    : values[i] * (spec.Name.EndsWith("bias", StringComparison.Ordinal) ? 0.2f : 0.5f);
            }
        }
        foreach (string layer in weights.Specs.Select(s => s.Name).Where(n => n.EndsWith(".weight_u", StringComparison.Ordinal)))
            SpectralNorm.Initialize(weights, layer[..^".weight_u".Length], 3);
    }
}
