namespace GenerativeML.Tests;

[TestClass]
public class OptionsTests
{
    public static IEnumerable<object[]> OutOfRange =>
    [
        [new AutoencoderDetectorOptions { Epochs = 0 }, "Epochs"],
        [new AutoencoderDetectorOptions { BatchSize = 0 }, "BatchSize"],
        [new AutoencoderDetectorOptions { LearningRate = 0 }, "LearningRate"],
        [new AutoencoderDetectorOptions { LearningRate = double.NaN }, "LearningRate"],
        [new AutoencoderDetectorOptions { Schedule = (LearningRateSchedule)9 }, "Schedule"],
        [new AutoencoderDetectorOptions { WarmupFraction = 1 }, "WarmupFraction"],
        [new AutoencoderDetectorOptions { WeightDecay = -1 }, "WeightDecay"],
        [new AutoencoderDetectorOptions { GradientClipNorm = double.PositiveInfinity }, "GradientClipNorm"],
        [new AutoencoderDetectorOptions { ValidationFraction = 0.6 }, "ValidationFraction"],
        [new AutoencoderDetectorOptions { EarlyStoppingPatience = -1 }, "EarlyStoppingPatience"],
        [new AutoencoderDetectorOptions { Precision = (Precision)9 }, "Precision"],
        [new AutoencoderDetectorOptions { NonFiniteValues = (NonFiniteValues)9 }, "NonFiniteValues"],
        [new AutoencoderDetectorOptions { CacheBudgetBytes = -1 }, "CacheBudgetBytes"],
        [new AutoencoderDetectorOptions { ShuffleBufferRows = 0 }, "ShuffleBufferRows"],
        [new AutoencoderDetectorOptions { CancellationBehavior = (CancellationBehavior)9 }, "CancellationBehavior"],
        [new AutoencoderDetectorOptions { Checkpoint = new("x") { Every = 0 } }, "Checkpoint.Every"],
        [new AutoencoderDetectorOptions { Checkpoint = new("x") { Keep = 0 } }, "Checkpoint.Keep"],
        [new AutoencoderDetectorOptions { HiddenLayers = [8, 0] }, "HiddenLayers"],
        [new AutoencoderDetectorOptions { LatentDimension = 0 }, "LatentDimension"],
        [new AutoencoderDetectorOptions { Activation = (Activation)99 }, "Activation"],
        [new AutoencoderDetectorOptions { Dropout = 1 }, "Dropout"],
        [new AutoencoderDetectorOptions { InputNoise = -0.1 }, "InputNoise"],
        [new AutoencoderDetectorOptions { InputMasking = 1 }, "InputMasking"],
        [new AutoencoderDetectorOptions { Members = 0 }, "Members"],
        [new AutoencoderDetectorOptions { Contamination = 0 }, "Contamination"],
        [new AutoencoderDetectorOptions { Contamination = 0.51 }, "Contamination"],
        [new AutoencoderDetectorOptions { MemoryRows = -1 }, "MemoryRows"],
        [new AutoencoderDetectorOptions { MemoryRows = 10_001 }, "MemoryRows"],
        [new AutoencoderDetectorOptions { HiddenLayers = [.. Enumerable.Repeat(1, 65)] }, "HiddenLayers.Count"],
    ];

    [TestMethod]
    [DynamicData(nameof(OutOfRange))]
    public void An_option_out_of_its_range_is_refused_by_its_name(TrainingOptions options, string name)
    {
        ArgumentOutOfRangeException error = Assert.ThrowsExactly<ArgumentOutOfRangeException>(options.Validate);
        Assert.AreEqual(name, error.ParamName);
        StringAssert.Contains(error.Message, name);
    }

    [TestMethod]
    public void Defaults_are_within_their_ranges() => new AutoencoderDetectorOptions().Validate();
}
