using System.CommandLine;
using System.Diagnostics;
using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Benchmarks;

/// <summary>
/// <c>bert</c>: a masked character model of plays: how often it tells hidden characters of the text's last tenth, beside
/// counts of neighbours under the same masks; and how well its embeddings, frozen, tell who speaks, beside counts of
/// characters, on the half of the speeches that no model saw, another half for each seed.
/// </summary>
internal static class BertBenchmark
{
    private const double TrainingShare = 0.9, MaskShare = 0.15, TestShare = 0.5;
    private const int Speakers = 10;
    private const ulong MaskSeed = 1;
    private const int SplitSeed = 2;

    private static readonly float[] s_regularisations = [1, 10, 100, 1000];

    /// <summary>The command and its options.</summary>
    public static Command Command()
    {
        Option<FileInfo> data = new("--data") { Description = "Plays in UTF-8: a speaker, a colon, a speech, an empty line.", Required = true };
        Option<int> seeds = new("--seeds") { Description = "How many seeds.", DefaultValueFactory = _ => 1 };
        Option<int> firstSeed = new("--first-seed") { Description = "The first seed." };
        Option<string?> options = new("--options") { Description = "Changes of the trainer's options, as JSON." };
        Option<int> words = new("--words")
        {
            Description = "Trains a model of so many tokens, words and bytes, too, for embeddings; 0: none.", DefaultValueFactory = _ => 4096,
        };
        Option<FileInfo?> json = new("--json") { Description = "Where to write the results as JSON." };
        Command command = new("bert", "Masked accuracy and embeddings of a masked character model of plays.")
        {
            data, seeds, firstSeed, options, words, json,
        };
        command.SetAction((parsed, cancellation) => Task.FromResult(Run(
            parsed.GetRequiredValue(data), parsed.GetValue(firstSeed), Math.Max(1, parsed.GetValue(seeds)),
            ChosenOptions.Read<MaskedLanguageModelOptions>(parsed.GetValue(options)), parsed.GetValue(words), parsed.GetValue(json), cancellation)));
        return command;
    }

