using System.CommandLine;
using System.Diagnostics;
using System.IO.Compression;
using System.Text.Json;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Tokenizers;

namespace GenerativeML.Benchmarks;

/// <summary>
/// <c>detect</c>: texts of people and of GPT-2 XL and GPT-3.5, in pairs of the same beginning: how well a language model's
/// expectations tell them apart, alone and as features of classifiers, in five folds, both texts of a pair in one; and how
/// classifiers that learned from one kind do on the other.
/// </summary>
/// <remarks>
/// Without <c>--weights</c> the language model is a small one, trained here on texts of other kinds. White space is
/// collapsed unless <c>--layout</c> keeps it: line breaks alone tell these sets apart (AUROC 0.989 and 0.993), since the
/// genuine texts were stored without.
/// </remarks>
internal static class DetectBenchmark
{
    private const int Folds = 5;
    private const string DefaultOptions = """{"Layers":2,"ContextLength":128,"BatchSize":4,"Steps":400}""";
    private const string Genuine = "original", Machine = "sampled";

    /// <summary>The command and its options.</summary>
    public static Command Command()
    {
        Option<DirectoryInfo> data = new("--data")
        {
            Description = "A folder with xsum_*.json, each of texts 'original' and 'sampled' in pairs.", Required = true,
        };
        Option<FileInfo[]> corpus = new("--corpus")
        {
            Description = "Texts to train the language model on, one a line; plain or gzip. Default: Multi30k's English "
                + "captions and Tiny Shakespeare beside the folder.",
            AllowMultipleArgumentsPerToken = true,
        };
        Option<DirectoryInfo?> tokenizer = new("--tokenizer")
        {
            Description = "A folder with gpt2_encoder.json and gpt2_vocab.bpe. Default: the one beside the folder.",
        };
        Option<FileInfo?> weights = new("--weights")
        {
            Description = "GPT-2's weights as safetensors, config.json beside them, in place of training.",
        };
        Option<string> options = new("--options")
        {
            Description = "The language model's options, as JSON.", DefaultValueFactory = _ => DefaultOptions,
        };
        Option<bool> layout = new("--layout") { Description = "Keeps line breaks and spaces as they are." };
        Option<FileInfo?> page = new("--page") { Description = "Where to write a page of coloured texts." };
        Option<FileInfo?> json = new("--json") { Description = "Where to write the results as JSON." };
        Command command = new("detect", "How well generated texts are told from genuine ones.")
        {
            data, corpus, tokenizer, weights, options, layout, page, json,
        };
        command.SetAction((parsed, cancellation) => Task.FromResult(Run(
            parsed.GetRequiredValue(data), parsed.GetValue(corpus) ?? [], parsed.GetValue(tokenizer), parsed.GetValue(weights),
            parsed.GetRequiredValue(options), parsed.GetValue(layout), parsed.GetValue(page), parsed.GetValue(json), cancellation)));
        return command;
    }

