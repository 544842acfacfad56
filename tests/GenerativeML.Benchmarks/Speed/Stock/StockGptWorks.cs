using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Nodes;
using GenerativeML.TestData;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace GenerativeML.Benchmarks;

/// <summary>Training steps by nanoGPT's recipe.</summary>
internal static class StockGptTraining
{
    public static SpeedAnswer Run(JsonObject command, Tensor text)
    {
        int context = Number("context"), batch = Number("batch"), vocabulary = Number("vocabulary");
        using var network = new StockGpt(vocabulary, context, Number("layers"), Number("heads"), Number("width"));
        using var recipe = new StockRecipe(command, network);
        Tensor windows = text.unfold(0, context + 1, 1); // a view: every window of the text
        var clock = new StockClock(Number("skipped"));
        for (int step = 0; step < Number("steps"); step++)
        {
            using TorchSharp.DisposeScope scope = NewDisposeScope();
            Tensor drawn = windows[randint(windows.shape[0], [batch], int64)];
            Tensor logits = network.call(drawn.narrow(1, 0, context));
            Tensor loss = F.cross_entropy(logits.view(-1, vocabulary), drawn.narrow(1, 1, context).reshape(-1));
            recipe.Move(loss, step);
            clock.Count(("loss", loss));
        }
        return clock.Answer();

        int Number(string name) => command[name]!.GetValue<int>();
    }
}

/// <summary>Texts, a token at a time, with a cache of keys and values.</summary>
internal static class StockDecoder
{
    public static SpeedAnswer Run(JsonObject command, IReadOnlyDictionary<string, Tensor> weights)
    {
        int heads = command["heads"]!.GetValue<int>(), texts = command["texts"]!.GetValue<int>();
        int length = command["length"]!.GetValue<int>();
        long[] table = weights["wte.weight"].shape;
        int layers = weights.Keys.Count(name => name.EndsWith("ln_1.weight", StringComparison.Ordinal));
        using var network = new StockGpt(
            (int)table[0], (int)weights["wpe.weight"].shape[0], layers, heads, (int)table[1]);
        network.Load(weights);
        network.eval();
        using IDisposable inference = inference_mode();
        Text(0, isGreedy: false); // warming up
        long start = Stopwatch.GetTimestamp();
        for (int text = 0; text < texts; text++)
            Text(text, isGreedy: false);
        double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds / (texts * length);
        int[] compared = command["greedy"]!.Deserialize<int[]>()!;
        return new SpeedAnswer
        {
            Seconds = seconds,
            Scores = [.. compared.SelectMany(token => Text(token, isGreedy: true)).Select(token => (double)token)],
        };

        long[] Text(long token, bool isGreedy)
        {
            var made = new long[length];
            for (int at = 0; at < length; at++)
            {
                using TorchSharp.DisposeScope scope = NewDisposeScope();
                Tensor logits = network.Next(tensor(token, int64).view(1, 1), at)[0, 0];
                Tensor next = isGreedy ? logits.argmax() : multinomial(F.softmax(logits, -1), 1);
                made[at] = token = next.item<long>();
            }
            return made;
        }
    }
}
