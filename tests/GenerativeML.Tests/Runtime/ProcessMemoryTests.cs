using System.Runtime.InteropServices;
using GenerativeML.Tests.Conformance;
using GenerativeML.Tests.Rows;
using Microsoft.ML;

namespace GenerativeML.Tests;

/// <summary>The memory of the process, not the number of tensors, while networks train.</summary>
[TestClass]
public sealed class ProcessMemoryTests
{
    [TestMethod]
    public void It_is_flat_while_a_GPT_trains()
    {
        // Many states and gradients of 64 kB to 1 MB at a time, and Muon: without what the loop and the optimizers do
        // about TorchSharp's numbers, this grows from 230 MB to 340 MB, and larger networks by gigabytes.
        var options = new GptOptions
        {
            Layers = 1,
            Heads = 4,
            Width = 128,
            ContextLength = 32,
            BatchSize = 16,
            Steps = 300,
            Precision = Precision.Float32,
        };
        var memory = new ProcessMemory();
        TinyGpt.Fit(TinyGpt.Corpus(20_000), options, Watched(memory));
        memory.AssertFlat();
    }

    [TestMethod]
    public void It_is_flat_while_a_recurrent_language_model_trains()
    {
        RecurrentLanguageModelOptions options = new() { Width = 64, WindowLength = 16, BatchSize = 16, Steps = 200, Dropout = 0.1 };
        var memory = new ProcessMemory();
        RecurrentLanguageModelTrainer.Train(
            TinyGpt.Corpus(20_000), options.Resolve(new TokenCodec(new ByteTokenizer(), 11, null), 0), Watched(memory));
        memory.AssertFlat();
    }

    [TestMethod]
    public void It_is_flat_while_texts_are_learned_from_texts_of_any_length()
    {
        SequenceToSequenceNetwork network = SequenceToSequence.SequenceToSequenceNetworkTests.Network(window: 20);
        var random = new Random(1);
        TokenPair[] pairs = [.. Enumerable.Range(0, 1000).Select(_ => new TokenPair(Tokens(6), Tokens(4)))];
        var memory = new ProcessMemory();
        SequenceToSequenceTrainer.Train(
            pairs, (network.Options with { Width = 64, BatchSize = 16, Steps = 200 }).Resolve(0), Watched(memory)).Dispose();
        memory.AssertFlat();

        int[] Tokens(int below) => [.. Enumerable.Range(0, random.Next(1, 21)).Select(_ => random.Next(below))];
    }

    [TestMethod]
    public void It_is_flat_while_a_masked_language_model_trains()
    {
        var codec = new TokenCodec(new ByteTokenizer(), 11, null);
        MaskedLanguageModelOptions options = new()
        {
            Layers = 1, Width = 64, ContextLength = 32, BatchSize = 16, Steps = 200, Dropout = 0.1, ContrastiveWeight = 0.2,
        };
        var memory = new ProcessMemory();
        MaskedLanguageModelTrainer.Train(
            TinyGpt.Corpus(20_000), new MaskedVocabulary(codec, null), options.Resolve(codec, 0), Watched(memory)).Dispose();
        memory.AssertFlat();
    }

    [TestMethod]
    public void It_is_flat_while_an_autoencoder_trains() =>
        AssertFlat(AutoencoderTrainer.Family, new AutoencoderOptions { Epochs = 15, BatchSize = 64, Precision = Precision.Float32 });

    [TestMethod]
    [DataRow(FlowCoupling.RationalQuadraticSpline, false)]
    [DataRow(FlowCoupling.Affine, true)]
    public void It_is_flat_while_a_flow_trains(FlowCoupling coupling, bool autoregressive) => AssertFlat(
        NormalizingFlowTrainer.Family,
        new NormalizingFlowOptions { Epochs = 8, BatchSize = 64, Steps = 2, Coupling = coupling, Autoregressive = autoregressive });

    [TestMethod]
    public void It_is_flat_while_a_diffusion_model_trains() =>
        AssertFlat(DiffusionTrainer.Family, new DiffusionOptions { Epochs = 8, BatchSize = 64, HiddenWidth = 64 });

    [TestMethod]
    public void It_is_flat_while_a_diffusion_model_of_images_trains() => AssertFlat(
        ImageDiffusionTrainer.Family, new ImageDiffusionOptions { Epochs = 8, BatchSize = 64, Channels = 8 }, new(2, 4, 4));

    // The largest stage has a quarter of a megabyte or more for a batch: what is not given back in each step grows by 30 MB and more.
    [TestMethod]
    [DataRow(ImageGanArchitecture.Dcgan, GanObjective.WassersteinGradientPenalty)]
    [DataRow(ImageGanArchitecture.Residual, GanObjective.Hinge)]
    [DataRow(ImageGanArchitecture.Progressive, GanObjective.NonSaturating)]
    [DataRow(ImageGanArchitecture.StyleGan, GanObjective.NonSaturating)]
    public void It_is_flat_while_a_GAN_of_images_trains(ImageGanArchitecture architecture, GanObjective objective) => AssertFlat(
        ImageGanTrainer.Family,
        new ImageGanOptions
        {
            Architecture = architecture, Objective = objective, DiscriminatorStepsPerGeneratorStep = 1, Channels = [16, 16],
            NoiseDimension = 8, Epochs = 6, BatchSize = 64, Stages = 2,
        },
        new(1, 16, 16));

