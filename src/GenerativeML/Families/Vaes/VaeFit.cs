using TorchSharp;

namespace GenerativeML;

/// <summary>Trains a VAE: settles the defaults, runs the loop, and finds the threshold of a detector.</summary>
internal static class VaeFit
{
    private const int DefaultBatch = 128;
    private const double DefaultRate = 1e-3;
    private const double DefaultDecay = 1e-4;
    private const int LeastHidden = 128, MostHidden = 512;
    private const int LeastLatent = 2, MostLatent = 32;

    // Some 2000 steps for a small table; a large one is read ten times at least.
    private const long PresentedRows = 256_000;
    private const int LeastEpochs = 10;
    private const int MostEpochs = 1000;

    // Rows that the score is calibrated by are held in memory, so there are fewer where they are very wide.
    private const int CalibrationValues = 1 << 27;

    /// <summary>
    /// Trains on a source of Single fields: the first is modelled, the others are conditions.
    /// </summary>
    /// <param name="source">The training rows.</param>
    /// <param name="options">The options; those of a detector ask for a threshold.</param>
    /// <param name="context">Seed and device.</param>
    /// <param name="epochEnded">Called after each epoch, with the model as it would be if training ended there.</param>
    /// <exception cref="InvalidOperationException">The rows do not fit the options; the message says why.</exception>
    public static TrainedVae Fit(
        IRowSource source, VaeOptions options, TrainingContext context, Action<VaeModel>? epochEnded = null)
    {
        torch.Device device = TorchRuntime.Resolve(context.Device, context.FallbackToCpu);
        CheckWidths(source.Fields, options);
        int width = source.Fields[0].Width;
        var detector = options as VaeDetectorOptions;
        ColumnMoments[] moments = [.. source.Fields.Select((f, i) => new ColumnMoments(i, f.Width))];
        var binary = new BinarySlots(0, width);
        bool calibrated = detector is not null || options.Score == VaeScore.Novelty;
        int sampled = Math.Clamp(
            CalibrationValues / source.Fields.Sum(f => f.Width), 1, VaeCalibration.MostRows);
        // The samples of all fields are of the same rows: they draw the same numbers.
        RowSample[] samples = [.. source.Fields.Select((f, i) => new RowSample(i, f.Width, sampled, context.Seed))];
        IEnumerable<IRowObserver> sampling = samples.Skip(calibrated ? 0 : 1);

        using DisposeScope scope = torch.NewDisposeScope();
        using TrainingData data = TrainingData.Prepare(
            source, options, context.Seed, device, [.. moments, binary, .. sampling]);
        bool[] isBernoulli = Bernoulli(source.Fields[0], options, moments[0], binary);
        VaeShape shape = ShapeOf(source.Fields, options, isBernoulli, samples, context.Seed);
        using var random = new SeededRandom(device, SplitMix64.Derive(context.Seed, RandomPurpose.Initialization));
        bool bfloat16 = PrecisionChoice.UseBFloat16(
            options.Precision, device, shape.HiddenLayers.Append(shape.LatentDimension).Max());
        using VaeModel model = new VaeModel(shape, bfloat16, random).OutliveScope();
        model.SetInput(moments[0], isBernoulli, [.. Enumerable.Range(0, width).Select(j => binary[j])]);
        model.Conditions.Set(moments[1..], samples[1..]);
        Train(model, options, bfloat16, context, data, random, device, epochEnded);
        if (model.Novelty is not null)
            new VaeCalibration(model, samples, device).Weigh();
        HostWeights weights = model.ToHost();
        float threshold = detector is null
            ? float.PositiveInfinity
            : VaeCalibration.Threshold(new VaeScorer(shape, weights), samples, detector.Contamination);
        return new TrainedVae(
            shape, weights, threshold,
            device.type == DeviceType.CPU ? null : new DeviceVae(shape, weights, device));
    }

