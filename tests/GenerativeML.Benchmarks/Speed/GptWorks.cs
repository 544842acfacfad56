using System.Text.Json.Nodes;
using Microsoft.ML;

namespace GenerativeML.Benchmarks;

/// <summary>Steps of a character GPT by nanoGPT's recipe: AdamW, half a cosine, no biases, no dropout.</summary>
internal static class GptWorks
{
    private const double Rate = 1e-3, FinalShare = 0.1, WarmupShare = 0.05, Decay = 0.1, Clip = 1;
    private const int RowLength = 1000;

    private sealed record Size(int Layers, int Width, int Heads, int Context, int Batch, int Steps, int Skipped);

    /// <summary>The two sizes.</summary>
    public static IEnumerable<SpeedWork> All(SpeedData data) =>
    [
        Work(
            data, "gpt-cpu", "GPT step, 4 layers, width 128, context 64, batch 12", 1.1,
            new(4, 128, 4, 64, 12, Steps: 60, Skipped: 10)),
        Work(
            data, "gpt-base", "GPT step, 6 layers, width 384, context 256, batch 8", 1.1,
            new(6, 384, 6, 256, 8, Steps: 8, Skipped: 2)),
    ];

    private static TrainingWork Work(
        SpeedData data, string name, string title, double wanted, Size size) => new()
        {
            Name = name,
            Title = title,
            Wanted = TrainingWork.All(wanted, bfloat16: 1),
            Flops = Flops(size),
            Fit = (ml, clock) => Fit(ml, data, size, clock),
            Prepare = () => new JsonObject
            {
                ["work"] = "gpt",
                ["data"] = data.TokensFile(),
                ["vocabulary"] = SpeedData.Characters,
                ["context"] = size.Context,
                ["layers"] = size.Layers,
                ["heads"] = size.Heads,
                ["width"] = size.Width,
                ["batch"] = size.Batch,
                ["steps"] = size.Steps,
                ["skipped"] = size.Skipped,
                ["rate"] = Rate,
                ["floor"] = FinalShare,
                ["warmup_steps"] = (int)(WarmupShare * size.Steps),
                ["schedule"] = "cosine",
                ["betas"] = new JsonArray(0.9, 0.99),
                ["decay"] = Decay,
                ["clip"] = Clip,
            },
        };

    private static void Fit(MLContext ml, SpeedData data, Size size, TrainingClock clock)
    {
        IDataView rows = ml.Data.LoadFromEnumerable(
            data.Text.Chunk(RowLength).Select(c => new TextRow { Text = new string(c) }).ToArray());
        var options = new GptOptions
        {
            Layers = size.Layers,
            Heads = size.Heads,
            Width = size.Width,
            ContextLength = size.Context,
            BatchSize = size.Batch,
            Steps = size.Steps,
            Optimizer = LanguageModelOptimizer.AdamW,
            LearningRate = Rate,
            FinalRateShare = FinalShare,
            WarmupFraction = WarmupShare,
            Schedule = LearningRateSchedule.Cosine,
            WeightDecay = Decay,
            GradientClipNorm = Clip,
            Tokenizer = new CharacterTokenizer(data.Text, UnknownCharacters.Error),
            JoinRows = true,
            RowSeparator = "",
            Progress = clock,
        };
        using GptTransformer model = ml.Generative.Gpt(options).Fit(rows);
    }

    /// <summary>
    /// Two operations for each weight of a matrix and each token, forwards and twice backwards, and the products of
    /// attention, taken whole although half of them is masked.
    /// </summary>
    private static double Flops(Size s)
    {
        double tokens = s.Batch * s.Context, width = s.Width;
        double weights = (12 * s.Layers * width * width) + (SpeedData.Characters * width);
        return (6 * weights * tokens) + (12 * s.Layers * tokens * s.Context * width);
    }

    private sealed class TextRow
    {
        public string Text { get; set; } = "";
    }
}