    private static int Run(
        FileInfo file, int firstSeed, int seeds, MaskedLanguageModelOptions chosen, int words, FileInfo? json, CancellationToken cancellation)
    {
        if (!file.Exists)
        {
            Console.Error.WriteLine($"There is no file {file.FullName}.");
            return 2;
        }
        string text = File.ReadAllText(file.FullName);
        string last = text[(int)(text.Length * TrainingShare)..];
        MaskedLanguageModelOptions options = chosen with
        {
            // The characters of the whole text, as the protocol's figures have them.
            Tokenizer = new CharacterTokenizer(text, UnknownCharacters.Error),
            JoinRows = true,
            RowSeparator = "",
            EmbeddingColumnName = "Features",
            CancellationToken = cancellation,
        };
        int window = options.ContextLength - 2;
        var runs = new List<Outcome>();
        for (int seed = firstSeed; seed < firstSeed + seeds; seed++)
        {
            (Speech[] train, Speech[] test) = Speeches(text, (ulong)(SplitSeed + seed));
            // No model sees the speeches that it is judged by, nor the last tenth.
            string seen = text[..^last.Length];
            foreach (Speech speech in test)
                seen = seen.Replace(speech.Whole, "", StringComparison.Ordinal);
            var counts = new NeighbourCounts(seen);
            double neighbours = Accuracy(last, window, (masked, places) => [.. places.Select(i => counts.Best(At(masked, i - 1), At(masked, i + 1)))]);
            string frequent = train.GroupBy(t => t.Speaker).MaxBy(g => g.Count())!.Key;
            // Counts say how long a speech is and how many lines it has, which no mean over its tokens does: shares are the like of that.
            bool[] bag = Judge(null, train, test, seen, isShares: false), shares = Judge(null, train, test, seen, isShares: true);
            Console.WriteLine(
                $"seed {seed}: {file.Name}, {seen.Length} characters to train on; {options.Layers} x {options.Width}, context {options.ContextLength}; "
                + $"{train.Length} speeches of {Speakers} speakers to train on, {test.Length} to test");

            var ml = new MLContext(seed);
            var clock = Stopwatch.StartNew();
            using MaskedLanguageModelTransformer model = ml.Generative.MaskedLanguageModel(options)
                .Fit(ml.Data.LoadFromEnumerable([new Speech { Text = seen }]));
            double seconds = clock.Elapsed.TotalSeconds;
            double accuracy = Accuracy(last, window, (masked, _) =>
            [
                .. model.FillMask(string.Concat(masked.Select(c => c is char known ? known.ToString() : MaskedLanguageModelTransformer.MaskToken)), 1)
                    .Select(best => best[0].Token[0]),
            ]);
            bool[] speaker = Judge(model, train, test, seen), wordSpeaker = [];
            if (words > 0)
            {
                using MaskedLanguageModelTransformer ofWords = ml.Generative.MaskedLanguageModel(options with
                {
                    Tokenizer = null, WordVocabulary = words, WholeWords = true,
                }).Fit(ml.Data.LoadFromEnumerable([new Speech { Text = seen }]));
                wordSpeaker = Judge(ofWords, train, test, seen);
            }
            runs.Add(new(accuracy, neighbours, test.Count(s => s.Speaker == frequent) / (double)test.Length, bag, shares, speaker, wordSpeaker, seconds));
            Console.WriteLine(
                $"  masked accuracy {accuracy:P2}, of counts of neighbours {neighbours:P2}; speakers by embeddings {Share(speaker):P2}, of words "
                + $"{Share(wordSpeaker):P2}, by counts of characters {Share(bag):P2}, by shares of characters {Share(shares):P2}, the most frequent one "
                + $"{runs[^1].Majority:P2}; {seconds:F0} s of training, {clock.Elapsed.TotalSeconds:F0} s in all");
        }
        (double Mean, double Error) more = Difference(runs.Select(r => (r.Speaker, r.Bag)));
        (double Mean, double Error) moreOfWords = words > 0 ? Difference(runs.Select(r => (r.WordSpeaker, r.Bag))) : (double.NaN, double.NaN);
        Console.WriteLine(
            $"{seeds} seeds: masked accuracy {runs.Average(r => r.Accuracy):P2}, neighbours {runs.Average(r => r.Neighbours):P2}; embeddings "
            + $"{runs.Average(r => Share(r.Speaker)):P2}, counts of characters {runs.Average(r => Share(r.Bag)):P2}: {100 * more.Mean:+0.0;-0.0} points, "
            + $"standard error {100 * more.Error:F1}; of words {100 * moreOfWords.Mean:+0.0;-0.0}, {100 * moreOfWords.Error:F1}");
        if (json is not null)
        {
            var result = new
            {
                text = file.Name,
                masked_accuracy = runs.Average(r => r.Accuracy),
                neighbours_masked_accuracy = runs.Average(r => r.Neighbours),
                speaker_accuracy = runs.Average(r => Share(r.Speaker)),
                word_speaker_accuracy = words > 0 ? runs.Average(r => Share(r.WordSpeaker)) : (double?)null,
                bag_speaker_accuracy = runs.Average(r => Share(r.Bag)),
                shares_speaker_accuracy = runs.Average(r => Share(r.Shares)),
                majority_speaker_accuracy = runs.Average(r => r.Majority),
                difference_to_bag = more.Mean,
                difference_standard_error = more.Error,
                train_seconds = runs.Average(r => r.Seconds),
                seeds,
            };
            File.WriteAllText(json.FullName, JsonSerializer.Serialize(result) + "\n");
        }
        return 0;

        static char? At(char?[] masked, int place) => (uint)place < (uint)masked.Length ? masked[place] : null;

        static double Share(bool[] right) => right.Length == 0 ? double.NaN : right.Count(r => r) / (double)right.Length;
    }

    // How many more of the same speeches one tells than the other, in shares of all, and the standard error of that: of a
    // speech's difference, as if seeds had no speech in common.
    private static (double Mean, double Error) Difference(IEnumerable<(bool[] One, bool[] Other)> runs)
    {
        double[] each = [.. runs.SelectMany(run => run.One.Zip(run.Other, (one, other) => (one ? 1.0 : 0) - (other ? 1 : 0)))];
        double mean = each.Average();
        return (mean, Math.Sqrt(each.Average(d => (d - mean) * (d - mean)) / each.Length));
    }

