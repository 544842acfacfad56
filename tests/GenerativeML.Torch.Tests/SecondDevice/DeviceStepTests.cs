using TorchSharp;

namespace GenerativeML.Torch.Tests;

/// <summary>
/// Training steps on a device that is not the CPU: everything stays there, nothing is read back, and losses and
/// gradients are those of the CPU, since random numbers are drawn alike for every device.
/// </summary>
[TestClass]
public sealed class DeviceStepTests
{
    private const int Rows = 12;

    public static IEnumerable<object[]> Activations => Enum.GetValues<Activation>().Select(a => new object[] { a });

    public static IEnumerable<object[]> Objectives => Enum.GetValues<GanObjective>().Select(o => new object[] { o });

    [TestMethod]
    public void The_device_refuses_what_a_GPU_would_refuse_and_counts_what_is_read_back()
    {
        using DisposeScope scope = torch.NewDisposeScope();
        torch.Tensor there = torch.ones(3, device: SecondDevice.Device), here = torch.ones(3);
        Assert.AreEqual(SecondDevice.Device.type, there.device_type);
        Assert.Throws<Exception>(() => there.add(here));
        Assert.Throws<Exception>(() => torch.cat([there, here]));
        Assert.Throws<Exception>(() => there.bytes.Length);
        torch.Tensor sum = there.sum();
        long before = SecondDevice.Copies;
        Assert.AreEqual(3f, sum.item<float>());
        Assert.IsGreaterThan(before, SecondDevice.Copies);
        before = SecondDevice.Copies;
        Assert.AreEqual(DeviceType.CPU, there.cpu().device_type);
        Assert.IsGreaterThan(before, SecondDevice.Copies);
    }

    [TestMethod]
    [DynamicData(nameof(Activations))]
    public void Steps_of_autoencoders(Activation activation) => Compare((random, device) =>
    {
        bool bfloat16 = activation == Activation.Silu;
        AutoencoderShape shape = RandomAutoencoder.Shape(activation: activation, norm: true, hidden: [7]) with
        {
            Dropout = 0.1,
        };
        var model = new AutoencoderModel(shape, bfloat16, random);
        model.SetScale(Moments(shape.InputWidth)[0]);
        AssertManagedOnTheCpuOnly(device, AutoencoderTraining.CanBeManaged(
            RandomAutoencoder.Shape(activation: activation, hidden: [7]), bfloat16: false, device));
        return (new AutoencoderTraining(model, managed: false), Vectors(random, shape.InputWidth));
    });

    [TestMethod]
    [DataRow(0, false, true)]
    [DataRow(0, true, false)]
    [DataRow(2, true, false)]
    public void Steps_of_VAEs(int bernoulli, bool conditional, bool bfloat16) => Compare((random, device) =>
    {
        int[] widths = conditional ? [6, 2] : [6];
        VaeShape shape = RandomVae.Shape(bernoulli: bernoulli, conditions: conditional ? [2] : null, hidden: [7]);
        var model = new VaeModel(shape, bfloat16, random);
        RowSample[] samples = [.. widths.Skip(1).Select((w, i) => new RowSample(i + 1, w, shape.ConditionRows, 0))];
        TrainingData.Prepare(Source(widths), new TestOptions(), 0, torch.CPU, samples).Dispose();
        model.Conditions.Set(Moments(widths)[1..], samples);
        AssertManagedOnTheCpuOnly(device, VaeTraining.CanBeManaged(bfloat16: false, device));
        var training = new VaeTraining(
            model, new VaeOptions { FreeBits = 0.1 }, new VaeNetwork(shape, bfloat16, random), managed: false);
        return (training, Vectors(random, widths));
    });

