using GenerativeML.Tests.Rows;
using GenerativeML.Tests.Tables;
using Microsoft.ML;

namespace GenerativeML.Tests.Conformance;

/// <summary>A family that generates rows: how it is trained, on what, and how it is asked for rows.</summary>
/// <param name="Name">What test results call it.</param>
/// <param name="Make">Its estimator, with the options that tests turn.</param>
/// <param name="Data">So many rows that it can be trained on, always the same.</param>
/// <param name="Columns">The columns of the data that it generates.</param>
/// <param name="Generate">Asks a trained one for a number of rows under a seed.</param>
public sealed record GeneratorCase(
    string Name,
    Func<MLContext, TurnedOptions, IEstimator<ITransformer>> Make,
    Func<int, IDataView> Data,
    IReadOnlyList<string> Columns,
    Func<ITransformer, long, int, IDataView> Generate)
{
    /// <summary>Whether training draws random numbers, so that its seed makes a difference.</summary>
    public bool TrainsAtRandom { get; init; } = true;

    public override string ToString() => Name;
}

/// <summary>The families that generate, one line for each.</summary>
internal static class Generators
{
    public static IEnumerable<GeneratorCase> All =>
    [
        Table("tabular VAE", (ml, t) => ml.Generative.TabularVae(t.On(new TabularVaeOptions
        {
            LabelColumnName = "Flag",
        }))),
        Table("tabular diffusion", (ml, t) => ml.Generative.TabularDiffusion(t.On(new TabularDiffusionOptions
        {
            LabelColumnName = "Flag", HiddenWidth = 16, Blocks = 1, SamplingSteps = 4,
        }))),
        Table("bayesian network", (ml, t) => ml.Generative.BayesianNetwork(t.On(new BayesianNetworkOptions
        {
            LabelColumnName = "Flag", Restarts = 0, TabuLength = 0, Bins = 4,
        }))) with { TrainsAtRandom = false },
        Table("tabular GAN", (ml, t) => ml.Generative.TabularGan(t.On(new TabularGanOptions
        {
            LabelColumnName = "Flag",
        }))),
        Vectors("VAE", (ml, t) => ml.Generative.Vae(t.On(new VaeOptions
        {
            ConditionColumnNames = ["Kind", "Large"], HiddenLayers = [16],
        }))),
        Vectors("image VAE", (ml, t) => ml.Generative.ImageVae(t.On(new ImageVaeOptions
        {
            ConditionColumnNames = ["Kind", "Large"], ImageShape = new(1, 1, 3), Channels = [4], HiddenWidth = 16,
        }))),
        Vectors("GAN", (ml, t) => ml.Generative.Gan(t.On(new GanOptions
        {
            ConditionColumnNames = ["Kind", "Large"], GeneratorLayers = [16], DiscriminatorLayers = [16],
            DiscriminatorStepsPerGeneratorStep = 1,
        }))),
        Vectors("image GAN", (ml, t) => ml.Generative.ImageGan(t.On(new ImageGanOptions
        {
            ConditionColumnNames = ["Kind", "Large"], ImageShape = new(1, 1, 3), Channels = [4], NoiseDimension = 4,
        }))),
        Vectors("residual image GAN", (ml, t) => ml.Generative.ImageGan(t.On(new ImageGanOptions
        {
            ConditionColumnNames = ["Kind", "Large"], ImageShape = new(1, 1, 3), Architecture = ImageGanArchitecture.Residual,
            Channels = [4, 4], NoiseDimension = 4,
        }))),
        Vectors("progressive image GAN", (ml, t) => ml.Generative.ImageGan(t.On(new ImageGanOptions
        {
            ConditionColumnNames = ["Kind", "Large"], ImageShape = new(1, 1, 3), Architecture = ImageGanArchitecture.Progressive,
            Channels = [4, 4], NoiseDimension = 4,
        }))),
        Vectors("style image GAN", (ml, t) => ml.Generative.ImageGan(t.On(new ImageGanOptions
        {
            ConditionColumnNames = ["Kind", "Large"], ImageShape = new(1, 1, 3), Architecture = ImageGanArchitecture.StyleGan,
            Channels = [4, 4], NoiseDimension = 4, StyleDimension = 8,
        }))),
        Vectors("image diffusion", (ml, t) => ml.Generative.ImageDiffusion(t.On(new ImageDiffusionOptions
        {
            ConditionColumnNames = ["Kind", "Large"], ImageShape = new(1, 1, 3), Channels = 4, Sampling = new() { Steps = 3 },
        }))),
        Vectors("normalizing flow", (ml, t) => ml.Generative.NormalizingFlow(t.On(new NormalizingFlowOptions
        {
            ConditionColumnNames = ["Kind", "Large"], Steps = 2, HiddenLayers = [16], LinearLayers = true,
        }))),
        Vectors("autoregressive flow", (ml, t) => ml.Generative.NormalizingFlow(t.On(new NormalizingFlowOptions
        {
            ConditionColumnNames = ["Kind", "Large"], Steps = 2, HiddenLayers = [16], Autoregressive = true,
            Coupling = FlowCoupling.Affine,
        }))),
        Vectors("diffusion", (ml, t) => ml.Generative.Diffusion(t.On(new DiffusionOptions
        {
            ConditionColumnNames = ["Kind", "Large"], HiddenWidth = 8, Blocks = 1,
            Sampling = new() { Steps = 4, Sampler = DiffusionSamplerKind.Ddim, Eta = 0.5, GuidanceScale = 2 },
        }))),
        Vectors("gaussian mixture", (ml, t) => ml.Generative.GaussianMixture(
            t.On(new GaussianMixtureOptions { Components = 3, Tolerance = 0 })), "Features"),
        Vectors("boltzmann machine", (ml, t) => ml.Generative.BoltzmannMachine(
            t.On(new BoltzmannMachineOptions { HiddenUnits = 2, BinaryThreshold = 0.1 })), "Features"),
        Vectors("deep belief network", (ml, t) => ml.Generative.DeepBeliefNetwork(
            t.On(new DeepBeliefNetworkOptions { HiddenLayers = [6, 5], SampleSteps = 3 })), "Features"),
        Vectors("rbm", (ml, t) => ml.Generative.RestrictedBoltzmannMachine(
            t.On(new RestrictedBoltzmannMachineOptions { HiddenUnits = 5, SampleSteps = 3 })), "Features"),
        Others("sketch rnn", "Drawing", (ml, t) => ml.Generative.SketchRnn(t.On(new SketchRnnOptions
        {
            EncoderWidth = 6, DecoderWidth = 8, LatentDimension = 3, Mixtures = 2, BatchSize = 16, KlTolerance = 0,
        }))),
        Others("coconet", "Music", (ml, t) => ml.Generative.Coconet(t.On(new CoconetOptions
        {
            Window = 4, Width = 4, Blocks = 1, BatchSize = 16, GibbsSteps = 2,
        }))),
        Others("wavenet", ["Text", "Features"], (ml, t) => ml.Generative.WaveNet(t.On(new WaveNetOptions
        {
            ConditionColumnName = "Text", SoundColumnName = "Features", GeneratedSamples = ConformanceData.Width, Layers = 2, Cycles = 1,
            ResidualChannels = 4, SkipChannels = 4, QuantizationLevels = 8, WindowLength = 32, BatchSize = 8,
        }))),
        Others("autoregressive series", "Features", (ml, t) => ml.Generative.AutoregressiveSeries(t.On(new AutoregressiveSeriesOptions
        {
            WindowLength = 4, Width = 4, MixtureComponents = 2, Layer = SequenceLayer.Lstm,
        }))),
        Others("autoregressive series of rows", "Features", (ml, t) => ml.Generative.AutoregressiveSeries(t.On(new AutoregressiveSeriesOptions
        {
            FeaturesPerStep = 1, WindowLength = 3, Width = 4, MixtureComponents = 2,
        }))),
        Others("spiral", "Features", (ml, t) => ml.Generative.Spiral(t.On(new SpiralOptions
        {
            ImageColumnName = "Features", PaintingColumnName = null, StrokesColumnName = null, Strokes = 3, Channels = 4, HiddenWidth = 8,
            DiscriminatorChannels = 2, BatchSize = 32,
        }))),
    ];

    private static GeneratorCase Vectors(
        string name, Func<MLContext, TurnedOptions, IEstimator<ITransformer>> make, params string[] columns) => new(
        name, make, LabelledVectors.Rows, columns.Length > 0 ? columns : ["Kind", "Features", "Large"],
        (model, rows, seed) => ((IDataGenerator)model).Generate(rows, seed));

    private static GeneratorCase Others(
        string name, string column, Func<MLContext, TurnedOptions, IEstimator<ITransformer>> make) => Others(name, [column], make);

    private static GeneratorCase Others(
        string name, string[] columns, Func<MLContext, TurnedOptions, IEstimator<ITransformer>> make) => new(
        name, make, rows => ConformanceData.Table(rows), columns, (model, rows, seed) => ((IDataGenerator)model).Generate(rows, seed));

    private static GeneratorCase Table(
        string name, Func<MLContext, TurnedOptions, IEstimator<ITransformer>> make) => new(
        name, make, MixedTable.Rows, [.. MixedTable.Rows(1).Schema.Select(c => c.Name)],
        (model, rows, seed) => ((TabularTransformer)model).Generate(rows, seed));
}
