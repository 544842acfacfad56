using System.Diagnostics;
using Microsoft.ML;
using Microsoft.ML.Data;
using TorchSharp;

namespace GenerativeML.GpuCheck;

/// <summary>A network and how it is trained: what ours, stock TorchSharp and PyTorch each do once.</summary>
internal sealed record Work
{
    public required string Name { get; init; }

    /// <summary>gpt, vae (784-400-20, Bernoulli) or gan (Wasserstein with gradient penalty, 8-128-128-2).</summary>
    public required string Kind { get; init; }

    /// <summary>float32, tf32 or bf16.</summary>
    public required string Precision { get; init; }

    public required int Batch { get; init; }

    public required int Steps { get; init; }

    public int Layers { get; init; }

    public int Heads { get; init; }

    public int Width { get; init; }

    public int Context { get; init; }

    public int Vocabulary { get; init; }

    /// <summary>Steps that warm up and are not timed.</summary>
    public int Skipped => Steps / 3;

    /// <summary>What is measured on a GPU, and what is small enough for a CPU and takes the same ways.</summary>
    public static IReadOnlyList<Work> All(bool onCpu)
    {
        Work gpt2 = new()
        {
            Name = "GPT-2 124M, context 1024, batch 8", Kind = "gpt", Precision = "bf16", Batch = 8, Steps = 30,
            Layers = 12, Heads = 12, Width = 768, Context = 1024, Vocabulary = 50_304,
        };
        Work small = new()
        {
            Name = "GPT 6 × 384, context 256, batch 32", Kind = "gpt", Precision = "tf32", Batch = 32, Steps = 60,
            Layers = 6, Heads = 6, Width = 384, Context = 256, Vocabulary = 256,
        };
        Work vae = new()
        {
            Name = "VAE 784-400-20, batch 128", Kind = "vae", Precision = "tf32", Batch = 128, Steps = 600,
        };
        Work gan = vae with { Name = "WGAN-GP 128-128, batch 128", Kind = "gan" };
        return onCpu
            ?
            [
                small with
                {
                    Name = "GPT 2 × 64, context 64, batch 4", Precision = "float32", Batch = 4, Steps = 30,
                    Layers = 2, Heads = 2, Width = 64, Context = 64,
                },
                vae with { Steps = 60, Precision = "float32" }, gan with { Steps = 60, Precision = "float32" },
            ]
            : [gpt2, gpt2 with { Precision = "tf32" }, small, vae, gan];
    }
}

/// <summary>What a measurement found.</summary>
/// <param name="Work">The work's name and precision.</param>
/// <param name="Engine">ours, stock, eager or compile.</param>
/// <param name="Milliseconds">A training step's.</param>
/// <param name="Loss">The last step's, so that equal work can be told from less.</param>
/// <param name="Megabytes">The most memory: of the device, or on the CPU of the process.</param>
/// <param name="Error">What went wrong, or null.</param>
internal sealed record Timing(
    string Work, string Engine, double Milliseconds, double Loss, long Megabytes, string? Error = null);

/// <summary>This package's training steps, through its trainers as users call them.</summary>
internal static class Steps
{
    /// <summary>Trains, and times the steps after the first third.</summary>
    public static Timing Ours(Work work, bool onCpu)
    {
        if (work.Precision == "tf32")
            torch.backends.cuda.matmul.allow_tf32 = true;
        var ml = new MLContext();
        var clock = new Clock(work.Skipped);
        ComputeDevice device = onCpu ? ComputeDevice.Cpu : ComputeDevice.Cuda(0);
        Precision precision = work.Precision == "bf16" ? Precision.BFloat16 : Precision.Float32;
        ITransformer model = work.Kind switch
        {
            "gpt" => ml.Generative.Gpt(new()
            {
                Layers = work.Layers, Heads = work.Heads, Width = work.Width, ContextLength = work.Context,
                Biases = true, Gelu = GeluForm.Tanh, Tokenizer = new ByteTokenizer(), VocabularySize = work.Vocabulary,
                JoinRows = true, Optimizer = LanguageModelOptimizer.AdamW, LearningRate = 1e-4, BatchSize = work.Batch,
                Steps = work.Steps, Seed = 1, Precision = precision, Device = device, Progress = clock,
            }).Fit(Letters(ml)),
            "vae" => ml.Generative.Vae(new()
            {
                Likelihood = VaeLikelihood.Bernoulli, HiddenLayers = [400], LatentDimension = 20,
                Activation = Activation.Relu, LearningRate = 1e-3, WeightAverageDecay = 0, BatchSize = work.Batch,
                Epochs = work.Steps / 10, Seed = 1, Precision = precision, Device = device, Progress = clock,
            }).Fit(Images(ml, 10 * work.Batch)),
            _ => ml.Generative.Gan(new()
            {
                Objective = GanObjective.WassersteinGradientPenalty, NoiseDimension = 8,
                DiscriminatorStepsPerGeneratorStep = 3, LearningRate = 1e-3, BatchSize = work.Batch, Stages = 1,
                Epochs = work.Steps / 10, Seed = 1, Precision = precision, Device = device, Progress = clock,
            }).Fit(Ring(ml, 10 * work.Batch)),
        };
        (model as IDisposable)?.Dispose();
        return new(work.Name, "ours", clock.MillisecondsPerStep, clock.Loss, Stock.ProcessMegabytes(onCpu));
    }

    private static IDataView Letters(MLContext ml)
    {
        Random random = new(1);
        return ml.Data.LoadFromEnumerable(Enumerable.Range(0, 400).Select(_ => new TextRow
        {
            Text = new string(random.GetItems<char>("abcdefghijklmnopqrstuvwxyz .,\n", 999)),
        }).ToArray());
    }

    private static IDataView Images(MLContext ml, int count)
    {
        Random random = new(1);
        return ml.Data.LoadFromEnumerable(Enumerable.Range(0, count).Select(_ =>
        {
            double share = random.NextDouble();
            return new Image
            {
                Features = [.. Enumerable.Range(0, 784).Select(_ => random.NextDouble() < share ? 1f : 0)],
            };
        }).ToArray());
    }

    private static IDataView Ring(MLContext ml, int count)
    {
        Random random = new(1);
        return ml.Data.LoadFromEnumerable(Enumerable.Range(0, count).Select(_ =>
        {
            (double y, double x) = Math.SinCos(random.Next(8) * Math.PI / 4);
            return new Point
            {
                Features = [(float)(x + 0.05 * random.NextDouble()), (float)(y + 0.05 * random.NextDouble())],
            };
        }).ToArray());
    }

    /// <summary>Reads the time of steps off the trainer's own reports.</summary>
    private sealed class Clock(int skipped) : IProgress<TrainingProgress>
    {
        private readonly Stopwatch _watch = Stopwatch.StartNew();
        private (long Step, TimeSpan At) _first, _last;

        public double Loss { get; private set; } = double.NaN;

        public double MillisecondsPerStep => (_last.At - _first.At).TotalMilliseconds / (_last.Step - _first.Step);

        public void Report(TrainingProgress value)
        {
            if (value.Step == _last.Step)
                return;
            _last = (value.Step, _watch.Elapsed);
            if (_first == default && value.Step >= skipped)
                _first = _last;
            Loss = value.Losses.Values.FirstOrDefault(Loss);
        }
    }

    private sealed class TextRow
    {
        public string Text { get; set; } = "";
    }

    private sealed class Image
    {
        [VectorType(784)]
        public float[] Features { get; set; } = [];
    }

    private sealed class Point
    {
        [VectorType(2)]
        public float[] Features { get; set; } = [];
    }
}
