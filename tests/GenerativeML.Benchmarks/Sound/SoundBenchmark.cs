using System.CommandLine;
using System.Diagnostics;
using System.Text.Json;
using Microsoft.ML;

namespace GenerativeML.Benchmarks;

/// <summary>
/// <c>sound</c>: nats a sample of a WaveNet of spoken digits that it was not trained on, how fast it makes samples, and
/// sounds to listen to; beside the same network of torch's stock modules with as much processor time.
/// </summary>
internal static class SoundBenchmark
{
    private const int TestedIndices = 5, Made = 8000;

    /// <summary>The command and its options.</summary>
    public static Command Command()
    {
        Option<DirectoryInfo> data = new("--data")
        {
            Description = "WAV files named digit_speaker_index.wav; indices 0 to 4 test.", Required = true,
        };
        Option<int> seeds = new("--seeds") { Description = "How many seeds, from 0 on.", DefaultValueFactory = _ => 1 };
        Option<string?> options = new("--options") { Description = "Changes of the trainer's options, as JSON." };
        Option<bool> peer = new("--peer") { Description = "Trains the same network of stock modules, too, with as much processor time." };
        Option<DirectoryInfo?> wav = new("--wav") { Description = "A folder for sounds that are made." };
        Option<FileInfo?> json = new("--json") { Description = "Where to write the results as JSON." };
        Command command = new("sound", "Nats a sample of a WaveNet of spoken digits.") { data, seeds, options, peer, wav, json };
        command.SetAction((parsed, cancellation) => Task.FromResult(Run(
            parsed.GetRequiredValue(data), Math.Max(1, parsed.GetValue(seeds)), ChosenOptions.Read<WaveNetOptions>(parsed.GetValue(options)),
            parsed.GetValue(peer), parsed.GetValue(wav), parsed.GetValue(json), cancellation)));
        return command;
    }

