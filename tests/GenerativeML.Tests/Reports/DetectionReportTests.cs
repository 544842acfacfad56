using System.Text.RegularExpressions;
using System.Xml.Linq;
using GenerativeML.Tests.Conformance;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Tests.Reports;

/// <summary>The figures of a detection report are those that others compute.</summary>
[TestClass]
public sealed class DetectionReportTests
{
    private readonly MLContext _ml = new(1);
    private readonly string _folder = Directory.CreateTempSubdirectory("generativeml-").FullName;

    [TestCleanup]
    public void Cleanup() => Directory.Delete(_folder, recursive: true);

    // By hand. Scores and labels 4+ 3- 2+ 2- 1-: of the six pairs four are in order, 2+ over 2- counts half, 2+ over 3- not at all:
    // (3 + 1.5) / 6. Precisions at the anomalies: 1/1 and, both twos flagged, 2/4.
    [TestMethod]
    public void A_case_worked_by_hand_with_ties()
    {
        DetectionReport report = Report([4, 3, 2, 2, 1], [true, false, true, false, false], threshold: 2.5f);
        Assert.AreEqual(4.5 / 6, report.Auroc!.Value, 1e-12);
        Assert.AreEqual(0.0, report.AurocError);
        Assert.AreEqual((1 + 0.5) / 2, report.AveragePrecision!.Value, 1e-12);
        Assert.AreEqual((5L, 2L, 3L, 2L), (report.Rows, report.AnomalousRows, report.NormalRows, report.Flagged));
        Assert.AreEqual((0.5, 0.5, 0.5), (report.Precision, report.Recall, report.F1));
        Assert.AreEqual(1 / 3.0, report.FalseAlarmRate!.Value, 1e-12);
        Assert.AreEqual(2.0, report.Threshold, "the highest score that is not flagged");
        CollectionAssert.AreEqual(
            new DetectionPoint[] { new(4, 0, 0.5, 1), new(3, 1 / 3.0, 0.5, 0.5), new(2, 2 / 3.0, 1, 0.5), new(1, 1, 1, 0.4) }, report.Curve.ToArray());
        CollectionAssert.AreEqual(new long[] { 1, 2, 3, 4, 5 }, report.Strangest.Select(row => row.Row).ToArray());
    }

    [TestMethod]
    [DataRow(1000, 1_000_000, 0.1)]
    [DataRow(1000, 7, 0.3)]
    [DataRow(1000, 1, 0.5)]
    [DataRow(20, 5, 0.9)]
    public void Areas_are_those_of_counting_pairs_and_of_the_evaluator(int rows, int values, double share)
    {
        var random = new Random(3);
        bool[] labels = [.. Enumerable.Range(0, rows).Select(_ => random.NextDouble() < share)];
        float[] scores = [.. labels.Select(anomaly => (float)Math.Floor((random.NextDouble() + (anomaly ? 0.5 : 0)) * values) - values / 2f)];
        DetectionReport report = Report(scores, labels, threshold: 0);

        double above = 0, pairs = 0, precisions = 0;
        for (int i = 0; i < rows; i++)
        {
            if (!labels[i])
                continue;
            for (int j = 0; j < rows; j++)
            {
                if (!labels[j])
                    (above, pairs) = (above + (scores[i] > scores[j] ? 1 : scores[i] == scores[j] ? 0.5 : 0), pairs + 1);
            }
            precisions += labels.Where((label, j) => label && scores[j] >= scores[i]).Count() / (double)scores.Count(score => score >= scores[i]);
        }
        Assert.AreEqual(above / pairs, report.Auroc!.Value, 1e-12);
        Assert.AreEqual(precisions / labels.Count(label => label), report.AveragePrecision!.Value, 1e-12);

        IDataView judged = _ml.Data.LoadFromEnumerable(scores.Zip(labels, (score, label) => new Judged { Score = score, PredictedLabel = score > 0, Label = label }));
        BinaryClassificationMetrics metrics = _ml.BinaryClassification.EvaluateNonCalibrated(judged);
        if (values > 1)
            Assert.AreEqual(metrics.AreaUnderRocCurve, report.Auroc.Value, 1e-6);
        IDataView detected = _ml.Data.LoadFromEnumerable(scores.Zip(labels, (score, label) => new Detected { Score = score, PredictedLabel = score > 0, Label = label ? 1 : 0 }));
        if (values > 1)
            Assert.AreEqual(_ml.AnomalyDetection.Evaluate(detected).AreaUnderRocCurve, report.Auroc.Value, 1e-6);
        // The evaluator's other area is another one, drawn in straight lines: near where scores are many, far where they are few.
        double apart = Math.Abs(metrics.AreaUnderPrecisionRecallCurve - report.AveragePrecision.Value);
        if (values > 1000)
            Assert.IsLessThan(0.01, apart);
        else if (values == 7)
            Assert.IsGreaterThan(0.02, apart);
        if (report.Flagged > 0)
        {
            Assert.AreEqual(metrics.PositivePrecision, report.Precision!.Value, 1e-9);
            Assert.AreEqual(metrics.PositiveRecall, report.Recall!.Value, 1e-9);
            Assert.AreEqual(metrics.F1Score, report.F1!.Value, 1e-9);
        }
        Assert.AreEqual(rows, report.Histogram.Sum(bin => bin.Normal + bin.Anomalous));
    }

