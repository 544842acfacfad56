using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;

namespace GenerativeML;

/// <summary>What surrounds a run where options leave it open: seed and device, who hears of progress.</summary>
internal sealed record TrainingContext
{
    /// <summary>The seed: the options' own, else the context's, else 0.</summary>
    public required int Seed { get; init; }

    /// <summary>The device: the options' own, else the context's.</summary>
    public required ComputeDevice Device { get; init; }

    /// <summary>Whether the CPU may stand in for a CUDA device that is not there.</summary>
    public required bool FallbackToCpu { get; init; }

    /// <summary>A fingerprint of what numbers in rows stand for: tokens, categories; null where for themselves.</summary>
    public string? Vocabulary { get; init; }

    /// <summary>Hears of progress: the options' own listener and the log.</summary>
    public IProgress<TrainingProgress>? Progress { get; init; }

    /// <summary>The least time between two reports of progress.</summary>
    public TimeSpan ReportInterval { get; init; } = TimeSpan.FromMilliseconds(200);

    /// <summary>Hears what the user should know although training goes on.</summary>
    public Action<string>? Warning { get; init; }
}

/// <summary>What the family and its caller decided for the training loop.</summary>
internal sealed record TrainingRun
{
    /// <summary>The options as the caller gave them.</summary>
    public required TrainingOptions Options { get; init; }

    /// <summary>The seed, and who hears of progress.</summary>
    public required TrainingContext Context { get; init; }

    /// <summary>Rows in a step, resolved.</summary>
    public required int BatchSize { get; init; }

    /// <summary>Passes over the rows, resolved.</summary>
    public required int Epochs { get; init; }

    /// <summary>Optimizer steps, where not whole epochs decide; <see cref="Epochs"/> is then rounded up.</summary>
    public long? Steps { get; init; }

    /// <summary>
    /// Parts of the run, as long as each other, whose learning rate begins anew and reaches such a share of its peak.
    /// </summary>
    public IReadOnlyList<double> Phases { get; init; } = [1];

    /// <summary>The peak learning rate, resolved.</summary>
    public required double LearningRate { get; init; }

    /// <summary>Where the learning rate's fall ends, in shares of its peak.</summary>
    public double RateFloor { get; init; } = 0.01;

    /// <summary>Weight decay, resolved.</summary>
    public required double WeightDecay { get; init; }

    /// <summary>All that decides the result, as JSON: a checkpoint of another run is refused by it.</summary>
    public required string Identity { get; init; }

    /// <summary>A run of whole epochs, known by options, what was resolved of them, and what the family adds.</summary>
    public static TrainingRun Of(
        TrainingOptions options, TrainingContext context, int batchSize, int epochs, double learningRate,
        double weightDecay, params ReadOnlySpan<(string Name, object? Value)> family) => new()
        {
            Options = options,
            Context = context,
            BatchSize = batchSize,
            Epochs = epochs,
            LearningRate = learningRate,
            WeightDecay = weightDecay,
            Identity = Describe(
                options,
                [
                    ("seed", context.Seed), ("vocabulary", context.Vocabulary), (nameof(options.BatchSize), batchSize), (nameof(options.Epochs), epochs),
                    (nameof(options.LearningRate), learningRate), (nameof(options.WeightDecay), weightDecay), .. family,
                ]),
        };

    /// <summary>
    /// The same of so many steps, or without them of the options' epochs, where batch size, rates and one of the two are
    /// resolved.
    /// </summary>
    public static TrainingRun OfSteps(
        TrainingData data, TrainingOptions options, TrainingContext context, int? wanted,
        params ReadOnlySpan<(string Name, object? Value)> family)
    {
        int batchSize = options.BatchSize!.Value;
        long perEpoch = data.BatchesPerEpoch(batchSize), steps = wanted ?? options.Epochs!.Value * perEpoch;
        return Of(
            options, context, batchSize, (int)((steps + perEpoch - 1) / perEpoch), options.LearningRate!.Value,
            options.WeightDecay!.Value, [.. family, (nameof(Steps), steps)]) with { Steps = steps };
    }

    private static string Describe(TrainingOptions options, (string Name, object? Value)[] resolved)
    {
        JsonObject identity = JsonSerializer.SerializeToNode(options, options.GetType(), Format)!.AsObject();
        foreach ((string name, object? value) in resolved)
            identity[name] = JsonSerializer.SerializeToNode(value, Format);
        return identity.ToJsonString();
    }

    private static readonly JsonSerializerOptions Format = new() { Converters = { new JsonStringEnumConverter() } };
}

/// <summary>How a training run ended: steps made, epochs begun, whether validation or the caller ended it.</summary>
internal sealed record TrainingOutcome(long Steps, int Epochs, bool StoppedEarly, bool Cancelled);

/// <summary>The learning rate: a linear rise to the peak, then a fall to a floor, in shares of the peak.</summary>
internal sealed record LearningRate(
    double Peak, LearningRateSchedule Schedule, long Steps, long WarmupSteps, double Floor = 0.01)
{
    /// <summary>The rate of step <paramref name="step"/>, counted from zero.</summary>
    public double At(long step)
    {
        if (step < WarmupSteps)
            return Peak * (step + 1) / (WarmupSteps + 1);
        if (Schedule == LearningRateSchedule.Constant)
            return Peak;
        double done = (step - WarmupSteps) / (double)Math.Max(1, Steps - 1 - WarmupSteps);
        double left = Schedule switch
        {
            LearningRateSchedule.Linear => 1 - done,
            LearningRateSchedule.ConstantThenLinear => Math.Min(1, 2 * (1 - done)),
            _ => 0.5 * (1 + Math.Cos(Math.PI * Math.Clamp(done, 0, 1))),
        };
        return Peak * (Floor + (1 - Floor) * Math.Max(0, left));
    }
}
