using System.Diagnostics;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.GpuCheck;

/// <summary>What became of a family.</summary>
/// <param name="Family">Its name.</param>
/// <param name="Seconds">How long its training took on the device.</param>
/// <param name="Loss">The mean loss of the training on the device.</param>
/// <param name="CpuLoss">The same of the same training on the CPU.</param>
/// <param name="Scores">The largest difference of a score on the device from the CPU's, in typical scores.</param>
/// <param name="Generated">The share of generated values that are those of the CPU.</param>
/// <param name="Error">What went wrong, or null.</param>
internal sealed record FamilyResult(
    string Family, double Seconds, double Loss, double CpuLoss, double Scores, double Generated, string? Error);

/// <summary>
/// Trains each family on the device and on the CPU, saves the device's model, and lets both load it, score and
/// generate: the same model has to say the same.
/// </summary>
internal static class Families
{
    private const int Rows = 2000, Side = 8;
    private const string SpectrogramFamily = "WaveNet of a spectrogram";
    private const double SameScore = 2e-3, SameValue = 2e-3, SameLoss = 0.05;
    private const double LeastShare = 0.95, LeastTextShare = 0.6;
    private static readonly string[] s_words = ["red", "green", "blue", "boats", "trains", "sail", "stop", "again"];

    /// <summary>
    /// All families whose names are wanted; nothing that goes wrong in one keeps the others from being checked.
    /// </summary>
    public static List<FamilyResult> Check(bool onCpu, Func<string, bool> isWanted)
    {
        IDataView vectors = Vectors(), table = Table(), texts = Texts(), others = Others(), images = Images();
        var shape = new ImageShape(1, Side, Side);
        using var sounds = new SoundFolder();
        FamilyResult?[] results =
        [
            Check("autoencoder", onCpu, vectors, (ml, run) => ml.AnomalyDetection.Trainers.Autoencoder(
                new() { Epochs = 8, Seed = 1, Device = run.Device, Progress = run }).Fit(vectors)),
            Check("VAE", onCpu, vectors, (ml, run) => ml.Generative.Vae(
                new() { Epochs = 8, Seed = 1, ScoreColumnName = "Score", Device = run.Device, Progress = run })
                .Fit(vectors)),
            Check("GAN", onCpu, vectors, (ml, run) => ml.Generative.Gan(
                new() { Epochs = 8, Seed = 1, Device = run.Device, Progress = run }).Fit(vectors)),
            Check("tabular VAE", onCpu, table, (ml, run) => ml.Generative.TabularVae(
                new() { Epochs = 4, Seed = 1, Device = run.Device, Progress = run }).Fit(table)),
            Check("tabular diffusion", onCpu, table, (ml, run) => ml.Generative.TabularDiffusion(
                new() { Epochs = 4, Seed = 1, Device = run.Device, Progress = run }).Fit(table)),
            Check("tabular GAN", onCpu, table, (ml, run) => ml.Generative.TabularGan(
                new() { Epochs = 4, Seed = 1, Device = run.Device, Progress = run }).Fit(table)),
            Check("GPT", onCpu, texts, (ml, run) => ml.Generative.Gpt(new()
            {
                Layers = 2, Width = 64, Heads = 4, ContextLength = 32, Steps = 150, Seed = 1, ScoreColumnName = "Score",
                Generation = new() { MaxNewTokens = 16, Temperature = 0 }, Device = run.Device, Progress = run,
            }).Fit(texts)),
            Check("LSTM of text", onCpu, texts, (ml, run) => ml.Generative.RecurrentLanguageModel(new()
            {
                Width = 64, WindowLength = 32, Steps = 150, Seed = 1, ScoreColumnName = "Score",
                Generation = new() { MaxNewTokens = 16, Temperature = 0 }, Device = run.Device, Progress = run,
            }).Fit(texts)),
            Check("BERT", onCpu, texts, (ml, run) => ml.Generative.MaskedLanguageModel(new()
            {
                Layers = 2, Width = 64, ContextLength = 32, Steps = 150, Seed = 1, ScoreColumnName = "Score",
                EmbeddingColumnName = "Embedding", Device = run.Device, Progress = run,
            }).Fit(texts)),
            Check("sequence to sequence", onCpu, others, (ml, run) => ml.Generative.SequenceToSequence(new()
            {
                Width = 32, Heads = 2, Steps = 100, Seed = 1, ScoreColumnName = "Score", Device = run.Device, Progress = run,
            }).Fit(others)),
            Check("sequence autoencoder", onCpu, vectors, (ml, run) => ml.AnomalyDetection.Trainers.SequenceAutoencoder(new()
            {
                Epochs = 4, Seed = 1, Device = run.Device, Progress = run,
            }).Fit(vectors)),
            Check("autoregressive series", onCpu, vectors, (ml, run) => ml.Generative.AutoregressiveSeries(new()
            {
                Epochs = 4, Seed = 1, Device = run.Device, Progress = run,
            }).Fit(vectors)),
            Check("Sketch-RNN", onCpu, others, (ml, run) => ml.Generative.SketchRnn(new()
            {
                EncoderWidth = 32, DecoderWidth = 32, LatentDimension = 8, Steps = 100, Seed = 1, ScoreColumnName = "Score",
                Device = run.Device, Progress = run,
            }).Fit(others)),
            Check("Coconet", onCpu, others, (ml, run) => ml.Generative.Coconet(new()
            {
                Window = 8, Width = 32, Steps = 100, Seed = 1, ScoreColumnName = "Score", GibbsSteps = 8, Temperature = 0.1,
                Device = run.Device, Progress = run,
            }).Fit(others)),
            Check("WaveNet", onCpu, sounds.Rows, (ml, run) => ml.Generative.WaveNet(new()
            {
                Layers = 4, Cycles = 1, ResidualChannels = 16, SkipChannels = 16, WindowLength = 128, Steps = 100, Seed = 1,
                GeneratedSamples = 10, Temperature = 0.1, Device = run.Device, Progress = run,
            }).Fit(sounds.Rows)),
            Check(SpectrogramFamily, onCpu, sounds.Rows, (ml, run) => ml.Generative.WaveNet(new()
            {
                Layers = 4, Cycles = 1, ResidualChannels = 16, SkipChannels = 16, WindowLength = 128, Steps = 100, Seed = 1,
                SpectrogramBands = 8, SpectrogramHop = 32, Temperature = 0.1, ScoreColumnName = "Score", Device = run.Device, Progress = run,
            }).Fit(sounds.Rows)),
            Check("GPT of words", onCpu, texts, (ml, run) => ml.Generative.Gpt(new()
            {
                Layers = 2, Width = 64, Heads = 4, ContextLength = 16, WordVocabulary = 300, Steps = 100, Seed = 1, ScoreColumnName = "Score",
                GradientCheckpointing = true, Generation = new() { MaxNewTokens = 8, Temperature = 0 }, Device = run.Device, Progress = run,
            }).Fit(texts)),
            Check("text classifier", onCpu, texts, (ml, run) => ml.MulticlassClassification.Trainers.TextClassifier(new()
            {
                Encoder = ml.Generative.MaskedLanguageModel(new()
                {
                    Layers = 1, Width = 32, ContextLength = 32, Steps = 20, Seed = 1, Device = run.Device,
                }).Fit(texts),
                Epochs = 1, Seed = 1, Device = run.Device, Progress = run,
            }).Fit(texts)),
            Check("diffusion", onCpu, vectors, (ml, run) => ml.Generative.Diffusion(
                new() { Epochs = 4, Seed = 1, Device = run.Device, Progress = run }).Fit(vectors)),
            Check("normalizing flow", onCpu, vectors, (ml, run) => ml.Generative.NormalizingFlow(
                new() { Epochs = 4, Seed = 1, ScoreColumnName = "Score", Device = run.Device, Progress = run }).Fit(vectors)),
            Check("Gaussian mixture", onCpu, vectors, (ml, run) => ml.Generative.GaussianMixture(
                new() { Components = 3, Epochs = 8, Seed = 1, ScoreColumnName = "Score", Device = run.Device, Progress = run }).Fit(vectors)),
            Check("RBM", onCpu, images, (ml, run) => ml.Generative.RestrictedBoltzmannMachine(
                new() { HiddenUnits = 16, Epochs = 8, SampleSteps = 5, Seed = 1, Device = run.Device, Progress = run }).Fit(images)),
            Check("deep belief network", onCpu, images, (ml, run) => ml.Generative.DeepBeliefNetwork(
                new() { HiddenLayers = [16, 8], Epochs = 8, SampleSteps = 5, Seed = 1, Device = run.Device, Progress = run }).Fit(images)),
            Check("image VAE", onCpu, images, (ml, run) => ml.Generative.ImageVae(new()
            {
                ImageShape = shape, Channels = [8, 16], Epochs = 4, Seed = 1, ScoreColumnName = "Score", Device = run.Device, Progress = run,
            }).Fit(images)),
            Check("image autoencoder", onCpu, images, (ml, run) => ml.AnomalyDetection.Trainers.ImageAutoencoder(new()
            {
                ImageShape = shape, Channels = [8, 16], Epochs = 4, Seed = 1, Device = run.Device, Progress = run,
            }).Fit(images)),
            Check("image diffusion", onCpu, images, (ml, run) => ml.Generative.ImageDiffusion(new()
            {
                ImageShape = shape, Channels = 8, Epochs = 2, Sampling = new() { Steps = 5 }, Seed = 1, Device = run.Device, Progress = run,
            }).Fit(images)),
            .. Enum.GetValues<ImageGanArchitecture>().Select(architecture => Check(
                $"image GAN, {architecture}", onCpu, images, (ml, run) => ml.Generative.ImageGan(new()
                {
                    ImageShape = shape, Architecture = architecture, Channels = [16, 8], NoiseDimension = 8, Epochs = 2, Seed = 1,
                    Device = run.Device, Progress = run,
                }).Fit(images))),
            Check("CycleGAN", onCpu, images, (ml, run) => ml.Generative.CycleGan(new()
            {
                ImageShape = shape, Channels = [8, 16], ResidualBlocks = 1, DiscriminatorChannels = [8], Epochs = 1, Seed = 1,
                Device = run.Device, Progress = run,
            }).Fit(images)),
            Check("image discriminator", onCpu, images, (ml, run) => ml.MulticlassClassification.Trainers.ImageDiscriminator(new()
            {
                ImageShape = shape, Channels = [8], FeatureWidth = 16, Epochs = 2, Seed = 1, Device = run.Device, Progress = run,
            }).Fit(images)),
            Check("SPIRAL", onCpu, images, (ml, run) => ml.Generative.Spiral(new()
            {
                ImageColumnName = "Features", ImageShape = shape, Strokes = 3, Channels = 8, HiddenWidth = 16, DiscriminatorChannels = 4,
                BatchSize = 16, Steps = 10, Seed = 1, StrokesColumnName = null, Device = run.Device, Progress = run,
            }).Fit(images)),
        ];
        return [.. results.OfType<FamilyResult>()];

        FamilyResult? Check(string family, bool onCpu, IDataView rows, Func<MLContext, Run, ITransformer> train) =>
            isWanted(family) ? Families.Check(family, onCpu, rows, train) : null;
    }

