using System.CommandLine;
using System.Diagnostics;
using System.Text.Json;
using Microsoft.ML;

namespace GenerativeML.Benchmarks;

/// <summary>
/// <c>notes</c>: a GPT of chorales as notes in text: nats an event of chorales that it was not trained on, and what it makes of
/// their beginnings, beside how they go on: pitches, how many notes sound together, and how many are of one key.
/// </summary>
internal static class NotesBenchmark
{
    private const int Continued = 16, Given = 8, Lasts = 32; // pieces, and quarters of each

    private static readonly int[] s_scale = [0, 2, 4, 5, 7, 9, 11];

    /// <summary>The command and its options.</summary>
    public static Command Command()
    {
        Option<FileInfo> data = new("--data")
        {
            Description = "JSON with train and test: of each the pieces, of each the chords of a quarter, of each the pitches.", Required = true,
        };
        Option<string?> options = new("--options") { Description = "Changes of the trainer's options, as JSON." };
        Option<int> seed = new("--seed") { Description = "The seed." };
        Option<float> temperature = new("--temperature") { Description = "Of what is made.", DefaultValueFactory = _ => 0.9f };
        Option<DirectoryInfo?> midi = new("--midi") { Description = "A folder for the chorales that are gone on with." };
        Command command = new("notes", "Nats an event of a GPT of notes, and what it goes on with.") { data, options, seed, temperature, midi };
        command.SetAction((parsed, cancellation) => Task.FromResult(Run(
            parsed.GetRequiredValue(data), parsed.GetValue(options), parsed.GetValue(seed), parsed.GetValue(temperature), parsed.GetValue(midi), cancellation)));
        return command;
    }

    private static int Run(FileInfo file, string? chosen, int seed, float temperature, DirectoryInfo? midi, CancellationToken cancellation)
    {
        if (!file.Exists)
        {
            Console.Error.WriteLine($"There is no file {file.FullName}.");
            return 2;
        }
        Dictionary<string, int[][][]> parts = JsonSerializer.Deserialize<Dictionary<string, int[][][]>>(File.ReadAllText(file.FullName))!;
        NoteSequence[] test = Read(parts["test"]);
        // In every key, since a model of texts knows nothing of transposition.
        string[] train = [.. Read(parts["train"]).SelectMany(piece => Enumerable.Range(-5, 12).Select(up => Moved(piece, up).ToText()))];
        string[] asked = [.. test.Select(piece => piece.ToText())];
        double events = asked.Sum(text => (double)text.Length);
        var trigrams = new CharacterTrigrams(train);
        Console.WriteLine(
            $"{train.Length} texts of {train.Sum(t => t.Length)} events to train on, {asked.Length} of {events} to test; by the two events before: "
            + $"{asked.Sum(text => trigrams.Score(text) * text.Length) / events:F3} nats an event");
        var ml = new MLContext(seed);
        TimeSpan before = Process.GetCurrentProcess().TotalProcessorTime;
        GptOptions options = ChosenOptions.Read<GptOptions>(chosen ?? """{"ContextLength":256,"Steps":600}""");
        using GptTransformer model = ml.Generative.Gpt(options with
        {
            ScoreColumnName = "Score", GeneratedTextColumnName = null, CancellationToken = cancellation,
        }).Fit(Rows(ml, train));
        double minutes = (Process.GetCurrentProcess().TotalProcessorTime - before).TotalMinutes;
        float[] scores = VectorRows.Singles(model.Transform(Rows(ml, asked)), "Score");
        Console.WriteLine($"{scores.Zip(asked, (s, text) => s * (double)text.Length).Sum() / events:F3} nats an event after {minutes:F1} CPU minutes");
        midi?.Create();
        List<NoteSequence> made = [];
        for (int i = 0; i < Continued; i++)
        {
            // What begins within the given quarters, whose last chord the model may hold no longer than that lasts.
            string begun = new NoteSequence(test[i].Notes.Where(n => n.Start < Given)).ToText();
            string text = model.Generate(begun, new() { MaxNewTokens = 600, Seed = seed + i, Temperature = temperature }, cancellation).Text;
            made.Add(NoteSequence.FromText(text.StartsWith(begun, StringComparison.Ordinal) ? text : begun + text, quartersPerMinute: 80));
            if (midi is not null)
                made[^1].SaveMidi(Path.Combine(midi.FullName, $"continued-{i}.mid"));
        }
        Say("as they are", test[..Continued]);
        Say("gone on with", made);
        return 0;
    }

    private static NoteSequence[] Read(int[][][] pieces) => [.. pieces.Select(piece => CoconetBenchmark.Voiced(piece, 1).ToNotes(stepsPerQuarter: 1))];

    private static NoteSequence Moved(NoteSequence piece, int up) =>
        new(piece.Notes.Select(n => n with { Pitch = n.Pitch + up }), piece.QuartersPerMinute);

    private static void Say(string what, IReadOnlyList<NoteSequence> pieces)
    {
        Note[][] later = [.. pieces.Select(piece => piece.Notes.Where(n => n.Start >= Given && n.Start < Given + Lasts).ToArray()).Where(notes => notes.Length > 0)];
        int[] pitches = [.. later.SelectMany(notes => notes).Select(n => n.Pitch).Order()];
        int[] together = [.. later.SelectMany(Together)];
        Console.WriteLine(
            $"{what}: {later.Length} pieces of {later.Average(notes => notes.Max(n => n.Start + n.Duration) - Given):F1} quarters, {pitches.Length} notes, "
            + $"pitches {pitches[0]} to {pitches[^1]}, nine tenths {pitches[pitches.Length / 20]} to {pitches[^(1 + pitches.Length / 20)]}; "
            + $"{together.Average():F2} sound together, four in {100.0 * together.Count(c => c == 4) / together.Length:F0} % of quarters; "
            + $"{100 * later.Average(InKey):F1} % in the best key; {100.0 * later.Sum(notes => notes.Count(n => n.Start == Math.Floor(n.Start))) / pitches.Length:F1} % begin on a quarter");
    }

    // How many notes sound in the middle of each quarter up to the last note's end.
    private static IEnumerable<int> Together(Note[] notes) => Enumerable.Range(Given, (int)Math.Ceiling(notes.Max(n => n.Start + n.Duration)) - Given)
        .Select(quarter => notes.Count(n => n.Start <= quarter + 0.5 && n.Start + n.Duration > quarter + 0.5)).Skip(1);

    // The share of notes that are of the one major scale that has most of them.
    private static double InKey(Note[] notes) =>
        Enumerable.Range(0, 12).Max(key => notes.Count(n => s_scale.Contains((n.Pitch + key) % 12))) / (double)notes.Length;

    private static IDataView Rows(MLContext ml, IEnumerable<string> texts) => ml.Data.LoadFromEnumerable(texts.Select(text => new TextRow { Text = text }).ToArray());

    private sealed class TextRow
    {
        public string Text { get; set; } = "";
    }
}
