using System.Globalization;
using Microsoft.ML;
using Microsoft.ML.Data;
using static System.FormattableString;

namespace GenerativeML;

/// <summary>
/// Whether generated images are any good: how far they are from real ones as a distribution, how many are like real ones
/// and how many real ones have their like, whether they show what they are said to show, and whether they are copies.
/// </summary>
/// <remarks>
/// Distances are those of features of a small classifier that is trained, by one fixed recipe, on the real images: on their
/// labels or, without, on which way they are mirrored. They compare with figures of the same <see cref="JudgeFingerprint"/>
/// alone, and not with those by other networks, such as Inception.
/// </remarks>
public sealed record ImageQualityReport
{
    /// <summary>
    /// The Fréchet distance (Heusel 2017) of the generated images from the held-out real ones, or from the real ones
    /// without <see cref="ImageQualityOptions.HoldOut"/>; so are the other figures but
    /// <see cref="NearestRatio"/>. Zero or more; less is better.
    /// </summary>
    public required double Frechet { get; init; }

    /// <summary>
    /// The same of as many training images, evenly spread: as near as so many images can come. Null without a hold-out.
    /// </summary>
    public double? FrechetFloor { get; init; }

    /// <summary>The kernel distance, a squared maximum mean discrepancy (Bińkowski 2018); about zero is best.</summary>
    public required double KernelDistance { get; init; }

    /// <summary>The share of generated images that are like real ones (Kynkäänniemi 2019), by five neighbours.</summary>
    public required double Precision { get; init; }

    /// <summary>The share of real images that generated ones are like.</summary>
    public required double Recall { get; init; }

    /// <summary>As precision, but not misled by single images far out (Naeem 2020); about one is best.</summary>
    public required double Density { get; init; }

    /// <summary>The share of real images with a generated one among their five neighbours (Naeem 2020).</summary>
    public required double Coverage { get; init; }

    /// <summary>
    /// The share of generated images that the classifier takes for what their label says (Shmelkov 2018, GAN-test). Null
    /// without labels.
    /// </summary>
    public double? GanTest { get; init; }

    /// <summary>
    /// The same for each label that generated images have, in the order of the labels; NaN for others. Empty without.
    /// </summary>
    public required IReadOnlyList<double> GanTestByClass { get; init; }

    /// <summary>
    /// The share of held-out images that another classifier takes for what their label says, one that learned the generated
    /// images alone by the same recipe (Shmelkov 2018, GAN-train): low where these are wrong, and where they lack variety.
    /// <see cref="JudgeAccuracy"/> is what real images teach. Null but with <see cref="ImageQualityOptions.TrainsOnGenerated"/>, and
    /// where fewer than ten generated images, or no held-out ones, have a label.
    /// </summary>
    public double? GanTrain { get; init; }

    /// <summary>The share of held-out images that it takes for what their label says. Null without both.</summary>
    public double? JudgeAccuracy { get; init; }

    /// <summary>
    /// The same of each label, in the order of <see cref="GanTestByClass"/>, which it is the measure of: NaN where no held-out image
    /// has the label; empty without labels or held-out images.
    /// </summary>
    public required IReadOnlyList<double> JudgeAccuracyByClass { get; init; }

    /// <summary>
    /// The labels that figures by class are of, in their order, each a <see cref="string"/> or a <see cref="double"/>: what keys are known
    /// to stand for, or their numbers. Empty without labels.
    /// </summary>
    public IReadOnlyList<object> Labels { get; init; } = [];

    /// <summary>The share of generated images that the classifier takes for each label; empty without labels.</summary>
    public required IReadOnlyList<double> ClassShares { get; init; }

    /// <summary>
    /// How far, pixel by pixel, generated images are from the nearest real one, in the median, over the same of held-out
    /// images: about one where they are new, near zero where they are copies. Null without a hold-out.
    /// </summary>
    public double? NearestRatio { get; init; }

    /// <summary>By which the classifier is known again.</summary>
    public required string JudgeFingerprint { get; init; }