    [TestMethod]
    public void Orders_of_scores_are_kept_whatever_their_signs()
    {
        float[] scores = [float.NegativeInfinity, -1e30f, -2, -float.Epsilon, 0, float.Epsilon, 1, 1e30f, float.PositiveInfinity];
        DetectionReport report = Report([.. scores.Reverse(), -0f, float.NaN], [.. scores.Select((_, i) => i < 4), false, true], threshold: 1);
        Assert.AreEqual(1, report.MissingScores);
        Assert.AreEqual(10, report.Rows);
        Assert.AreEqual(1.0, report.Auroc!.Value, 1e-12);
        Assert.AreEqual(2L, report.Histogram[0].Normal + report.Histogram[0].Anomalous, "−∞ and −1e30");
        CollectionAssert.AreEqual(
            scores.Reverse().ToArray(), TallyOf(scores.Append(-0f)).Descending().Select(step => step.Score).ToArray());
    }

    [TestMethod]
    public void Many_scores_are_told_apart_by_their_leading_bits_and_the_error_is_bounded()
    {
        var random = new Random(5);
        (float Score, bool Anomaly)[] rows = [.. Enumerable.Range(0, 50_000).Select(_ => random.NextDouble() < 0.2)
            .Select(anomaly => ((float)Math.Exp(random.NextDouble() * 3 + (anomaly ? 1 : 0)) - 5, anomaly))];
        ScoreTally exact = TallyOf(rows), coarse = TallyOf(rows, 500), reordered = TallyOf([.. rows.Reverse()], 500);
        Assert.AreEqual(0, exact.DroppedBits);
        Assert.AreEqual(0.0, exact.Auroc()!.Value.Error);
        Assert.IsLessThanOrEqualTo(500, coarse.Descending().Count());
        Assert.IsGreaterThan(100, coarse.Descending().Count());
        (double area, double error) = coarse.Auroc()!.Value;
        Assert.IsLessThanOrEqualTo(error, Math.Abs(area - exact.Auroc()!.Value.Area));
        Assert.IsTrue(error is > 0 and < 0.01, $"{error}");
        Assert.AreEqual(exact.AveragePrecision()!.Value, coarse.AveragePrecision()!.Value, 0.01);
        CollectionAssert.AreEqual(
            coarse.Descending().Select(s => (s.Score, s.Count.Normal, s.Count.Anomalous)).ToArray(),
            reordered.Descending().Select(s => (s.Score, s.Count.Normal, s.Count.Anomalous)).ToArray());
        Assert.AreEqual(rows.Length, coarse.Descending().Sum(s => s.Count.All));
    }

