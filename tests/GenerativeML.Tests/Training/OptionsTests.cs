using System.Reflection;

namespace GenerativeML.Tests;

[TestClass]
public class OptionsTests
{
    [TestMethod]
    public void A_range_that_begins_above_zero_is_told_as_such()
    {
        foreach (double contamination in new[] { 0, 0.51, double.NaN })
        {
            StringAssert.Contains(
                Assert.Throws<ArgumentOutOfRangeException>(
                    () => new GptOptions { TextColumnName = "Text", Contamination = contamination }.Validate()).Message,
                "Option Contamination must be above 0 and at most 0.5");
        }
        foreach (float share in new[] { 0, 1.1f, float.NaN })
        {
            StringAssert.Contains(
                Assert.Throws<ArgumentOutOfRangeException>(() => new GenerationOptions { TopP = share }.Validate()).Message,
                "Option TopP must be above 0 and at most 1");
        }
        new GenerationOptions { TopP = 1e-9f, TypicalP = 1 }.Validate();
    }

    public static IEnumerable<object[]> OutOfRange =>
    [
        [new AutoencoderOptions { Epochs = 0 }, "Epochs"],
        [new AutoencoderOptions { BatchSize = 0 }, "BatchSize"],
        [new AutoencoderOptions { LearningRate = 0 }, "LearningRate"],
        [new AutoencoderOptions { LearningRate = double.NaN }, "LearningRate"],
        [new AutoencoderOptions { Schedule = (LearningRateSchedule)9 }, "Schedule"],
        [new AutoencoderOptions { WarmupFraction = 1 }, "WarmupFraction"],
        [new AutoencoderOptions { WeightDecay = -1 }, "WeightDecay"],
        [new AutoencoderOptions { WeightAverageDecay = 1 }, "WeightAverageDecay"],
        [new AutoencoderOptions { GradientClipNorm = double.PositiveInfinity }, "GradientClipNorm"],
        [new AutoencoderOptions { ValidationFraction = 0.6 }, "ValidationFraction"],
        [new AutoencoderOptions { EarlyStoppingPatience = -1 }, "EarlyStoppingPatience"],
        [new AutoencoderOptions { Precision = (Precision)9 }, "Precision"],
        [new AutoencoderOptions { NonFiniteValues = (NonFiniteValues)9 }, "NonFiniteValues"],
        [new AutoencoderOptions { CacheBudgetBytes = -1 }, "CacheBudgetBytes"],
        [new AutoencoderOptions { ShuffleBufferRows = 0 }, "ShuffleBufferRows"],
        [new AutoencoderOptions { CancellationBehavior = (CancellationBehavior)9 }, "CancellationBehavior"],
        [new AutoencoderOptions { Checkpoint = new("x") { Every = 0 } }, "Checkpoint.Every"],
        [new AutoencoderOptions { Checkpoint = new("x") { Keep = 0 } }, "Checkpoint.Keep"],
        [new AutoencoderOptions { HiddenLayers = [8, 0] }, "HiddenLayers"],
        [new AutoencoderOptions { LatentDimension = 0 }, "LatentDimension"],
        [new AutoencoderOptions { Activation = (Activation)99 }, "Activation"],
        [new AutoencoderOptions { Dropout = 1 }, "Dropout"],
        [new AutoencoderOptions { InputNoise = -0.1 }, "InputNoise"],
        [new AutoencoderOptions { InputMasking = 1 }, "InputMasking"],
        [new AutoencoderOptions { EnsembleSize = 0 }, "EnsembleSize"],
        [new AutoencoderOptions { Contamination = 0 }, "Contamination"],
        [new AutoencoderOptions { Contamination = 0.51 }, "Contamination"],
        [new AutoencoderOptions { ReferenceRows = -1 }, "ReferenceRows"],
        [new AutoencoderOptions { ReferenceRows = 10_001 }, "ReferenceRows"],
        [new AutoencoderOptions { HiddenLayers = [.. Enumerable.Repeat(1, 65)] }, "HiddenLayers.Count"],
        [new RestrictedBoltzmannMachineOptions { GibbsSteps = 0 }, "GibbsSteps"],
        [new RestrictedBoltzmannMachineOptions { HiddenUnits = 0 }, "HiddenUnits"],
        [new BoltzmannMachineOptions { HiddenUnits = 11 }, "HiddenUnits"],
        [new BoltzmannMachineOptions { BinaryThreshold = double.NaN }, "BinaryThreshold"],
        [new DeepBeliefNetworkOptions { HiddenLayers = [] }, "HiddenLayers.Count"],
        [new DeepBeliefNetworkOptions { Dropout = 1 }, "Dropout"],
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
    public void Each_number_of_each_familys_options_is_taken_or_refused_by_its_name()
    {
        Type[] families = [.. typeof(TrainingOptions).Assembly.GetTypes().Where(t => t.IsSubclassOf(typeof(TrainingOptions)) && !t.IsAbstract)];
        Assert.IsGreaterThan(20, families.Length);
        int refused = 0;
        foreach (Type family in families)
        {
            foreach (PropertyInfo option in family.GetProperties().Where(p => p.SetMethod?.IsPublic == true))
            {
                foreach (object extreme in Extremes(Nullable.GetUnderlyingType(option.PropertyType) ?? option.PropertyType))
                {
                    var options = (TrainingOptions)Activator.CreateInstance(family)!;
                    option.SetValue(options, extreme);
                    try
                    {
                        options.Validate();
                    }
                    catch (ArgumentException error)
                    {
                        StringAssert.Contains(error.Message, option.Name, $"{family.Name}, {extreme}");
                        refused++;
                    }
                }
            }
        }
        Assert.IsGreaterThan(1000, refused);

        static object[] Extremes(Type type) => type == typeof(int) ? [int.MinValue, -1, 0, int.MaxValue]
            : type == typeof(long) ? [long.MinValue, -1L, 0L, long.MaxValue]
            : type == typeof(double) ? [double.NaN, double.NegativeInfinity, double.PositiveInfinity, -1.0, 0.0, double.MaxValue]
            : type.IsEnum ? [Enum.ToObject(type, 99)] : [];
    }

    [TestMethod]
    public void A_column_that_a_family_does_not_have_is_refused_by_its_option()
    {
        Refused(new AutoencoderOptions { ConditionColumnNames = ["Kind"] }, "ConditionColumnNames");
        Refused(new GaussianMixtureOptions { ConditionColumnNames = ["Kind"] }, "ConditionColumnNames");
        Refused(new GaussianMixtureOptions { FeatureScoreColumnName = "Why" }, "FeatureScoreColumnName");
        Refused(new RestrictedBoltzmannMachineOptions { FeatureScoreColumnName = "Why" }, "FeatureScoreColumnName");
        Refused(new BoltzmannMachineOptions { ReconstructionColumnName = "Made" }, "ReconstructionColumnName");
        Refused(new GanOptions { FeatureScoreColumnName = "Why" }, "FeatureScoreColumnName");
        Refused(new NormalizingFlowOptions { ReconstructionColumnName = "Made" }, "ReconstructionColumnName");

        static void Refused(VectorOptions options, string name)
        {
            ArgumentException error = Assert.ThrowsExactly<ArgumentException>(options.Validate);
            StringAssert.Contains(error.Message, name);
            StringAssert.Contains(error.Message, options.GetType().Name);
        }
    }

    [TestMethod]
    public void Defaults_are_within_their_ranges() => new AutoencoderOptions().Validate();
}
