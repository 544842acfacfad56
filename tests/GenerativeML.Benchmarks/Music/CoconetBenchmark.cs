using System.CommandLine;
using System.Diagnostics;
using System.Text.Json;
using Microsoft.ML;

namespace GenerativeML.Benchmarks;

/// <summary>
/// <c>coconet</c>: −log p of hidden notes of chorales that a Coconet was not trained on, beside what pitches alone tell; and
/// chorales harmonised for a given soprano, as MIDI.
/// </summary>
internal static class CoconetBenchmark
{
    private const int Voices = 4, Harmonised = 3;

    /// <summary>The command and its options.</summary>
    public static Command Command()
    {
        Option<FileInfo> data = new("--data")
        {
            Description = "JSON with train, valid and test: of each the pieces, of each the chords, of each the pitches.", Required = true,
        };
        Option<int> seeds = new("--seeds") { Description = "How many seeds, from 0 on.", DefaultValueFactory = _ => 3 };
        Option<string?> options = new("--options") { Description = "Changes of the trainer's options, as JSON." };
        Option<int> repeat = new("--repeat")
        {
            Description = "Steps of each chord: 4 makes sixteenths of quarters, most of whose notes only go on.", DefaultValueFactory = _ => 1,
        };
        Option<string> part = new("--part") { Description = "The part to score: test, or valid to choose options by.", DefaultValueFactory = _ => "test" };
        Option<DirectoryInfo?> midi = new("--midi") { Description = "A folder for test sopranos harmonised by the model, and for pieces of its own." };
        Option<FileInfo?> json = new("--json") { Description = "Where to write the results as JSON." };
        Command command = new("coconet", "Nats of hidden notes of chorales.") { data, seeds, options, repeat, part, midi, json };
        command.SetAction((parsed, cancellation) => Task.FromResult(Run(
            parsed.GetRequiredValue(data), Math.Max(1, parsed.GetValue(seeds)), ChosenOptions.Read<CoconetOptions>(parsed.GetValue(options)),
            Math.Clamp(parsed.GetValue(repeat), 1, 16), parsed.GetValue(part)!, parsed.GetValue(midi), parsed.GetValue(json), cancellation)));
        return command;
    }

    private static int Run(
        FileInfo file, int seeds, CoconetOptions chosen, int repeat, string part, DirectoryInfo? midi, FileInfo? json, CancellationToken cancellation)
    {
        if (!file.Exists)
        {
            Console.Error.WriteLine($"There is no file {file.FullName}.");
            return 2;
        }
        Dictionary<string, int[][][]> parts = JsonSerializer.Deserialize<Dictionary<string, int[][][]>>(File.ReadAllText(file.FullName))!;
        VoiceGrid[] train = [.. parts["train"].Select(piece => Voiced(piece, repeat))], test = [.. parts[part].Select(piece => Voiced(piece, repeat))];
        Console.WriteLine($"{file.Name}: {train.Length} chorales to train on, {test.Length} to test; a note by its voice's pitches alone: {Unigram(train, test):F3} nats");
        var losses = new List<double>();
        for (int seed = 0; seed < seeds; seed++)
        {
            var ml = new MLContext(seed);
            TimeSpan before = Process.GetCurrentProcess().TotalProcessorTime;
            using CoconetTransformer model = ml.Generative.Coconet(chosen with { CancellationToken = cancellation })
                .Fit(ml.Data.LoadFromEnumerable(train.Select(piece => new MusicRow { Music = piece.ToString() })));
            double minutes = (Process.GetCurrentProcess().TotalProcessorTime - before).TotalMinutes;
            losses.Add(test.Average(model.Score));
            Console.WriteLine($"seed {seed}: {losses[^1]:F3} nats a hidden note, {minutes:F1} CPU minutes of training");
            if (seed == 0)
                Write(midi, model, test, repeat);
        }
        double mean = losses.Average();
        Console.WriteLine($"mean {mean:F3} ± {Math.Sqrt(losses.Average(l => (l - mean) * (l - mean))):F3}");
        if (json is not null)
            File.WriteAllText(json.FullName, JsonSerializer.Serialize(new { data = file.Name, seeds, nats_per_hidden_note = mean }) + "\n");
        return 0;
    }