    [TestMethod]
    public void Labels_are_of_many_kinds_and_may_be_missing()
    {
        (object[] Labels, bool?[] Expected)[] cases =
        [
            ([0f, 1f, -1f, float.NaN], [false, true, true, null]),
            ([0.0, 0.5, 2.0, double.NaN], [false, true, true, null]),
            (["Normal", "wear", "", "leak", "0.0", "1"], [false, true, false, true, false, true]),
            (["0", "1", "NA", "nan", "?", "-", "null"], [false, true, null, null, null, null, null]),
            ([false, true, true, false], [false, true, true, false]),
            ([0, 3, 0, 1], [false, true, false, true]),
        ];
        foreach ((object[] labels, bool?[] expected) in cases)
        {
            IDataView view = labels[0] switch
            {
                float => View(labels.Cast<float>()),
                double => View(labels.Cast<double>()),
                string => View(labels.Cast<string>()),
                bool => View(labels.Cast<bool>()),
                _ => View(labels.Cast<int>()),
            };
            DetectionReport report = DetectionReport.Create(view, new() { LabelColumnName = "Label" });
            Assert.AreEqual(expected.Count(label => label == true), report.AnomalousRows);
            Assert.AreEqual(expected.Count(label => label == false), report.NormalRows);
            Assert.AreEqual(expected.Count(label => label is null), report.Histogram.Sum(bin => bin.Unlabelled));
        }

        // Keys, of which one is missing.
        IDataView keys = _ml.Transforms.Conversion.MapValueToKey("Label").Fit(View(["normal", "wear", "leak"])).Transform(View(["normal", "wear", "new"]));
        DetectionReport byKey = DetectionReport.Create(keys, new() { LabelColumnName = "Label" });
        Assert.AreEqual((1L, 1L, 3L), (byKey.NormalRows, byKey.AnomalousRows, byKey.Rows));

        DetectionReport kinds = DetectionReport.Create(View(["ok", "wear", "leak", "wear", "OK", "wear"]), new() { LabelColumnName = "Label" });
        CollectionAssert.AreEqual(new AnomalyKind[] { new("wear", 3, 2), new("leak", 1, 1) }, kinds.Kinds.ToArray());
        DetectionReport numbers = DetectionReport.Create(View([0, 3, 7, 3]), new() { LabelColumnName = "Label" });
        CollectionAssert.AreEqual(new AnomalyKind[] { new("3", 2, 1), new("7", 1, 1) }, numbers.Kinds.ToArray());
        DetectionReport own = DetectionReport.Create(View(["gut", "wear"]), new() { LabelColumnName = "Label", NormalLabels = ["gut"] });
        Assert.AreEqual((1L, 1L), (own.NormalRows, own.AnomalousRows));

        IDataView View<T>(IEnumerable<T> labels) => _ml.Data.LoadFromEnumerable(
            labels.Select((label, i) => new Labelled<T> { Score = i, PredictedLabel = i > 1, Label = label }));
    }

    [TestMethod]
    public void Without_labels_there_are_counts_and_no_grades()
    {
        IDataView view = _ml.Data.LoadFromEnumerable(Enumerable.Range(0, 100).Select(i => new Judged { Score = i, PredictedLabel = i >= 95 }));
        DetectionReport report = DetectionReport.Create(view);
        Assert.IsTrue(report is { Auroc: null, AurocError: null, AveragePrecision: null, Precision: null, Recall: null, F1: null, FalseAlarmRate: null });
        Assert.AreEqual((5L, 94.0), (report.Flagged, report.Threshold));
        Assert.HasCount(0, report.Curve);
        Assert.AreEqual(100L, report.Histogram.Sum(bin => bin.Unlabelled));
        Assert.IsTrue(DetectionReport.Create(view, new() { PredictedLabelColumnName = null }) is { Flagged: null, Threshold: null });
        Assert.AreEqual(7.5, DetectionReport.Create(view, new() { Threshold = 7.5 }).Threshold);

        // Of one kind only, there is nothing to grade.
        Assert.IsNull(Report([1, 2, 3], [true, true, true], threshold: 2).Auroc);
        // Flags by something else than the score have no threshold.
        IDataView other = _ml.Data.LoadFromEnumerable(Enumerable.Range(0, 100).Select(i => new Judged { Score = i, PredictedLabel = i % 2 == 0 }));
        Assert.IsNull(DetectionReport.Create(other).Threshold);
    }

