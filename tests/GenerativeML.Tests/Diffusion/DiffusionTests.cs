using GenerativeML.Benchmarks;
using GenerativeML.Tests.Conformance;
using GenerativeML.Tests.Rows;
using Microsoft.ML;
using Microsoft.ML.Data;
using TorchSharp;

namespace GenerativeML.Tests;

[TestClass]
[DoNotParallelize]
public class DiffusionTests
{
    private static readonly DiffusionOptions s_small = new() { HiddenWidth = 48, Blocks = 2, LearningRate = 3e-3 };

    private readonly MLContext _ml = new(1);

    [TestMethod]
    public void The_loss_moves_every_parameter_as_finite_differences_say()
    {
        foreach (PredictionTarget target in Enum.GetValues<PredictionTarget>())
        {
            // The levels of the continuous schedule differ by row, so that all parts are exercised by four rows.
            var options = new DiffusionOptions { HiddenWidth = 3, Blocks = 1, Target = target };
            var network = new DiffusionNetwork(options, new VectorInput { Width = 3, ConditionWidths = [2], ConditionRows = 4 });
            LossGradients.Check(network, weights: w =>
            {
                Array.Fill(w["input_scale"], 1);
                new NoiseEmbedding("level", MathF.Log(0.002f), MathF.Log(80), 3).Initialize(w);
            });
        }
    }

    [TestMethod]
    public void Means_of_neighbours_are_those_of_a_loop_over_the_rows_and_leave_out_the_row_itself()
    {
        const int Width = 3, Stored = 5;
        float none = float.NaN;
        float[][] memory = [[0, 1, 2], [1, none, 0], [-1, 0.5f, none], [3, 3, 3], [0.1f, 1.2f, -2]];
        float[][] rows = [[0, none, none], [none, 1, 2.5f], [none, none, none], [0, 1, none]];
        var weights = new HostWeights([new TensorSpec("memory", TensorType.F32, Stored, Width), new TensorSpec("memory_there", TensorType.F32, Stored, Width)]);
        float[][] Shown(float[][] of) => [.. of.Select(row => row.Select(v => float.IsNaN(v) ? 0 : v).ToArray())];
        float[][] There(float[][] of) => [.. of.Select(row => row.Select(v => float.IsNaN(v) ? 0f : 1).ToArray())];
        Shown(memory).SelectMany(v => v).ToArray().CopyTo(weights["memory"].AsSpan());
        There(memory).SelectMany(v => v).ToArray().CopyTo(weights["memory_there"].AsSpan());
        foreach (bool training in new[] { false, true })
        {
            float[][] whole = [[0, 1, 2], [7, 1, 2.5f], [1, 0, 0], [5, 5, 5]]; // the first and the third are stored ones
            float[] made = new float[rows.Length * Width];
            using var model = new OnnxRows(new MeansPass(new NeighbourMeans(Stored, Width), training), weights, [Width, Width, Width]);
            model.Run(
                rows.Length,
                [Shown(rows).SelectMany(v => v).ToArray(), There(rows).SelectMany(v => v).ToArray(), whole.SelectMany(v => v).ToArray()],
                [made]);
            for (int i = 0; i < rows.Length; i++)
            {
                for (int j = 0; j < Width; j++)
                {
                    double sum = 0, all = 0;
                    for (int m = 0; m < Stored; m++)
                    {
                        if (float.IsNaN(memory[m][j]) || training && ((i, m) is (0, 0) or (2, 1)))
                            continue;
                        double distance = 3, shared = 3;
                        for (int k = 0; k < Width; k++)
                        {
                            if (float.IsNaN(memory[m][k]) || float.IsNaN(rows[i][k]))
                                continue;
                            distance += Math.Pow(rows[i][k] - memory[m][k], 2);
                            shared++;
                        }
                        double weight = Math.Pow(shared / distance, 8);
                        (sum, all) = (sum + weight * memory[m][j], all + weight);
                    }
                    Assert.AreEqual(sum / all, made[i * Width + j], 1e-4, $"{training} {i} {j}");
                }
            }
        }
    }