    // As many of each as are compared: generated ones, and those that they are compared with.
    internal (int Generated, int Target) Counts { get; init; }

    // The same of as many training images; null without a hold-out.
    internal (double Precision, double Recall, double Density, double Coverage)? RealManifolds { get; init; }

    internal IDataView Real { get; init; } = null!;

    internal IDataView Generated { get; init; } = null!;

    internal string Column { get; init; } = "";

    /// <summary>Compares generated images with real ones.</summary>
    /// <param name="real">The images that the generator was trained on.</param>
    /// <param name="generated">Generated ones, in a column of the same name and kind.</param>
    /// <param name="columnName">The column: images, or vectors that are images.</param>
    /// <param name="options">The options. Default: all defaults.</param>
    /// <exception cref="ArgumentOutOfRangeException">A column is missing or of the wrong type.</exception>
    /// <exception cref="ArgumentException">
    /// There are fewer than ten images of one kind, <see cref="ImageQualityOptions.TrainsOnGenerated"/> lacks labels or held-out images,
    /// or a key of other images stands for what none of the real images' does.
    /// </exception>
    /// <exception cref="OperationCanceledException">The options' token was cancelled.</exception>
    public static ImageQualityReport Compare(
        IDataView real, IDataView generated, string columnName = "Features", ImageQualityOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(real);
        ArgumentNullException.ThrowIfNull(generated);
        options ??= new();
        options.Validate();
        using ImageJudge judge = ImageJudge.Train(real, columnName, options);
        return Compare(judge, real, generated, columnName, options);
    }

    /// <summary>The same by a classifier that has been trained already.</summary>
    internal static ImageQualityReport Compare(
        ImageJudge judge, IDataView real, IDataView generated, string columnName, ImageQualityOptions options)
    {
        JudgedImages train = judge.Judge(real, options, nameof(real));
        JudgedImages made = judge.Judge(generated, options, nameof(generated));
        JudgedImages? heldOut = options.HoldOut is null ? null : judge.Judge(options.HoldOut, options, "HoldOut");
        JudgedImages target = heldOut ?? train;
        const int Width = ImageJudgeNetwork.FeatureWidth;
        (double precision, double recall, double density, double coverage) =
            ImageMetrics.Manifolds(target.Features, made.Features, Width);
        // Of as many training images as generated ones, since all these depend on how many there are.
        float[]? asMany = heldOut is null ? null : train.FeaturesOf(made.Count);
        bool labelled = options.LabelColumnName is not null;
        int pixels = train.Pixels.Length / train.Count;
        return new ImageQualityReport
        {
            Frechet = ImageMetrics.Frechet(target.Features, made.Features, Width),
            FrechetFloor = asMany is null ? null : ImageMetrics.Frechet(heldOut!.Features, asMany, Width),
            KernelDistance = ImageMetrics.Kernel(target.Features, made.Features, Width),
            Precision = precision,
            Recall = recall,
            Density = density,
            Coverage = coverage,
            GanTest = labelled ? made.RightShare() : null,
            GanTestByClass = ByClass(made),
            GanTrain = options.TrainsOnGenerated ? judge.Teaches(made, heldOut!, options) : null,
            JudgeAccuracy = labelled && heldOut is not null ? heldOut.RightShare() : null,
            JudgeAccuracyByClass = heldOut is null ? [] : ByClass(heldOut),
            ClassShares = labelled
                ? [.. Enumerable.Range(0, judge.Classes).Select(c => made.Judged.Count(j => j == c) / (double)made.Count)]
                : [],
            NearestRatio = heldOut is null
                ? null
                : ImageMetrics.MedianNearest(Some(made), train.Pixels, pixels)
                    / ImageMetrics.MedianNearest(Some(heldOut), train.Pixels, pixels),
            JudgeFingerprint = judge.Fingerprint,
            Labels = judge.Labels,
            Counts = (made.Count, target.Count),
            RealManifolds = asMany is null ? null : ImageMetrics.Manifolds(heldOut!.Features, asMany, Width),
            Real = real,
            Generated = generated,
            Column = columnName,
        };

        double[] ByClass(JudgedImages images) => labelled && images.Labels.Any(label => label >= 0)
            ? [.. Enumerable.Range(0, judge.Classes).Select(label => images.RightShare(label) ?? double.NaN)]
            : [];

        float[] Some(JudgedImages images) => images.Pixels[..(Math.Min(images.Count, 1000) * pixels)];
    }