    [TestMethod]
    public void Errors_come_before_work_and_name_the_column()
    {
        IDataView view = _ml.Data.LoadFromEnumerable([new Judged { Score = float.NaN }]);
        (DetectionReportOptions Options, string Part)[] wrong =
        [
            (new() { ScoreColumnName = "Nothing" }, "'Nothing' is missing"), (new() { ScoreColumnName = "Label" }, "expected a Single, found Boolean"),
            (new() { PredictedLabelColumnName = "Score" }, "expected a Boolean, found Single"), (new() { LabelColumnName = "Fault" }, "'Fault' is missing"),
            (new() { LatentColumnName = "Score" }, "a vector of Single"), (new() { MaximumPoints = 9 }, "MaximumPoints"),
            (new() { Threshold = double.NaN }, "Threshold"),
            (new() { FeatureColumnName = "Score" }, "FeatureScoreColumnName"), (new(), "NaN"),
        ];
        foreach ((DetectionReportOptions options, string part) in wrong)
            StringAssert.Contains(Assert.Throws<ArgumentException>(() => DetectionReport.Create(view, options)).Message, part);
        using var cancelled = new CancellationTokenSource();
        cancelled.Cancel();
        Assert.ThrowsExactly<OperationCanceledException>(() => DetectionReport.Create(view, new() { CancellationToken = cancelled.Token }));
    }

    // Points on a line in three dimensions, and a little beside it: the components are known.
    [TestMethod]
    public void The_map_shows_the_plane_of_most_variance()
    {
        var random = new Random(1);
        (double Along, double Beside)[] at = [.. Enumerable.Range(0, 200).Select(_ => (random.NextDouble() * 10 - 5, random.NextDouble() - 0.5))];
        IDataView view = _ml.Data.LoadFromEnumerable(at.Select((p, i) => new Encoded
        {
            // The axes (2, 2, 1)/3 and (1, −2, 2)/3 are orthogonal, and there is nothing along the third.
            Latent = [(float)(7 + (2 * p.Along + p.Beside) / 3), (float)((2 * p.Along - 2 * p.Beside) / 3), (float)((p.Along + 2 * p.Beside) / 3)],
            Score = i,
        }));
        DetectionReport report = DetectionReport.Create(view, new() { PredictedLabelColumnName = null, LatentColumnName = "Latent" });
        Assert.HasCount(200, report.LatentMap);
        Assert.AreEqual(1.0, report.LatentMapShare!.Value, 1e-4);

        // The principal axes of the two coordinates, by their covariance.
        double ma = at.Average(p => p.Along), mb = at.Average(p => p.Beside);
        double aa = at.Sum(p => (p.Along - ma) * (p.Along - ma)), bb = at.Sum(p => (p.Beside - mb) * (p.Beside - mb));
        double angle = Math.Atan2(2 * at.Sum(p => (p.Along - ma) * (p.Beside - mb)), aa - bb) / 2;
        double[] x = [.. at.Select(p => Math.Cos(angle) * (p.Along - ma) + Math.Sin(angle) * (p.Beside - mb))];
        double[] y = [.. at.Select(p => Math.Cos(angle) * (p.Beside - mb) - Math.Sin(angle) * (p.Along - ma))];
        LatentPoint[] points = [.. report.LatentMap];
        double sx = Math.Sign(points[0].X / x[0]), sy = Math.Sign(points[0].Y / y[0]);
        for (int i = 0; i < points.Length; i++)
        {
            Assert.AreEqual(sx * x[i], points[i].X, 2e-3);
            Assert.AreEqual(sy * y[i], points[i].Y, 2e-3);
            Assert.AreEqual(i, points[i].Score);
        }

        DetectionReport some = DetectionReport.Create(view, new() { PredictedLabelColumnName = null, LatentColumnName = "Latent", MaximumPoints = 50 });
        Assert.HasCount(50, some.LatentMap);
        Assert.AreEqual(50, some.LatentMap.Select(point => point.Score).Distinct().Count());
    }