    private static int Run(
        DirectoryInfo data, FileInfo[] corpus, DirectoryInfo? tokenizerFolder, FileInfo? weights, string chosen, bool layout,
        FileInfo? page, FileInfo? json, CancellationToken cancellation)
    {
        FileInfo[] sets = data.Exists ? [.. data.GetFiles("xsum_*.json").OrderByDescending(f => f.Length)] : [];
        if (sets.Length == 0)
        {
            Console.Error.WriteLine($"There is no file xsum_*.json in {data.FullName}.");
            return 2;
        }
        string beside = Path.Combine(data.FullName, "..");
        if (corpus.Length == 0)
            corpus = [new(Path.Combine(beside, "seq2seq/multi30k/train.en.gz")), new(Path.Combine(beside, "text/tinyshakespeare.txt"))];
        string folder = tokenizerFolder?.FullName ?? Path.Combine(beside, "tokenizer");
        BytePairTokenizer tokenizer =
            BytePairTokenizer.Load(Path.Combine(folder, "gpt2_encoder.json"), Path.Combine(folder, "gpt2_vocab.bpe"));
        var ml = new MLContext(seed: 0);
        var clock = Stopwatch.StartNew();
        using GptTransformer gpt = weights is null
            ? Trained(ml, corpus, tokenizer, chosen, cancellation)
            : ml.Generative.PretrainedGpt(
                GptOptions.FromConfig(Path.Combine(weights.DirectoryName!, "config.json")) with
                {
                    InitialWeights = weights.FullName, Tokenizer = tokenizer,
                });
        Console.WriteLine($"language model: {gpt.ParameterCount:N0} weights, {clock.Elapsed.TotalSeconds:F0} s");
        var results = new List<object>();
        var known = new List<(string Name, TextPair[] Rows, IDataView View)>();
        foreach (FileInfo file in sets)
        {
            string name = Path.GetFileNameWithoutExtension(file.Name)["xsum_".Length..];
            TextPair[] rows = Read(file);
            clock.Restart();
            IDataView texts = ml.Data.LoadFromEnumerable(rows.Select(r => new Text(r.Text, r.Label)));
            using GeneratedTextDetector detector = ml.Generative.GeneratedTextDetector(gpt, new()
            {
                TextColumnName = nameof(Text.Content), LabelColumnName = nameof(Text.Label), CollapseWhiteSpace = !layout,
                CancellationToken = cancellation,
            }).Fit(texts);
            IDataView view = Keep(ml, detector.Transform(texts), rows);
            float[] scores = [.. rows.Select(r => r.Score)];
            Console.WriteLine($"{name}: {rows.Length / 2} pairs, {clock.Elapsed.TotalSeconds:F0} s");
            Dictionary<string, double> zeroShot = ZeroShot(rows);
            foreach ((string statistic, double auroc) in zeroShot)
                Console.WriteLine($"  alone, by {statistic}: AUROC {auroc:F3}");
            double alarms = FalseAlarms(scores, rows);
            Console.WriteLine($"  genuine texts above the default threshold, in folds: {alarms:P1}");
            Dictionary<string, double> learned = [];
            float[] sum = new float[rows.Length];
            foreach ((string method, Func<IEstimator<ITransformer>> make) in Classifiers(ml, layout))
            {
                float[] judged = CrossValidate(ml, view, rows, make);
                learned[method] = FoldAuroc(judged, rows);
                Add(sum, judged, rows);
                Console.WriteLine($"  in folds, {method}: AUROC {learned[method]:F3}");
            }
            learned["mean of all"] = FoldAuroc(sum, rows);
            Console.WriteLine($"  in folds, mean of all: AUROC {learned["mean of all"]:F3}");
            results.Add(new { set = name, pairs = rows.Length / 2, zero_shot = zeroShot, false_alarms = alarms, learned });
            known.Add((name, rows, view));
            if (page is not null && known.Count == 1)
                detector.SavePage(page.FullName, rows.Take(8).Select(r => KeyValuePair.Create(r.Label ? $"{name} wrote this" : "genuine", r.Text)));
        }
        foreach (var from in known)
        {
            foreach (var to in known.Where(k => k.Name != from.Name))
            {
                float[] sum = new float[to.Rows.Length];
                foreach ((string method, Func<IEstimator<ITransformer>> make) in Classifiers(ml, layout))
                {
                    float[] judged = [.. make().Fit(from.View).Transform(to.View).GetColumn<float>("Score")];
                    Add(sum, judged, to.Rows);
                    double auroc = Auroc(judged, to.Rows);
                    Console.WriteLine($"learned from {from.Name}, judged on {to.Name}, {method}: AUROC {auroc:F3}");
                    results.Add(new { learned_from = from.Name, judged_on = to.Name, method, auroc });
                }
                Console.WriteLine($"learned from {from.Name}, judged on {to.Name}, mean of all: AUROC {Auroc(sum, to.Rows):F3}");
            }
        }
        if (json is not null)
            File.WriteAllText(json.FullName, JsonSerializer.Serialize(new { white_space_kept = layout, results }) + "\n");
        return 0;
    }

    // What the detector says of texts, in memory: each fold reads it.
    private static IDataView Keep(MLContext ml, IDataView scored, TextPair[] rows)
    {
        float[] scores = [.. scored.GetColumn<float>("Score")];
        float[][] features = [.. scored.GetColumn<float[]>("Features")];
        int likelihoods = TokenEvidence.Names.Count;
        for (int i = 0; i < rows.Length; i++)
            (rows[i].Score, rows[i].Features, rows[i].Likelihoods) = (scores[i], features[i], features[i][..likelihoods]);
        var schema = SchemaDefinition.Create(typeof(TextPair));
        schema[nameof(TextPair.Features)].ColumnType = new VectorDataViewType(NumberDataViewType.Single, features[0].Length);
        schema[nameof(TextPair.Likelihoods)].ColumnType = new VectorDataViewType(NumberDataViewType.Single, likelihoods);
        return ml.Data.LoadFromEnumerable(rows, schema);
    }