    /// <summary>
    /// Writes figures, beside them what real images have, where there are held-out ones, and two sheets, of real and of generated images,
    /// as one HTML page.
    /// </summary>
    /// <param name="path">The file.</param>
    /// <param name="title">The page's title.</param>
    public void SaveHtml(string path, string title = "Generated images")
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        AtomicFile.Write(path, stream =>
        {
            using var writer = new StreamWriter(stream, leaveOpen: true);
            writer.Write(ReportPage.Html(title, $"""
                <div class="faint">{Invariant($"{Counts.Generated:N0} generated images, compared with {Counts.Target:N0}")}
                {(FrechetFloor is null ? "of those that the generator was trained on" : "that the generator was not trained on")}, by what a small
                classifier of real images ({JudgeFingerprint}) sees in them</div>
                <div class="card"><table class="list"><tr><th></th><th class="n">generated</th><th class="n">real</th><th></th></tr>
                {string.Concat(Figures().Select(Line))}</table></div>
                {ByLabel()}
                <h2>Generated</h2>
                <img alt="generated images" src="{Sheet(Generated)}">
                <h2>Real</h2>
                <img alt="real images" src="{Sheet(Real)}">
                """, "img { image-rendering: pixelated; width: 100%; max-width: 720px; }"));
        });

        static string Line(Figure figure) =>
            $"""<tr><td>{figure.Name}</td><td class="n">{figure.Value}</td><td class="n">{figure.Real}</td><td class="faint">{figure.Meaning}</td></tr>""";
    }

    /// <summary>The figures, one a line.</summary>
    public override string ToString()
    {
        IEnumerable<string> lines = Figures().Select(f => $"{f.Name}: {f.Value}{(f.Real is null ? "" : $" (real images: {f.Real})")}");
        if (Labels.Count > 0)
        {
            lines = lines.Concat(
            [
                $"labels: {string.Join(", ", Labels.Select(Named))}",
                .. GanTestByClass.Count > 0 ? [$"taken for them: {Shares(GanTestByClass)}"] : Array.Empty<string>(),
                .. JudgeAccuracyByClass.Count > 0 ? [$"held-out images taken for them: {Shares(JudgeAccuracyByClass)}"] : Array.Empty<string>(),
                $"shares of generated images: {Shares(ClassShares)}",
            ]);
        }
        return string.Join('\n', lines.Append($"classifier: {JudgeFingerprint}"));

        static string Shares(IEnumerable<double> shares) =>
            string.Join(", ", shares.Select(share => double.IsNaN(share) ? "–" : Invariant($"{share:P1}")));
    }

    private static string Named(object label) => Convert.ToString(label, CultureInfo.InvariantCulture)!;

    private IEnumerable<Figure> Figures()
    {
        yield return new("Fréchet distance", Invariant($"{Frechet:F3}"), Of(FrechetFloor), "of all features together; less is better");
        yield return new("kernel distance", Invariant($"{KernelDistance:F4}"), null, "the same by another measure; about zero is best");
        yield return new("precision", Invariant($"{Precision:F3}"), Of(RealManifolds?.Precision), "generated images that are like real ones");
        yield return new("recall", Invariant($"{Recall:F3}"), Of(RealManifolds?.Recall), "real images that generated ones are like: variety");
        yield return new("density", Invariant($"{Density:F3}"), Of(RealManifolds?.Density), "as precision, not misled by single images far out; one is best");
        yield return new("coverage", Invariant($"{Coverage:F3}"), Of(RealManifolds?.Coverage), "as recall, not misled by them");
        string? known = JudgeAccuracy is double accuracy ? Invariant($"{accuracy:P2}") : null;
        if (GanTest is not null || known is not null)
            yield return new("taken for what their label says", GanTest is double right ? Invariant($"{right:P2}") : "", known, "by the classifier");
        if (GanTrain is double taught)
            yield return new("real images known by what they teach", Invariant($"{taught:P2}"), known, "their worth as training data");
        if (NearestRatio is double ratio)
            yield return new("distance to the nearest training image", Invariant($"{ratio:F2}"), "1.00", "about one if new, near zero if copied");
    }

    private static string? Of(double? figure) => figure is null ? null : Invariant($"{figure:F3}");

    private string ByLabel() => Labels.Count == 0 ? "" : $"""
        <h2>By label</h2>
        <div class="card"><table class="list"><tr><th>label</th><th class="n">share of generated images</th>
        <th class="n">asked for and taken for it</th><th class="n">held-out ones taken for it</th></tr>
        {string.Concat(Labels.Select((label, i) =>
            $"""<tr><td>{ReportPage.Text(Named(label))}</td><td class="n">{Share(ClassShares, i)}</td><td class="n">{Share(GanTestByClass, i)}</td><td class="n">{Share(JudgeAccuracyByClass, i)}</td></tr>"""))}
        </table></div>
        """;

    private static string Share(IReadOnlyList<double> shares, int i) =>
        i < shares.Count && !double.IsNaN(shares[i]) ? Invariant($"{shares[i]:P1}") : "";

    private string Sheet(IDataView view)
    {
        string file = Path.Combine(Path.GetTempPath(), $"{Guid.NewGuid():N}.png");
        try
        {
            view.SaveGrid(Column, file, rows: 10, columns: 10);
            return "data:image/png;base64," + Convert.ToBase64String(File.ReadAllBytes(file));
        }
        finally
        {
            File.Delete(file);
        }
    }

    /// <summary>A line of the report: what generated images have, what real ones have, and what it means.</summary>
    private readonly record struct Figure(string Name, string Value, string? Real, string Meaning);
}