    // Soprano alone, and how many of the other voices' notes the model finds as Bach had them.
    private static void Write(DirectoryInfo? midi, CoconetTransformer model, VoiceGrid[] test, int repeat)
    {
        int right = 0, all = 0;
        midi?.Create();
        for (int i = 0; i < Harmonised; i++)
        {
            VoiceGrid given = test[i].Only(0), found = model.Infill(given, seed: i);
            for (int step = 0; step < found.Steps; step++)
            {
                for (int voice = 1; voice < Voices; voice++, all++)
                    right += found[step, voice] == test[i][step, voice] ? 1 : 0;
            }
            if (midi is null)
                continue;
            found.ToNotes(stepsPerQuarter: repeat).SaveMidi(Path.Combine(midi.FullName, $"harmonised-{i}.mid"));
            test[i].ToNotes(stepsPerQuarter: repeat).SaveMidi(Path.Combine(midi.FullName, $"bach-{i}.mid"));
        }
        Console.WriteLine($"of {Harmonised} sopranos harmonised, {100.0 * right / all:F1} % of the notes are Bach's own");
        if (midi is null)
            return;
        var ml = new MLContext(0);
        int number = 0;
        foreach (MusicRow row in ml.Data.CreateEnumerable<MusicRow>(model.Generate(Harmonised, seed: 1), reuseRowObject: false))
            VoiceGrid.Parse(row.Music).ToNotes(stepsPerQuarter: repeat).SaveMidi(Path.Combine(midi.FullName, $"own-{number++}.mid"));
    }

    // Of each voice the frequencies of its pitches, with one more of each.
    private static double Unigram(VoiceGrid[] train, VoiceGrid[] test)
    {
        var counts = new double[Voices, 129];
        var sums = new double[Voices];
        Each(train, (voice, pitch) => (counts[voice, pitch + 1], sums[voice]) = (counts[voice, pitch + 1] + 1, sums[voice] + 1));
        (double nats, int notes) = (0, 0);
        Each(test, (voice, pitch) => (nats, notes) = (nats - Math.Log((counts[voice, pitch + 1] + 1) / (sums[voice] + 129)), notes + 1));
        return nats / notes;

        static void Each(VoiceGrid[] pieces, Action<int, int> action)
        {
            foreach (VoiceGrid piece in pieces)
            {
                for (int step = 0; step < piece.Steps; step++)
                {
                    for (int voice = 0; voice < Voices; voice++)
                        action(voice, piece[step, voice]);
                }
            }
        }
    }

    // Chords name each pitch once, and no voices: four of them are soprano, alto, tenor and bass; of fewer, a voice takes
    // that which is nearest to its last, the outer ones the outer pitches; of more, the inner ones are left out.
    public static VoiceGrid Voiced(int[][] chords, int repeat)
    {
        int[] last = [72, 67, 60, 50];
        return new(chords.SelectMany(chord =>
        {
            int[] pitches = [.. chord.OrderDescending()];
            int[] step = pitches.Length switch
            {
                0 => [VoiceGrid.Rest, VoiceGrid.Rest, VoiceGrid.Rest, VoiceGrid.Rest],
                >= Voices => [pitches[0], pitches[1], pitches[^2], pitches[^1]],
                _ => [pitches[0], Nearest(last[1]), Nearest(last[2]), pitches[^1]],
            };
            for (int voice = 0; voice < Voices; voice++)
                last[voice] = step[voice] >= 0 ? step[voice] : last[voice];
            return Enumerable.Repeat(step, repeat);

            int Nearest(int pitch) => pitches.MinBy(p => Math.Abs(p - pitch));
        }));
    }

    private sealed class MusicRow
    {
        public string Music { get; set; } = "";
    }
}
