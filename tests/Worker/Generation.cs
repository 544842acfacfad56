using System.Diagnostics;
using System.Text.Json;
using GenerativeML;

namespace GenerativeML.TestWorker;

/// <summary>Generates from a saved GPT and says what native libraries the process has then.</summary>
internal static class Generation
{
    public static void Run(string weights, string shape)
    {
        using FileStream file = File.OpenRead(weights);
        using TrainedGpt model = TrainedGpt.Load(JsonSerializer.Deserialize<GptShape>(shape)!, file);
        GenerationOptions options = new() { MaxNewTokens = 50, Seed = 3, TopP = 0.9f };
        Console.WriteLine(string.Join(' ', model.Stream([1, 2], options).Select(t => t.Id)));
        var loss = new float[1];
        model.Evaluate([[1, 2, 3, 4]], loss, new float[model.Shape.Width]);
        Console.WriteLine(BitConverter.SingleToInt32Bits(loss[0]));
        using Process self = Process.GetCurrentProcess();
        foreach (ProcessModule module in self.Modules)
            Console.WriteLine(module.FileName);
    }
}
