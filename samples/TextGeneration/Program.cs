using System.Globalization;
using GenerativeML;
using Microsoft.ML;
using Spectre.Console;
using TextGeneration;

// Trains a GPT on a text, or takes GPT-2's weights, and continues what you type.

CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
if (Console.IsOutputRedirected)
{
    AnsiConsole.Profile.Capabilities.Ansi = false;
    AnsiConsole.Profile.Width = 120;
}
return CommandLine.Run(args, TrainAndContinue);

int TrainAndContinue(Settings settings)
{
    MLContext ml = new(settings.Seed);
    using GptTransformer gpt = Gpt(ml, settings);
    AnsiConsole.MarkupLineInterpolated(
        $"[bold]{gpt.ParameterCount:N0}[/] weights, {gpt.VocabularySize:N0} tokens, {gpt.ContextLength} in a window");
    foreach (string prompt in settings.Prompts.Length > 0 ? settings.Prompts : Typed())
        Continue(gpt, prompt, settings.Generation);
    return 0;
}

// A model that was saved, or weights as they are, or a model trained now.
GptTransformer Gpt(MLContext ml, Settings settings)
{
    if (File.Exists(settings.Model))
        return (GptTransformer)ml.Model.Load(settings.Model, out _);
    if (settings.Weights is not null && settings.Corpus is null)
        return ml.Generative.PretrainedGpt(Training.Options(settings, bar: null));

    // A text is one: its lines are joined. Summaries are documents, each with a beginning and an end of its own.
    IEnumerable<string> texts = settings.Corpus is null
        ? ReferenceDocumentation.Read(settings.Seed)
        : File.ReadLines(settings.Corpus);
    IDataView rows = ml.Data.LoadFromEnumerable(texts.Select(text => new Document { Text = text }));
    double loss = 0;
    GptTransformer gpt = TrainingBar.Show(bar =>
    {
        GptTransformer trained = ml.Generative.Gpt(Training.Options(settings, bar)).Fit(rows);
        loss = bar.ValidationLoss;
        return trained;
    });
    AnsiConsole.MarkupLineInterpolated(
        $"validation loss [bold]{loss:F3}[/] nats a token, perplexity {Math.Exp(loss):F1}");
    if (settings.Model is not null)
    {
        ml.Model.Save(gpt, rows.Schema, settings.Model);
        Console.WriteLine($"model: {settings.Model}");
    }
    return gpt;
}

// Lines of the standard input, which may be a pipe; at a terminal, until an empty one.
static IEnumerable<string> Typed()
{
    while (true)
    {
        if (!Console.IsInputRedirected)
            AnsiConsole.Markup("[bold]>[/] ");
        if (Console.ReadLine() is not string line || (line.Length == 0 && !Console.IsInputRedirected))
            yield break;
        yield return line;
    }
}

// Writes the text as it comes; Ctrl+C ends it, and not the program.
static void Continue(GptTransformer gpt, string prompt, GenerationOptions options)
{
    using var stop = new CancellationTokenSource();
    ConsoleCancelEventHandler cancel = (_, pressed) =>
    {
        pressed.Cancel = true;
        stop.Cancel();
    };
    Console.CancelKeyPress += cancel;
    Console.Write(prompt);
    try
    {
        foreach (string piece in gpt.Stream(prompt, options, stop.Token))
            Console.Write(piece);
    }
    catch (OperationCanceledException)
    {
    }
    Console.CancelKeyPress -= cancel;
    Console.WriteLine();
}
