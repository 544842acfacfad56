using System.Runtime.InteropServices;

namespace GenerativeML.Benchmarks;

/// <summary>A size of model to decode.</summary>
/// <param name="Name">What it is called on the command line.</param>
/// <param name="Network">The model's network.</param>
/// <param name="Texts">Texts in a round.</param>
/// <param name="Length">Tokens of a text: no more than fit into the window.</param>
internal sealed record DecodeConfiguration(string Name, GptNetwork Network, int Texts, int Length)
{
    public static IReadOnlyList<DecodeConfiguration> All { get; } =
    [
        new("cpu", Sized(65, 64, 4, 4, 128, biases: false, GeluForm.Erf), 16, 63),
        new("base", Sized(65, 256, 6, 6, 384, biases: false, GeluForm.Erf), 1, 255),
        new("gpt2", Sized(50257, 1024, 12, 12, 768, biases: true, GeluForm.Tanh), 1, 32),
    ];

    /// <summary>The one of a name.</summary>
    public static DecodeConfiguration Find(string name) => All.First(c => c.Name == name);

    /// <summary>A model with the weights of a file that <see cref="Write"/> made.</summary>
    public TrainedGpt Load(string file, int threads)
    {
        using FileStream stream = File.OpenRead(file);
        return new TrainedGpt(Network, HostWeights.Load(stream, Network.Tensors), threads: threads);
    }

    /// <summary>
    /// Random weights, tensor by tensor, in the order in which a file has them; gains are one. They are larger than
    /// those of a network before training, so that the likeliest token is clear.
    /// </summary>
    public void Write(Stream stream)
    {
        var random = new SplitMix64(1);
        SafetensorsWriter.Write(stream, Network.Tensors, (spec, write) =>
        {
            var values = new float[spec.Length / sizeof(float)];
            bool isNorm = spec.Name.Contains("ln_", StringComparison.Ordinal);
            bool isGain = isNorm && spec.Name.EndsWith(".weight", StringComparison.Ordinal);
            for (int i = 0; i < values.Length; i++)
                values[i] = isGain ? 1 : (float)(random.NextDouble() - 0.5) * 0.2f;
            write(MemoryMarshal.AsBytes<float>(values));
        });
    }

    private static GptNetwork Sized(
        int vocabulary, int context, int layers, int heads, int width, bool biases, GeluForm gelu) => new(new GptOptions
        {
            VocabularySize = vocabulary,
            ContextLength = context,
            Layers = layers,
            Heads = heads,
            Width = width,
            Biases = biases,
            Gelu = gelu,
        });
}