    [TestMethod]
    [DynamicData(nameof(Objectives))]
    public void Steps_of_GANs(GanObjective objective) => Compare((random, device) =>
    {
        bool bfloat16 = objective == GanObjective.Minimax;
        GanShape shape = GanTruthTests.Shape(pack: 2, spectral: objective == GanObjective.Hinge);
        var model = new GanModel(shape, bfloat16, random);
        model.SetScale(Moments(shape.InputWidth)[0]);
        var options = new GanOptions
        {
            Objective = objective, PackSize = 2, DiscriminatorStepsPerGeneratorStep = 1, InstanceNoise = 0.1,
        };
        var training = new GanTraining(model, options, new GanGenerator(shape, bfloat16, random), device);
        return (training, Vectors(random, shape.InputWidth));
    });

    [TestMethod]
    [DataRow(false, false, null)]
    [DataRow(true, false, 0.5)]
    [DataRow(false, true, 0.5)]
    public void Steps_of_GPTs(bool bfloat16, bool checkpointing, double? matrixRate) => Compare((random, device) =>
    {
        GptShape shape = TinyGpt.Shape();
        var options = new GptOptions { Dropout = checkpointing ? 0.1 : 0, GradientCheckpointing = checkpointing };
        var network = new GptNetwork(shape, adapters: null, bfloat16, random);
        AssertManagedOnTheCpuOnly(
            device, GptTraining.CanBeManaged(shape, new GptOptions(), bfloat16: false, Rows, device));
        torch.Tensor tokens = TinyGpt.Tokens(Rows, shape.ContextLength + 1);
        return (
            new GptTraining(network, options, bfloat16, managed: false, matrixRate),
            new Batch([HostTensors.OnDevice(tokens, device)], Rows));
    });

    [TestMethod]
    public void Steps_of_tabular_VAEs() => Compare((random, device) =>
    {
        ArrayTable table = ArrayTable.Known(Rows, 1);
        TokenTable tokens = TokenTable.Learn(table, (c, sample) => NumberTokenBuilder.Build(c, sample, 16), 1, default);
        (Batch batch, TokenCounts counts) = Encoded(new TokenSource(table, tokens), tokens, device);
        var shape = new TabularVaeShape
        {
            LatentDimension = 3, ContextWidth = 8, HiddenWidth = 8, Tokens = tokens.Counts,
            Segments = [.. tokens.Counts.Select(_ => 0)],
        };
        var training = new TabularVaeTraining(
            new TabularVaeNetwork(shape, tokens, counts, 12, random),
            new TabularVaeNetwork(shape, tokens, counts, 12, random), new TabularVaeOptions());
        return (training, batch);
    });

    [TestMethod]
    public void Steps_of_tabular_GANs() => Compare((random, device) =>
    {
        ArrayTable table = ArrayTable.Known(Rows, 1);
        TokenTable tokens = TokenTable.Learn(table, (c, sample) => NumberModes.Learn(c, sample), 1, default);
        (Batch batch, TokenCounts counts) = Encoded(new ModeSource(table, tokens), tokens, device);
        var shape = new TabularGanShape
        {
            NoiseDimension = 6, HiddenLayers = [8, 8], Tokens = tokens.Counts,
            Modes = [.. tokens.Columns.Select(c => c is NumberModes n ? n.Modes.Count : 0)],
            Numbers = [.. Enumerable.Range(0, tokens.Columns.Count).Where(p => tokens.Columns[p] is NumberModes)],
        };
        return (new TabularGanTraining(shape, new TabularGanOptions { PackSize = 2 }, counts, random), batch);
    });

    /// <summary>
    /// What the training loop does in steps and validation, on the CPU and on the device.
    /// </summary>
    private static void Compare(Func<SeededRandom, torch.Device, (ITrainable Family, Batch Batch)> make)
    {
        torch.Device device = SecondDevice.Device;
        List<(string Name, float[] Values)> expected = Run(make, torch.CPU), actual = Run(make, device);
        Assert.HasCount(expected.Count, actual);
        foreach (((string name, float[] there), (_, float[] here)) in actual.Zip(expected))
        {
            Assert.HasCount(here.Length, there, name);
            for (int i = 0; i < here.Length; i++)
                Assert.AreEqual(here[i], there[i], 1e-5f + 1e-4f * Math.Abs(here[i]), $"{name}[{i}]");
        }
    }

