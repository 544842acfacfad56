using System.Globalization;
using Microsoft.ML;
using Microsoft.ML.Data;
using TorchSharp;

namespace GenerativeML.Tests;

[TestClass]
[DoNotParallelize]
public class BoltzmannTests
{
    [TestMethod]
    [DataRow(VisibleUnits.Binary)]
    [DataRow(VisibleUnits.Auto)]
    public void Free_energies_and_the_partition_function_are_sums_over_all_states(VisibleUnits units)
    {
        // Of three features the last is normal, where they differ.
        bool mixed = units == VisibleUnits.Auto;
        TrainedVector model = Known(new() { VisibleUnits = units, HiddenUnits = 4 }, 3, mixed ? [true, true, false] : [true, true, true]);
        double total = 0;
        float[] last = mixed ? [.. Enumerable.Range(-500, 1001).Select(i => i / 40f)] : [0, 1];
        float[] rows = [.. from a in (float[])[0, 1] from b in (float[])[0, 1] from c in last from v in (float[])[a, b, c] select v];
        float[] scores = Trained.Scores(model, rows);
        for (int i = 0; i < scores.Length; i++)
        {
            double sum = 0;
            for (int h = 0; h < 16; h++)
                sum += Math.Exp(-Energy(model, rows.AsSpan(3 * i, 3), [.. Enumerable.Range(0, 4).Select(j => h >> j & 1)], mixed));
            Assert.AreEqual(-Math.Log(sum), scores[i], 1e-4);
            total += sum * (mixed ? 1 / 40.0 : 1);
        }
        Assert.AreEqual(Math.Log(total), Exact(model), 1e-3);
    }

    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public void The_gradient_is_that_of_the_likelihood(bool persistent)
    {
        // With chains that are samples of the model, at which contrastive divergence begins, too.
        const int Rows = 20_000, Width = 4;
        RestrictedBoltzmannMachineOptions options = new()
        {
            VisibleUnits = VisibleUnits.Binary, HiddenUnits = 3, Chains = Rows, PersistentChains = persistent,
            GibbsSteps = persistent ? 1 : 20,
        };
        TrainedVector model = Known(options, Width, [true, true, true, true]);
        var network = (RestrictedBoltzmannMachineNetwork)model.Network;
        float[] rows = [.. Enumerable.Range(0, Rows * Width).Select(i => i % 3 == 0 || i % 7 == 1 ? 1f : 0)];
        float[] centred = [.. rows];
        model.Features.Apply(centred, centred);
        using DisposeScope scope = torch.NewDisposeScope();
        Dictionary<string, torch.Tensor> tensors = model.Weights.ToTensors(torch.CPU);
        string[] parameters = ["rbm.hidden.weight", "rbm.hidden.bias", "rbm.visible_bias"];
        foreach (string name in parameters)
            tensors[name].requires_grad_(true);
        var random = new SeededRandom(torch.CPU, 4);
        Scope<TorchTensor> w = new TorchOps(tensors).Root;
        using (torch.no_grad())
            tensors["chains"].copy_(network.Layer.Gibbs(w, tensors["chains"], 50, random));
        network.Loss(new VectorStep(
            w, HostTensors.FromRows(centred, Rows, Width, torch.CPU), null, 0, new StepContext(0, 1, random)))[0].Value.backward();
        foreach (string name in parameters)
        {
            float[] gradient = [.. tensors[name].grad!.data<float>()], values = model.Weights[name];
            for (int i = 0; i < values.Length; i++)
            {
                const float Step = 0.02f;
                float value = values[i];
                double Loss(float changed)
                {
                    values[i] = changed;
                    model.Dispose();
                    return Trained.Scores(model, rows[..(42 * Width)]).Average(s => (double)s) + Exact(model);
                }
                Assert.AreEqual((Loss(value + Step) - Loss(value - Step)) / (2 * Step), gradient[i], 0.02, $"{name} {i}");
                values[i] = value;
            }
        }
        foreach (torch.Tensor tensor in tensors.Values)
            tensor.Dispose();
    }

