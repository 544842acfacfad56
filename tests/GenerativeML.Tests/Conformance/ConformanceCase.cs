using System.Globalization;
using GenerativeML.Tests.Rows;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Tests.Conformance;

/// <summary>
/// A family under test: how its estimator is made, on the input column <c>Features</c>, a vector, or another that it
/// names, with the options that tests turn.
/// </summary>
public sealed record ConformanceCase(string Name, Func<MLContext, TurnedOptions, IEstimator<ITransformer>> Make)
{
    /// <summary>The column that is read: <c>Features</c>, a vector, or <c>Text</c>, <c>Drawing</c>, <c>Music</c> or
    /// <c>Path</c>, which are text.</summary>
    public string Input { get; init; } = "Features";

    /// <summary>Whether the column that is read is a vector.</summary>
    public bool ReadsVectors => Input == "Features";

    /// <summary>
    /// Whether it is fitted in closed form, without torch: it has no checkpoints, needs no device that a context names,
    /// and takes columns of other types for other data.
    /// </summary>
    public bool IsPlain { get; init; }

    public override string ToString() => Name;

    /// <summary>
    /// Whether a family is to be tested: all are, unless the environment variable <c>CONFORMANCE_FAMILY</c> names one,
    /// for test runners cannot tell the cases of a test apart.
    /// </summary>
    public static bool IsWanted(string name) =>
        Environment.GetEnvironmentVariable("CONFORMANCE_FAMILY") is not { Length: > 0 } wanted || name == wanted;
}

/// <summary>What tests change of any family's options.</summary>
public sealed record TurnedOptions
{
    public int? Seed { get; init; }

    public int Epochs { get; init; } = 2;

    public double? WeightDecay { get; init; }

    public CancellationToken Cancellation { get; init; }

    public CancellationBehavior CancellationBehavior { get; init; }

    public IProgress<TrainingProgress>? Progress { get; init; }

    public NonFiniteValues NonFiniteValues { get; init; }

    public CheckpointOptions? Checkpoint { get; init; }

    public DistributedOptions? Distributed { get; init; }

    public int GradientAccumulation { get; init; } = 1;

    /// <summary>A family's own options with these.</summary>
    public T On<T>(T options)
        where T : TrainingOptions => (T)(options with
        {
            Seed = Seed, Epochs = Epochs, Progress = Progress, CancellationToken = Cancellation,
            CancellationBehavior = CancellationBehavior, NonFiniteValues = NonFiniteValues, Checkpoint = Checkpoint, Distributed = Distributed,
            GradientAccumulation = GradientAccumulation,
            WeightDecay = WeightDecay ?? options.WeightDecay,
        });
}

/// <summary>What a saved model does where its device is not there.</summary>
internal static class MissingDevice
{
    /// <summary>It is refused, by the device's name, unless the CPU may stand in.</summary>
    public static void Check(ITransformer transformer)
    {
        using var saved = new MemoryStream();
        new MLContext(1).Model.Save(transformer, null, saved);
        var context = new MLContext(1) { GpuDeviceId = 99, FallbackToCpu = false };
        var error = Assert.Throws<InvalidOperationException>(() => context.Model.Load(saved, out _));
        StringAssert.Contains(error.ToString(), "cuda:99");
        context.FallbackToCpu = true;
        ((IDisposable)context.Model.Load(saved, out _)).Dispose();
    }
}

/// <summary>Data that suits every family: what passes through, and a vector with some structure.</summary>
internal static class ConformanceData
{
    public const int Width = 4;

    /// <summary>
    /// A view with ids, names, a text and a vector; <paramref name="spoil"/> can put anything into a row's vector.
    /// </summary>
    public static TableView Table(int rows, int width = Width, Action<int, float[]>? spoil = null) => new TableView(rows)
        .Add("Id", NumberDataViewType.Int32, row => row)
        .Add("Name", TextDataViewType.Instance, row => $"row {row}".AsMemory())
        .Add("Text", TextDataViewType.Instance, row => Text(row).AsMemory())
        .Add("Drawing", TextDataViewType.Instance, row => Drawing(row).AsMemory())
        .Add("Music", TextDataViewType.Instance, row => Music(row).AsMemory())
        .Add("Domain", BooleanDataViewType.Instance, row => row % 2 == 1)
        .Add("Path", TextDataViewType.Instance, row => SoundFiles.Path(row).AsMemory())
        .AddVector("Features", width, row =>
        {
            float[] values = Features(row, width);
            spoil?.Invoke(row, values);
            return values;
        });

