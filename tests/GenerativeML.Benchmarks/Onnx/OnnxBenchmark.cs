using System.CommandLine;
using System.Globalization;
using GenerativeML.TestData;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Benchmarks;

/// <summary>
/// <c>onnx</c>: of every family every ONNX file that it can be: its opset, its size, how long it takes to write, and by how much
/// what ONNX Runtime makes of 1,024 rows differs at most from what torch makes of them. Options are the defaults but for the
/// epochs, of which there is one: sizes do not depend on them.
/// </summary>
internal static class OnnxBenchmark
{
    private const int Rows = OnnxAgainstTorch.Rows, Features = 10, Side = 8;

    private static readonly ImageShape s_shape = new(1, Side, Side);

    /// <summary>The command and its options.</summary>
    public static Command Command()
    {
        Option<string?> family = new("--family") { Description = "One family alone, by a part of its name." };
        Command command = new("onnx", "Every ONNX file: opset, size, time to write, difference from torch.") { family };
        command.SetAction(parsed => Run(parsed.GetValue(family)));
        return command;
    }

    private static int Run(string? wanted)
    {
        string folder = Directory.CreateTempSubdirectory("genml-onnx").FullName;
        bool failed = false;
        try
        {
            Console.WriteLine("| family | file | opset | bytes | ms to write | largest difference |");
            Console.WriteLine("| --- | --- | ---: | ---: | ---: | ---: |");
            foreach ((string name, Func<MLContext, ITransformer> train, IDataView? data) in Families(folder))
            {
                if (wanted is not null && !name.Contains(wanted, StringComparison.OrdinalIgnoreCase))
                    continue;
                try
                {
                    ITransformer model = train(new MLContext(1));
                    foreach (OnnxFinding file in OnnxAgainstTorch.Findings(model, data))
                    {
                        Console.WriteLine(string.Create(
                            CultureInfo.InvariantCulture,
                            $"| {name} | `{file.Content}` | {file.Opset} | {file.Bytes:n0} | {file.Writing.TotalMilliseconds:f0} | {file.Difference:g2} |"));
                        failed |= !(file.Difference <= 1e-5);
                    }
                    ((IDisposable)model).Dispose();
                }
                catch (Exception wrong)
                {
                    failed = true;
                    Console.WriteLine($"| {name} | {wrong.GetType().Name}: {wrong.Message} |");
                }
            }
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
        return failed ? 1 : 0;
    }

    private static IEnumerable<(string, Func<MLContext, ITransformer>, IDataView?)> Families(string folder)
    {
        var loading = new MLContext(1);
        IDataView vectors = Vectors(loading, Features), images = Vectors(loading, Side * Side);
        IDataView things = loading.Data.LoadFromEnumerable(Enumerable.Range(0, 64).Select(row => new Things
        {
            Text = $"{s_words[row % 5]} {s_words[row * 7 % 3]} {s_words[row * row % 5]}", Target = $"{s_words[row % 5]} {row % 7}",
            Drawing = string.Join(' ', Enumerable.Range(0, 8).Select(i => string.Create(
                CultureInfo.InvariantCulture, $"{3 * MathF.Sin(row + i):0.##},{2 * MathF.Cos(row * 0.7f + i):0.##},{(i is 3 or 7 ? 1 : 0)}"))),
            Music = string.Join(' ', Enumerable.Range(0, 40).Select(step => $"{60 + (row + step) % 12},{50 + row * step % 7}")),
            Path = Sound(folder, row),
        }));
        IDataView few = loading.Data.TakeRows(images, 64), incomplete = Vectors(loading, Features, missing: true);
        (string, Func<MLContext, IEstimator<ITransformer>>, IDataView Trained, IDataView? Given)[] all =
        [
            ("autoencoder", ml => ml.AnomalyDetection.Trainers.Autoencoder(new AutoencoderOptions { Epochs = 1 }), vectors, vectors),
            ("VAE", ml => ml.AnomalyDetection.Trainers.VariationalAutoencoder(new VaeOptions { Epochs = 1 }), vectors, vectors),
            ("normalizing flow", ml => ml.AnomalyDetection.Trainers.NormalizingFlow(new NormalizingFlowOptions { Epochs = 1 }), vectors, vectors),
            ("diffusion", ml => ml.AnomalyDetection.Trainers.Diffusion(new DiffusionOptions { Epochs = 1 }), vectors, vectors),
            ("GAN", ml => ml.Generative.Gan(new GanOptions { Epochs = 1 }), vectors, vectors),
            ("Gaussian mixture", ml => ml.AnomalyDetection.Trainers.GaussianMixture(new GaussianMixtureOptions { Epochs = 1 }), vectors, vectors),
            ("restricted Boltzmann machine", ml => ml.AnomalyDetection.Trainers.RestrictedBoltzmannMachine(
                new RestrictedBoltzmannMachineOptions { Epochs = 1 }), vectors, vectors),
            ("deep belief network", ml => ml.Generative.DeepBeliefNetwork(new DeepBeliefNetworkOptions { Epochs = 1, ScoreColumnName = "Score" }), vectors, vectors),
            ("Boltzmann machine", ml => ml.Generative.BoltzmannMachine(
                new BoltzmannMachineOptions { HiddenUnits = 2, BinaryThreshold = 0.5, Epochs = 1, ScoreColumnName = "Score" }), vectors, vectors),
            ("imputation", ml => ml.Generative.Impute(new() { Epochs = 1 }), incomplete, incomplete),
            ("image autoencoder", ml => ml.AnomalyDetection.Trainers.ImageAutoencoder(
                new ImageAutoencoderOptions { ImageShape = s_shape, Epochs = 1 }), images, images),
            ("image VAE", ml => ml.Generative.ImageVae(
                new ImageVaeOptions { ImageShape = s_shape, Epochs = 1, ScoreColumnName = "Score" }), images, images),
            ("image GAN", ml => ml.Generative.ImageGan(new ImageGanOptions { ImageShape = s_shape, Epochs = 1 }), images, images),
            ("image GAN, residual", ml => ml.Generative.ImageGan(new ImageGanOptions
            {
                ImageShape = s_shape, Epochs = 1, Architecture = ImageGanArchitecture.Residual,
            }), few, images),
            ("image GAN, progressive", ml => ml.Generative.ImageGan(new ImageGanOptions
            {
                ImageShape = s_shape, Epochs = 1, Architecture = ImageGanArchitecture.Progressive,
            }), few, images),
            ("StyleGAN", ml => ml.Generative.ImageGan(new ImageGanOptions
            {
                ImageShape = s_shape, Epochs = 1, Architecture = ImageGanArchitecture.StyleGan,
            }), few, images),
            ("CycleGAN", ml => ml.Generative.CycleGan(new CycleGanOptions { ImageShape = s_shape, Epochs = 1 }), few, images),
            ("image diffusion", ml => ml.Generative.ImageDiffusion(
                new ImageDiffusionOptions { ImageShape = s_shape, Epochs = 1 }), few, images),
            ("autoregressive series", ml => ml.AnomalyDetection.Trainers.AutoregressiveSeries(
                new AutoregressiveSeriesOptions { Epochs = 1 }), vectors, null),
            ("sequence autoencoder", ml => ml.AnomalyDetection.Trainers.SequenceAutoencoder(
                new SequenceAutoencoderOptions { Epochs = 1 }), vectors, null),
            ("GPT", ml => ml.Generative.Gpt(new() { TextColumnName = "Text", Epochs = 1 }), things, null),
            ("recurrent language model", ml => ml.Generative.RecurrentLanguageModel(
                new RecurrentLanguageModelOptions { TextColumnName = "Text", Epochs = 1 }), things, null),
            ("masked language model", ml => ml.Generative.MaskedLanguageModel(
                new MaskedLanguageModelOptions { TextColumnName = "Text", Epochs = 1 }), things, null),
            ("sequence to sequence", ml => ml.Generative.SequenceToSequence(new SequenceToSequenceOptions
            {
                SourceColumnName = "Text", TargetColumnName = "Target", Epochs = 1,
            }), things, null),
            ("Sketch-RNN", ml => ml.Generative.SketchRnn(new SketchRnnOptions { DrawingColumnName = "Drawing", Epochs = 1 }), things, null),
            ("SPIRAL", ml => ml.Generative.Spiral(new SpiralOptions { ImageColumnName = "Features", ImageShape = s_shape, Strokes = 2, Epochs = 1 }), few, null),
            ("Coconet", ml => ml.Generative.Coconet(new CoconetOptions { MusicColumnName = "Music", Epochs = 1 }), things, null),
            ("hidden Markov model", ml => ml.AnomalyDetection.Trainers.HiddenMarkov(
                new HiddenMarkovOptions { FeatureColumnName = "Features", Epochs = 1 }), vectors, null),
            ("table, VAE", ml => ml.Generative.TabularVae(new TabularVaeOptions { Epochs = 1 }), vectors, null),
            ("table, GAN", ml => ml.Generative.TabularGan(new TabularGanOptions { Epochs = 1 }), vectors, null),
            ("table, diffusion", ml => ml.Generative.TabularDiffusion(new TabularDiffusionOptions { Epochs = 1 }), vectors, null),
            ("Bayesian network", ml => ml.Generative.BayesianNetwork(), vectors, null),
            ("WaveNet, windows of 64", ml => ml.Generative.WaveNet(
                new WaveNetOptions { PathColumnName = "Path", WindowLength = 64, Epochs = 1 }), things, null),
        ];
        return all.Select(f => (f.Item1, (Func<MLContext, ITransformer>)(ml => f.Item2(ml).Fit(f.Trained)), f.Given));
    }

    // Two domains of vectors near a curve.
    private static IDataView Vectors(MLContext ml, int width, bool missing = false)
    {
        SchemaDefinition schema = SchemaDefinition.Create(typeof(Vector));
        schema[nameof(Vector.Features)].ColumnType = new VectorDataViewType(NumberDataViewType.Single, width);
        Vector[] rows =
        [
            .. Enumerable.Range(0, Rows).Select(row => new Vector
            {
                Domain = row % 2 == 1,
                Features =
                [
                    .. Enumerable.Range(0, width).Select(i => missing && (row + i) % 7 == 3
                        ? float.NaN : 0.5f + 0.4f * MathF.Sin(row * 0.37f + i) + 0.1f * MathF.Cos(row * 1.3f * i)),
                ],
            }),
        ];
        return ml.Data.LoadFromEnumerable(rows, schema);
    }

    private static string Sound(string folder, int number)
    {
        string path = Path.Combine(folder, $"{number % 8}.wav");
        if (!File.Exists(path))
            new SoundClip([.. Enumerable.Range(0, 400).Select(i => 0.8f * MathF.Sin(i * (0.3f + 0.1f * (number % 8))))], 8000).SaveWav(path);
        return path;
    }

    private static readonly string[] s_words = ["alpha", "beta", "gamma", "delta", "epsilon"];

    private sealed class Vector
    {
        public bool Domain { get; set; }

        public float[] Features { get; set; } = [];
    }

    private sealed class Things
    {
        public string Text { get; set; } = "";

        public string Target { get; set; } = "";

        public string Drawing { get; set; } = "";

        public string Music { get; set; } = "";

        public string Path { get; set; } = "";
    }
}
