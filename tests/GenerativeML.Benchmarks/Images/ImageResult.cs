using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace GenerativeML.Benchmarks;

/// <summary>What <c>images</c> measures of one run; distances are those of the judge with this fingerprint.</summary>
internal sealed record ImageResult
{
    // NaN: of a label that no generated image has.
    private static readonly JsonSerializerOptions s_json = new()
    {
        WriteIndented = true,
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
        Converters = { new JsonStringEnumConverter() },
    };

    /// <summary>The line above those that <see cref="ToString"/> gives.</summary>
    public const string Header = """
        | | seed | steps | CPU s | Fréchet | of the peer's | precision | recall | peer's | coverage | peer's | worst label | smallest class |
        | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
        """;

    /// <summary>What generated the images.</summary>
    public required string Family { get; init; }

    /// <summary>The name of the folder of real ones.</summary>
    public required string Data { get; init; }

    /// <summary>The game, of a GAN.</summary>
    [JsonPropertyName("objective")]
    public GanObjective? Game { get; init; }

    /// <summary>Options other than the defaults, as JSON.</summary>
    public string? Options { get; init; }

    /// <summary>How a trained model generated, as JSON.</summary>
    public string? Sampling { get; init; }

    /// <summary>The seed.</summary>
    public required int Seed { get; init; }

    /// <summary>Optimizer steps; of a GAN, the generator's.</summary>
    public required long Steps { get; init; }

    /// <summary>Seconds of training.</summary>
    public required double Seconds { get; init; }

    /// <summary>The same of a processor.</summary>
    public required double CpuSeconds { get; init; }

    /// <inheritdoc cref="ImageQualityReport.Frechet"/>
    public double Frechet { get; init; }

    /// <inheritdoc cref="ImageQualityReport.FrechetFloor"/>
    public double? FrechetFloor { get; init; }

    /// <inheritdoc cref="ImageQualityReport.KernelDistance"/>
    public double KernelDistance { get; init; }

    /// <inheritdoc cref="ImageQualityReport.Precision"/>
    public double Precision { get; init; }

    /// <inheritdoc cref="ImageQualityReport.Recall"/>
    public double Recall { get; init; }

    /// <inheritdoc cref="ImageQualityReport.Density"/>
    public double Density { get; init; }

    /// <inheritdoc cref="ImageQualityReport.Coverage"/>
    public double Coverage { get; init; }

    /// <summary>The share of images that show what their label says; null without labels.</summary>
    public double? GanTest { get; init; }

    /// <inheritdoc cref="ImageQualityReport.GanTestByClass"/>
    public IReadOnlyList<double> GanTestByClass { get; init; } = [];

    /// <inheritdoc cref="ImageQualityReport.ClassShares"/>
    public IReadOnlyList<double> ClassShares { get; init; } = [];

    /// <inheritdoc cref="ImageQualityReport.NearestRatio"/>
    public double? NearestRatio { get; init; }

    /// <inheritdoc cref="ImageQualityReport.JudgeAccuracy"/>
    public double? JudgeAccuracy { get; init; }

    /// <inheritdoc cref="ImageQualityReport.JudgeAccuracyByClass"/>
    public IReadOnlyList<double> JudgeAccuracyByClass { get; init; } = [];

    /// <summary>The fingerprint of the classifier that judged.</summary>
    public string? Judge { get; init; }

    /// <summary>The same of another's recipe, with the same data and as many steps; null where none was run.</summary>
    public ImageResult? Peer { get; init; }

    /// <summary>The same run with what its images are like.</summary>
    public ImageResult With(ImageQualityReport report) => this with
    {
        Frechet = report.Frechet, FrechetFloor = report.FrechetFloor, KernelDistance = report.KernelDistance,
        Precision = report.Precision, Recall = report.Recall, Density = report.Density, Coverage = report.Coverage,
        GanTest = report.GanTestByClass.Count > 0 ? report.GanTest : null, GanTestByClass = report.GanTestByClass,
        ClassShares = report.ClassShares, NearestRatio = report.NearestRatio, JudgeAccuracy = report.JudgeAccuracy,
        JudgeAccuracyByClass = report.JudgeAccuracyByClass, Judge = report.JudgeFingerprint,
    };

    /// <summary>Writes one record a run.</summary>
    public static void Write(string path, IEnumerable<ImageResult> results) =>
        File.WriteAllText(path, JsonSerializer.Serialize(results, s_json) + "\n");

    /// <summary>A line of the table.</summary>
    public override string ToString()
    {
        string what = string.Join(' ', ((string?[])[Family, Game?.ToString(), Options, Sampling]).OfType<string>());
        double? worst = GanTestByClass.Count > 0 ? 100 * GanTestByClass.Min() : null;
        double? smallest = ClassShares.Count > 0 ? 100 * ClassShares.Min() : null;
        return string.Create(CultureInfo.InvariantCulture, $"| {what} | {Seed} | {Steps} | {CpuSeconds:F0} | {Frechet:F1} ")
            + string.Create(CultureInfo.InvariantCulture, $"| {Frechet / Peer?.Frechet:F2} | {Precision:F3} | {Recall:F3} | {Peer?.Recall:F3} ")
            + string.Create(CultureInfo.InvariantCulture, $"| {Coverage:F3} | {Peer?.Coverage:F3} | {worst:F1} % | {smallest:F1} % |");
    }
}