    private static FamilyResult Check(
        string family, bool onCpu, IDataView rows, Func<MLContext, Run, ITransformer> train)
    {
        Console.Error.WriteLine($"{family}…");
        var result = new FamilyResult(family, double.NaN, double.NaN, double.NaN, double.NaN, double.NaN, null);
        try
        {
            var clock = Stopwatch.StartNew();
            Run device = new(onCpu ? ComputeDevice.Cpu : ComputeDevice.Cuda(0)), cpu = new(ComputeDevice.Cpu);
            ITransformer trained = train(new MLContext(), device);
            result = result with { Seconds = clock.Elapsed.TotalSeconds, Loss = device.Loss };
            (train(new MLContext(), cpu) as IDisposable)?.Dispose();
            result = result with { CpuLoss = cpu.Loss };

            using var saved = new MemoryStream();
            new MLContext().Model.Save(trained, rows.Schema, saved);
            (trained as IDisposable)?.Dispose();
            ITransformer onDevice = new MLContext { GpuDeviceId = onCpu ? null : 0 }.Model.Load(saved, out _);
            ITransformer onHost = new MLContext { GpuDeviceId = null }.Model.Load(saved, out _);
            bool isFollower = family == SpectrogramFamily;
            List<object> theirs = Output(onDevice, rows, isFollower), expected = Output(onHost, rows, isFollower);
            result = result with
            {
                Scores = Difference(onDevice, onHost, rows), Generated = Agreement(theirs, expected),
            };
            // What is drawn step by step goes a way of its own after the smallest difference; drawings are written to the
            // last digit.
            double least = family switch
            {
                "Sketch-RNN" or "autoregressive series" => 0,
                "GPT" or "GPT of words" or "LSTM of text" or "sequence to sequence" or "Coconet" or "WaveNet" or SpectrogramFamily => LeastTextShare,
                _ => LeastShare,
            };
            return result switch
            {
                { Scores: > SameScore } => result with { Error = "scores differ" },
                _ when result.Generated < least => result with { Error = "generated values differ" },
                _ when !double.IsFinite(result.Loss) => result with { Error = "no loss" },
                // Two networks that play against each other go ways of their own after the smallest difference.
                _ when !family.Contains("GAN", StringComparison.Ordinal) && family != "SPIRAL"
                    && Math.Abs(result.Loss - result.CpuLoss) > SameLoss * Math.Abs(result.CpuLoss)
                    => result with { Error = "trained otherwise" },
                _ => result,
            };
        }
        catch (Exception e)
        {
            return result with { Error = $"{e.GetType().Name}: {e.Message}" };
        }
    }

