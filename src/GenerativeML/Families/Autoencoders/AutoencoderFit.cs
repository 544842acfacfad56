using TorchSharp;

namespace GenerativeML;

/// <summary>
/// Trains an autoencoder: settles the defaults, runs the loop, stores rows, and calibrates the score.
/// </summary>
internal static class AutoencoderFit
{
    private const int DefaultHidden = 128;
    private const int DefaultBatch = 128;
    private const double DefaultRate = 2e-3;
    private const double DefaultDecay = 1e-4;

    // Small networks on tables have learned what they can after some 1000 steps; a large table is read twice at least.
    private const long PresentedRows = 128_000;
    private const int LeastEpochs = 2;
    private const int MostEpochs = 1000;

    /// <summary>
    /// Stored rows are among so many, and the medians and quantiles of training scores are taken over them.
    /// </summary>
    public const int CalibrationRows = 10_000;

    // They are held in memory, so there are fewer where rows are very wide.
    private const int CalibrationValues = 1 << 27;

    /// <summary>Trains on a source with one Single field.</summary>
    public static TrainedAutoencoder Fit(
        IRowSource source, AutoencoderOptions options, AutoencoderUse use, TrainingContext context)
    {
        torch.Device device = TorchRuntime.Resolve(context.Device, context.FallbackToCpu);
        int width = source.Fields[0].Width;
        if (width > AutoencoderShape.MostInputs)
            throw new InvalidOperationException(
                $"Column '{source.Fields[0].Name}' has {width} slots; an autoencoder takes at most {AutoencoderShape.MostInputs}.");
        var detector = use == AutoencoderUse.Detect ? options as AutoencoderDetectorOptions : null;
        var moments = new ColumnMoments(0, width);
        int sampled = Math.Clamp(CalibrationValues / width, 1, CalibrationRows);
        var sample = new RowSample(0, width, sampled, context.Seed);
        using DisposeScope scope = torch.NewDisposeScope();
        using TrainingData data = TrainingData.Prepare(
            source, options, context.Seed, device, detector is null ? [moments] : [moments, sample]);

        AutoencoderShape shape = ShapeOf(
            options, use, width, detector is null ? 0 : Math.Min(detector.MemoryRows, sample.Count));
        using var random = new SeededRandom(device, SplitMix64.Derive(context.Seed, RandomPurpose.Initialization));
        bool bfloat16 = PrecisionChoice.UseBFloat16(
            options.Precision, device, shape.HiddenLayers.Append(shape.LatentDimension).Max());
        using AutoencoderModel model = new AutoencoderModel(shape, bfloat16, random).OutliveScope();
        model.SetScale(moments);
        TrainingRun run = RunOf(options, shape, use, bfloat16, context, data);
        using var training = new AutoencoderTraining(
            model);
        TrainingLoop.Run(training, data, run, device);
        HostWeights weights = model.ToHost();
        float threshold = detector is null
            ? float.PositiveInfinity
            : AutoencoderCalibration.Run(shape, weights, sample, detector.Contamination, context.Seed);
        return new TrainedAutoencoder(
            shape, weights, threshold,
            device.type == DeviceType.CPU ? null : new DeviceAutoencoder(shape, weights, device));
    }

    private static AutoencoderShape ShapeOf(AutoencoderOptions options, AutoencoderUse use, int width, int memoryRows)
    {
        IReadOnlyList<int> hidden = options.HiddenLayers ?? [DefaultHidden];
        int latent = options.LatentDimension ?? (use == AutoencoderUse.Encode
            ? Math.Clamp((width + 3) / 4, 2, 32)
            : hidden.Count > 0 ? hidden[^1] : DefaultHidden);
        return new AutoencoderShape
        {
            InputWidth = width,
            HiddenLayers = [.. hidden],
            LatentDimension = latent,
            Members = options.Members ?? (use == AutoencoderUse.Detect ? 2 : 1),
            Activation = options.Activation,
            Dropout = options.Dropout,
            BatchNormalization = options.BatchNormalization,
            Noise = use switch
            {
                AutoencoderUse.Detect => Levels(options.InputNoise ?? 1.5, options.InputMasking ?? 0.8),
                AutoencoderUse.Denoise => Fixed(options.InputNoise ?? 0.5, options.InputMasking ?? 0),
                _ => Fixed(options.InputNoise ?? 0.1, options.InputMasking ?? 0),
            },
            MemoryRows = memoryRows,
        };

        static NoiseLevels Levels(double high, double masked) =>
            high > 0 ? new(high / 15, high, high / 7.5, masked) : Fixed(0, masked);

        static NoiseLevels Fixed(double level, double masked) => new(level, level, level, masked);
    }

    private static TrainingRun RunOf(
        AutoencoderOptions options, AutoencoderShape shape, AutoencoderUse use, bool bfloat16, TrainingContext context,
        TrainingData data)
    {
        int batch = (int)Math.Min(options.BatchSize ?? DefaultBatch, data.TrainingRows);
        double rate = options.LearningRate ?? DefaultRate;
        double decay = options.WeightDecay ?? DefaultDecay;
        int epochs = options.Epochs ?? data.EpochsFor(PresentedRows, LeastEpochs, MostEpochs);
        return TrainingRun.Of(
            options, context, batch, epochs, rate, decay, ("family", "autoencoder"), ("use", use), ("shape", shape),
            ("bfloat16", bfloat16));
    }
}