    [TestMethod]
    public void Rows_alike_count_where_the_network_has_learned_nothing()
    {
        float[] whole = Density.Normal(500);
        float[][] holed = [.. whole.Chunk(3).Select((row, i) => i % 4 == 0 ? [row[0], float.NaN, row[2]] : row)];
        DiffusionOptions idle = s_small with { Epochs = 1, LearningRate = 1e-9 };
        Assert.AreEqual(1, Error(idle with { ReferenceRows = 0 }), 0.1);
        Assert.IsLessThan(0.6, Error(idle)); // 0.36 at best

        double Error(DiffusionOptions options)
        {
            using ImputingTransformer imputer = _ml.Generative.Impute(options).Fit(View(holed));
            float[][] filled = Vectors(imputer.Transform(View(holed)));
            int[] missing = [.. Enumerable.Range(0, holed.Length).Where(i => i % 4 == 0)];
            return missing.Average(i => Math.Pow(filled[i][1] - whole[3 * i + 1], 2)) / missing.Average(i => Math.Pow(-3 - whole[3 * i + 1], 2));
        }
    }

    private sealed class MeansPass(NeighbourMeans means, bool training) : IForwardPass
    {
        public T[] Run<T>(Scope<T> w, T[] inputs)
            where T : struct, ITensor<T> => [means.Mean(w, inputs[0], inputs[1], training ? inputs[2] : inputs[2] * 0f + 100f)];
    }

