using System.Text.Json;

namespace GenerativeML.Tests;

/// <summary>What <c>tests/peers/gpt_peer.py expect</c> found, and the network that it found it for.</summary>
internal sealed record GptExpected
{
    public required int Vocabulary { get; init; }

    public required int Context { get; init; }

    public required int Layers { get; init; }

    public required int Heads { get; init; }

    public required int Width { get; init; }

    public required long[][] Tokens { get; init; }

    public required double Rate { get; init; }

    public required double Beta1 { get; init; }

    public required double Beta2 { get; init; }

    public required double Epsilon { get; init; }

    public required double Decay { get; init; }

    public required int Steps { get; init; }

    public required Case[] Cases { get; init; }

    private static readonly JsonSerializerOptions Format = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
    };

    public static GptExpected Read()
    {
        using Stream file = typeof(GptExpected).Assembly.GetManifestResourceStream("gpt-expected.json")!;
        return JsonSerializer.Deserialize<GptExpected>(file, Format)!;
    }

    public GptNetwork Network(Case expected, bool checkpointing = false) => new(new GptOptions
    {
        GradientCheckpointing = checkpointing,
        VocabularySize = Vocabulary,
        ContextLength = Context,
        Layers = Layers,
        Heads = Heads,
        Width = Width,
        Biases = expected.Biases,
        Gelu = Enum.Parse<GeluForm>(expected.Gelu),
    });

    /// <summary>The peer's weights: 0.3·sin(1.7·i + number of the tensor), one more for scales.</summary>
    public static HostWeights Weights(GptNetwork network)
    {
        var weights = new HostWeights(network.Tensors);
        int number = 0;
        foreach (string name in network.Tensors.Select(t => t.Name))
        {
            bool scale = name.Contains("ln_", StringComparison.Ordinal)
                && name.EndsWith("weight", StringComparison.Ordinal);
            float[] values = weights[name];
            for (int i = 0; i < values.Length; i++)
                values[i] = (float)((0.3 * Math.Sin((1.7 * i) + number)) + (scale ? 1 : 0));
            number++;
        }
        return weights;
    }

    public sealed record Case
    {
        public required bool Biases { get; init; }

        public required string Gelu { get; init; }

        public required double Loss { get; init; }

        public required float[] Logits { get; init; }

        public required Dictionary<string, float[]> Gradients { get; init; }

        public required Dictionary<string, float[]> After { get; init; }
    }
}
