
using GenerativeML;
namespace Microsoft.ML;

public sealed partial class GenerativeCatalog
{
    /// <summary>Creates a <see cref="GptTrainer"/>, which learns from a column of text to continue texts.</summary>
    /// <param name="textColumnName">The input: a column of text, each row a document.</param>
    /// <param name="generatedTextColumnName">The column for the text that continues the row's.</param>
    /// <param name="layers">Blocks of attention and perceptron.</param>
    /// <param name="heads">Attention heads in a block; divides <paramref name="width"/>.</param>
    /// <param name="width">Features of a token's hidden state.</param>
    /// <param name="contextLength">The most tokens that are looked at together.</param>
    /// <param name="steps">Optimizer steps. Default: 2000.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it.</exception>
    /// <exception cref="ArgumentException">A column's name is empty.</exception>
    public GptTrainer Gpt(
        string textColumnName = "Text",
        string generatedTextColumnName = "GeneratedText",
        int layers = 4,
        int heads = 4,
        int width = 128,
        int contextLength = 64,
        int? steps = null) => Gpt(new GptOptions
        {
            TextColumnName = textColumnName,
            GeneratedTextColumnName = generatedTextColumnName,
            Layers = layers,
            Heads = heads,
            Width = width,
            ContextLength = contextLength,
            Steps = steps,
        });

    /// <summary>Creates a <see cref="GptTrainer"/> with all its options.</summary>
    /// <param name="options">The options.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it.</exception>
    /// <exception cref="ArgumentException">
    /// A column's name is empty, two columns would be added under one name, or options contradict each other.
    /// </exception>
    public GptTrainer Gpt(GptOptions options) => new(_environment, options);

    /// <summary>
    /// A <see cref="GptTransformer"/> of weights that were trained elsewhere, such as GPT-2's released ones, without
    /// training: <see cref="GptOptions.InitialWeights"/>, and <see cref="GptOptions.Tokenizer"/> that belongs
    /// to them. <see cref="GptOptions.FromConfig"/> reads the sizes.
    /// </summary>
    /// <param name="options">The options.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it.</exception>
    /// <exception cref="ArgumentException">Options are missing, or contradict each other.</exception>
    /// <exception cref="FormatException">
    /// The weights are not those of the network that the options describe, or do not match the vocabulary; the message
    /// lists all that differs.
    /// </exception>
    public GptTransformer PretrainedGpt(GptOptions options) => GptTrainer.Pretrained(_environment, options);
}