    // The share of hidden characters that are told, over windows of a text; what tells them sees null in their place.
    private static double Accuracy(string text, int window, Func<char?[], int[], char[]> tell)
    {
        var random = new SplitMix64(MaskSeed);
        int hidden = 0, told = 0;
        for (int start = 0; start + window <= text.Length; start += window)
        {
            string part = text.Substring(start, window);
            bool[] masks = new bool[window];
            for (int i = 0; i < window; i++)
                masks[i] = random.NextDouble() < MaskShare;
            int[] places = [.. Enumerable.Range(0, window).Where(i => masks[i])];
            if (places.Length == 0)
                continue;
            char[] answers = tell([.. part.Select((c, i) => masks[i] ? (char?)null : c)], places);
            hidden += places.Length;
            told += places.Zip(answers).Count(pair => part[pair.First] == pair.Second);
        }
        return told / (double)hidden;
    }

    // The speeches of the most frequent speakers, some of each to test by.
    private static (Speech[] Train, Speech[] Test) Speeches(string text, ulong split)
    {
        Speech[] all =
        [
            .. Regex.Matches(text, @"(?:\A|(?<=\n\n))([A-Z][^\n:]*):\n(.*?)(?=\n\n|\z)", RegexOptions.Singleline)
                .Select(m => new Speech { Speaker = m.Groups[1].Value, Text = m.Groups[2].Value, Whole = m.Value }),
        ];
        string[] frequent = [.. all.GroupBy(s => s.Speaker).OrderByDescending(g => g.Count()).ThenBy(g => g.Key).Take(Speakers).Select(g => g.Key)];
        var random = new SplitMix64(split);
        List<Speech> train = [], test = [];
        foreach (Speech speech in all.Where(s => frequent.Contains(s.Speaker)).DistinctBy(s => s.Whole))
            (random.NextDouble() < TestShare ? test : train).Add(speech);
        return ([.. train], [.. test]);
    }

    // Which speeches a logistic regression tells rightly over embeddings, or counts of characters or their shares; how strongly it
    // is regularised, parts of the training speeches tell.
    private static bool[] Judge(MaskedLanguageModelTransformer? model, Speech[] train, Speech[] test, string text, bool isShares = false)
    {
        char[] characters = [.. text.Distinct().Order()];
        var ml = new MLContext(0);
        IDataView Features(Speech[] speeches) => model is not null
            ? ml.Data.Cache(model.Transform(ml.Data.LoadFromEnumerable(speeches)))
            : ml.Data.LoadFromEnumerable(
                speeches.Select(s => new Counted { Speaker = s.Speaker, Features = [.. characters.Select(c => s.Text.Count(c.Equals) / (isShares ? s.Text.Length : 1f))] }).ToArray(),
                Schema(characters.Length));
        IEstimator<ITransformer> Pipeline(float weight) => ml.Transforms.Conversion.MapValueToKey("Label", nameof(Speech.Speaker))
            .Append(ml.Transforms.NormalizeMeanVariance("Features"))
            .Append(ml.MulticlassClassification.Trainers.LbfgsMaximumEntropy(
                new() { NumberOfThreads = 1, L1Regularization = 0, L2Regularization = weight }));
        (IDataView known, IDataView asked) = (Features(train), Features(test));
        float best = s_regularisations.MaxBy(weight => ml.MulticlassClassification
            .CrossValidate(known, Pipeline(weight), numberOfFolds: 5).Average(fold => fold.Metrics.MicroAccuracy));
        IDataView judged = Pipeline(best).Append(ml.Transforms.Conversion.MapKeyToValue("Predicted", "PredictedLabel"))
            .Fit(known).Transform(asked);
        return [.. judged.GetColumn<string>("Predicted").Zip(test, (told, speech) => told == speech.Speaker)];
    }

    private static SchemaDefinition Schema(int width)
    {
        SchemaDefinition schema = SchemaDefinition.Create(typeof(Counted));
        schema[nameof(Counted.Features)].ColumnType = new VectorDataViewType(NumberDataViewType.Single, width);
        return schema;
    }

    private sealed record Outcome(
        double Accuracy, double Neighbours, double Majority, bool[] Bag, bool[] Shares, bool[] Speaker, bool[] WordSpeaker, double Seconds);

    private sealed class Speech
    {
        public string Speaker { get; set; } = "";

        public string Text { get; set; } = "";

        /// <summary>The speech with its speaker, as it stands in the play.</summary>
        public string Whole { get; set; } = "";
    }

    private sealed class Counted
    {
        public string Speaker { get; set; } = "";

        public float[] Features { get; set; } = [];
    }
}