    [TestMethod]
    [DataRow(PredictionTarget.Velocity)]
    [DataRow(PredictionTarget.Noise)]
    [DataRow(PredictionTarget.Sample)]
    public void A_network_that_is_right_gives_the_data_whatever_it_tells(PredictionTarget target)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        var network = new RightNetwork(target);
        using var layers = new TorchLayers(network.Declare, torch.CPU, seed: 1);
        layers.Tensors["least"].Fill(-10);
        layers.Tensors["most"].Fill(10);
        Scope<TorchTensor> w = new TorchOps(layers.Tensors).Root;
        torch.Tensor noisy = torch.tensor(new float[] { 3, -1, 0.2f, 5, 40, -70 }, [3, 2]);
        torch.Tensor level = torch.tensor(new float[] { 0.1f, 2, 50 }, [3, 1]);
        float[] clean = network.Denoise<TorchTensor>(w, noisy, level, null, null, null).Value.data<float>().ToArray();
        foreach (float value in clean)
            Assert.AreEqual(RightNetwork.Data, value, 1e-4f);
    }

    [TestMethod]
    public void A_ring_of_eight_keeps_all_its_modes()
    {
        var ring = new GaussianRing();
        float[] rows = [.. ring.Sample(3000, seed: 1).SelectMany(row => row)];
        TrainedVector model = Density.Fit(DiffusionTrainer.Family, s_small with { Epochs = 50 }, rows, 2).Model;
        float[] made = Density.Generate(model, 2000);
        (int modes, double near) = ring.Judge([.. made.Chunk(2)]);
        Assert.AreEqual(8, modes);
        Assert.IsGreaterThan(0.5, near); // a small network after little training; of evenly spread rows 0.08 would be near
        AssertEnginesAgree(model, made);
    }

    [TestMethod]
    [DataRow(NoiseSchedule.Linear, PredictionTarget.Noise, DiffusionSamplerKind.Ddpm, 200)]
    [DataRow(NoiseSchedule.Cosine, PredictionTarget.Velocity, DiffusionSamplerKind.Ddim, 50)]
    public void Other_schedules_than_the_default_learn_a_normal_distribution(
        NoiseSchedule schedule, PredictionTarget target, DiffusionSamplerKind sampler, int steps)
    {
        DiffusionOptions options = s_small with { NoiseSchedule = schedule, Target = target, Epochs = 20 };
        TrainedVector model = Density.Fit(DiffusionTrainer.Family, options, Density.Normal(3000), 3).Model;
        float[] made = new float[3 * 4000];
        model.Generate(made, Memory<float>.Empty, 4000, seed: 3, [], sampling: new DiffusionSampling { Sampler = sampler, Steps = steps });
        Density.AssertMoments(Density.Normal(20_000, seed: 2), made, 3, 0.15); // of deviations: little training
    }

    [TestMethod]
    public void Given_features_decide_the_others_and_stay_as_they_are()
    {
        using DiffusionTransformer model = _ml.Generative.Diffusion(s_small with { Epochs = 40 }).Fit(Normals(3000));
        // The mean of the second feature given the first is on the line that the distribution was made with.
        const float Given = 107.5f;
        float[][] made = Vectors(model.Generate(2000, 5, new RowCondition().Equal("Features.0", Given)));
        Assert.IsTrue(made.All(row => row[0] == Given));
        Assert.AreEqual(-3 + 0.02 * 0.8 * 1.5, made.Average(row => (double)row[1]), 0.006);
        Assert.AreEqual(0.02 * 0.6, Deviation(made, 1), 0.006);
        Assert.AreEqual(0, made.Average(row => (double)row[2]), 0.5); // independent of the first: mean 0, deviation 2
        StringAssert.Contains(Assert.Throws<ArgumentException>(
            () => model.Generate(1, 0, new RowCondition().Equal("Features.3", 1))).Message, "Features.3");

        // From noise of eighty deviations, step by step, to what is generated.
        model.Sampling = new() { Steps = 6 };
        var where = new RowCondition().Equal("Features.0", Given);
        IReadOnlyList<float[]> steps = model.GenerateSteps(200, 5, where);
        Assert.HasCount(7, steps);
        CollectionAssert.AreEqual(Vectors(model.Generate(200, 5, where)).SelectMany(row => row).ToArray(), steps[^1]);
        Assert.AreEqual(80 * 0.02, Deviation([.. steps[0].Chunk(3)], 1), 0.3);
        Assert.IsLessThan(Deviation([.. steps[2].Chunk(3)], 1), Deviation([.. steps[4].Chunk(3)], 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => model.GenerateSteps(0));
        CollectionAssert.AreEqual(steps[^1], Vectors(model.Inpaint([Given, float.NaN, float.NaN], 200, 5)).SelectMany(row => row).ToArray());

        float[][] holed = [[107.5f, float.NaN, 1], [float.NaN, -3, float.PositiveInfinity], [100, -3, 0]];
        using ImputingTransformer imputer = model.ToImputer();
        float[][] filled = Vectors(imputer.Transform(View(holed)));
        Assert.AreEqual(107.5f, filled[0][0]);
        Assert.AreEqual(-3 + 0.02 * (0.8 * 1.5 + 0.6 * 0.12), filled[0][1], 0.008); // of e₁: 1·0.5 / (0.25 + 4) = 0.12
        Assert.IsTrue(filled[1].All(float.IsFinite));
        CollectionAssert.AreEqual(holed[2], filled[2]);
    }

    [TestMethod]
    public void Rows_with_holes_teach_an_imputer_and_it_is_saved()
    {
        var random = new SplitMix64(6);
        float[] whole = Density.Normal(3000);
        float[][] holed = [.. whole.Chunk(3).Select(row => row.Select(v => random.NextDouble() < 0.2 ? float.NaN : v).ToArray())];
        using ImputingTransformer imputer = _ml.Generative.Impute(s_small with { Epochs = 40 }).Fit(View(holed));
        float[][] filled = Vectors(imputer.Transform(View(holed)));
        double ours = 0, mean = 0;
        for (int i = 0; i < holed.Length; i++)
        {
            if (!float.IsNaN(holed[i][1]))
                continue;
            ours += Math.Pow(filled[i][1] - whole[3 * i + 1], 2);
            mean += Math.Pow(-3 - whole[3 * i + 1], 2);
        }
        // Where the first feature is there, and it is in four of five rows, 0.36 of the variance is left: 0.49 in all.
        Assert.IsLessThan(0.6, ours / mean);
        using (NativeParts.Pretend(onnx: new DllNotFoundException(), torch: null))
        {
            imputer.Dispose();
            float[][] byTorch = Vectors(imputer.Transform(View(holed)));
            for (int i = 0; i < holed.Length; i += 50)
                CollectionAssert.AreEqual(filled[i], byTorch[i], Comparer<object>.Create((a, b) => Math.Abs((float)a - (float)b) < 1e-3 ? 0 : 1));
            imputer.Dispose();
        }
        using var stream = new MemoryStream();
        _ml.Model.Save(imputer, View(holed).Schema, stream);
        ITransformer again = _ml.Model.Load(stream, out _);
        float[][] loaded = Vectors(again.Transform(View(holed)));
        for (int i = 0; i < holed.Length; i++)
            CollectionAssert.AreEqual(filled[i], loaded[i]);
    }

    [TestMethod]
    public void Conditions_decide_rows_guidance_sharpens_them_and_the_choice_is_saved()
    {
        using DiffusionTransformer model = _ml.Generative.Diffusion(s_small with
        {
            ConditionColumnNames = ["Kind", "Large"], Epochs = 100,
        }).Fit(LabelledVectors.Rows(1200));
        RowCondition where = new RowCondition().Equal("Kind", 2).Equal("Large", true);
        float[][] made = Vectors(model.Generate(1000, where: where));
        // In training rows of this kind and size the slots are 0, 20 and 0 on average.
        Assert.AreEqual(20, made.Average(row => (double)row[1]), 1.5);
        Assert.IsLessThan(1.5, Math.Max(Math.Abs(made.Average(row => (double)row[0])), Math.Abs(made.Average(row => (double)row[2]))));
        // Regardless of conditions a third of the rows is of each kind.
        model.Sampling = new() { GuidanceScale = 0 };
        Assert.AreEqual(11.0 / 3, Vectors(model.Generate(2000, where: where)).Average(row => (double)row[1]), 1.5);
        model.Sampling = new() { GuidanceScale = 3, Steps = 10, Sampler = DiffusionSamplerKind.Ddim };
        float[][] guided = Vectors(model.Generate(500, 1, where));
        Assert.IsTrue(guided.All(row => row.All(float.IsFinite)));
        using var stream = new MemoryStream();
        _ml.Model.Save(model, LabelledVectors.Rows(1).Schema, stream);
        var again = (DiffusionTransformer)((ITransformer)_ml.Model.Load(stream, out _) is TransformerChain<ITransformer> chain
            ? chain.Single() : _ml.Model.Load(stream, out _));
        Assert.AreEqual(model.Sampling, again.Sampling);
        Assert.Throws<ArgumentException>(() => model.Sampling = new() { GuidanceScale = -1 });
    }

    [TestMethod]
    public void Columns_that_are_constant_or_alone_and_few_rows_make_working_models()
    {
        foreach (float[][] rows in new float[][][]
        {
            [.. Enumerable.Range(0, 300).Select(i => (float[])[7, MathF.Sin(i)])],
            [.. Enumerable.Range(0, 300).Select(i => (float[])[i % 5])],
            [.. Enumerable.Range(0, 20).Select(_ => (float[])[3, 3])],
            [[1, 2], [2, 1]],
        })
        {
            using DiffusionTransformer model = _ml.Generative.Diffusion(s_small with { Epochs = 5 }).Fit(View(rows));
            float[][] made = Vectors(model.Generate(50));
            for (int j = 0; j < rows[0].Length; j++)
            {
                // What is made lies in the range of the training rows.
                Assert.IsGreaterThanOrEqualTo(rows.Min(row => row[j]) - 1e-4f, made.Min(row => row[j]));
                Assert.IsLessThanOrEqualTo(rows.Max(row => row[j]) + 1e-4f, made.Max(row => row[j]));
            }
        }
        StringAssert.Contains(Assert.Throws<ArgumentException>(() => _ml.Generative.Diffusion(
            new() { Sampling = new() { GuidanceScale = 2 } })).Message, "GuidanceScale");
        StringAssert.Contains(Assert.Throws<ArgumentException>(() => _ml.Generative.Diffusion(
            new() { NoiseSchedule = NoiseSchedule.Cosine, Sampling = new() { Steps = 1001 } })).Message, "Steps");
    }

    [TestMethod]
    public void Features_shares_sum_to_the_score_and_strange_rows_score_high()
    {
        float[] normal = Density.Normal(400);
        float[] rows = [.. Enumerable.Range(0, 400).SelectMany(i => (float[])[.. normal[(3 * i)..(3 * i + 3)], 7])];
        TrainedVector model = Density.Fit(
            DiffusionTrainer.Family, s_small with { Epochs = 20, ScoreColumnName = "Score", FeatureScoreColumnName = "F" }, rows, 4).Model;
        float[] score = Trained.Scores(model, rows), shares = Trained.FeatureScores(model, rows);
        for (int i = 0; i < score.Length; i++)
        {
            Assert.AreEqual(score[i], shares[(4 * i)..(4 * i + 4)].Sum(), 1e-4 * score[i]);
            Assert.AreEqual(0, shares[4 * i + 3]);
        }
        float[] far = [1e30f, 0, 0, 7, 100, -3.5f, 0, 7];
        Assert.IsTrue(Trained.Scores(model, far).All(s => float.IsFinite(s) && s > score.Max()));
    }

    // All data is one number, so that the noise, and whatever is asked for, is known: x = α·(x₀ + level·ε) is seen.
    private sealed class RightNetwork(PredictionTarget target) : DenoisingNetwork(
        new DiffusionOptions { Target = target, HiddenWidth = 1 }, new VectorInput { Width = 2 })
    {
        public const float Data = 0.7f;

        protected override void DeclareLayers(Layers layers)
        {
        }

        protected override T Predict<T>(Scope<T> w, NoisyRows<T> rows)
        {
            T level = rows.LogLevel.Apply(Function.Exp), deviation = (level * level + 1f).Apply(Function.Sqrt);
            T noise = (rows.Values * deviation - Data) / level;
            return target switch
            {
                PredictionTarget.Noise => noise,
                PredictionTarget.Sample => noise * 0f + Data,
                _ => noise / deviation - level / deviation * Data, // α·ε − σ·x₀
            };
        }
    }

    private static double Deviation(float[][] rows, int feature)
    {
        double mean = rows.Average(row => (double)row[feature]);
        return Math.Sqrt(rows.Average(row => Math.Pow(row[feature] - mean, 2)));
    }

    private static void AssertEnginesAgree(TrainedVector model, float[] made)
    {
        model.Dispose();
        using (NativeParts.Pretend(onnx: new DllNotFoundException(), torch: null))
        {
            float[] other = Density.Generate(model, made.Length / 2);
            // Rows between two modes may fall to either by the last bit of a number.
            Assert.IsGreaterThan(0.99, other.Zip(made).Average(pair => Math.Abs(pair.First - pair.Second) < 1e-3f ? 1.0 : 0));
        }
        model.Dispose();
    }

    private static TableView Normals(int rows) => View([.. Density.Normal(rows).Chunk(3)]);

    private static TableView View(float[][] rows) =>
        new TableView(rows.Length).AddVector("Features", rows[0].Length, row => rows[row]);

    private static float[][] Vectors(IDataView view) =>
        [.. view.GetColumn<VBuffer<float>>(view.Schema["Features"]).Select(v => v.DenseValues().ToArray())];
}