    private static List<(string Name, float[] Values)> Run(
        Func<SeededRandom, torch.Device, (ITrainable Family, Batch Batch)> make, torch.Device device)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        using var random = new SeededRandom(device, 3);
        (ITrainable family, Batch batch) = make(random, device);
        using var disposable = family as IDisposable;
        using var snapshot = new WeightSnapshot(family.Network);
        using var losses = new LossMeans();
        var optimizers = new List<FlatOptimizer>();
        long copies = SecondDevice.Copies;
        for (int step = 0; step < 3; step++)
        {
            for (int update = 0; update < family.Updates.Count; update++)
            {
                if (step == 0)
                    optimizers.Add(FlatOptimizer.For(family.Updates[update], weightDecay: 0.1, clipNorm: 1));
                optimizers[update].ClearGradients();
                foreach (Batch part in batch.Split(2))
                {
                    var context = new StepContext(step, 10, random, Share: 0.5);
                    IReadOnlyList<LossTerm> terms = family.Loss(part, update, context);
                    foreach ((string name, torch.Tensor value) in terms)
                        Assert.AreEqual(device.type, value.device_type, name);
                    family.Backward(terms, context);
                    losses.Add(terms, 0.5);
                }
                foreach (torch.Tensor parameter in family.Updates[update].Parameters)
                    Assert.AreEqual(device.type, parameter.grad!.device_type);
                optimizers[update].Step(1e-3);
                using IDisposable noGradient = torch.no_grad();
                family.AfterUpdate(update, new StepContext(step, 10, random));
            }
        }
        snapshot.Take();
        snapshot.Restore();
        using (torch.no_grad())
            losses.Add(family.ValidationLoss(batch, new StepContext(0, 10, random)));
        Assert.AreEqual(copies, SecondDevice.Copies, "numbers were read back within a step");

        List<(string, float[])> found = [.. losses.Read().Select(l => (l.Key, new[] { (float)l.Value }))];
        foreach (torch.Tensor gradient in family.Updates.SelectMany(u => u.Parameters).Select(p => p.grad!))
            found.Add(("a gradient", TinyGpt.Values(gradient)));
        // Not the weights: a bias before batch normalisation has no gradient but rounding, which Adam makes steps of.
        foreach ((string name, torch.Tensor value) in family.Network.NamedTensors())
            Assert.AreEqual(device.type, value.device_type, name);
        foreach (FlatOptimizer optimizer in optimizers)
            optimizer.Dispose();
        return found;
    }

    private static void AssertManagedOnTheCpuOnly(torch.Device device, bool managed) =>
        Assert.AreEqual(device.type == DeviceType.CPU && MatrixProduct.IsFast, managed);

    private static FieldRows Source(params int[] widths) => new(50, widths, (i, j) => i * (7 + j) % 11 / 3f);

    private static ColumnMoments[] Moments(params int[] widths)
    {
        ColumnMoments[] moments = [.. widths.Select((w, f) => new ColumnMoments(f, w))];
        TrainingData.Prepare(Source(widths), new TestOptions(), 0, torch.CPU, moments).Dispose();
        return moments;
    }

    private static Batch Vectors(SeededRandom random, params int[] widths) =>
        new([.. widths.Select(w => random.Normal([Rows, w]))], Rows);

    private static (Batch Batch, TokenCounts Counts) Encoded(IRowSource source, TokenTable tokens, torch.Device device)
    {
        var block = new RowBlock(source.Fields, Rows);
        using (IRowReader reader = source.Open())
            Assert.AreEqual(Rows, reader.Read(block, 0, Rows));
        var counts = new TokenCounts(tokens.Counts);
        counts.Observe(block, 0, Rows);
        return (HostTensors.ToBatch(block, Rows, device), counts);
    }
}