    // Signs of a Hadamard matrix are uncorrelated: the variances are the squares of the sizes, along the axes or, turned, along others.
    [TestMethod]
    [DataRow(new[] { 1.0 }, 8, false)]
    [DataRow(new[] { 3.0, 2, 1 }, 16, false)]
    [DataRow(new[] { 3.0, 2, 1 }, 16, true)]
    [DataRow(new[] { 1, 1e-3 }, 3, false)]
    [DataRow(new[] { 1, 1e-4 }, 3, false)]
    [DataRow(new[] { 2.0, 2, 1, 0.5 }, 4, true)]
    [DataRow(new[] { 3e-4, 2e-4, 1e-4 }, 8, true)]
    public void The_map_is_exact_for_small_and_dead_units(double[] sizes, int width, bool turned)
    {
        const int Rows = 32;
        var sample = new LatentSample(Rows, 1);
        for (int r = 0; r < Rows; r++)
        {
            sample.Put(sample.NextPlace(), [.. Enumerable.Range(0, width).Select(i => (float)(turned
                ? sizes.Select((size, k) => size * Sign(r, k + 1) * Sign(i, k) / Math.Sqrt(width)).Sum()
                : i < sizes.Length ? sizes[i] * Sign(r, i + 1) : 0))], r, null);
        }
        (LatentPoint[] points, double? share) = sample.Map();
        double all = sizes.Sum(size => size * size), second = sizes.ElementAtOrDefault(1);
        Assert.AreEqual((sizes[0] * sizes[0] + second * second) / all, share!.Value, 1e-6);
        double xx = points.Average(p => (double)p.X * p.X), yy = points.Average(p => (double)p.Y * p.Y);
        Assert.AreEqual(sizes[0], Math.Sqrt(xx), 1e-5 * sizes[0]);
        Assert.AreEqual(second, Math.Sqrt(yy), 1e-5 * second);
        Assert.AreEqual(0, points.Average(p => (double)p.X * p.Y), 1e-5 * sizes[0] * second);

        static int Sign(int i, int j) => int.IsEvenInteger(System.Numerics.BitOperations.PopCount((uint)(i & j))) ? 1 : -1;
    }

    [TestMethod]
    public void Infinite_scores_stay_so_where_scores_are_not_told_apart()
    {
        var random = new Random(2);
        float[] scores = [float.NegativeInfinity, float.PositiveInfinity, .. Enumerable.Range(0, 3000).Select(_ => random.NextSingle() - 0.5f)];
        ScoreTally tally = TallyOf([.. scores.Select(score => (score, score > 0))], 100);
        float[] found = [.. tally.Descending().Select(step => step.Score)];
        Assert.IsGreaterThan(0, tally.DroppedBits);
        Assert.AreEqual(float.NegativeInfinity, found[^1]);
        Assert.IsFalse(found.Any(float.IsNaN));
    }

    [TestMethod]
    public void Precision_is_drawn_in_the_steps_that_its_area_is_computed_by()
    {
        string path = Path.Combine(_folder, "page.html");
        Report([6, 5, 4, 3, 2, 1], [true, false, true, false, false, true], threshold: 2.5f).SaveHtml(path);
        string drawing = Regex.Match(File.ReadAllText(path), "<svg[^>]*Precision-recall.*?</svg>", RegexOptions.Singleline).Value;
        (double X, double Y)[][] lines =
        [
            .. Regex.Matches(drawing, "<polyline points=\"([^\"]*)\"[^>]*stroke:var\\(--made\\)").Select(line => line.Groups[1].Value
                .Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(point => point.Split(',')).Select(p => (double.Parse(p[0]), double.Parse(p[1]))).ToArray()),
        ];
        Assert.IsGreaterThan(4, lines.Sum(line => line.Length), drawing);
        foreach ((double X, double Y)[] line in lines)
            Assert.IsTrue(line.Zip(line.Skip(1)).All(step => step.First.X == step.Second.X || step.First.Y == step.Second.Y));
    }

    [TestMethod]
    public void Of_two_slots_of_one_name_each_has_its_own_usual_value()
    {
        IDataView rows = _ml.Data.LoadFromEnumerable(Enumerable.Range(0, 9).Select(i => new Explained { Score = i, Features = [1, 2, 3, 4], FeatureScore = [4, 3, 2, 0] }));
        var schema = SchemaDefinition.Create(typeof(Explained));
        VBuffer<ReadOnlyMemory<char>> names = new(4, [.. new[] { "same", "same", "other", "last" }.Select(name => name.AsMemory())]);
        schema["Features"].AddAnnotation("SlotNames", names, new VectorDataViewType(TextDataViewType.Instance, 4));
        IDataView named = _ml.Data.LoadFromEnumerable(_ml.Data.CreateEnumerable<Explained>(rows, reuseRowObject: false), schema);
        DetectionReport report = DetectionReport.Create(named, new() { FeatureScoreColumnName = "FeatureScore", FeatureColumnName = "Features" });
        CollectionAssert.AreEqual(
            new[] { ("same", 1.0), ("same", 2.0), ("other", 3.0) }, report.Strangest[0].Reasons.Select(r => (r.Feature, r.Usual!.Value)).ToArray());
    }