    [TestMethod]
    public void A_known_machine_is_recovered_from_its_own_samples()
    {
        RestrictedBoltzmannMachineOptions options = new() { VisibleUnits = VisibleUnits.Binary, HiddenUnits = 3 };
        TrainedVector known = Known(options with { Chains = 100, SampleSteps = 25 }, 6, [.. Enumerable.Repeat(true, 6)]);
        float[] rows = Density.Generate(known, 4000), fresh = Density.Generate(known, 4000, seed: 9);
        TrainedVector model = Density.Fit(
            RestrictedBoltzmannMachineTrainer.Family, options with { VisibleUnits = VisibleUnits.Auto, Epochs = 16, LearningRate = 0.03 }, rows, 6).Model;
        double entropy = LogLoss(known, fresh), independent = Enumerable.Range(0, 6).Sum(j =>
        {
            double p = fresh.Where((_, i) => i % 6 == j).Average(v => (double)v);
            return -p * Math.Log(p) - (1 - p) * Math.Log(1 - p);
        });
        Assert.IsGreaterThan(entropy + 0.3, independent);
        Assert.AreEqual(entropy, LogLoss(model, fresh), 0.02);
        Density.AssertMoments(fresh, Density.Generate(model, 4000), 6, 0.08);
        Density.AssertEnginesAgree(model, fresh);

        static double LogLoss(TrainedVector model, float[] rows) =>
            Trained.Scores(model, rows).Average(s => (double)s) + Exact(model);
    }

    [TestMethod]
    public void Of_normal_features_the_density_integrates_to_one()
    {
        float[] rows = [.. Density.TwoMoons(600).Select(v => 10 * v)];
        VectorFitResult fit = Density.Fit(
            RestrictedBoltzmannMachineTrainer.Family, new RestrictedBoltzmannMachineOptions { HiddenUnits = 12, Epochs = 80, LearningRate = 0.03 }, rows, 2);
        double exact = Exact(fit.Model);
        Assert.AreEqual(exact, Math.Log(Density.Integral(fit.Model, rows)), 0.01);
        LogPartition estimate = Estimate(fit.Model, 200, 500);
        Assert.AreEqual(exact, estimate.Value, 0.05);
        // A normal distribution of these moments knows less of them.
        (_, double[,] c) = Density.Moments(rows, 2);
        double normal = Math.Log(2 * Math.PI * Math.E) + 0.5 * Math.Log(c[0, 0] * c[1, 1] - c[0, 1] * c[0, 1]);
        Assert.IsLessThan(normal - 0.03, Trained.Scores(fit.Model, rows).Average(s => (double)s) + exact);
        Density.AssertMoments(rows, Density.Generate(fit.Model, 2000), 2, 0.1);
    }

    [TestMethod]
    public void Annealed_importance_sampling_is_within_a_tenth_of_a_nat_on_digits()
    {
        float[] rows =
        [
            .. File.ReadLines(TestData.Find("images/optdigits8x8/optdigits-train.csv")).Take(1500)
                .SelectMany(line => line.Split(',').Take(64)).Select(v => int.Parse(v, CultureInfo.InvariantCulture) > 7 ? 1f : 0),
        ];
        TrainedVector model = Density.Fit(
            RestrictedBoltzmannMachineTrainer.Family,
            new RestrictedBoltzmannMachineOptions { VisibleUnits = VisibleUnits.Binary, HiddenUnits = 16, Epochs = 40, LearningRate = 0.01 },
            rows, 64).Model;
        double exact = Exact(model);
        LogPartition estimate = Estimate(model, 100, 1000);
        Assert.AreEqual(exact, estimate.Value, 0.1);
        Assert.IsTrue(estimate.StandardError is > 0 and < 0.1, $"{estimate}");
        Assert.IsLessThan(28, Trained.Scores(model, rows).Average(s => (double)s) + exact); // independent pixels: 39
    }

    [TestMethod]
    public void Annealed_importance_sampling_finds_the_sum_over_a_million_states()
    {
        TrainedVector model = Known(
            new() { VisibleUnits = VisibleUnits.Binary, HiddenUnits = 20 }, 8, [.. Enumerable.Repeat(true, 8)]);
        Assert.AreEqual(Exact(model), Estimate(model, 200, 500).Value, 0.1);
    }