/// <summary>How images are compared.</summary>
public sealed class ImageQualityOptions
{
    /// <summary>Real images that the generator was not trained on, in the same columns. Default: none.</summary>
    public IDataView? HoldOut { get; init; }

    /// <summary>
    /// The column that says what images show, a key, or a Single of at most twenty different values, all whole;
    /// generated images need not have it. Keys count by what they stand for, where their columns say that. Other images with a Single
    /// that no real one has are left out. Default: none.
    /// </summary>
    public string? LabelColumnName { get; init; }

    /// <summary>
    /// Whether another classifier is trained on the generated images, to judge held-out ones: see
    /// <see cref="ImageQualityReport.GanTrain"/>. It takes as long as the first, and <see cref="Progress"/> hears of it from the
    /// start again. Default: no.
    /// </summary>
    public bool TrainsOnGenerated { get; init; }

    /// <inheritdoc cref="ImageVaeOptions.ImageShape"/>
    public ImageShape? ImageShape { get; init; }

    /// <inheritdoc cref="ImageVaeOptions.Resize"/>
    public ImageResize Resize { get; init; }

    /// <summary>At most this many images of each kind are compared, drawn at random; at least 10. Default 5000.</summary>
    public int MaximumRows { get; init; } = 5000;

    /// <summary>The seed of samples and of the classifier. Default 0.</summary>
    public int Seed { get; init; }

    /// <summary>Hears how the classifier's training goes. Default: nobody does.</summary>
    public IProgress<TrainingProgress>? Progress { get; init; }

    /// <summary>Stops the comparison. Default: never.</summary>
    public CancellationToken CancellationToken { get; init; }

    internal void Validate()
    {
        OptionChecks.AtLeast(MaximumRows, 10);
        OptionChecks.Defined(Resize);
        ImageShape?.Validate();
        if (TrainsOnGenerated && (LabelColumnName is null || HoldOut is null))
        {
            throw new ArgumentException(
                $"Option {nameof(TrainsOnGenerated)} is set, and without {nameof(LabelColumnName)} and {nameof(HoldOut)} there is nothing to judge.");
        }
    }
}
