using System.Text.Json.Nodes;
using Microsoft.ML;

namespace GenerativeML.Benchmarks;

/// <summary>
/// Training on tables of numbers, autoencoders, a VAE, and a Wasserstein GAN with gradient penalty; and on images, a DCGAN.
/// </summary>
internal static class VectorWorks
{
    private const string Features = "Features";
    private const int TableRows = 100_000, TableBatch = 256, Batch = 128;
    private const int VaeSteps = 300, GanSteps = 1500, ImageBatch = 64, ImageSteps = 60;
    private const double AutoencoderRate = 2e-3, AutoencoderDecay = 1e-4, Rate = 1e-3, WarmupShare = 0.05, Clip = 5;
    private const double Floor = 0.01; // where this package's schedules end, in shares of the peak

    /// <summary>All of them.</summary>
    public static IEnumerable<SpeedWork> All(SpeedData data) => [Plain(data), Detector(data), Vae(data), Gan(data), ImageGan(data)];

    private static TrainingWork Plain(SpeedData data)
    {
        const double Noise = 0.1;
        const int Hidden = 128, Latent = 16;
        return new TrainingWork
        {
            Name = "autoencoder",
            Title = "autoencoder 32-128-16-128-32, batch 256, epoch of 100,000 rows with reading them",
            Wanted = TrainingWork.All(1.5),
            TakesAll = true,
            Flops = Flops.Step(TableRows, SpeedData.Columns, Hidden, Latent, Hidden, SpeedData.Columns),
            Fit = (ml, clock) => ml.Generative.AutoencoderFeaturizer("Code", Features, new AutoencoderOptions
            {
                HiddenLayers = [Hidden],
                LatentDimension = Latent,
                Activation = Activation.Relu,
                InputNoise = Noise,
                BatchSize = TableBatch,
                Epochs = 1,
                LearningRate = AutoencoderRate,
                WeightDecay = AutoencoderDecay,
                WarmupFraction = WarmupShare,
                GradientClipNorm = Clip,
                Progress = clock,
            }).Fit(data.View(data.Table(TableRows))).Dispose(),
            Prepare = () => AutoencoderCommand(data, Latent, members: 1, Noise, Noise, masking: 0, "relu"),
        };
    }

    // The defaults, with the noise and masking that they stand for.
    private static TrainingWork Detector(SpeedData data)
    {
        const int Hidden = 128, Members = 2, Inputs = 2 * SpeedData.Columns + 1;
        return new TrainingWork
        {
            Name = "detector",
            Title = "the default detector: two of 65-128-128-128-32, noise and masking, the same epoch",
            Wanted = TrainingWork.All(1.5),
            TakesAll = true,
            Flops = Members * Flops.Step(TableRows, Inputs, Hidden, Hidden, Hidden, SpeedData.Columns),
            Fit = (ml, clock) => ml.AnomalyDetection.Trainers.Autoencoder(new AutoencoderOptions
            {
                BatchSize = TableBatch,
                Epochs = 1,
                Progress = clock,
            }).Fit(data.View(data.Table(TableRows))).Dispose(),
            Prepare = () => AutoencoderCommand(data, Hidden, Members, 0.1, 1.5, masking: 0.8, "silu"),
        };
    }

    private static JsonObject AutoencoderCommand(
        SpeedData data, int latent, int members, double lowNoise, double highNoise, double masking,
        string activation) => new()
        {
            ["work"] = "autoencoder",
            ["data"] = data.RowsFile("table.safetensors", data.Table(TableRows)),
            ["hidden"] = new JsonArray(128),
            ["latent"] = latent,
            ["members"] = members,
            ["low_noise"] = lowNoise,
            ["high_noise"] = highNoise,
            ["masking"] = masking,
            ["activation"] = activation,
            ["batch"] = TableBatch,
            ["steps"] = (TableRows + TableBatch - 1) / TableBatch,
            ["rate"] = AutoencoderRate,
            ["floor"] = Floor,
            ["warmup_steps"] = (int)(WarmupShare * ((TableRows + TableBatch - 1) / TableBatch)),
            ["schedule"] = "cosine",
            ["betas"] = new JsonArray(0.9, 0.999),
            ["decay"] = AutoencoderDecay,
            ["clip"] = Clip,
        };