    /// <summary>Its numbers alone.</summary>
    public static TableView Vectors(int rows, Action<int, float[]> spoil) => new TableView(rows)
        .Add("Domain", BooleanDataViewType.Instance, row => row % 2 == 1)
        .AddVector("Features", Width, row =>
        {
            float[] values = Features(row, Width);
            spoil(row, values);
            return values;
        });

    /// <summary>The same rows as objects, for a prediction engine.</summary>
    public static ConformanceRow[] Objects(int rows) =>
        [.. Enumerable.Range(0, rows).Select(r => new ConformanceRow
        {
            Id = r, Name = $"row {r}", Text = Text(r), Drawing = Drawing(r), Music = Music(r), Path = SoundFiles.Path(r), Domain = r % 2 == 1, Features = Features(r, Width),
        })];

    private static string Text(int row) => string.Create(
        CultureInfo.InvariantCulture, $"{s_words[row % 5]} {s_words[row * 7 % 3]} {row % 11} {s_words[row * row % 5]}");

    // Two lines of a few points.
    private static string Drawing(int row) => string.Join(' ', Enumerable.Range(0, 4 + row % 3).Select(i => string.Create(
        CultureInfo.InvariantCulture, $"{3 * MathF.Sin(row + i):0.##},{2 * MathF.Cos(row * 0.7f + i):0.##},{(i is 1 || i == 3 + row % 3 ? 1 : 0)}")));

    // Two voices.
    private static string Music(int row) => string.Join(' ', Enumerable.Range(0, 3 + row % 4).Select(
        step => $"{60 + (row + step * step) % 7},{(row % 9 == 8 && step == 1 ? "-" : $"{50 + (row * 3 + step) % 5}")}"));

    private static readonly string[] s_words = ["alpha", "beta", "gamma", "delta", "epsilon"];

    private static float[] Features(int row, int width)
    {
        var values = new float[width];
        for (int i = 0; i < width; i++)
            values[i] = MathF.Sin((row * 0.37f) + i) + (i * 0.1f * MathF.Cos(row * 1.3f));
        return values;
    }
}

/// <summary>A row of <see cref="ConformanceData"/> as a prediction engine takes it.</summary>
public sealed class ConformanceRow
{
    public int Id { get; set; }

    public string Name { get; set; } = "";

    public string Text { get; set; } = "";

    public string Drawing { get; set; } = "";

    public string Music { get; set; } = "";

    public string Path { get; set; } = "";

    public bool Domain { get; set; }

    [VectorType(ConformanceData.Width)]
    public float[] Features { get; set; } = [];
}

/// <summary>
/// Every output that a family may give, as a prediction engine fills it; what a family lacks stays as it is.
/// </summary>
public sealed class ConformanceOutput
{
    public int Id { get; set; }

    public float Score { get; set; }

    public float PValue { get; set; }

    public bool PredictedLabel { get; set; }

    public float[]? FeatureScore { get; set; }

    public float[]? Reconstruction { get; set; }

    public float[]? Latent { get; set; }

    public float[]? Translation { get; set; }

    public float Perplexity { get; set; }

    public float[]? Embedding { get; set; }

    public string? GeneratedText { get; set; }

    public override string ToString() => string.Join(
        " | ", Id, Bits([Score, PValue]), PredictedLabel, Bits(FeatureScore), Bits(Reconstruction), Bits(Latent), Bits(Translation),
        Bits([Perplexity]), Bits(Embedding), GeneratedText);

    private static string Bits(float[]? values) =>
        string.Join(" ", (values ?? []).Select(BitConverter.SingleToInt32Bits));
}

/// <summary>A few short sounds in a folder that is there until the process ends.</summary>
internal static class SoundFiles
{
    private const int Count = 12;

    private static readonly Lazy<string> s_folder = new(() =>
    {
        string folder = Directory.CreateTempSubdirectory("generativeml-sounds-").FullName;
        for (int number = 0; number < Count; number++)
        {
            new SoundClip([.. Enumerable.Range(0, 40 + number).Select(i => 0.8f * MathF.Sin(i * (0.3f + 0.1f * number)))], 8000)
                .SaveWav(System.IO.Path.Combine(folder, $"{number}.wav"));
        }
        AppDomain.CurrentDomain.ProcessExit += (_, _) => Directory.Delete(folder, recursive: true);
        return folder;
    });

    public static string Path(int row) => System.IO.Path.Combine(s_folder.Value, $"{row % Count}.wav");
}