    /// <summary>
    /// What a model generates: rows of its own, the continuation of each text, translations, or a sound anew. The
    /// static type of a loaded model tells nothing, and the types that can generate are several.
    /// </summary>
    private static List<object> Output(ITransformer model, IDataView rows, bool isFollower)
    {
        if (model.GetOutputSchema(rows.Schema).GetColumnOrNull("GeneratedText") is not null)
        {
            IDataView some = new MLContext().Data.TakeRows(rows, 50);
            return [.. model.Transform(some).GetColumn<string>("GeneratedText")];
        }
        if (model.GetOutputSchema(rows.Schema).GetColumnOrNull("Translation") is not null)
            return [.. model.Transform(rows).GetColumn<float[]>("Translation").SelectMany(v => v).Cast<object>()];
        if (isFollower)
        {
            float[] tone = [.. Enumerable.Range(0, 200).Select(t => 0.7f * MathF.Sin(t * 0.3f))];
            return [.. ((WaveNetTransformer)model).Resynthesize(new SoundClip(tone, 8000)).Samples.ToArray().Cast<object>()];
        }
        if (model is not IDataGenerator generator)
            return [];
        IDataView output = generator.Generate(1000, seed: 7);
        var values = new List<object>();
        foreach (DataViewSchema.Column column in output.Schema)
        {
            values.AddRange(column.Type switch
            {
                VectorDataViewType => output.GetColumn<float[]>(column.Name).SelectMany(v => v).Cast<object>(),
                TextDataViewType => output.GetColumn<string>(column.Name),
                _ when column.Type.RawType == typeof(float) => output.GetColumn<float>(column.Name).Cast<object>(),
                _ => output.GetColumn<int>(column.Name).Cast<object>(),
            });
        }
        return values;
    }