    private static void Train(
        VaeModel model, VaeOptions options, bool bfloat16, TrainingContext context, TrainingData data,
        SeededRandom random, torch.Device device, Action<VaeModel>? epochEnded)
    {
        VaeNetwork? average = options.WeightAverageDecay > 0
            ? new VaeNetwork(model.Shape, bfloat16, random).OutliveScope()
            : null;
        TrainingRun run = RunOf(options, model.Shape, bfloat16, context, data);
        using var training = new VaeTraining(
            model, options, average)
        {
            EpochSteps = data.BatchesPerEpoch(run.BatchSize),
            EpochEnded = epochEnded,
        };
        TrainingLoop.Run(training, data, run, device);
        training.Finish();
        model.eval();
    }

    private static VaeShape ShapeOf(
        IReadOnlyList<RowField> fields, VaeOptions options, bool[] isBernoulli, RowSample[] samples, int seed)
    {
        int width = fields[0].Width;
        int hidden = Math.Clamp(4 * width, LeastHidden, MostHidden);
        return new VaeShape
        {
            InputWidth = width,
            ConditionWidths = [.. fields.Skip(1).Select(f => f.Width)],
            ConditionRows = fields.Count > 1 ? samples[1].Count : 0,
            HiddenLayers = [.. options.HiddenLayers ?? [hidden, hidden]],
            LatentDimension = options.LatentDimension ?? Math.Clamp(width, LeastLatent, MostLatent),
            Activation = options.Activation,
            BernoulliSlots = isBernoulli.Count(b => b),
            Score = options.Score,
            // A stored row that is near says nothing where it has other labels.
            MemoryRows = options is VaeDetectorOptions { Score: VaeScore.Novelty } detector && fields.Count == 1
                ? Math.Min(detector.MemoryRows, samples[0].Count)
                : 0,
            ScoreSamples = options.ScoreSamples,
            Seed = seed,
        };
    }

    private static TrainingRun RunOf(
        VaeOptions options, VaeShape shape, bool bfloat16, TrainingContext context, TrainingData data)
    {
        int batch = (int)Math.Min(options.BatchSize ?? DefaultBatch, data.TrainingRows);
        double rate = options.LearningRate ?? DefaultRate;
        double decay = options.WeightDecay ?? DefaultDecay;
        int epochs = options.Epochs ?? data.EpochsFor(PresentedRows, LeastEpochs, MostEpochs);
        return TrainingRun.Of(
            options, context, batch, epochs, rate, decay, ("family", "vae"), ("shape", shape), ("bfloat16", bfloat16));
    }

    private static void CheckWidths(IReadOnlyList<RowField> fields, VaeOptions options)
    {
        RowField input = fields[0];
        long width = fields.Sum(f => (long)f.Width);
        if (width > VaeShape.MostInputs)
        {
            throw new InvalidOperationException(
                $"Column '{input.Name}' has {width} slots, with those of the conditions; "
                + $"a VAE takes at most {VaeShape.MostInputs}.");
        }
        if (options.ColumnLikelihoods is IReadOnlyList<VaeLikelihood> given && given.Count != input.Width)
        {
            throw new InvalidOperationException(
                $"Option {nameof(options.ColumnLikelihoods)} must have one entry for each of the {input.Width} slots "
                + $"of column '{input.Name}', but has {given.Count}.");
        }
    }

    private static bool[] Bernoulli(RowField field, VaeOptions options, ColumnMoments moments, BinarySlots binary)
    {
        bool[] chosen = new bool[field.Width];
        for (int j = 0; j < chosen.Length; j++)
        {
            VaeLikelihood likelihood = options.ColumnLikelihoods?[j] ?? VaeLikelihood.Auto;
            if (likelihood == VaeLikelihood.Auto)
                likelihood = options.Likelihood;
            (float least, float most) = (moments.Minimum[j], moments.Maximum[j]);
            if (likelihood == VaeLikelihood.Bernoulli && (least < 0 || most > 1))
            {
                throw new InvalidOperationException(FormattableString.Invariant(
                    $"Slot {j} of column '{field.Name}' cannot be Bernoulli: values from 0 to 1 are expected, found {least} to {most}."));
            }
            chosen[j] = likelihood == VaeLikelihood.Bernoulli
                || likelihood == VaeLikelihood.Auto && binary[j] && most > least;
        }
        return chosen;
    }
}