    [TestMethod]
    public void It_is_flat_while_autoencoders_of_images_train()
    {
        var shape = new ImageShape(1, 16, 16);
        AssertFlat(ImageVaeTrainer.Family, new ImageVaeOptions { Channels = [32, 32], Epochs = 5, BatchSize = 64 }, shape);
        AssertFlat(
            ImageAutoencoderTrainer.Family,
            new ImageAutoencoderOptions { Channels = [32, 32], LatentDimension = 8, InputMasking = 0.2, Epochs = 5, BatchSize = 64 },
            shape);
    }

    [TestMethod]
    public void It_is_flat_while_translators_of_images_train() => AssertFlat(memory => new MLContext(1).Generative.CycleGan(new()
    {
        ImageShape = new(1, 16, 16), Channels = [16], ResidualBlocks = 1, DiscriminatorChannels = [16], BatchSize = 64, Epochs = 20,
        Progress = memory,
    }).Fit(ConformanceData.Table(640, width: 256)).Dispose());

    [TestMethod]
    public void It_is_flat_while_a_diffusion_model_of_tables_trains()
    {
        var memory = new ProcessMemory();
        var options = new TabularDiffusionOptions { Epochs = 9, BatchSize = 64, HiddenWidth = 64 };
        TabularEstimator.Fit(ArrayTable.Known(2560, 1), options, Watched(memory)).Dispose();
        memory.AssertFlat();
    }

    [TestMethod]
    public void It_is_flat_while_a_Boltzmann_machine_trains() => AssertFlat(
        RestrictedBoltzmannMachineTrainer.Family, new RestrictedBoltzmannMachineOptions { Epochs = 8, BatchSize = 64 });

    // By their own option Progress, a few times a second: so many steps that they take some seconds.
    [TestMethod]
    public void It_is_flat_while_drawings_paintings_music_and_sound_are_learned()
    {
        var ml = new MLContext(1);
        TableView rows = ConformanceData.Table(200);
        AssertFlat(memory => ml.Generative.SketchRnn(new() { EncoderWidth = 64, DecoderWidth = 64, Steps = 150, Progress = memory }).Fit(rows).Dispose());
        AssertFlat(memory => ml.Generative.Spiral(new() { ImageColumnName = "Features", Steps = 200, Progress = memory }).Fit(rows).Dispose());
        AssertFlat(memory => ml.Generative.Coconet(new() { Window = 16, Width = 128, Steps = 400, Progress = memory }).Fit(rows).Dispose());
        AssertFlat(memory => ml.Generative.WaveNet(new() { Layers = 4, WindowLength = 128, BatchSize = 8, Steps = 200, Progress = memory }).Fit(rows).Dispose());
        AssertFlat(memory => ml.Generative.WaveNet(new()
        {
            Layers = 4, WindowLength = 128, BatchSize = 8, Steps = 200, SpectrogramBands = 8, SpectrogramHop = 16, Progress = memory,
        }).Fit(rows).Dispose());
    }

    // LSTMs compute while signals are held.
    [TestMethod]
    [DataRow(SequenceLayer.Lstm)]
    [DataRow(SequenceLayer.DilatedConvolution)]
    public void It_is_flat_while_series_are_learned(SequenceLayer layer)
    {
        TableView rows = ConformanceData.Table(1);
        Learn(SequenceAutoencoderTrainer.Family, new SequenceAutoencoderOptions
        {
            WindowLength = 16, Layer = layer, BatchSize = 32, Epochs = 20, PredictedLabelColumnName = null,
        });
        Learn(AutoregressiveSeriesTrainer.Family, new AutoregressiveSeriesOptions
        {
            WindowLength = 16, WindowStride = 1, Layer = layer, BatchSize = 32, Epochs = 20,
        });

        // 512 steps of four features: 300 optimizer steps and more.
        void Learn(SeriesFamily family, SeriesOptions options) => AssertFlat(memory => SeriesFit.Run(
            [[.. Enumerable.Range(0, 2048).Select(i => MathF.Sin(i * 0.37f))]], SeriesInput.Of(rows.Schema, options, "rows"), family, options, Watched(memory)));
    }

    [TestMethod]
    public unsafe void A_leak_is_found()
    {
        // What other tests left behind must not be given back meanwhile.
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        var memory = new ProcessMemory(warmUp: 10);
        var leaks = new List<nint>();
        try
        {
            for (int step = 1; step <= 100; step++)
            {
                nint leak = Marshal.AllocHGlobal(2 << 20);
                leaks.Add(leak);
                new Span<byte>((void*)leak, 2 << 20).Fill(1);
                memory.Observe(step);
            }
        }
        finally
        {
            leaks.ForEach(Marshal.FreeHGlobal);
        }
        Assert.ThrowsExactly<AssertFailedException>(memory.AssertFlat);
    }

    private static void AssertFlat(Action<ProcessMemory> train)
    {
        var memory = new ProcessMemory();
        train(memory);
        memory.AssertFlat();
    }

    // Of 2,560 rows of 32 features, or as many as an image has, 40 steps of 64 rows in each epoch.
    private static void AssertFlat(VectorFamily family, VectorOptions options, ImageShape? image = null)
    {
        var memory = new ProcessMemory();
        var rows = new ArrayRows(2560, image is null ? 32 : (int)image.Length, (i, j) => MathF.Sin(i * (j + 1) * 0.37f))
        {
            Image = image is null ? null : new(image),
        };
        VectorFit.Fit(rows, family, options, Watched(memory)).Model.Dispose();
        memory.AssertFlat();
    }

    private static TrainingContext Watched(ProcessMemory memory) => new()
    {
        Seed = 1,
        Device = ComputeDevice.Cpu,
        FallbackToCpu = false,
        Progress = memory,
        ReportInterval = TimeSpan.Zero, // after each step
    };
}
