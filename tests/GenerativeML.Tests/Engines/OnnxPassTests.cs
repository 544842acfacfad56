using GenerativeML.TestData;
using GenerativeML.Tests.Conformance;
using GenerativeML.Tests.Rows;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.OnnxRuntime;

namespace GenerativeML.Tests.Engines;

/// <summary>Files of models whose steps are the caller's, walked as the documentation says.</summary>
[TestClass]
public sealed class OnnxPassTests
{
    private readonly MLContext _ml = new(seed: 1);
    private readonly string _folder = Directory.CreateTempSubdirectory("genml-onnx").FullName;

    [TestCleanup]
    public void Cleanup() => Directory.Delete(_folder, recursive: true);

    [TestMethod]
    [DataRow(SeriesDensity.GaussianMixture, 2)]
    [DataRow(SeriesDensity.Bernoulli, 1)]
    public void A_window_of_a_series_gets_the_scores_of_its_steps(SeriesDensity density, int width)
    {
        float Value(int row, int i) => density == SeriesDensity.Bernoulli ? row % 3 / 2 : 40 + 5 * MathF.Sin(row * 0.7f + i);
        IDataView data = new TableView(80).AddVector("Steps", width, row => [.. Enumerable.Range(0, width).Select(i => Value(row, i))]);
        using AutoregressiveSeriesTransformer model = _ml.AnomalyDetection.Trainers.AutoregressiveSeries(new()
        {
            FeatureColumnName = "Steps", WindowLength = 5, Width = 6, Epochs = 2, Density = density,
        }).Fit(data);
        // With steps that were not observed, and some far out.
        float[][] windows =
        [
            .. Enumerable.Range(0, 100).Select(row => (float[])[.. Enumerable.Range(0, 5 * width).Select(i =>
                (row + i) % 17 == 5 ? float.NaN : Value(row + i / width, i % width) * (density != SeriesDensity.Bernoulli && row % 10 == 3 ? 300 : 1))]),
        ];
        Dictionary<string, float[]> outputs = Run(model, null, 100, new() { ["Steps"] = [.. windows.SelectMany(w => w)] });
        OnnxFiles.AssertClose([.. windows.SelectMany(w => model.State.Model.Compute(w).Scores)], outputs["score"], "score");
        Assert.Contains(float.NaN, outputs["score"]);
    }

    [TestMethod]
    public void The_last_step_of_a_window_is_scored_as_by_the_autoencoder_and_expected_in_the_units_of_the_data()
    {
        IDataView data = new TableView(80).Add("Steps", NumberDataViewType.Single, row => 40 + 5 * MathF.Sin(row * 0.7f));
        using SeriesTransformer model = _ml.AnomalyDetection.Trainers.SequenceAutoencoder(new()
        {
            FeatureColumnName = "Steps", WindowLength = 4, Width = 6, Epochs = 2, Score = SequenceScore.LastOfWindow, ExpectedColumnName = "Expected",
        }).Fit(data);
        IDataView view = model.Transform(data);
        float[] steps = OnnxFiles.Column(data, "Steps");
        // Before the first step there is nothing.
        float[] windows = [.. Enumerable.Range(0, 80).SelectMany(t => Enumerable.Range(t - 3, 4).Select(i => i < 0 ? float.NaN : steps[i]))];
        Dictionary<string, float[]> outputs = Run(model, OnnxContent.Windows, 80, new() { ["Steps"] = windows });
        OnnxFiles.AssertClose(
            OnnxFiles.Column(view, "Score"), [.. Enumerable.Range(0, 80).Select(t => outputs["score"][4 * t + 3])], "score");
        OnnxFiles.AssertClose(
            OnnxFiles.Column(view, "Expected"), [.. Enumerable.Range(0, 80).Select(t => outputs["expected"][4 * t + 3])], "expected");
    }

    [TestMethod]
    public void Drawings_of_any_length_have_the_latent_vectors_of_Encode()
    {
        TableView data = ConformanceData.Table(60);
        using SketchRnnTransformer model = _ml.Generative.SketchRnn(new()
        {
            DrawingColumnName = "Drawing", EncoderWidth = 6, DecoderWidth = 8, LatentDimension = 3, Mixtures = 2, BatchSize = 16, Epochs = 1,
        }).Fit(data);
        StrokeDrawing[] drawings = [.. data.GetColumn<string>("Drawing").Select(StrokeDrawing.Parse)];
        Assert.AreNotEqual(drawings[0].PointCount, drawings[1].PointCount);
        int most = model.Model.Options.MaxPoints!.Value;
        float scale = model.Model.Options.Scale!.Value;
        float[] points = new float[60 * most * 5];
        for (int row = 0; row < 60; row++)
        {
            for (int i = 0; i < drawings[row].PointCount; i++)
            {
                ReadOnlySpan<float> stroke = drawings[row].Values.Slice(i * 3, 3);
                int at = (row * most + i) * 5;
                (points[at], points[at + 1], points[at + (stroke[2] == 1 ? 3 : 2)]) = (stroke[0] / scale, stroke[1] / scale, 1);
            }
        }
        Dictionary<string, float[]> outputs = Run(
            model, null, 60, new() { ["points"] = points, ["count"] = [.. drawings.Select(d => (float)d.PointCount)] });
        OnnxFiles.AssertClose([.. drawings.SelectMany(model.Encode)], outputs["mu"], "mu");
    }

    [TestMethod]
    public void A_sounds_samples_one_after_the_other_have_the_logits_of_their_window()
    {
        using WaveNetTransformer model = _ml.Generative.WaveNet(new()
        {
            Layers = 3, Cycles = 2, ResidualChannels = 4, SkipChannels = 4, QuantizationLevels = 8, WindowLength = 24, BatchSize = 8, Epochs = 1,
        }).Fit(ConformanceData.Table(12));
        float[] before = [.. Enumerable.Range(0, 24).Select(i => (float)(i * 5 % 8))];
        float[] window = Run(model, OnnxContent.Logits, 1, new() { ["before"] = before, ["condition"] = [0] })["logits"];
        string path = Path.Combine(_folder, "step.onnx");
        model.SaveOnnx(path, OnnxContent.Step);
        using var session = new InferenceSession(path);
        int[] dilations = [.. session.ModelMetadata.CustomMetadataMap["generativeml.dilations"].Split(' ').Select(int.Parse)];
        CollectionAssert.AreEqual(new[] { 1, 2, 4, 1, 2, 4 }, dilations);
        List<float[]> into = [];
        for (int t = 0; t < 24; t++)
        {
            // What came into each layer as many steps ago as its dilation says; zeros before the first.
            float[] past = [.. dilations.SelectMany((d, layer) => t < d ? new float[4] : into[t - d][(layer * 4)..(layer * 4 + 4)])];
            Dictionary<string, float[]> step = OnnxFiles.Run(
                path, 1, (name, _) => name == "before" ? [before[t]] : name == "past" ? past : [0]);
            OnnxFiles.AssertClose(window[(t * 8)..(t * 8 + 8)], step["logits"], $"step {t}");
            into.Add(step["into"]);
        }
    }

    private static Dictionary<string, float[]> Run(ITransformer model, OnnxContent? content, int rows, Dictionary<string, float[]> inputs) =>
        OnnxFiles.SaveAndRun(model, content, rows, (name, _) => inputs[name]);
}