    private static double Difference(ITransformer one, ITransformer other, IDataView rows)
    {
        if (one.GetOutputSchema(rows.Schema).GetColumnOrNull("Score") is not DataViewSchema.Column score)
            return 0;
        float[] first = Scores(one), second = Scores(other);
        double usual = second.Average(Math.Abs);
        return first.Zip(second, (a, b) => Math.Abs(a - b) / Math.Max(Math.Abs(b), usual)).Max();

        float[] Scores(ITransformer model) => score.Type is VectorDataViewType
            ? [.. model.Transform(rows).GetColumn<float[]>("Score").SelectMany(v => v)]
            : [.. model.Transform(rows).GetColumn<float>("Score")];
    }

    private static double Agreement(List<object> one, List<object> other) => one.Count != other.Count ? 0
        : one.Count == 0 ? 1
        : one.Zip(other, (a, b) => a is float x && b is float y
            ? Math.Abs(x - y) <= SameValue * Math.Max(1, Math.Abs(y)) || (float.IsNaN(x) && float.IsNaN(y))
            : a.Equals(b)).Average(same => same ? 1.0 : 0);

    // Sixteen columns that hang together by three causes.
    private static IDataView Vectors()
    {
        Random random = new(1);
        return new MLContext().Data.LoadFromEnumerable(Enumerable.Range(0, Rows).Select(_ =>
        {
            double a = random.NextDouble(), b = random.NextDouble(), c = random.NextDouble();
            return new VectorRow
            {
                Features =
                [
                    .. Enumerable.Range(0, 16).Select(i =>
                        (float)(Math.Sin(i + 3 * a) + b * i / 8 - c * (i % 3) + 0.05 * random.NextDouble())),
                ],
            };
        }).ToArray());
    }

    // Bright squares in two halves of a picture, those of every other row with stripes.
    private static IDataView Images()
    {
        Random random = new(5);
        ImageRow[] rows = [.. Enumerable.Range(0, Rows / 4).Select(row =>
        {
            int x = random.Next(Side - 3), y = random.Next(Side - 3);
            return new ImageRow
            {
                Domain = row % 2 == 1, Class = row % 2 == 1 ? "striped" : "plain",
                Features = [.. Enumerable.Range(0, Side * Side).Select(i =>
                    i % Side - x is >= 0 and < 3 && i / Side - y is >= 0 and < 3 ? 1 : row % 2 == 1 && i % 2 == 0 ? 0.4f : 0.1f * random.NextSingle())],
            };
        })];
        var ml = new MLContext();
        IDataView view = ml.Data.LoadFromEnumerable(rows);
        return ml.Transforms.Conversion.MapValueToKey("Label", "Class").Fit(view).Transform(view);
    }