    // The AUROC of each statistic that is among the features.
    private static Dictionary<string, double> ZeroShot(TextPair[] rows) =>
        TokenEvidence.Names.Select((name, i) => (Name: name, Slot: i))
            .Where(f => Enum.TryParse<GeneratedTextStatistic>(f.Name, out _))
            .ToDictionary(f => f.Name, f => Auroc([.. rows.Select(row => row.Likelihoods[f.Slot])], rows));

    // What learns, and from which columns.
    private static IEnumerable<(string, Func<IEstimator<ITransformer>>)> Classifiers(MLContext ml, bool layout)
    {
        const string label = nameof(TextPair.Label);
        yield return ("logistic regression on likelihoods", () => ml.Transforms.NormalizeMeanVariance("Likelihoods")
            .Append(ml.BinaryClassification.Trainers.LbfgsLogisticRegression(
                label, "Likelihoods", l1Regularization: 0, l2Regularization: 10)));
        yield return ("boosted trees on features", () => ml.BinaryClassification.Trainers.FastTree(
            new Microsoft.ML.Trainers.FastTree.FastTreeBinaryTrainer.Options
            {
                LabelColumnName = label, FeatureColumnName = "Features", NumberOfLeaves = 8, NumberOfTrees = 300,
                LearningRate = 0.05, FeatureFraction = 0.3, FeatureFractionPerSplit = 0.5, MinimumExampleCountPerLeaf = 10,
                NumberOfThreads = 1,
            }));
        yield return ("logistic regression on character n-grams", () => Grams().Append(Regression("Grams")));
        // The score is what no writer taught: a classifier that has it too depends less on whose texts it learned from.
        yield return ("logistic regression on n-grams and score", () => Grams()
            .Append(ml.Transforms.NormalizeMeanVariance("Scaled", nameof(TextPair.Score), fixZero: false))
            .Append(ml.Transforms.Concatenate("All", "Grams", "Scaled")).Append(Regression("All")));
        // Features as a whole have the length that n-grams have, or they would outweigh them.
        yield return ("logistic regression on n-grams and features", () => Grams()
            .Append(ml.Transforms.NormalizeMeanVariance("Scaled", nameof(TextPair.Features), fixZero: false))
            .Append(ml.Transforms.NormalizeLpNorm("Scaled"))
            .Append(ml.Transforms.Concatenate("All", "Grams", "Scaled")).Append(Regression("All")));

        IEstimator<ITransformer> Grams() => ml.Transforms.Text.FeaturizeText(
            "Grams",
            new Microsoft.ML.Transforms.Text.TextFeaturizingEstimator.Options
            {
                CharFeatureExtractor = new Microsoft.ML.Transforms.Text.WordBagEstimator.Options
                {
                    NgramLength = 5, UseAllLengths = true, Weighting = Microsoft.ML.Transforms.Text.NgramExtractingEstimator.WeightingCriteria.TfIdf,
                    MaximumNgramsCount = [200_000, 200_000, 200_000, 200_000, 200_000],
                },
                WordFeatureExtractor = null, CaseMode = Microsoft.ML.Transforms.Text.TextNormalizingEstimator.CaseMode.None,
                Norm = Microsoft.ML.Transforms.Text.TextFeaturizingEstimator.NormFunction.L2,
            },
            layout ? nameof(TextPair.Text) : nameof(TextPair.Line));

        IEstimator<ITransformer> Regression(string features) => ml.BinaryClassification.Trainers.LbfgsLogisticRegression(
            label, features, l1Regularization: 0, l2Regularization: 0.1f);
    }

    private static float[] CrossValidate(MLContext ml, IDataView view, TextPair[] rows, Func<IEstimator<ITransformer>> make)
    {
        float[] scores = new float[rows.Length];
        for (int fold = 0; fold < Folds; fold++)
        {
            float f = fold;
            IDataView test = ml.Data.FilterRowsByColumn(view, nameof(TextPair.Fold), f, f + 1);
            IDataView train = ml.Data.FilterByCustomPredicate<FoldOf>(view, row => row.Fold == f);
            float[] found = [.. make().Fit(train).Transform(test).GetColumn<float>("Score")];
            int next = 0;
            for (int i = 0; i < rows.Length; i++)
            {
                if (rows[i].Fold == f)
                    scores[i] = found[next++];
            }
        }
        return scores;
    }

