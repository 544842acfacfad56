using GenerativeML.Tests.Conformance;
using GenerativeML.Tests.Rows;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms.Image;
using TorchSharp;

namespace GenerativeML.Tests.Images;

/// <summary>What translators between two sets of images minimise, read and learn.</summary>
[TestClass]
[DoNotParallelize]
public sealed class CycleGanTests
{
    private const int Side = 8;

    private readonly MLContext _ml = new(seed: 1);

    [TestMethod]
    [DataRow(GanObjective.LeastSquares)]
    [DataRow(GanObjective.NonSaturating)]
    public void Losses_move_every_parameter_as_finite_differences_say(GanObjective objective)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        CycleGanNetwork network = Network(
            new CycleGanOptions
            {
                Objective = objective, Channels = [2, 2], ResidualBlocks = 1, DiscriminatorChannels = [2, 2],
                SkipConnection = objective == GanObjective.LeastSquares, LabelColumnName = "Label",
            },
            classes: 2);
        using var layers = new TorchLayers(network.Declare, torch.CPU, seed: 5);
        HostWeights rich = layers.ToHost(network.Tensors());
        Rich(rich);
        layers.LoadStateDict(rich);
        // Absolute values and rectifiers have kinks: in double precision, steps are too small to meet one.
        Dictionary<string, torch.Tensor> values = layers.Tensors.ToDictionary(
            t => t.Key, t => t.Value.detach().to(torch.ScalarType.Float64).requires_grad_());
        torch.Tensor rows = torch.tensor([.. Enumerable.Range(0, 4 * 16).Select(i => Math.Sin(1.7 * i))], [4, 16]);
        IReadOnlyList<UpdateRule> updates = network.Updates(layers);
        for (int update = 0; update < updates.Count; update++)
        {
            Loss(update).backward();
            foreach ((string name, torch.Tensor parameter) in layers.Tensors)
            {
                if (!updates[update].Parameters.Any(p => ReferenceEquals(p, parameter)))
                    continue;
                double[] gradient = values[name].grad!.reshape(-1).data<double>().ToArray();
                Assert.IsTrue(gradient.Any(g => Math.Abs(g) > 1e-12), $"{name} in update {update}");
                // Of a kernel some weights are enough.
                for (int i = 0; i < gradient.Length; i += 1 + gradient.Length / 20)
                {
                    Assert.AreEqual(
                        Difference(update, values[name], i), gradient[i], 1e-5 * Math.Max(1, Math.Abs(gradient[i])),
                        $"{name}[{i}] in update {update}");
                }
            }
            foreach (torch.Tensor value in values.Values)
                value.grad = null;
        }

        torch.Tensor Loss(int update) => network.Loss(new(
            new TorchOps(values).Root, rows, torch.tensor([-1.0, 1, -1, 1], [4, 1]), update,
            new StepContext(0, 1, new SeededRandom(torch.CPU)))
        {
            Class = torch.tensor([1.0, 0, 0, 0, 0, 1, 0, 0], [4, 2]),
        }).Select(t => t.Value).Aggregate((x, y) => x.Plus(y));