    private static IDataView Table()
    {
        Random random = new(2);
        return new MLContext().Data.LoadFromEnumerable(Enumerable.Range(0, Rows).Select(_ =>
        {
            int kind = random.Next(3);
            return new TableRow
            {
                Kind = s_words[kind], Size = 10 * kind + random.Next(10), Weight = kind + random.NextSingle(),
            };
        }).ToArray());
    }

    private static IDataView Texts()
    {
        Random random = new(3);
        var ml = new MLContext();
        IDataView view = ml.Data.LoadFromEnumerable(Enumerable.Range(0, Rows).Select(_ =>
        {
            int color = random.Next(3), thing = random.Next(2);
            return new TextRow
            {
                Text = $"{s_words[color]} {s_words[3 + thing]} {s_words[5 + thing]} {s_words[7]} and {s_words[color]}",
                Class = s_words[color],
            };
        }).ToArray());
        return ml.Transforms.Conversion.MapValueToKey("Label", "Class").Fit(view).Transform(view);
    }

    // A source and a target, a drawing, and a piece of two voices.
    private static IDataView Others()
    {
        Random random = new(4);
        return new MLContext().Data.LoadFromEnumerable(Enumerable.Range(0, Rows / 4).Select(_ =>
        {
            int first = random.Next(8), second = random.Next(8), size = random.Next(5, 15), pitch = random.Next(60, 67);
            return new OtherRow
            {
                Source = $"{s_words[first]} {s_words[second]}", Target = $"{s_words[second]} {s_words[first]}",
                Drawing = $"0,0,0 {size},0,0 0,{size},0 {-size},0,{random.Next(2)} 3,{random.Next(5)},1",
                Music = string.Join(' ', Enumerable.Range(0, 10).Select(step => $"{pitch + step % 3},{pitch - 7 + step % 3}")),
            };
        }).ToArray());
    }

    /// <summary>A folder of short tones, as long as it is needed.</summary>
    private sealed class SoundFolder : IDisposable
    {
        private readonly string _folder = Directory.CreateTempSubdirectory("generativeml-sounds-").FullName;

        public SoundFolder()
        {
            for (int i = 0; i < 20; i++)
            {
                new SoundClip([.. Enumerable.Range(0, 400 + 10 * i).Select(t => 0.7f * MathF.Sin(t * (0.2f + 0.02f * i)))], 8000)
                    .SaveWav(Path.Combine(_folder, $"{i}.wav"));
            }
            Rows = new MLContext().Data.LoadFromEnumerable(
                Enumerable.Range(0, 20).Select(i => new SoundRow { Path = Path.Combine(_folder, $"{i}.wav") }).ToArray());
        }

        public IDataView Rows { get; }

        public void Dispose() => Directory.Delete(_folder, recursive: true);
    }

    /// <summary>A training: where it runs, and its mean loss, whenever reports came.</summary>
    private sealed class Run(ComputeDevice device) : IProgress<TrainingProgress>
    {
        private double _sum;
        private long _steps;

        public ComputeDevice Device { get; } = device;

        public double Loss => _sum / _steps;

        public void Report(TrainingProgress value)
        {
            if (value.Step > _steps)
                _sum += value.Losses.Values.First() * (value.Step - _steps);
            _steps = value.Step;
        }
    }

    private sealed class VectorRow
    {
        [VectorType(16)]
        public float[] Features { get; set; } = [];
    }

    private sealed class TableRow
    {
        public string Kind { get; set; } = "";

        public int Size { get; set; }

        public float Weight { get; set; }
    }

    private sealed class OtherRow
    {
        public string Source { get; set; } = "";

        public string Target { get; set; } = "";

        public string Drawing { get; set; } = "";

        public string Music { get; set; } = "";
    }

    private sealed class SoundRow
    {
        public string Path { get; set; } = "";
    }

    private sealed class TextRow
    {
        public string Text { get; set; } = "";

        public string Class { get; set; } = "";
    }

    private sealed class ImageRow
    {
        [VectorType(Side * Side)]
        public float[] Features { get; set; } = [];

        public bool Domain { get; set; }

        public string Class { get; set; } = "";
    }
}