    private static TrainingWork Vae(SpeedData data)
    {
        const int Hidden = 400, Latent = 20;
        return new TrainingWork
        {
            Name = "vae",
            Title = "VAE 784-400-20 step, batch 128",
            Wanted = TrainingWork.All(1.2),
            // The decoder begins with codes, whose gradient is needed.
            Flops = Flops.Step(Batch, SpeedData.Pixels, Hidden, 2 * Latent)
                + (3 * Flops.Forward(Batch, Latent, Hidden, SpeedData.Pixels)),
            Fit = (ml, clock) => ml.Generative.Vae(new VaeOptions
            {
                Likelihood = VaeLikelihood.Bernoulli,
                HiddenLayers = [Hidden],
                LatentDimension = Latent,
                Activation = Activation.Relu,
                LearningRate = Rate,
                Schedule = LearningRateSchedule.Constant,
                WarmupFraction = 0,
                WeightDecay = 0,
                WeightAverageDecay = 0,
                BatchSize = Batch,
                Epochs = VaeSteps * Batch / data.Images.Length,
                Progress = clock,
            }).Fit(data.View(data.Images)).Dispose(),
            Prepare = () => Command(
                data.RowsFile("images.safetensors", data.Images), "vae", VaeSteps, "constant", 0.9, 0.999,
                new() { ["hidden"] = new JsonArray(Hidden), ["latent"] = Latent }),
        };
    }

    private static TrainingWork Gan(SpeedData data)
    {
        const int Hidden = 128, Noise = 8, Every = 3, Width = 2;
        const double Penalty = 0.1, Average = 0.999;
        int[] generator = [Noise, Hidden, Hidden, Width], critic = [Width, Hidden, Hidden, 1];
        return new TrainingWork
        {
            Name = "wgan-gp",
            Title = "WGAN-GP step, ring, 8-128-128-2 and 2-128-128-1, batch 128, a generator's step in three",
            Wanted = TrainingWork.All(1.2),
            Losses = ["discriminator", "gradient penalty"],
            Flops = Flops.Forward(Batch, generator) + Flops.Step(2 * Batch, critic)
                + Flops.GradientPenalty(Batch, critic)
                + ((Flops.Step(Batch, generator) + (2 * Flops.Forward(Batch, critic))) / Every),
            Fit = (ml, clock) => ml.Generative.Gan(new GanOptions
            {
                Objective = GanObjective.WassersteinGradientPenalty,
                NoiseDimension = Noise,
                GradientPenaltyWeight = Penalty,
                DiscriminatorStepsPerGeneratorStep = Every,
                WeightAverageDecay = Average,
                LearningRate = Rate,
                BatchSize = Batch,
                Epochs = GanSteps * Batch / data.Ring.Length,
                // Comparisons with held-back rows are no part of a step.
                ValidationFraction = 0,
                Stages = 1,
                Progress = clock,
            }).Fit(data.View(data.Ring)).Dispose(),
            Prepare = () => Command(
                data.RowsFile("ring.safetensors", data.Ring), "gan", GanSteps, "cosine", 0, 0.9,
                new()
                {
                    ["hidden"] = new JsonArray(Hidden, Hidden),
                    ["noise"] = Noise,
                    ["critic_steps"] = Every,
                    ["penalty"] = Penalty,
                    ["average_decay"] = Average,
                }),
        };
    }

    // As published: a discriminator with batch normalisation.
    private static TrainingWork ImageGan(SpeedData data)
    {
        const int Side = 28, Noise = 64;
        const double Average = 0.999;
        int[] channels = [32, 64];
        float[][] images = data.Images[..(ImageSteps * ImageBatch)];
        return new TrainingWork
        {
            Name = "image-gan",
            Title = "DCGAN step, 28 × 28, 32 and 64 channels, batch 64",
            Wanted = new Dictionary<string, double> { ["TorchSharp"] = 1.1 },
            HasPython = false,
            Losses = ["discriminator", "generator"],
            Fit = (ml, clock) => ml.Generative.ImageGan(new ImageGanOptions
            {
                FeatureColumnName = Features,
                ImageShape = new(1, Side, Side),
                Channels = channels,
                NoiseDimension = Noise,
                SpectralNormalization = false,
                WeightAverageDecay = Average,
                LearningRate = Rate,
                BatchSize = ImageBatch,
                Epochs = 1,
                ValidationFraction = 0,
                Stages = 1,
                Progress = clock,
            }).Fit(data.View(images)).Dispose(),
            Prepare = () =>
            {
                JsonObject command = Command(
                    data.RowsFile("pictures.safetensors", images), "image-gan", ImageSteps, "cosine", 0.5, 0.999,
                    new()
                    {
                        ["side"] = Side, ["channels"] = new JsonArray([.. channels.Select(c => (JsonNode)c)]), ["noise"] = Noise,
                        ["average_decay"] = Average,
                    });
                command["batch"] = ImageBatch;
                return command;
            },
        };
    }

    // Adam without decay and clipping, as VAEs and GANs are trained.
    private static JsonObject Command(
        string file, string work, int steps, string schedule, double beta1, double beta2, JsonObject own)
    {
        own["work"] = work;
        own["data"] = file;
        own["batch"] = Batch;
        own["steps"] = steps;
        own["skipped"] = steps / 5;
        own["rate"] = Rate;
        own["floor"] = Floor;
        own["warmup_steps"] = 0;
        own["schedule"] = schedule;
        own["betas"] = new JsonArray(beta1, beta2);
        own["decay"] = 0;
        own["clip"] = 0;
        return own;
    }
}
