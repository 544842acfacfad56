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
    /// The same of the real images: as near as as many images can come. Null without a hold-out.
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

    /// <summary>The share of generated images that the classifier takes for each label; empty without labels.</summary>
    public required IReadOnlyList<double> ClassShares { get; init; }

    /// <summary>
    /// How far, pixel by pixel, generated images are from the nearest real one, in the median, over the same of held-out
    /// images: about one where they are new, near zero where they are copies. Null without a hold-out.
    /// </summary>
    public double? NearestRatio { get; init; }

    /// <summary>By which the classifier is known again.</summary>
    public required string JudgeFingerprint { get; init; }

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
    /// There are fewer than ten images of one kind, or <see cref="ImageQualityOptions.TrainsOnGenerated"/> lacks labels or held-out images.
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
        bool labelled = options.LabelColumnName is not null;
        int pixels = train.Pixels.Length / train.Count;
        return new ImageQualityReport
        {
            Frechet = ImageMetrics.Frechet(target.Features, made.Features, Width),
            FrechetFloor = heldOut is null ? null : ImageMetrics.Frechet(heldOut.Features, train.Features, Width),
            KernelDistance = ImageMetrics.Kernel(target.Features, made.Features, Width),
            Precision = precision,
            Recall = recall,
            Density = density,
            Coverage = coverage,
            GanTest = labelled ? made.RightShare() : null,
            GanTestByClass = labelled && made.Labels.Any(label => label >= 0) ? ByClass(made) : [],
            GanTrain = options.TrainsOnGenerated ? judge.Teaches(made, heldOut!, options) : null,
            JudgeAccuracy = labelled && heldOut is not null ? heldOut.RightShare() : null,
            JudgeAccuracyByClass = labelled && heldOut is not null ? ByClass(heldOut) : [],
            ClassShares = labelled
                ? [.. Enumerable.Range(0, judge.Classes).Select(c => made.Judged.Count(j => j == c) / (double)made.Count)]
                : [],
            NearestRatio = heldOut is null
                ? null
                : ImageMetrics.MedianNearest(Some(made), train.Pixels, pixels)
                    / ImageMetrics.MedianNearest(Some(heldOut), train.Pixels, pixels),
            JudgeFingerprint = judge.Fingerprint,
            Real = real,
            Generated = generated,
            Column = columnName,
        };

        double[] ByClass(JudgedImages images) =>
            [.. Enumerable.Range(0, judge.Classes).Select(label => images.RightShare(label) ?? double.NaN)];

        float[] Some(JudgedImages images) => images.Pixels[..(Math.Min(images.Count, 1000) * pixels)];
    }

    /// <summary>Writes figures and two sheets, of real and of generated images, as one HTML page.</summary>
    /// <param name="path">The file.</param>
    /// <param name="title">The page's title.</param>
    public void SaveHtml(string path, string title = "Generated images")
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        string rows = string.Concat(Figures().Select(figure =>
            $"""<tr><td>{figure.Name}</td><td class="n">{figure.Value}</td></tr>"""));
        AtomicFile.Write(path, stream =>
        {
            using var writer = new StreamWriter(stream, leaveOpen: true);
            writer.Write(ReportPage.Html(title, $"""
                <div class="card"><table class="list">{rows}</table></div>
                <h2>Generated</h2>
                <img alt="generated images" src="{Sheet(Generated)}">
                <h2>Real</h2>
                <img alt="real images" src="{Sheet(Real)}">
                """, "img { image-rendering: pixelated; width: 100%; max-width: 720px; }"));
        });
    }

    /// <summary>The figures, one a line.</summary>
    public override string ToString() => string.Join('\n', Figures().Select(figure => $"{figure.Name}: {figure.Value}"));

    private IEnumerable<(string Name, string Value)> Figures()
    {
        yield return ("Fréchet distance", Invariant($"{Frechet:F3}"));
        if (FrechetFloor is double floor)
            yield return ("the same of real images", Invariant($"{floor:F3}"));
        yield return ("kernel distance", Invariant($"{KernelDistance:F4}"));
        yield return ("precision, recall", Invariant($"{Precision:F3}, {Recall:F3}"));
        yield return ("density, coverage", Invariant($"{Density:F3}, {Coverage:F3}"));
        if (GanTest is double right)
            yield return ("taken for what their label says", Invariant($"{right:P1}"));
        if (GanTestByClass.Count > 0)
            yield return ("by label", Shares(GanTestByClass));
        if (ClassShares.Count > 0)
            yield return ("shares of labels", Shares(ClassShares));
        if (JudgeAccuracy is double accuracy)
        {
            yield return ("held-out images taken for what they are", Invariant($"{accuracy:P2}"));
            yield return ("held-out ones by label", Shares(JudgeAccuracyByClass));
        }
        if (GanTrain is double taught)
            yield return ("the same by a classifier of generated images", Invariant($"{taught:P2}"));
        if (NearestRatio is double ratio)
            yield return ("distance to the nearest training image, over a held-out one's", Invariant($"{ratio:F2}"));
        yield return ("classifier", JudgeFingerprint);

        static string Shares(IEnumerable<double> shares) => string.Join(", ", shares.Select(share => Invariant($"{share:P1}")));
    }

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
}

/// <summary>How images are compared.</summary>
public sealed class ImageQualityOptions
{
    /// <summary>Real images that the generator was not trained on, in the same columns. Default: none.</summary>
    public IDataView? HoldOut { get; init; }

    /// <summary>
    /// The column that says what images show, a key, or a Single of at most twenty different values, all whole;
    /// generated images need not have it. Default: none.
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