    [TestMethod]
    public void The_page_draws_the_bins_as_they_are()
    {
        string path = Path.Combine(_folder, "page.html");
        foreach ((float[] scores, bool logarithmic) in new[] { (new[] { 10_000f, 10_001 }, false), (new[] { 1f, 5 }, true) })
        {
            Report(scores, [false, true], threshold: 2).SaveHtml(path); // the first by its ratios looks like the second
            Assert.AreEqual(logarithmic, File.ReadAllText(path).Contains("score (logarithmic)", StringComparison.Ordinal));
        }
    }

    [TestMethod]
    public void The_strangest_rows_say_why()
    {
        IDataView view = _ml.Data.LoadFromEnumerable(Enumerable.Range(0, 30).Select(i => new Explained
        {
            Score = i == 12 ? 100 : i % 5, PredictedLabel = i == 12, Features = [i == 12 ? 50 : 1, 2, i == 12 ? float.NaN : 3, 4],
            FeatureScore = i == 12 ? [6, 1, 3, 0] : [1, 0, 0, 0],
        }));
        DetectionReport report = DetectionReport.Create(view, new() { FeatureScoreColumnName = "FeatureScore", FeatureColumnName = "Features" });
        StrangeRow first = report.Strangest[0];
        Assert.AreEqual((13L, 100f, null), (first.Row, first.Score, first.Label));
        CollectionAssert.AreEqual(
            new FeatureReason[] { new("0", 0.6, 50, 1), new("2", 0.3, float.NaN, 3), new("1", 0.1, 2, 2) }, first.Reasons.ToArray());
        Assert.HasCount(10, report.Strangest);
        CollectionAssert.AreEqual(new long[] { 13, 5, 10, 15, 20, 25, 30, 4, 9, 14 }, report.Strangest.Select(row => row.Row).ToArray());
    }

    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public void The_page_needs_no_other_file_and_nothing_from_the_data_is_markup(bool labelled)
    {
        var random = new Random(1);
        IDataView view = _ml.Data.LoadFromEnumerable(Enumerable.Range(0, 500).Select(i => new Everything
        {
            Score = (float)Math.Exp(random.NextDouble() * 4 + (i % 10 == 0 ? 2 : 0)), PredictedLabel = i % 20 == 0, Label = i % 10 == 0 ? (i % 20 == 0 ? "<wear>" : "a&b\"") : "ok",
            Features = [i, 1], FeatureScore = [1, 1], Latent = [i % 7, i, random.NextSingle()],
        }));
        string path = Path.Combine(_folder, "page.html");
        DetectionReport.Create(view, new()
        {
            LabelColumnName = labelled ? "Label" : null, FeatureScoreColumnName = "FeatureScore", FeatureColumnName = "Features", LatentColumnName = "Latent",
        }).SaveHtml(path, "<title> & more");
        string page = File.ReadAllText(path);
        StringAssert.Contains(page, "<h1>&lt;title&gt; &amp; more</h1>");
        OnePage.AssertWhole(page);
        Assert.IsFalse(page.Contains("<wear>", StringComparison.Ordinal) || page.Contains("a&b", StringComparison.Ordinal));
        Assert.AreEqual(labelled, page.Contains("&lt;wear&gt;", StringComparison.Ordinal));
        MatchCollection drawings = Regex.Matches(page, "<svg.*?</svg>", RegexOptions.Singleline);
        Assert.HasCount(labelled ? 4 : 2, drawings); // histogram, both curves, map
        int colours = Regex.Matches(drawings[^1].Value, "<ellipse[^>]*fill:([^;\"]*)").Select(point => point.Groups[1].Value).Distinct().Count();
        Assert.IsTrue(labelled ? colours == 2 : colours > 20, $"the map has {colours} colours");
        HashSet<string> names = [];
        foreach (Match drawing in drawings)
        {
            XElement svg = XElement.Parse(drawing.Value);
            Assert.IsFalse(drawing.Value.Contains("NaN", StringComparison.Ordinal), "a coordinate is not a number");
            foreach (XAttribute id in svg.Descendants().Attributes("id"))
                Assert.IsTrue(names.Add(id.Value), $"two parts of the page are called {id.Value}");
        }
        StringAssert.Contains(page, "prefers-color-scheme: dark");
        StringAssert.Contains(page, "@media print");
        Assert.HasCount(1, Directory.GetFiles(_folder));
    }