    [TestMethod]
    public void A_feature_that_is_no_binary_unit_is_named()
    {
        float[] rows = [0, 1, 1, 0.5f, 0, 2, 1, 0];
        var error = Assert.ThrowsExactly<InvalidOperationException>(() => Density.Fit(
            RestrictedBoltzmannMachineTrainer.Family, new RestrictedBoltzmannMachineOptions { VisibleUnits = VisibleUnits.Binary }, rows, 2));
        StringAssert.Contains(error.Message, "Feature 1 of column 'Features'");
        StringAssert.Contains(error.Message, "found 0 to 2");
    }

    [TestMethod]
    public void Constant_features_stay_and_shares_are_generated_as_such()
    {
        // One of zeros and ones, a constant, one of normal numbers; and shares, which are greys.
        float[] normal = Density.Normal(300);
        float[] rows = [.. Enumerable.Range(0, 300).SelectMany(i => (float[])[i % 3 == 0 ? 1 : 0, 5, normal[3 * i]])];
        TrainedVector mixed = Density.Fit(
            RestrictedBoltzmannMachineTrainer.Family, new RestrictedBoltzmannMachineOptions { Epochs = 150, LearningRate = 0.02 }, rows, 3).Model;
        float[] made = Density.Generate(mixed, 600);
        Assert.IsTrue(made.Where((_, i) => i % 3 == 0).All(v => v is 0 or 1));
        Assert.IsTrue(made.Where((_, i) => i % 3 == 1).All(v => v == 5));
        Density.AssertMoments(
            [.. rows.Where((_, i) => i % 3 != 1)], [.. made.Where((_, i) => i % 3 != 1)], 2, 0.2);
        Assert.IsGreaterThan(1e5f, Trained.Scores(mixed, [0, 6, 0])[0] - Trained.Scores(mixed, [0, 5, 0])[0]);

        float[] greys = [.. Enumerable.Range(0, 600).Select(i => i % 2 == 0 ? 0 : 0.25f + i % 5 * 0.125f)];
        TrainedVector pictures = Density.Fit(
            RestrictedBoltzmannMachineTrainer.Family,
            new RestrictedBoltzmannMachineOptions { Epochs = 100, LearningRate = 0.02, VisibleUnits = VisibleUnits.Binary }, greys, 2).Model;
        float[] drawn = Density.Generate(pictures, 300);
        Assert.AreEqual(0, drawn.Where((_, i) => i % 2 == 0).Average(), 0.05); // constant, and yet a unit
        Assert.IsTrue(drawn.Where((_, i) => i % 2 == 1).All(v => v is not (0 or 1)));
        Assert.AreEqual(0.5, drawn.Where((_, i) => i % 2 == 1).Average(), 0.05);
    }