        double Difference(int update, torch.Tensor parameter, int element)
        {
            const double Step = 1e-6;
            using DisposeScope inner = torch.NewDisposeScope();
            using IDisposable noGradient = torch.no_grad();
            torch.Tensor one = parameter.detach().view(-1).narrow(0, element, 1);
            double value = one.item<double>();
            one.Fill(value + Step);
            double up = Loss(update).item<double>();
            one.Fill(value - Step);
            double down = Loss(update).item<double>();
            one.Fill(value);
            return (up - down) / (2 * Step);
        }
    }

    [TestMethod]
    public void Terms_are_the_ones_worked_by_hand_where_translators_paint_one_grey()
    {
        using DisposeScope scope = torch.NewDisposeScope();
        var options = new CycleGanOptions
        {
            SkipConnection = false, Channels = [2], ResidualBlocks = 0, DiscriminatorChannels = [2], CycleConsistencyWeight = 3, IdentityWeight = 0.5,
            SemanticConsistencyWeight = 2, LabelColumnName = "Label",
        };
        CycleGanNetwork network = Network(options, classes: 2);
        using var layers = new TorchLayers(network.Declare, torch.CPU, 1);
        HostWeights weights = layers.ToHost(network.Tensors());
        foreach (TensorSpec spec in weights.Specs)
            Array.Clear(weights[spec.Name]);
        // Images of the first domain are all 0.5, of the second −0.25; judgements are 0.3 and 0.8; logits 0 and ln 3.
        weights["generator.first.image.bias"][0] = MathF.Atanh(0.5f);
        weights["generator.second.image.bias"][0] = MathF.Atanh(-0.25f);
        weights["discriminator.first.judgement.bias"][0] = 0.3f;
        weights["discriminator.second.judgement.bias"][0] = 0.8f;
        weights["classifier.classes.bias"][1] = MathF.Log(3);
        layers.LoadStateDict(weights);
        // Two rows of the first domain, all 1 and all −1, and one of the second, all 0.5; only the first has a label, 0.
        torch.Tensor rows = torch.cat([torch.ones([1, 16]), torch.ones([1, 16]).neg(), torch.ones([1, 16]).Scaled(0.5)], 0);
        Dictionary<string, double> Terms(int update) => network.Loss(new(
            new TorchOps(layers.Tensors).Root, rows, torch.tensor([-1f, -1f, 1f], [3, 1]), update,
            new StepContext(0, 1, new SeededRandom(torch.CPU)))
        {
            Class = torch.tensor([1f, 0f, 0f, 0f, 0f, 0f], [3, 2]),
        }).ToDictionary(term => term.Name, term => (double)term.Value.item<float>());

        Dictionary<string, double> made = Terms(CycleGanNetwork.GeneratorUpdate);
        CollectionAssert.AreEquivalent(new[] { "generator", "cycle", "identity", "semantic" }, made.Keys.ToArray());
        Assert.AreEqual(0.7 * 0.7 + 0.2 * 0.2, made["generator"], 1e-5); // (D − 1)², without the half
        Assert.AreEqual(3 * ((0.5 + 1.5) / 2 + 0.75), made["cycle"], 1e-5);
        Assert.AreEqual(0.5 * ((0.5 + 1.5) / 2 + 0.75), made["identity"], 1e-5);
        Assert.AreEqual(2 * Math.Log(4), made["semantic"], 1e-5); // of the one that has a label

        Dictionary<string, double> judged = Terms(CycleGanNetwork.DiscriminatorUpdate);
        Assert.AreEqual((0.49 + 0.09 + 0.04 + 0.64) / 2, judged["discriminator"], 1e-5);
        Assert.AreEqual(Math.Log(4), Terms(CycleGanNetwork.ClassifierUpdate)["classifier"], 1e-5);
    }

    [TestMethod]
    public void Each_term_moves_the_parts_that_it_should_and_no_others()
    {
        using DisposeScope scope = torch.NewDisposeScope();
        var options = new CycleGanOptions
        {
            Channels = [2], ResidualBlocks = 1, DiscriminatorChannels = [2], LabelColumnName = "Label", AlignFraming = false,
        };
        CycleGanNetwork network = Network(options, classes: 2);
        using var layers = new TorchLayers(network.Declare, torch.CPU, 1);
        torch.Tensor rows = new SeededRandom(torch.CPU, 4).Uniform([4, 16], -1, 1);
        string[] Moved(int update, string term)
        {
            foreach (torch.Tensor parameter in layers.Parameters())
                parameter.grad = null;
            network.Loss(new(
                new TorchOps(layers.Tensors).Root, rows, torch.tensor([-1f, 1f, -1f, 1f], [4, 1]), update,
                new StepContext(0, 1, new SeededRandom(torch.CPU)))
            {
                Class = torch.tensor([1f, 0f, 0f, 0f, 0f, 1f, 0f, 0f], [4, 2]), // of the first domain alone
            }).Single(t => t.Name == term).Value.backward();
            return [.. layers.Tensors.Where(t => t.Value.grad is { } g && g.abs().max().item<float>() > 0)
                .Select(t => string.Join('.', t.Key.Split('.').Take(t.Key.StartsWith("encoder", StringComparison.Ordinal) ? 1 : 2))).Distinct().Order()];
        }

        string[] translators = ["generator.first", "generator.second"], judges = ["discriminator.first", "discriminator.second"];
        CollectionAssert.AreEqual(judges.Concat(translators).ToArray(), Moved(0, "generator"));
        CollectionAssert.AreEqual(translators, Moved(0, "cycle"));
        CollectionAssert.AreEqual(translators, Moved(0, "identity"));
        CollectionAssert.AreEqual(new[] { "classifier.classes", "encoder", "generator.second" }, Moved(0, "semantic"));
        CollectionAssert.AreEqual(judges, Moved(1, "discriminator"));
        CollectionAssert.AreEqual(new[] { "classifier.classes", "encoder" }, Moved(2, "classifier"));

        // And an update moves its own part alone, whatever else its terms reach.
        string[] Parts(int update) => [.. layers.Tensors.Where(t => network.Updates(layers)[update].Parameters.Any(p => ReferenceEquals(p, t.Value)))
            .Select(t => t.Key.Split('.')[0]).Distinct()];
        CollectionAssert.AreEqual(new[] { "generator" }, Parts(0));
        CollectionAssert.AreEqual(new[] { "discriminator" }, Parts(1));
        CollectionAssert.AreEquivalent(new[] { "encoder", "classifier" }, Parts(2));
        Assert.AreEqual(layers.Parameters().Count, Enumerable.Range(0, 3).Sum(u => network.Updates(layers)[u].Parameters.Count));
    }

    [TestMethod]
    public void Framing_is_the_one_worked_by_hand_of_where_pixels_vary()
    {
        // Of 8 × 8 pixels the first set varies in the rows from 2 to 5, the second in all; both in all columns.
        var shape = new ImageShape(1, Side, Side);
        float[] images = [.. Enumerable.Range(0, 64 * 64).Select(i => (i / 64 % 4, i % 64 / Side) switch
        {
            (< 2, < 2 or > 5) => -0.9f,
            (0 or 2, _) => -0.5f,
            _ => 0.7f, // the mean of those that vary is 0.1
        })];
        var first = new ImageFraming(shape, images, Of(true, true, false, false));
        var second = new ImageFraming(shape, images, Of(false, false, true, true));

        // Deviations of 4 and of 8 even places: √(15 / 12) and √(63 / 12), about 3.5.
        double ratio = Math.Sqrt(15.0 / 63);
        (float[] rows, float[] columns, float[] outside) = first.To(second);
        double place = 3.5 - 3.5 * ratio; // 1.79, between 1 and 2
        AssertRow(rows, 0, 0, 2 - place, place - 1);
        place = 3.5 + 1.5 * ratio; // 4.23
        AssertRow(rows, 5, 0, 0, 0, 0, 5 - place, place - 4);
        CollectionAssert.AreEqual(Identity(), columns);
        Assert.IsTrue(outside.All(v => Math.Abs(v) < 1e-6), "all comes from inside");

        // Back, a row is the mean of those about its place, as far as they are there.
        (rows, columns, outside) = second.To(first);
        double reach = 1 / ratio; // 2.05 rows to a side
        place = 3.5 - 1.5 / ratio; // 0.43
        double[] weights = [.. Enumerable.Range(-1, 4).Select(j => 1 - Math.Abs(place - j) / reach)];
        double sum = weights.Sum();
        AssertRow(rows, 2, weights[1] / sum, weights[2] / sum, weights[3] / sum);
        Assert.AreEqual(0.1 * weights[0] / sum, outside[2 * Side + 3], 1e-6); // the first set's mean there
        AssertRow(rows, 0);
        Assert.AreEqual(-0.9, outside[4], 1e-6);
        CollectionAssert.AreEqual(Identity(), columns);

        // Sets that differ by less than a tenth, that do not vary, or but in one column, and few images, stay as they are.
        (rows, columns, outside) = first.To(first);
        CollectionAssert.AreEqual(Identity(), rows);
        Assert.IsTrue(outside.All(v => v == 0));
        float[] inAColumn = [.. images.Select((_, i) => i % Side == 5 ? MathF.Sin(i) : 0)];
        bool[] few = [.. Enumerable.Range(0, 64).Select(i => i < 31)];
        foreach (ImageFraming other in new ImageFraming[]
        {
            new(shape, images, Of(true, false, false, false)), new(shape, inAColumn, [.. Enumerable.Repeat(true, 64)]), new(shape, images, few),
        })
        {
            CollectionAssert.AreEqual(Identity(), other.To(second).Rows);
            CollectionAssert.AreEqual(Identity(), second.To(other).Columns);
        }

        static bool[] Of(params bool[] isOf) => [.. Enumerable.Repeat(isOf, 16).SelectMany(four => four)];

        static float[] Identity() => [.. Enumerable.Range(0, Side * Side).Select(i => i % Side == i / Side ? 1f : 0f)];

        static void AssertRow(float[] matrix, int row, params double[] expected)
        {
            for (int j = 0; j < Side; j++)
                Assert.AreEqual(j < expected.Length ? expected[j] : 0, matrix[row * Side + j], 1e-6, $"{row}, {j}");
        }
    }

    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public void Before_training_images_are_in_the_frame_of_the_other_set(bool aligns)
    {
        // Discs, of the second set twice as large, and anywhere by a pixel.
        const int Size = 16;
        TableView data = new TableView(100)
            .AddVector("Features", Size * Size, row => Disc(row < 60 ? 2.5 : 5, 7 + row % 3 / 2.0, 7 + row % 5 / 4.0))
            .Add("Domain", BooleanDataViewType.Instance, row => row >= 60);
        using CycleGanTransformer model = _ml.Generative.CycleGan(Small() with
        {
            LearningRate = 1e-9, AlignFraming = aligns, ReconstructionColumnName = "Back",
        }).Fit(data);
        IDataView view = model.Transform(data);
        float[][] originals = [.. data.GetColumn<float[]>("Features")], made = [.. view.GetColumn<float[]>("Translation")];
        float[][] back = [.. view.GetColumn<float[]>("Back")];
        foreach (int row in new[] { 0, 1, 2, 60, 61, 62 })
        {
            // As large as discs of the other set are, by the pixels that are more white than black.
            double expected = Math.PI * (aligns == row < 60 ? 25 : 6.25);
            Assert.AreEqual(expected, White(made[row]), 0.25 * expected, $"row {row}");
            Assert.AreEqual(White(originals[row]), White(back[row]), 0.25 * White(originals[row]), $"row {row}");
        }
        OnnxFiles.AssertClose(
            [.. made.SelectMany(row => row)],
            OnnxFiles.SaveAndRun(model, null, made.Length, (name, _) => OnnxFiles.Column(data, name))["Translation"], "Translation");

        static int White(float[] image) => image.Count(v => v > 0.5f);

        static float[] Disc(double radius, double y, double x) =>
        [
            .. Enumerable.Range(0, Size * Size).Select(i => (float)Math.Clamp(
                radius + 0.5 - Math.Sqrt(Math.Pow(i / Size - y, 2) + Math.Pow(i % Size - x, 2)), 0, 1)),
        ];
    }

    [TestMethod]
    public void A_classifier_reads_translations_in_the_frame_of_the_originals()
    {
        using DisposeScope scope = torch.NewDisposeScope();
        CycleGanNetwork network = Network(
            new CycleGanOptions { Channels = [2], ResidualBlocks = 0, DiscriminatorChannels = [2], LabelColumnName = "Label" }, classes: 2);
        using var layers = new TorchLayers(network.Declare, torch.CPU, 1);
        torch.Tensor rows = new SeededRandom(torch.CPU, 4).Uniform([2, 16], -1, 1), painter = layers.Tensors["generator.second.image.weight"];
        foreach (string side in new[] { "first.rows", "first.columns", "second.rows", "second.columns" })
            layers.Tensors[$"framing.{side}"].copy_(torch.eye(4));
        Assert.IsTrue(Moves("semantic"));
        // Where the first set's frame shows nothing, nothing of a translation of its images can be read.
        layers.Tensors["framing.first.rows"].zero_();
        Assert.IsFalse(Moves("semantic"));
        Assert.IsTrue(Moves("generator"));
        Assert.IsTrue(Moves("identity")); // of the second set's own images, whose frame is theirs

        bool Moves(string term)
        {
            painter.grad = null;
            network.Loss(new(
                new TorchOps(layers.Tensors).Root, rows, torch.tensor([-1f, 1f], [2, 1]), CycleGanNetwork.GeneratorUpdate,
                new StepContext(0, 1, new SeededRandom(torch.CPU)))
            {
                Class = torch.tensor([1f, 0f, 0f, 0f], [2, 2]), // of the first set alone
            }).Single(t => t.Name == term).Value.backward();
            return painter.grad is { } gradient && gradient.abs().max().item<float>() > 0;
        }
    }

    [TestMethod]
    public void Instance_normalisation_is_torchs_own_module()
    {
        using DisposeScope scope = torch.NewDisposeScope();
        torch.Tensor x = torch.tensor([.. Enumerable.Range(0, 2 * 3 * 4 * 5).Select(i => MathF.Sin(i * i) * 3)], [2, 3, 4, 5]);
        using var stock = torch.nn.InstanceNorm2d(3, affine: true);
        using (torch.no_grad())
        {
            stock.weight!.copy_(torch.tensor([0.5f, -2, 3]));
            stock.bias!.copy_(torch.tensor([0.1f, 0.2f, -0.3f]));
        }
        var ops = new TorchOps(new Dictionary<string, torch.Tensor> { ["n.weight"] = stock.weight!, ["n.bias"] = stock.bias! });
        torch.Tensor ours = ops.Root.InstanceNorm("n", x, channels: 3);
        Assert.IsLessThan(1e-5f, ours.Minus(stock.call(x)).abs().max().item<float>());
    }

    [TestMethod]
    public void The_history_keeps_all_images_and_shows_an_earlier_one_in_the_place_of_every_other()
    {
        using DisposeScope scope = torch.NewDisposeScope();
        const int Size = 20, Batch = 8;
        var history = new ImageHistory(Size, 1, torch.CPU);
        var random = new SeededRandom(torch.CPU, 3);
        float next = 1;
        int shownAsNew = 0, shown = 0;
        var given = new List<float>();
        var seen = new List<float>();
        for (int step = 0; step < 100; step++)
        {
            float[] images = [.. Enumerable.Range(0, Batch).Select(_ => next++)];
            float[] result = history.Exchange(1, torch.tensor(images, [Batch, 1]), random).data<float>().ToArray();
            given.AddRange(images);
            int full = Size - step * Batch; // rows of this step that still find room
            for (int i = 0; i < Batch; i++)
            {
                if (i < full)
                {
                    Assert.AreEqual(images[i], result[i]); // also seen later: it is kept beside
                    continue;
                }
                seen.Add(result[i]);
                Assert.IsTrue(result[i] <= images[i], "from the past");
                shown++;
                shownAsNew += result[i] == images[i] ? 1 : 0;
            }
        }
        float[] kept = history.State[0].Value.select(0, 1).reshape(-1).data<float>().ToArray();
        // Nothing is lost, and nothing comes twice.
        CollectionAssert.AreEquivalent(given, seen.Concat(kept).ToList());
        Assert.AreEqual(0.5, shownAsNew / (double)shown, 0.06);
        // The other domain has its own.
        Assert.AreEqual(-7, history.Exchange(0, torch.tensor([-7f], [1, 1]), random).item<float>());
        CollectionAssert.AreEqual(kept, history.State[0].Value.select(0, 1).reshape(-1).data<float>().ToArray());
    }

    [TestMethod]
    [DataRow(1L << 30)]
    [DataRow(2000L)] // less than the rows take: read anew for each epoch
    public void Batches_have_as_many_of_each_domain_whatever_the_sets_sizes(long budget)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        // Five rows of the first domain among 35.
        TableView view = Numbered(35, row => row % 7 != 3);
        var rows = new DataViewRowSource(view, ["Features"], NonFiniteValues.Error, labels: ["Domain"]);
        var turns = new AlternatingRows(rows, 1, drops: false);
        using TrainingData data = TrainingData.Prepare(turns, new TestOptions { CacheBudgetBytes = budget }, 3, torch.CPU, []);
        Assert.AreEqual(60, data.TrainingRows);
        foreach (int epoch in new[] { 0, 1 })
        {
            var seen = new List<float>();
            foreach (Batch batch in data.Epoch(epoch, 7, 0, default))
            {
                float[] domains = batch[1].data<float>().ToArray();
                Assert.IsLessThanOrEqualTo(0.5, Math.Abs(domains.Sum() - domains.Length / 2.0));
                seen.AddRange(batch[0].cpu().narrow(1, 0, 1).contiguous().data<float>().ToArray());
            }
            // Each of the larger set once, each of the smaller six times.
            CollectionAssert.AreEquivalent(
                Enumerable.Range(0, 35).SelectMany(row => Enumerable.Repeat((float)row, row % 7 == 3 ? 6 : 1)).ToArray(), seen.ToArray());
            CollectionAssert.AreNotEqual(seen.Order().ToArray(), seen.ToArray());
        }
        Assert.AreEqual(0, view.OpenCursors);
    }

    [TestMethod]
    [DataRow(34, 4, DisplayName = "the view ends with the smaller set")]
    [DataRow(40, 20, DisplayName = "sets of one size")]
    public void No_row_of_a_pass_is_another_than_its_turn_says(int count, int ofTheFirst)
    {
        // The first domain comes last, and the reader of either is somewhere else when a pass ends.
        var rows = new DataViewRowSource(Numbered(count, row => row < count - ofTheFirst), ["Features"], NonFiniteValues.Error, labels: ["Domain"]);
        var turns = new AlternatingRows(rows, 1, drops: false);
        int pass = 2 * (count - ofTheFirst);
        var block = new RowBlock(turns.Fields, 7);
        for (int again = 0; again < 2; again++)
        {
            using IRowReader reader = turns.Open();
            var seen = new List<(float Number, float Domain)>();
            for (int read; (read = reader.Read(block, 0, 7)) > 0;)
                seen.AddRange(Enumerable.Range(0, read).Select(r => (block.SingleRow(0, r)[0], block.SingleRow(1, r)[0])));
            Assert.HasCount(pass, seen);
            for (int i = 0; i < pass; i++)
                Assert.AreEqual((i % 2 == 0 ? count - ofTheFirst + i / 2 % ofTheFirst : i / 2, i % 2), ((int)seen[i].Number, (int)seen[i].Domain));
        }
    }

    [TestMethod]
    public void Translators_of_a_linear_toy_pair_find_the_map_and_its_inverse()
    {
        // Bright squares on black, and dark ones on white at other places: the map is x → 1 − x.
        using CycleGanTransformer model = _ml.Generative.CycleGan(new CycleGanOptions
        {
            Channels = [8], ResidualBlocks = 1, DiscriminatorChannels = [16], IdentityWeight = 0, SkipConnection = false, BatchSize = 16, Epochs = 12,
            LearningRate = 3e-3, WeightAverageDecay = 0.9, ReconstructionColumnName = "Back",
        }).Fit(Squares(240, 120));
        IDataView fresh = Squares(30, 30);
        float[][] originals = [.. fresh.GetColumn<float[]>("Features")];
        IDataView view = model.Transform(fresh);
        Assert.IsLessThan(0.12, Off("Translation", x => 1 - x));
        Assert.IsLessThan(0.12, Off("Back", x => x));

        double Off(string column, Func<float, float> map) => view.GetColumn<float[]>(column)
            .Zip(originals, (made, x) => made.Zip(x, (m, v) => (double)Math.Abs(m - map(v))).Average()).Average();
    }

    [TestMethod]
    public void One_direction_needs_no_domain_column_and_gives_the_same_also_from_a_file_and_as_ONNX()
    {
        IDataView data = Squares(20, 12);
        using CycleGanTransformer model = _ml.Generative.CycleGan(Small() with { LabelColumnName = "Label" }).Fit(data);
        IDataView plain = _ml.Transforms.DropColumns("Domain", "Label").Fit(data).Transform(data);
        float[][] both = [.. model.Transform(data).GetColumn<float[]>("Translation")];
        bool[] second = [.. data.GetColumn<bool>("Domain")];
        foreach (TranslationDirection direction in new[] { TranslationDirection.FirstToSecond, TranslationDirection.SecondToFirst })
        {
            using CycleGanTransformer one = model.To(direction);
            using var file = new MemoryStream();
            _ml.Model.Save(one, null, file);
            using var loaded = (CycleGanTransformer)_ml.Model.Load(file, out _);
            Assert.AreEqual(direction, loaded.Direction);
            float[][] made = [.. loaded.Transform(plain).GetColumn<float[]>("Translation")];
            for (int row = 0; row < made.Length; row++)
            {
                if (second[row] == (direction == TranslationDirection.SecondToFirst))
                    OnnxFiles.AssertClose(both[row], made[row], $"{direction}, row {row}");
            }
            Dictionary<string, float[]> outputs = OnnxFiles.SaveAndRun(one, null, made.Length, (name, _) => OnnxFiles.Column(plain, name));
            OnnxFiles.AssertClose([.. made.SelectMany(row => row)], outputs["Translation"], "Translation");
            StringAssert.Contains(Assert.Throws<InvalidOperationException>(() => one.To(TranslationDirection.ByDomain)).Message, "domain column");
        }
        // The same where the trainer is told so.
        using CycleGanTransformer told = _ml.Generative.CycleGan(
            Small() with { LabelColumnName = "Label", Direction = TranslationDirection.FirstToSecond }).Fit(data);
        Assert.AreEqual(TranslationDirection.FirstToSecond, told.Direction);
        string missing = Assert.Throws<ArgumentOutOfRangeException>(() => model.Transform(plain)).Message;
        Assert.Contains("'Domain' is missing", missing);
        Assert.Contains("CycleGanTransformer.To(TranslationDirection.FirstToSecond)", missing);
        OnnxFiles.AssertClose(both[0], told.Transform(plain).GetColumn<float[]>("Translation").First(), "told");
    }

    [TestMethod]
    public void ONNX_Runtime_translates_as_torch_does()
    {
        using DisposeScope scope = torch.NewDisposeScope();
        IDataView data = Squares(10, 10);
        using CycleGanTransformer model = _ml.Generative.CycleGan(Small() with { ResidualBlocks = 2, Channels = [3, 5] }).Fit(data);
        TrainedVector trained = model.State.Model;
        var network = (CycleGanNetwork)trained.Network;
        using var layers = new TorchLayers(network.Declare, torch.CPU, 1);
        layers.LoadStateDict(trained.Weights);
        float[] rows = [.. data.GetColumn<float[]>("Features").SelectMany(row => row)];
        int count = rows.Length / 64;
        trained.Features.Apply(rows, rows);
        float[] domains = [.. data.GetColumn<bool>("Domain").Select(second => second ? 1f : -1f)];
        using IDisposable noGradient = torch.no_grad();
        torch.Tensor made = network.Translate(
            new TorchOps(layers.Tensors).Root, new VectorRows<TorchTensor>(
                HostTensors.FromRows(rows, count, 64, torch.CPU), new TorchTensor(torch.tensor(domains, [count, 1])))).Value;
        float[] expected = made.reshape(-1).data<float>().ToArray();
        trained.Features.Undo(expected);
        OnnxFiles.AssertClose(expected, OnnxFiles.Column(model.Transform(data), "Translation"), "Translation");
    }

    [TestMethod]
    public void Two_views_are_what_one_view_of_both_is()
    {
        TableView both = Squares(20, 12);
        IDataView Part(int skip, int take, params string[] without) => _ml.Transforms.DropColumns(["Domain", .. without]).Fit(both)
            .Transform(_ml.Data.TakeRows(skip == 0 ? both : _ml.Data.SkipRows(both, skip), take));
        CycleGanOptions options = Small() with { LabelColumnName = "Label" };
        using CycleGanTransformer expected = _ml.Generative.CycleGan(options).Fit(both);
        using CycleGanTransformer found = _ml.Generative.CycleGan(options).Fit(Part(0, 20), Part(20, 12, "Label"));
        CollectionAssert.AreEqual(
            OnnxFiles.Column(expected.Transform(both), "Translation"), OnnxFiles.Column(found.Transform(both), "Translation"));
        Assert.Contains("'Features'", Assert.Throws<ArgumentOutOfRangeException>(
            () => _ml.Generative.CycleGan(Small()).Fit(Part(0, 20), Part(20, 12, "Features"))).Message);
        Assert.Contains("Vector<Single, 4>", Assert.Throws<ArgumentOutOfRangeException>(
            () => _ml.Generative.CycleGan(Small()).Fit(Part(0, 20), Numbered(5, _ => true))).Message);
        Assert.Contains("'Label'", Assert.Throws<ArgumentOutOfRangeException>(
            () => _ml.Generative.CycleGan(options).Fit(Part(0, 20, "Label"), Part(20, 12, "Label"))).Message);
        Assert.AreEqual(0, both.OpenCursors);
    }

    [TestMethod]
    public void What_is_wrong_in_one_of_two_views_is_counted_as_that_view_has_it()
    {
        IDataView first = Rows(100, -1), second = Rows(21, 20), one = Rows(1, -1), none = Rows(0, -1);
        Assert.Contains(
            "in 1 of 21 rows of the second view; the first is NaN in slot 3 of row 20 (both counted from 0).", Refused(first, second));
        Assert.Contains("in 1 of 21 rows of the first view; the first is NaN in slot 3 of row 20", Refused(second, first));
        Assert.Contains("The second view has 1 to train on: at least 2", Refused(first, one));
        Assert.Contains("The first view has 0 to train on", Refused(none, first));
        Assert.Contains("The second view has 1 to train on", Refused(first, Rows(2, 1), NonFiniteValues.DropRow));

        string Refused(IDataView first, IDataView second, NonFiniteValues bad = NonFiniteValues.Error) =>
            Assert.Throws<InvalidOperationException>(
                () => _ml.Generative.CycleGan(Small() with { NonFiniteValues = bad }).Fit(first, second)).Message;

        static TableView Rows(int count, int bad) => new TableView(count).AddVector(
            "Features", 4, row => [row, row, row, row == bad ? float.NaN : row]);
    }

    [TestMethod]
    public void Pictures_of_several_sizes_and_of_colours_come_out_as_pictures()
    {
        foreach (int channels in new[] { 1, 3, 4 })
        {
            BarPicture[] bars = TestImages.Bars(12);
            IDataView data = new TableView(12)
                .Add("Image", new ImageDataViewType(), row => row % 3 == 0
                    ? TestImages.Grey(3 + row, [.. Enumerable.Range(0, (3 + row) * 5).Select(k => (byte)(k * 40))])
                    : bars[row].Image!)
                .Add("Domain", NumberDataViewType.Single, row => row % 4 == 0 ? 2f : 5f);
            using CycleGanTransformer model = _ml.Generative.CycleGan(Small() with
            {
                FeatureColumnName = "Image", ImageShape = new(channels, 7, 6), ReconstructionColumnName = "Back",
            }).Fit(data);
            IDataView view = model.Transform(data);
            foreach (string column in new[] { "Translation", "Back" })
            {
                MLImage[] images = [.. view.GetColumn<MLImage>(column)];
                Assert.HasCount(12, images);
                Assert.IsTrue(images.All(image => image.Height == 7 && image.Width == 6));
            }
        }
    }

    [TestMethod]
    public void Labels_of_one_domain_are_kept_by_translation()
    {
        // What an image shows is on its left or right; without labels, sides could be swapped.
        using CycleGanTransformer model = _ml.Generative.CycleGan(Small() with { LabelColumnName = "Label", Epochs = 2 }).Fit(Squares(24, 24));
        Assert.AreEqual(2, model.State.Model.Network.Input.Classes);
        Assert.AreEqual("Label", model.State.Schema.Class!.Name);
        Assert.IsNull(model.GetOutputSchema(Squares(1, 1).Schema).GetColumnOrNull("PredictedLabel"));
        StringAssert.Contains(
            Assert.Throws<InvalidOperationException>(() => _ml.Generative.CycleGan(Small() with { LabelColumnName = "Label" })
                .Fit(Numbered(10, row => row % 2 == 0).Add("Label", new KeyDataViewType(typeof(uint), 2), _ => 0u))).Message,
            "'Label' has no label");
    }

    [TestMethod]
    public void Wrong_input_is_refused_before_work()
    {
        string Refused(IDataView data, CycleGanOptions? options = null) =>
            Assert.Throws<InvalidOperationException>(() => _ml.Generative.CycleGan(options ?? Small()).Fit(data)).Message;
        TableView Domains<T>(DataViewType type, Func<int, T> domain, int rows = 12) => new TableView(rows)
            .AddVector("Features", 64, row => [.. Enumerable.Range(0, 64).Select(i => MathF.Sin(i + row))])
            .Add("Domain", type, domain);
        var three = new KeyDataViewType(typeof(uint), 3);
        var two = new KeyDataViewType(typeof(uint), 2);

        Assert.Contains("two sets", Refused(Numbered(1, _ => false)));
        Assert.Contains("has 1 value in 9 rows", Refused(Numbered(9, _ => true)));
        Assert.Contains("has 3 values", Refused(Domains(three, row => (uint)row % 3 + 1)));
        Assert.Contains("has 3 values", Refused(Domains(NumberDataViewType.Single, row => (float)(row % 3))));
        Assert.Contains("in 12 of 12 rows", Refused(Domains(NumberDataViewType.Single, row => row + 0.5f)));
        Assert.Contains("in 4 of 12 rows", Refused(Domains(two, row => (uint)row % 3)));
        // Left out where the options say so.
        _ml.Generative.CycleGan(Small() with { NonFiniteValues = NonFiniteValues.DropRow }).Fit(Domains(two, row => (uint)row % 3)).Dispose();
        Assert.Contains("The first set of images that column 'Domain' tells apart has 1 to train on", Refused(Squares(1, 1)));
        Assert.Contains("translator can have 4 at most", Refused(Squares(4, 4), Small() with { Channels = [2, 2, 2, 2, 2] }));
        Assert.Contains("discriminator can have 3 at most", Refused(Squares(4, 4), Small() with { DiscriminatorChannels = [2, 2, 2, 2] }));
        Assert.Contains("'Domain'", Assert.Throws<ArgumentOutOfRangeException>(
            () => _ml.Generative.CycleGan(Small()).Fit(new TableView(4).AddVector("Features", 64, _ => new float[64]))).Message);
        Assert.Contains("'Domain'", Assert.Throws<ArgumentOutOfRangeException>(
            () => _ml.Generative.CycleGan(Small()).Fit(Domains(TextDataViewType.Instance, _ => "a".AsMemory()))).Message);

        foreach (CycleGanOptions wrong in new[]
        {
            Small() with { Objective = GanObjective.Wasserstein }, Small() with { ConditionColumnNames = ["Kind"] },
            Small() with { ValidationFraction = 0.1 }, Small() with { BatchSize = 1 }, Small() with { Channels = [] },
            Small() with { CycleConsistencyWeight = double.NaN }, Small() with { IdentityWeight = -1 }, Small() with { PoolSize = -1 },
            Small() with { ResidualBlocks = 65 }, Small() with { DomainColumnName = "Features" },
            Small() with { TranslationColumnName = "Back", ReconstructionColumnName = "Back" },
        })
        {
            Assert.Throws<ArgumentException>(() => _ml.Generative.CycleGan(wrong), wrong.ToString());
        }
    }

    private static CycleGanOptions Small() => new()
    {
        Channels = [3], ResidualBlocks = 1, DiscriminatorChannels = [4], Epochs = 1, BatchSize = 8, PoolSize = 4,
    };

    private static CycleGanNetwork Network(CycleGanOptions options, int classes = 0)
    {
        var input = new VectorInput
        {
            Width = 16, Image = new(new(1, 4, 4)), ConditionWidths = [1], ConditionRows = 9, Classes = classes,
        };
        return new((CycleGanOptions)options.Resolve(new RowStatistics(input, [], [], 100)), input);
    }

    // Rows whose numbers are all that of the row.
    private static TableView Numbered(int rows, Func<int, bool> domain) => new TableView(rows)
        .AddVector("Features", 4, row => [row, row, row, row])
        .Add("Domain", BooleanDataViewType.Instance, domain);

    // Squares of 3 × 3: bright ones on black, labelled by their side, and dark ones on white, not labelled.
    private static TableView Squares(int first, int second) => new TableView(first + second)
        .AddVector("Features", Side * Side, row =>
        {
            // Some places are more frequent, so that translations cannot move what they show.
            (int top, int left) = row % 2 == 0 ? (1, 0) : (row * 7 % 6, row / 2 % 6);
            return
            [
                .. Enumerable.Range(0, Side * Side).Select(i =>
                {
                    bool inside = i / Side - top is >= 0 and < 3 && i % Side - left is >= 0 and < 3;
                    return inside == row < first ? 1f : 0f;
                }),
            ];
        })
        .Add("Domain", BooleanDataViewType.Instance, row => row >= first)
        .Add("Label", new KeyDataViewType(typeof(uint), 2), row => row >= first ? 0u : row % 2 == 0 || row / 2 % 6 < 3 ? 1u : 2u);

    // First weights as the paper has them are too small to tell by differences.
    private static void Rich(HostWeights weights)
    {
        var random = new SplitMix64(9);
        foreach (TensorSpec spec in weights.Specs)
        {
            float[] values = weights[spec.Name];
            NormalNumbers.Fill(ref random, values);
            float scale = spec.Name.StartsWith("encoder", StringComparison.Ordinal) ? 0.1f : 0.5f; // of many channels
            bool isGain = spec.Name.EndsWith("normalization.weight", StringComparison.Ordinal);
            for (int i = 0; i < values.Length; i++)
                values[i] = isGain ? 1 + 0.2f * values[i] : values[i] * (spec.Name.EndsWith("bias", StringComparison.Ordinal) ? 0.2f : scale);
        }
    }
}