    private static int Run(
        DirectoryInfo folder, int seeds, WaveNetOptions chosen, bool peer, DirectoryInfo? wav, FileInfo? json, CancellationToken cancellation)
    {
        SoundRow[] rows = folder.Exists ? [.. folder.EnumerateFiles("*.wav").Select(Named).OfType<SoundRow>().OrderBy(r => r.Path, StringComparer.Ordinal)] : [];
        if (rows.Length == 0)
        {
            Console.Error.WriteLine($"There are no files digit_speaker_index.wav in {folder.FullName}.");
            return 2;
        }
        SoundRow[] train = [.. rows.Where(r => r.Index >= TestedIndices)], test = [.. rows.Where(r => r.Index < TestedIndices)];
        // Beside the peer, which knows no words, ours is told none.
        WaveNetOptions options = chosen with { ConditionColumnName = peer ? null : nameof(SoundRow.Word), CancellationToken = cancellation };
        ushort[][] learned = [.. train.Select(r => WaveNetTrainer.ReadFile(r.Path, null, options))], asked = [.. test.Select(r => WaveNetTrainer.ReadFile(r.Path, null, options))];
        Console.WriteLine(
            $"{train.Length} sounds of {learned.Sum(s => s.Length)} samples to train on, {test.Length} of {asked.Sum(s => s.Length)} to test; "
            + $"uniform {Math.Log(options.QuantizationLevels):F3}, by frequencies {Unigram(learned, asked, options.QuantizationLevels):F3} nats");
        List<double> losses = [], peers = [], speeds = [];
        for (int seed = 0; seed < seeds; seed++)
        {
            var ml = new MLContext(seed);
            TimeSpan before = Processor();
            using WaveNetTransformer model = ml.Generative.WaveNet(options).Fit(ml.Data.LoadFromEnumerable(train));
            TimeSpan spent = Processor() - before;
            double nats = 0;
            for (int i = 0; i < asked.Length; i++)
                nats += model.Model.Score(asked[i], peer ? 0 : model.Model.NumberOf(test[i].Word)) * asked[i].Length;
            losses.Add(nats / asked.Sum(s => (double)s.Length));
            var clock = Stopwatch.StartNew();
            // Of a model that follows spectrograms, the first of the test anew.
            SoundClip given = SoundClip.ReadWav(test[0].Path), made = options.SpectrogramBands > 0
                ? model.Resynthesize(given, peer ? null : test[0].Word, seed, cancellation) : model.Generate(Made, null, seed, cancellationToken: cancellation);
            speeds.Add(made.Samples.Length / clock.Elapsed.TotalSeconds);
            Console.WriteLine($"seed {seed}: {losses[^1]:F4} nats a sample after {spent.TotalMinutes:F1} CPU minutes, {speeds[^1]:F0} samples made a second");
            if (options.SpectrogramBands > 0)
            {
                var spectrogram = new MelSpectrogram(options.SpectrogramBands, options.SpectrogramHop, options.SampleRate);
                SoundRow[] some = [.. test.Where(r => r.Index == 0)]; // one of each word
                float[][] near = [.. some.Select(r => Frames(model.Resynthesize(SoundClip.ReadWav(r.Path), peer ? null : r.Word, seed, cancellation)))];
                float[][] real = [.. some.Select(r => Frames(SoundClip.ReadWav(r.Path)))];
                Console.WriteLine(
                    $"seed {seed}: {some.Length} sounds anew are {Decibel(near, real):F1} dB from their own spectrograms, and {Decibel(near, [.. real.Skip(1), real[0]]):F1} dB from another's");
                float[] Frames(SoundClip sound) => spectrogram.Frames(sound.Samples);
            }
            if (seed == 0 && wav is not null)
                Write(wav, model, made);
            if (!peer)
                continue;
            using var stock = new StockWaveNet(model.Model.Network.Options, seed);
            before = Processor();
            int steps = stock.Train(learned, model.Model.Network, () => Processor() - before >= spent);
            peers.Add(asked.Sum(s => stock.Nats(s, model.Model.Network.Silence)) / asked.Sum(s => (double)s.Length));
            Console.WriteLine($"seed {seed}: stock modules {peers[^1]:F4} after {steps} steps in as much processor time");
        }
        double mean = losses.Average();
        Console.WriteLine($"mean {mean:F4} ± {Math.Sqrt(losses.Average(l => (l - mean) * (l - mean))):F4}");
        if (json is not null)
        {
            File.WriteAllText(json.FullName, JsonSerializer.Serialize(new
            {
                seeds,
                nats_per_sample = mean,
                peer_nats_per_sample = peers.Count > 0 ? peers.Average() : (double?)null,
                samples_per_second = speeds.Average(),
            }) + "\n");
        }
        return 0;
    }

    private static void Write(DirectoryInfo folder, WaveNetTransformer model, SoundClip made)
    {
        folder.Create();
        made.SaveWav(Path.Combine(folder.FullName, "any.wav"));
        if (model.Model.Network.FrameWidth > 0)
            return;
        foreach (string word in model.Conditions)
            model.Generate(Made / 2, word, seed: 1).SaveWav(Path.Combine(folder.FullName, $"{word}.wav"));
    }

    // The mean difference of what both have, on the scale of spectrograms, of which 1 is 100 dB.
    private static double Decibel(float[][] some, float[][] others) =>
        100 * some.Zip(others).Average(pair => pair.First.Zip(pair.Second, (x, y) => Math.Abs(x - y)).Average());

    private static TimeSpan Processor() => Process.GetCurrentProcess().TotalProcessorTime;

    private static double Unigram(ushort[][] learned, ushort[][] asked, int levels)
    {
        double[] counts = [.. Enumerable.Repeat(1.0, levels)];
        foreach (ushort sample in learned.SelectMany(s => s))
            counts[sample]++;
        double all = counts.Sum();
        return asked.SelectMany(s => s).Average(sample => -Math.Log(counts[sample] / all));
    }

    private static SoundRow? Named(FileInfo file) =>
        Path.GetFileNameWithoutExtension(file.Name).Split('_') is [string word, _, string index] && int.TryParse(index, out int number)
            ? new() { Path = file.FullName, Word = word, Index = number } : null;

    private sealed class SoundRow
    {
        public string Path { get; set; } = "";

        public string Word { get; set; } = "";

        public int Index { get; set; }
    }
}
