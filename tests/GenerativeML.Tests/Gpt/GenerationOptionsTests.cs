using System.Text.Json;

namespace GenerativeML.Tests;

[TestClass]
public sealed class GenerationOptionsTests
{
    [TestMethod]
    public void Each_option_out_of_its_range_is_named()
    {
        AssertNamed("MaxNewTokens", new() { MaxNewTokens = 0 });
        AssertNamed("Temperature", new() { Temperature = -1 });
        AssertNamed("Temperature", new() { Temperature = float.NaN });
        AssertNamed("Temperature", new() { Temperature = float.PositiveInfinity });
        AssertNamed("TopK", new() { TopK = 0 });
        AssertNamed("TopP", new() { TopP = 0 });
        AssertNamed("TopP", new() { TopP = 1.01f });
        AssertNamed("MinP", new() { MinP = -0.1f });
        AssertNamed("MinP", new() { MinP = 1.1f });
        AssertNamed("TypicalP", new() { TypicalP = 0 });
        AssertNamed("RepetitionPenalty", new() { RepetitionPenalty = 0 });
        AssertNamed("FrequencyPenalty", new() { FrequencyPenalty = float.NaN });
        AssertNamed("PresencePenalty", new() { PresencePenalty = float.NegativeInfinity });
        AssertNamed("LogitBias", new() { LogitBias = new Dictionary<int, float> { [1] = float.PositiveInfinity } });
        AssertNamed("LogitBias", new() { LogitBias = new Dictionary<int, float> { [1] = float.NaN } });
        AssertNamed("StopStrings", new() { StopStrings = ["a", ""] });
        AssertNamed("LongPrompts", new() { LongPrompts = (LongPrompts)7 });
        AssertNamed("Alternatives", new() { Alternatives = -1, LogProbabilities = true });
    }

    [TestMethod]
    public void Options_that_contradict_each_other_are_refused()
    {
        AssertNamed("Temperature", new() { Temperature = 0, TopK = 5 });
        AssertNamed("Temperature", new() { Temperature = 0, TopP = 0.9f });
        AssertNamed("Temperature", new() { Temperature = 0, MinP = 0.1f });
        AssertNamed("Temperature", new() { Temperature = 0, TypicalP = 0.5f });
        AssertNamed("Alternatives", new() { Alternatives = 3 });
    }

    [TestMethod]
    public void The_defaults_and_the_ends_of_the_ranges_are_sound()
    {
        new GenerationOptions().Validate();
        new GenerationOptions
        {
            MaxNewTokens = 1,
            TopK = 1,
            TopP = 1,
            MinP = 1,
            TypicalP = 1,
            FrequencyPenalty = -2,
            PresencePenalty = -2,
            RepetitionPenalty = 0.1f,
            LogitBias = new Dictionary<int, float> { [0] = float.NegativeInfinity },
            LogProbabilities = true,
            Alternatives = 5,
        }.Validate();
    }

    [TestMethod]
    public void A_token_that_does_not_exist_is_named()
    {
        GenerationOptions bias = new() { LogitBias = new Dictionary<int, float> { [9] = 1 } };
        GenerationOptions stop = new() { StopTokens = [-1] };
        bias.CheckTokens(10);
        ArgumentOutOfRangeException e = Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => bias.CheckTokens(9));
        StringAssert.Contains(e.Message, "token 9");
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => stop.CheckTokens(9));
    }

    [TestMethod]
    public void Options_survive_being_saved_forbidden_tokens_too()
    {
        GenerationOptions options = new()
        {
            Temperature = 0.7f,
            TopK = 40,
            LogitBias = new Dictionary<int, float> { [3] = float.NegativeInfinity, [4] = 1.5f },
            StopStrings = ["\n"],
            StopTokens = [7],
            Seed = 9,
            LongPrompts = LongPrompts.Error,
        };
        string json = JsonSerializer.Serialize(options);
        GenerationOptions again = JsonSerializer.Deserialize<GenerationOptions>(json)!;
        Assert.AreEqual(json, JsonSerializer.Serialize(again));
        Assert.AreEqual(float.NegativeInfinity, again.LogitBias[3]);
        CollectionAssert.AreEqual(new[] { 7 }, again.StopTokens.ToArray());
    }

    private static void AssertNamed(string option, GenerationOptions options)
    {
        ArgumentException e = Assert.Throws<ArgumentException>(options.Validate);
        Assert.AreEqual(option, e.ParamName);
        string word = option switch { "StopStrings" => "stop string", "LogitBias" => "bias", _ => option };
        StringAssert.Contains(e.Message, word);
    }
}