    [TestMethod]
    public void Strange_figures_do_not_break_the_page()
    {
        foreach (float[] scores in new float[][] { [1], [0, 0, 0], [float.PositiveInfinity, float.NegativeInfinity], [float.NegativeInfinity, 3], [1e-30f, 1e30f], [-1, 1] })
        {
            foreach (float threshold in new[] { 0, float.PositiveInfinity, float.NegativeInfinity })
            {
                string path = Path.Combine(_folder, "page.html");
                Report(scores, [.. scores.Select((_, i) => i % 2 == 0)], threshold).SaveHtml(path);
                string page = File.ReadAllText(path);
                Assert.IsFalse(Regex.IsMatch(page, "<svg[^<]*(<(?!/svg)[^<]*)*NaN"), string.Join(", ", scores));
            }
        }
    }

    [TestMethod]
    public void A_detector_has_a_report()
    {
        using var detector = _ml.AnomalyDetection.Trainers.Autoencoder(new() { Epochs = 2, Seed = 1, FeatureScoreColumnName = "FeatureScore" })
            .Fit(ConformanceData.Table(300));
        IDataView scored = detector.Transform(ConformanceData.Table(300));
        DetectionReport report = DetectionReport.Create(scored, new() { FeatureScoreColumnName = "FeatureScore", FeatureColumnName = "Features" });
        float[] scores = [.. scored.GetColumn<float>("Score")];
        Assert.AreEqual(300, report.Rows);
        Assert.AreEqual(scores.LongCount(score => score > detector.Threshold), report.Flagged);
        Assert.AreEqual(scores.Where(score => score <= detector.Threshold).Max(), report.Threshold!.Value);
        Assert.HasCount(3, report.Strangest[0].Reasons);
        StringAssert.Contains(report.ToString(), "rows: 300");
    }

    private static ScoreTally TallyOf(IEnumerable<float> scores) => TallyOf([.. scores.Select(score => (score, false))]);

    private static ScoreTally TallyOf((float Score, bool Anomaly)[] rows, int most = 1 << 18)
    {
        var tally = new ScoreTally(most);
        foreach ((float score, bool anomaly) in rows)
            tally.Add(score, anomaly ? RowLabel.Anomalous : RowLabel.Normal);
        return tally;
    }

    private DetectionReport Report(float[] scores, bool[] labels, float threshold) => DetectionReport.Create(
        _ml.Data.LoadFromEnumerable(scores.Zip(labels, (score, label) => new Judged { Score = score, Label = label, PredictedLabel = score > threshold })),
        new() { LabelColumnName = "Label" });

    private sealed class Detected
    {
        public float Score { get; set; }

        public bool PredictedLabel { get; set; }

        public float Label { get; set; }
    }

    private sealed class Judged
    {
        public float Score { get; set; }

        public bool PredictedLabel { get; set; }

        public bool Label { get; set; }
    }

    private sealed class Labelled<T>
    {
        public float Score { get; set; }

        public bool PredictedLabel { get; set; }

        public T Label { get; set; } = default!;
    }

    private sealed class Encoded
    {
        public float Score { get; set; }

        [VectorType(3)]
        public float[] Latent { get; set; } = [];
    }

    private sealed class Explained
    {
        public float Score { get; set; }

        public bool PredictedLabel { get; set; }

        [VectorType(4)]
        public float[] Features { get; set; } = [];

        [VectorType(4)]
        public float[] FeatureScore { get; set; } = [];
    }

    private sealed class Everything
    {
        public float Score { get; set; }

        public bool PredictedLabel { get; set; }

        public string Label { get; set; } = "";

        [VectorType(2)]
        public float[] Features { get; set; } = [];

        [VectorType(2)]
        public float[] FeatureScore { get; set; } = [];

        [VectorType(3)]
        public float[] Latent { get; set; } = [];
    }
}