    [TestMethod]
    public void The_model_of_a_pipeline_gives_partition_functions_and_refuses_too_large_ones()
    {
        var ml = new MLContext(1);
        IDataView rows = ml.Data.LoadFromEnumerable(Enumerable.Range(0, 50).Select(i => new Row { Features = [i % 2, i / 25, i % 3 == 0 ? 1 : 0] }));
        using BoltzmannTransformer model = ml.Generative.RestrictedBoltzmannMachine(new() { HiddenUnits = 6, Epochs = 5 }).Fit(rows);
        LogPartition exact = model.ExactLogPartition(), estimate = model.EstimateLogPartition(50, 300);
        Assert.AreEqual(0, exact.StandardError);
        Assert.AreEqual(exact.Value, estimate.Value, 0.05 + 5 * estimate.StandardError);
        Assert.AreEqual(estimate, model.EstimateLogPartition(50, 300));
        Assert.AreNotEqual(estimate, model.EstimateLogPartition(50, 300, seed: 1));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => model.EstimateLogPartition(chains: 1));
        using BoltzmannTransformer large = ml.Generative.RestrictedBoltzmannMachine(new() { HiddenUnits = 25, Epochs = 1 }).Fit(rows);
        StringAssert.Contains(Assert.ThrowsExactly<InvalidOperationException>(() => large.ExactLogPartition()).Message, "25 units");
    }

    [TestMethod]
    [DataRow(0)]
    [DataRow(3)]
    public void A_machine_of_few_units_has_the_likelihood_of_all_its_states(int hidden)
    {
        const int Width = 5;
        TrainedVector model = KnownMachine(new() { HiddenUnits = hidden }, Width);
        int units = Width + hidden;
        double[] visible = new double[1 << Width], latent = new double[Width << hidden];
        for (int state = 0; state < 1 << units; state++)
            visible[state & 31] += Math.Exp(-MachineEnergy(model, state, units));
        float[] rows = [.. Enumerable.Range(0, 32).SelectMany(v => Enumerable.Range(0, Width).Select(i => (float)(v >> i & 1)))];
        float[] scores = Trained.Scores(model, rows);
        for (int v = 0; v < 32; v++)
            Assert.AreEqual(-Math.Log(visible[v]), scores[v], 1e-4);
        Assert.AreEqual(Math.Log(visible.Sum()), Exact(model), 1e-4);
        LogPartition estimate = Estimate(model, 200, 300);
        Assert.AreEqual(Exact(model), estimate.Value, 0.1);
        // What is generated is drawn from these states exactly.
        float[] made = Density.Generate(model, 20_000);
        int[] counts = new int[32];
        for (int r = 0; r < made.Length; r += Width)
            counts[Enumerable.Range(0, Width).Sum(i => (int)made[r + i] << i)]++;
        for (int v = 0; v < 32; v++)
            Assert.AreEqual(visible[v] / visible.Sum(), counts[v] / 20_000.0, 0.015);
        if (hidden == 0)
            return;
        float[] probabilities = Density.Latent(model, rows);
        for (int v = 0; v < 32; v++)
        {
            for (int j = 0; j < hidden; j++)
            {
                double on = Enumerable.Range(0, 1 << hidden).Where(h => (h >> j & 1) == 1)
                    .Sum(h => Math.Exp(-MachineEnergy(model, v | h << Width, units)));
                Assert.AreEqual(on / visible[v], probabilities[v * hidden + j], 1e-4);
            }
        }
        Density.AssertEnginesAgree(model, [.. rows, .. rows]);
    }

    [TestMethod]
    public void The_exact_loss_of_a_machine_has_the_gradients_of_finite_differences()
    {
        var network = new BoltzmannMachineNetwork(new() { HiddenUnits = 2, Chains = 1 }, new VectorInput { Width = 3 });
        LossGradients.Check(
            network, weights: w => Initialize(network, w, 3), rows: [1, 0, 1, 0, 0, 1, 1, 1, 0, 1, 0, 0]);
    }

    [TestMethod]
    [DataRow(4, 0)]
    [DataRow(19, 2)]
    public void A_machine_is_recovered_from_its_own_samples_exactly_and_by_chains(int width, int hidden)
    {
        // In a ring of units that pull neighbours to their own side, exact beyond 20 units only for the test.
        BoltzmannMachineOptions options = new() { HiddenUnits = hidden, Chains = 200, SampleSteps = 12 };
        TrainedVector known = KnownMachine(options, width, 0.8f);
        float[] rows = Density.Generate(known, 2000), fresh = Density.Generate(known, 2000, seed: 5);
        TrainedVector model = Density.Fit(
            BoltzmannMachineTrainer.Family, options with { Epochs = 16, SampleSteps = 4 }, rows, width).Model;
        double entropy = Trained.Scores(known, fresh).Average(s => (double)s) + Exact(known);
        Assert.AreEqual(entropy, Trained.Scores(model, fresh).Average(s => (double)s) + Exact(model), 0.01 * width);
        Density.AssertMoments(fresh, Density.Generate(model, 2000), width, 0.12);
    }

    [TestMethod]
    public void Machines_refuse_what_they_cannot_be_trained_on()
    {
        StringAssert.Contains(Refused(new(), new float[2 * 130], 130), "at most 128 units");
        StringAssert.Contains(Refused(new(), [0, 1, 1, -1], 2), "Feature 1 of column 'Features'");
        StringAssert.Contains(
            Assert.ThrowsExactly<ArgumentException>(new BoltzmannMachineOptions { HiddenUnits = 0, LatentColumnName = "L" }.Validate).Message,
            "LatentColumnName");

        static string Refused(BoltzmannMachineOptions options, float[] rows, int width) =>
            Assert.ThrowsExactly<InvalidOperationException>(
                () => Density.Fit(BoltzmannMachineTrainer.Family, options, rows, width)).Message;
    }

    [TestMethod]
    public void A_deep_belief_network_is_a_classifier_that_MLNET_evaluates()
    {
        var ml = new MLContext(1);
        IDataView Rows(int from, int to) => ml.Transforms.Conversion.MapValueToKey("Label", keyOrdinality: Microsoft.ML.Transforms.ValueToKeyMappingEstimator.KeyOrdinality.ByValue)
            .Fit(ml.Data.LoadFromEnumerable(Enumerable.Range(0, 8).Select(Make))).Transform(
                ml.Data.LoadFromEnumerable(Enumerable.Range(from, to - from).Select(Make)));
        IDataView train = Rows(0, 600), test = Rows(600, 900);
        using BoltzmannTransformer model = ml.Generative.DeepBeliefNetwork(new()
        {
            LabelColumnName = "Label", HiddenLayers = [16, 12], Epochs = 150, LearningRate = 0.02, LatentColumnName = "Latent",
        }).Fit(train);
        // The label is none of one bit alone.
        Assert.IsGreaterThan(0.97, ml.MulticlassClassification.Evaluate(model.Transform(test)).MicroAccuracy);
        IDataView scored = model.Transform(ml.Transforms.DropColumns("Label").Fit(test).Transform(test));
        float[][] scores = [.. scored.GetColumn<float[]>("Score")];
        Assert.AreEqual(1, scores[0].Sum(), 1e-5);
        VBuffer<ReadOnlyMemory<char>> keys = default;
        scored.Schema["PredictedLabel"].GetKeyValues(ref keys);
        CollectionAssert.AreEqual(new[] { "few", "most" }, keys.DenseValues().Select(k => k.ToString()).ToArray());

        using var saved = new MemoryStream();
        ml.Model.Save(model, null, saved);
        using var loaded = (BoltzmannTransformer)ml.Model.Load(saved, out _);
        CollectionAssert.AreEqual(
            scored.GetColumn<uint>("PredictedLabel").ToArray(), loaded.Transform(test).GetColumn<uint>("PredictedLabel").ToArray());
        string[] promised = GenerativeML.Tests.Rows.SchemaTests.Describe(ml.Generative.DeepBeliefNetwork(new() { LabelColumnName = "Label" })
            .GetOutputSchema(GenerativeML.Tests.Rows.SchemaTests.Shape(train.Schema)));
        CollectionAssert.IsSubsetOf(
            promised, GenerativeML.Tests.Rows.SchemaTests.Describe(GenerativeML.Tests.Rows.SchemaTests.Shape(model.GetOutputSchema(train.Schema))));
        Dictionary<string, float[]> outputs = Conformance.OnnxFiles.SaveAndRun(
            model, null, 300, (name, _) => Conformance.OnnxFiles.Column(test, name));
        Conformance.OnnxFiles.AssertClose([.. scores.SelectMany(s => s)], outputs["Score"], "Score");
        CollectionAssert.AreEqual(Conformance.OnnxFiles.Column(scored, "PredictedLabel"), outputs["PredictedLabel"]);

        var error = Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => ml.Generative.DeepBeliefNetwork(
            new() { LabelColumnName = "Text" }).Fit(train));
        StringAssert.Contains(error.Message, "'Text'");
        Rows.TableView unlabelled = new Rows.TableView(20).AddVector("Features", 4, row => Make(row).Features)
            .Add("Label", new Microsoft.ML.Data.KeyDataViewType(typeof(uint), 2), _ => 0u);
        StringAssert.Contains(Assert.ThrowsExactly<InvalidOperationException>(() => ml.Generative.DeepBeliefNetwork(
            new() { LabelColumnName = "Label", Epochs = 3 }).Fit(unlabelled)).Message, "'Label' has no label");

        static Labelled Make(int i)
        {
            float[] bits = [.. Enumerable.Range(0, 4).Select(b => i * 2654435761L >> (7 + 3 * b) & 1)];
            return new() { Features = bits, Label = bits[0] + bits[1] + bits[2] >= 2 ? "most" : "few", Text = "" };
        }
    }

    [TestMethod]
    public void The_bound_of_a_deep_belief_network_lies_below_the_likelihood_of_its_samples()
    {
        // Three visible units, two layers of three: all states can be summed up.
        RestrictedBoltzmannMachineOptions options = new() { VisibleUnits = VisibleUnits.Binary, HiddenUnits = 3 };
        TrainedVector source = Known(options with { Chains = 100, SampleSteps = 50 }, 3, [true, true, true]);
        float[] rows = Density.Generate(source, 2000);
        TrainedVector model = Density.Fit(DeepBeliefNetworkTrainer.Family, new DeepBeliefNetworkOptions
        {
            HiddenLayers = [3, 3], Epochs = 40, LearningRate = 0.03,
        }, rows, 3).Model;
        double[] p = Probabilities(model);
        Assert.AreEqual(1, p.Sum(), 1e-4);
        float[] states = [.. Enumerable.Range(0, 8).SelectMany(v => Enumerable.Range(0, 3).Select(i => (float)(v >> i & 1)))];
        float[] scores = Trained.Scores(model, states);
        double[] counts = new double[8], made = new double[8];
        float[] generated = Density.Generate(model, 20_000);
        for (int r = 0; r < rows.Length; r += 3)
            counts[State(rows, r)] += 3.0 / rows.Length;
        for (int r = 0; r < generated.Length; r += 3)
            made[State(generated, r)] += 1 / 20_000.0;
        double z = Exact(model);
        for (int v = 0; v < 8; v++)
        {
            Assert.AreEqual(p[v], made[v], 0.02, "generated as the model says");
            Assert.AreEqual(counts[v], p[v], 0.05, "as it was trained");
            // Hidden units at their means: no bound to the last digit, yet close.
            Assert.IsTrue(-scores[v] - z < Math.Log(p[v]) + 0.1 && -scores[v] - z > Math.Log(p[v]) - 1, $"{-scores[v] - z} {Math.Log(p[v])}");
        }

        static int State(float[] rows, int at) => (int)(rows[at] + 2 * rows[at + 1] + 4 * rows[at + 2]);
    }

    // p(v) = Σ p(v | h)·p(h), with h distributed by the top layer, in plain sums.
    private static double[] Probabilities(TrainedVector model)
    {
        HostWeights w = model.Weights;
        double[] top = new double[8], result = new double[8];
        for (int h = 0; h < 8; h++)
        {
            for (int g = 0; g < 8; g++)
            {
                double energy = 0;
                for (int j = 0; j < 3; j++)
                {
                    energy -= (h >> j & 1) * w["dbn.1.visible_bias"][j] + (g >> j & 1) * w["dbn.1.hidden.bias"][j];
                    for (int i = 0; i < 3; i++)
                        energy -= (g >> j & 1) * (h >> i & 1) * w["dbn.1.hidden.weight"][3 * j + i];
                }
                top[h] += Math.Exp(-energy);
            }
        }
        for (int h = 0; h < 8; h++)
        {
            for (int v = 0; v < 8; v++)
            {
                double p = top[h] / top.Sum();
                for (int i = 0; i < 3; i++)
                {
                    double field = w["dbn.0.visible_bias"][i]
                        + Enumerable.Range(0, 3).Sum(j => (h >> j & 1) * w["dbn.0.hidden.weight"][3 * j + i]);
                    p /= 1 + Math.Exp((v >> i & 1) == 1 ? -field : field);
                }
                result[v] += p;
            }
        }
        return result;
    }

    private static double Exact(TrainedVector model) => Compute(model, (machine, w) => new(machine.LogPartition(w), 0)).Value;

    private static LogPartition Estimate(TrainedVector model, int chains, int temperatures) =>
        Compute(model, (machine, w) => machine.LogPartition(w, chains, temperatures, new SeededRandom(torch.CPU, 7)));

    private static LogPartition Compute(TrainedVector model, Func<IBoltzmannMachine, Scope<TorchTensor>, LogPartition> compute)
    {
        using var engine = new BoltzmannEngine(model.Weights, torch.CPU);
        LogPartition result = default;
        engine.Run(w => result = compute((IBoltzmannMachine)model.Network, w));
        return result;
    }

    // A machine of known weights, whose features are in the units that networks see but for a mean of binary ones.
    private static TrainedVector Known(RestrictedBoltzmannMachineOptions options, int width, bool[] binary)
    {
        options = options with { Chains = options.Chains ?? 20 };
        var network = new RestrictedBoltzmannMachineNetwork(options, new VectorInput { Width = width });
        var weights = new HostWeights(network.Tensors());
        for (int j = 0; j < width; j++)
        {
            weights["input_mean"][j] = binary[j] ? 0.3f + 0.1f * (j % 5) : 0;
            (weights["input_scale"][j], weights["input_limit"][j]) = (1, 1e30f);
        }
        network.Layer.Initialize(weights, VectorNetwork.FeatureScaler(weights), binary, binary);
        network.Layer.DrawIndependent(weights, weights["chains"], 1);
        foreach ((string name, float size) in new[] { ("hidden.weight", 2.5f), ("hidden.bias", 0.7f), ("visible_bias", 0.5f) })
        {
            float[] values = weights["rbm." + name];
            for (int i = 0; i < values.Length; i++)
                values[i] = size * MathF.Sin(1 + 1.3f * i * i + i);
        }
        if (weights.Find("rbm.log_variance") is not null)
            Array.Fill(weights["rbm.log_variance"], -0.4f);
        return new TrainedVector(network, weights, ComputeDevice.Cpu, fallbackToCpu: false);
    }

    private static TrainedVector KnownMachine(BoltzmannMachineOptions options, int width, float size = 1.5f)
    {
        var network = new BoltzmannMachineNetwork(options with { Chains = options.Chains ?? 20 }, new VectorInput { Width = width });
        var weights = new HostWeights(network.Tensors());
        Array.Fill(weights["input_scale"], 1);
        Array.Fill(weights["input_limit"], 1e30f);
        Initialize(network, weights, width, size);
        return new TrainedVector(network, weights, ComputeDevice.Cpu, fallbackToCpu: false);
    }

    private static void Initialize(BoltzmannMachineNetwork network, HostWeights weights, int width, float size = 1.5f)
    {
        float[] rows = [.. Enumerable.Range(0, 2 * width).Select(i => i < width ? 1f : 0)];
        var sample = new RowSample(0, width, 10, 1);
        var moments = new ColumnMoments(0, width);
        var block = new RowBlock([new RowField("Features", FieldKind.Single, width)], 2);
        rows.CopyTo(block.Singles(0));
        for (int row = 0; row < 2; row++)
        {
            sample.Observe(block, row);
            moments.Observe(block, row);
        }
        network.Initialize(weights, new RowStatistics(network.Input, [moments], [sample], 2));
        foreach (string name in new[] { "units.weight", "units.bias" })
        {
            float[] values = weights[name];
            for (int i = 0; i < values.Length; i++)
                values[i] = size * MathF.Sin(1 + 1.3f * i * i + i);
        }
    }

    // Of the units that are the binary digits of a number.
    private static double MachineEnergy(TrainedVector model, int state, int units)
    {
        double energy = 0;
        for (int i = 0; i < units; i++)
        {
            energy -= (state >> i & 1) * model.Weights["units.bias"][i];
            for (int j = 0; j < i; j++)
                energy -= (state >> i & 1) * (state >> j & 1) * model.Weights["units.weight"][i * units + j];
        }
        return energy;
    }

    // As the papers have it: −b·x − c·h − h·W·x of x less the mean of binary units.
    private static double Energy(TrainedVector model, ReadOnlySpan<float> row, int[] hidden, bool lastIsNormal)
    {
        HostWeights w = model.Weights;
        double energy = 0;
        for (int j = 0; j < hidden.Length; j++)
            energy -= hidden[j] * w["rbm.hidden.bias"][j];
        for (int i = 0; i < row.Length; i++)
        {
            bool normal = lastIsNormal && i == row.Length - 1;
            double x = row[i] - model.Features.Mean(i), b = w["rbm.visible_bias"][i], variance = normal ? Math.Exp(-0.4) : 1;
            energy += normal ? (x - b) * (x - b) / (2 * variance) : -b * x;
            for (int j = 0; j < hidden.Length; j++)
                energy -= hidden[j] * w["rbm.hidden.weight"][j * row.Length + i] * x / variance;
        }
        return energy;
    }

    private sealed class Labelled
    {
        [VectorType(4)]
        public float[] Features { get; set; } = [];

        public string Label { get; set; } = "";

        public string Text { get; set; } = "";
    }

    private sealed class Row
    {
        [VectorType(3)]
        public float[] Features { get; set; } = [];
    }
}
