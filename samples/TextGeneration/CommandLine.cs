using System.CommandLine;
using GenerativeML;

namespace TextGeneration;

/// <summary>What the user asks for.</summary>
internal sealed record Settings
{
    /// <summary>The text to train on; null for the documentation of .NET.</summary>
    public string? Corpus { get; init; }

    /// <summary>Where the trained model is kept; null for nowhere.</summary>
    public string? Model { get; init; }

    /// <summary>Weights to start from; null for none.</summary>
    public string? Weights { get; init; }

    /// <summary>
    /// The sizes of the network of those weights, as a <c>config.json</c>; null for what the file tells.
    /// </summary>
    public string? Config { get; init; }

    /// <summary>The vocabulary that belongs to the weights.</summary>
    public string? Vocabulary { get; init; }

    /// <summary>The merges of that vocabulary.</summary>
    public string? Merges { get; init; }

    /// <summary>The rank of adapters to train in place of the weights; null for all weights.</summary>
    public int? Rank { get; init; }

    /// <summary>Tokens of a byte-pair vocabulary to learn; zero for characters.</summary>
    public int Tokens { get; init; }

    public int Steps { get; init; }

    public int Layers { get; init; }

    public int Heads { get; init; }

    public int Width { get; init; }

    public int Context { get; init; }

    public int SampleEvery { get; init; }

    public int Seed { get; init; }

    /// <summary>What to continue; empty for asking the user.</summary>
    public string[] Prompts { get; init; } = [];

    /// <summary>How text is generated.</summary>
    public GenerationOptions Generation { get; init; } = new();
}

/// <summary>The sample's options.</summary>
internal static class CommandLine
{
    private static readonly Option<FileInfo?> Corpus = new("--corpus")
    {
        Description = "The text to train on, UTF-8. Default: the documentation of the installed .NET.",
    };

    private static readonly Option<FileInfo?> Model = new("--model")
    {
        Description = "A trained model: loaded if it is there, otherwise saved after training.",
    };

    private static readonly Option<FileInfo?> Weights = new("--weights")
    {
        Description = "Weights in GPT-2's layout, safetensors: used as they are, or trained further on --corpus.",
    };

    private static readonly Option<FileInfo?> Config = new("--config")
    {
        Description = "The config.json of those weights. Default: sizes as the weights have them, otherwise as GPT-2.",
    };

    private static readonly Option<FileInfo?> Vocabulary = new("--vocab") { Description = "Their vocab.json." };

    private static readonly Option<FileInfo?> Merges = new("--merges") { Description = "Their merges.txt." };

    private static readonly Option<int?> Rank = new("--lora")
    {
        Description = "With --weights and --corpus: trains adapters of this rank in place of all weights.",
    };

    private static readonly Option<int> Tokens = Number(
        "--tokens", 1024, "A byte-pair vocabulary to learn; 0: characters.");
    private static readonly Option<int> Steps = Number("--steps", 1000, "Training steps.");
    private static readonly Option<int> Layers = Number("--layers", 4, "Blocks of the network.");
    private static readonly Option<int> Heads = Number("--heads", 4, "Attention heads.");
    private static readonly Option<int> Width = Number("--width", 128, "Features of a token's state.");
    private static readonly Option<int> Context = Number("--context", 64, "Tokens that are looked at together.");
    private static readonly Option<int> SampleEvery = Number(
        "--sample-every", 250, "Steps between samples while training.");
    private static readonly Option<int> Seed = Number("--seed", 1, "Decides training and generation.");
    private static readonly Option<int> Length = Number("--length", 200, "Tokens to generate.");
    private static readonly Option<int> TopK = Number("--top-k", 50, "Only the likeliest so many tokens are drawn.");

    private static readonly Option<float> Temperature = new("--temperature")
    {
        Description = "Below 1: likely tokens are likelier. 0: always the likeliest.",
        DefaultValueFactory = _ => 0.8f,
    };

    private static readonly Option<string[]> Prompt = new("--prompt")
    {
        Description = "What to continue. Default: lines of the standard input.",
        AllowMultipleArgumentsPerToken = true,
    };

    /// <summary>Runs what <paramref name="args"/> ask for.</summary>
    /// <returns>The exit code.</returns>
    public static int Run(string[] args, Func<Settings, int> run)
    {
        RootCommand root = new("Trains a GPT on a text, and continues what you type.")
        {
            Corpus, Model, Weights, Config, Vocabulary, Merges, Rank, Tokens, Steps, Layers, Heads, Width, Context,
            SampleEvery, Seed, Prompt, Length, Temperature, TopK,
        };
        root.SetAction(parsed =>
        {
            float temperature = parsed.GetValue(Temperature);
            return run(new Settings
            {
                Corpus = parsed.GetValue(Corpus)?.FullName,
                Model = parsed.GetValue(Model)?.FullName,
                Weights = parsed.GetValue(Weights)?.FullName,
                Config = parsed.GetValue(Config)?.FullName,
                Vocabulary = parsed.GetValue(Vocabulary)?.FullName,
                Merges = parsed.GetValue(Merges)?.FullName,
                Rank = parsed.GetValue(Rank),
                Tokens = parsed.GetValue(Tokens),
                Steps = parsed.GetValue(Steps),
                Layers = parsed.GetValue(Layers),
                Heads = parsed.GetValue(Heads),
                Width = parsed.GetValue(Width),
                Context = parsed.GetValue(Context),
                SampleEvery = parsed.GetValue(SampleEvery),
                Seed = parsed.GetValue(Seed),
                Prompts = parsed.GetValue(Prompt) ?? [],
                Generation = new GenerationOptions
                {
                    MaxNewTokens = parsed.GetValue(Length),
                    Temperature = temperature,
                    TopK = temperature > 0 ? parsed.GetValue(TopK) : null,
                    Seed = parsed.GetValue(Seed),
                },
            });
        });
        try
        {
            return root.Parse(args).Invoke(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
        }
        catch (Exception e) when (e is InvalidDataException or IOException or ArgumentException or FormatException
            or InvalidOperationException)
        {
            Console.Error.WriteLine(e.Message);
            return 2;
        }
    }

    private static Option<int> Number(string name, int value, string description) =>
        new(name) { Description = description, DefaultValueFactory = _ => value };
}