    // The share of genuine texts that are above the threshold that those of other folds tell.
    private static double FalseAlarms(float[] scores, TextPair[] rows)
    {
        int above = 0;
        for (int fold = 0; fold < Folds; fold++)
        {
            float[] others = [.. scores.Where((_, i) => !rows[i].Label && rows[i].Fold != fold)];
            float threshold = new CalibrationScores(others).Threshold(new GeneratedTextOptions().FalseAlarmRate);
            above += rows.Where((r, i) => !r.Label && r.Fold == fold && scores[i] > threshold).Count();
        }
        return above / (double)rows.Count(r => !r.Label);
    }

    // Each fold's scores count the same, whatever the scale of its classifier.
    private static void Add(float[] sum, float[] scores, TextPair[] rows)
    {
        foreach (IGrouping<float, int> fold in Enumerable.Range(0, rows.Length).GroupBy(i => rows[i].Fold))
        {
            double mean = fold.Average(i => scores[i]);
            double deviation = Math.Sqrt(fold.Average(i => (scores[i] - mean) * (scores[i] - mean)));
            foreach (int i in fold)
                sum[i] += (float)((scores[i] - mean) / Math.Max(1e-9, deviation));
        }
    }

    // The mean over folds.
    private static double FoldAuroc(float[] scores, TextPair[] rows) => Enumerable.Range(0, Folds).Average(fold => Auroc(
        [.. scores.Where((_, i) => rows[i].Fold == fold)], [.. rows.Where(r => r.Fold == fold)]));

    private static double Auroc(float[] scores, TextPair[] rows) =>
        DetectionQuality.Auroc(scores, [.. rows.Select(r => r.Label)]);

    private static TextPair[] Read(FileInfo file)
    {
        Dictionary<string, string[]> texts =
            JsonSerializer.Deserialize<Dictionary<string, string[]>>(File.ReadAllText(file.FullName))!;
        return
        [
            .. texts[Genuine].Zip(texts[Machine]).SelectMany((pair, i) => (TextPair[])
            [
                new() { Text = pair.First, Line = Line(pair.First), Fold = i % Folds },
                new() { Text = pair.Second, Line = Line(pair.Second), Fold = i % Folds, Label = true },
            ]),
        ];

        static string Line(string text) => string.Join(' ', text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
    }

    private static GptTransformer Trained(
        MLContext ml, FileInfo[] corpus, BytePairTokenizer tokenizer, string chosen, CancellationToken cancellation)
    {
        List<Text> documents = [];
        foreach (FileInfo file in corpus)
        {
            using Stream stream = file.OpenRead();
            using var reader = new StreamReader(file.Extension == ".gz" ? new GZipStream(stream, CompressionMode.Decompress) : stream);
            string[] lines = [.. reader.ReadToEnd().Split('\n').Where(line => line.Length > 0)];
            // A few lines together are a text; news have no lines.
            documents.AddRange(lines.Chunk(16).Select(some => new Text(string.Join(' ', some), false)));
        }
        return ml.Generative.Gpt(ChosenOptions.Read<GptOptions>(chosen) with
        {
            TextColumnName = nameof(Text.Content), Tokenizer = tokenizer, CancellationToken = cancellation,
            GeneratedTextColumnName = null, Progress = new ProgressLines(),
        }).Fit(ml.Data.LoadFromEnumerable(documents));
    }

    /// <summary>A text of a pair.</summary>
    private sealed class TextPair
    {
        public string Text { get; set; } = "";

        public string Line { get; set; } = "";

        public bool Label { get; set; }

        public float Fold { get; set; }

        public float Score { get; set; }

        public float[] Features { get; set; } = [];

        public float[] Likelihoods { get; set; } = [];
    }

    /// <summary>What the detector looks at.</summary>
    private sealed record Text(string Content, bool Label);

    /// <summary>What a filter looks at.</summary>
    private sealed class FoldOf
    {
        public float Fold { get; set; }
    }
}
