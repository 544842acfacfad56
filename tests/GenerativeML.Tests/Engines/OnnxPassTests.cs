using System.Numerics.Tensors;
using System.Text.Json;
using GenerativeML.TestData;
using GenerativeML.Tests.Conformance;
using GenerativeML.Tests.Rows;
using GenerativeML.Tests.Tables;
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

        // A count that is out of its range is brought into it.
        float[] two = [.. points[..(most * 5)], .. points[..(most * 5)]];
        float[] said = Run(model, null, 2, new() { ["points"] = two, ["count"] = [most, most + 7] })["mu"];
        OnnxFiles.AssertClose(said[..3], said[3..], "above");
        said = Run(model, null, 2, new() { ["points"] = two, ["count"] = [1, -2] })["mu"];
        OnnxFiles.AssertClose(said[..3], said[3..], "below");
    }

    [TestMethod]
    public void A_drawing_that_is_drawn_by_steps_of_the_file_is_that_of_Decode()
    {
        using SketchRnnTransformer model = _ml.Generative.SketchRnn(new()
        {
            DrawingColumnName = "Drawing", EncoderWidth = 6, DecoderWidth = 8, LatentDimension = 3, Mixtures = 2, BatchSize = 16, Epochs = 1,
        }).Fit(ConformanceData.Table(60));
        string path = Path.Combine(_folder, "step.onnx"), begin = Path.Combine(_folder, "begin.onnx");
        model.SaveOnnx(path, OnnxContent.Step);
        model.SaveOnnx(begin, OnnxContent.Begin);
        float[] latent = [0.5f, -1, 2], point = [0, 0, 1, 0, 0], offset = new float[2];
        Dictionary<string, float[]> state = OnnxFiles.Run(begin, 1, (_, _) => latent);
        int seed = Enumerable.Range(0, 1000).First(s => model.Decode(latent, s).PointCount > 3);
        SplitMix64 random = RowRandom.Of(seed, 0);
        List<float> drawn = [];
        float scale = model.Model.Options.Scale!.Value;
        for (int t = 0; ; t++)
        {
            Dictionary<string, float[]> now = state;
            state = OnnxFiles.Run(path, 1, (name, _) => name switch
            {
                "point" => point,
                "latent" => latent,
                _ => now[name.Replace("past", "present", StringComparison.Ordinal)],
            });
            int pen = model.Model.Network.Density.Sample(state["parameters"], ref random, offset, model.Temperature);
            if (pen == 2 || t >= model.Model.Options.MaxPoints)
                break;
            point = [offset[0], offset[1], pen == 0 ? 1 : 0, pen == 1 ? 1 : 0, 0];
            drawn.AddRange([offset[0] * scale, offset[1] * scale, pen]);
        }
        OnnxFiles.AssertClose(model.Decode(latent, seed).Values.ToArray(), [.. drawn], "strokes");
    }

    [TestMethod]
    public void Unknown_notes_are_the_likeliest_of_the_file()
    {
        using CoconetTransformer model = _ml.Generative.Coconet(new()
        {
            MusicColumnName = "Music", Window = 4, Width = 4, Blocks = 1, BatchSize = 16, GibbsSteps = 1, Epochs = 2,
        }).Fit(ConformanceData.Table(60));
        model.Temperature = 1e-4;
        VoiceGrid whole = VoiceGrid.Parse(ConformanceData.Table(60).GetColumn<string>("Music").First(music => VoiceGrid.Parse(music).Steps >= 4));
        VoiceGrid piece = new(Enumerable.Range(0, 4).Select(step => (int[])[.. Enumerable.Range(0, whole.Voices).Select(
            voice => (step + voice) % 2 == 0 ? VoiceGrid.Unknown : whole[step, voice])]));
        (int voices, int classes, int metre) = (piece.Voices, model.Model.Network.Range.Classes, model.Model.Network.Metre);
        float[] notes = new float[voices * 4 * classes], known = new float[voices * 4], inside = new float[4 * metre];
        for (int step = 0; step < 4; step++)
        {
            inside[step * metre + step % metre] = 1;
            for (int voice = 0; voice < voices; voice++)
            {
                if (piece[step, voice] == VoiceGrid.Unknown)
                    continue;
                known[voice * 4 + step] = 1;
                notes[(voice * 4 + step) * classes + model.Model.Network.Range.ClassOf(piece[step, voice])] = 1;
            }
        }
        float[] logits = Run(model, null, 1, new() { ["notes"] = notes, ["known"] = known, ["inside"] = inside })["logits"];
        VoiceGrid expected = piece.With((step, voice) => piece[step, voice] != VoiceGrid.Unknown
            ? piece[step, voice]
            : model.Model.Network.Range.PitchOf(TensorPrimitives.IndexOfMax(logits.AsSpan((voice * 4 + step) * classes, classes))));
        Assert.AreEqual(expected.ToString(), model.Infill(piece).ToString());
    }

    [TestMethod]
    public void An_image_is_painted_by_the_likeliest_strokes_of_the_file()
    {
        IDataView data = ConformanceData.Table(60);
        using SpiralTransformer model = _ml.Generative.Spiral(new()
        {
            ImageColumnName = "Features", ImageShape = new(1, 2, 2), Strokes = 4, Channels = 8, HiddenWidth = 8, DiscriminatorChannels = 2, BatchSize = 16,
            Epochs = 1,
        }).Fit(data);
        string path = Path.Combine(_folder, "step.onnx");
        model.SaveOnnx(path, OnnxContent.Step);
        SpiralNetwork network = model.Model.Network;
        float[] pixels = data.GetColumn<float[]>("Features").First(), ink = [.. pixels];
        network.Input.ToInk(ink);
        ReadOnlyMemory<float> seen = default;
        SpiralEpisodes episodes = SpiralEpisodes.Play(network, Compute, ink, [true], new SplitMix64[1], temperature: null);
        Assert.AreEqual(
            model.Paint(pixels).ToString(),
            new StrokePainting(network.Height, network.Width, episodes.StrokesOf(0), network.Input.DarkInk).ToString());

        void Compute(SpiralPass pass, int rows, ReadOnlyMemory<float>[] inputs, Memory<float>[] outputs)
        {
            seen = pass == SpiralPass.Look ? inputs[0].ToArray() : seen;
            Dictionary<string, float[]> said = OnnxFiles.Run(path, rows, (name, width) => (name, pass) switch
            {
                ("seen", _) => seen.ToArray(),
                ("bend", SpiralPass.Bend) => inputs[2].ToArray(),
                ("end", SpiralPass.Press) => inputs[2].ToArray(),
                ("path", SpiralPass.Press) => inputs[3].ToArray(),
                _ => new float[rows * width],
            });
            string[] asked = pass switch
            {
                SpiralPass.Look => ["end_logits"],
                SpiralPass.Bend => ["control_logits"],
                _ => ["pressure_logits", "width_logits"],
            };
            for (int i = 0; i < asked.Length; i++)
                said[asked[i]].CopyTo(outputs[i]);
        }
    }

    [TestMethod]
    [DataRow(1, CovarianceType.Full)]
    [DataRow(2, CovarianceType.Diagonal)]
    public void Steps_of_a_hidden_Markov_model_are_filtered_as_by_Transform(int mixture, CovarianceType covariance)
    {
        // Far from zero, with a step that was not observed.
        TableView data = new TableView(120).AddVector("Steps", 2, row =>
            [row == 40 ? float.NaN : 900 + 3 * MathF.Sin(row) + row / 30 % 2 * 9, MathF.Cos(row * 0.3f) + row / 30 % 2]);
        using HiddenMarkovTransformer model = _ml.AnomalyDetection.Trainers.HiddenMarkov(new()
        {
            FeatureColumnName = "Steps", States = 3, MixtureComponents = mixture, CovarianceType = covariance, Epochs = 5, FilteredColumnName = "Filtered",
            LogLikelihoodColumnName = "LogLikelihood", NonFiniteValues = NonFiniteValues.Replace,
        }).Fit(data);
        AssertFiltered(model, data, [.. data.GetColumn<float[]>("Steps")]);
    }

    [TestMethod]
    public void Keys_that_a_hidden_Markov_model_cannot_emit_are_as_unlikely_as_by_Transform()
    {
        TableView data = new TableView(30).Add("Key", new KeyDataViewType(typeof(uint), 3), row => (uint)(row < 20 ? row % 2 + 1 : row == 22 ? 0 : row == 25 ? 3 : row % 2 + 1));
        using HiddenMarkovTransformer model = _ml.AnomalyDetection.Trainers.HiddenMarkov(new()
        {
            FeatureColumnName = "Key", States = 2, Epochs = 1, PseudoCount = 0, FilteredColumnName = "Filtered", LogLikelihoodColumnName = "LogLikelihood",
            Parameters = new() { StartProbabilities = [1, 0], TransitionProbabilities = [[0.25, 0.75], [1, 0]], EmissionProbabilities = [[1, 0, 0], [0.5, 0.5, 0]] },
        }).Fit(_ml.Data.TakeRows(data, 20));
        float[] logs = AssertFiltered(model, data, [.. data.GetColumn<uint>("Key").Select(key => (float[])[key])]);
        Assert.AreEqual(float.NegativeInfinity, logs[25]);
        Assert.IsTrue(float.IsNaN(logs[22]));
        // As of rows, a key of which there is none was not observed.
        Dictionary<string, float[]> above = OnnxFiles.Run(Path.Combine(_folder, "step.onnx"), 1, (name, _) => name == "past" ? [0, 0] : [4]);
        Assert.IsTrue(float.IsNaN(above["log_likelihood"][0]));
        OnnxFiles.AssertClose([1, 0], above["present"], "present");
    }

    private float[] AssertFiltered(HiddenMarkovTransformer model, IDataView data, float[][] steps)
    {
        string path = Path.Combine(_folder, "step.onnx");
        model.SaveOnnx(path);
        float[] state = new float[model.States];
        List<float> filtered = [], logs = [];
        foreach (float[] step in steps)
        {
            float[] before = state;
            Dictionary<string, float[]> said = OnnxFiles.Run(path, 1, (name, _) => name == "past" ? before : step);
            state = said["present"];
            filtered.AddRange(state);
            logs.AddRange(said["log_likelihood"]);
        }
        IDataView view = model.Transform(data);
        OnnxFiles.AssertClose(OnnxFiles.Column(view, "LogLikelihood"), [.. logs], "LogLikelihood");
        OnnxFiles.AssertClose(OnnxFiles.Column(view, "Filtered"), [.. filtered], "Filtered");
        return [.. logs];
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

    [TestMethod]
    public void Tokens_of_a_tables_file_are_the_rows_of_Generate_and_their_names_its_values()
    {
        TableView data = KindsAndGrades();
        using TabularTransformer model = _ml.Generative.TabularVae(new TabularVaeOptions { Epochs = 2, LatentDimension = 4, HiddenWidth = 8 }).Fit(data);
        string path = Path.Combine(_folder, "table.onnx");
        model.SaveOnnx(path);
        string[][] names;
        using (var session = new InferenceSession(path))
        {
            names =
            [
                .. JsonDocument.Parse(session.ModelMetadata.CustomMetadataMap["generativeml.columns"]).RootElement.EnumerateArray()
                    .Select(column => (string[])[.. column.GetProperty("tokens").EnumerateArray().Select(token => token.GetString()!)]),
            ];
        }
        const int rows = 50, seed = 7;
        float[] normal = new float[rows * 4], uniform = new float[rows * 2];
        ulong first = SplitMix64.Derive(seed, RandomPurpose.Generation, 0);
        for (int row = 0; row < rows; row++)
        {
            var random = new SplitMix64(new SplitMix64(first + (ulong)row).Next());
            NormalNumbers.Fill(ref random, normal.AsSpan(row * 4, 4));
            for (int p = 0; p < 2; p++)
                uniform[row * 2 + p] = (random.Next() >> 41) * (1f / (1 << 23));
        }
        float[] tokens = OnnxFiles.Run(path, rows, (name, _) => name == "random_normal" ? normal : uniform)["tokens"];
        IDataView made = model.Generate(rows, seed);
        foreach ((int p, string column) in new[] { "Kind", "Grade" }.Index())
        {
            CollectionAssert.AreEqual(
                made.GetColumn<string>(column).ToArray(), Enumerable.Range(0, rows).Select(row => names[p][(int)tokens[row * 2 + p]]).ToArray());
        }
    }

    [TestMethod]
    public void A_Bayesian_networks_states_are_as_improbable_as_rows_by_Transform()
    {
        TableView data = new TableView(300)
            .Add("Kind", TextDataViewType.Instance, row => $"k{row % 3}".AsMemory())
            .Add("Grade", TextDataViewType.Instance, row => $"g{row % 3 + row % 2}".AsMemory())
            .Add("Size", NumberDataViewType.Single, row => row % 2 * 5f + row % 3);
        using BayesianNetworkTransformer model = _ml.Generative.BayesianNetwork(new BayesianNetworkOptions
        {
            ScoreColumnName = "Score", FeatureScoreColumnName = "Shares", PriorRows = 1,
        }).Fit(data);
        IDataView view = model.Transform(data);
        string[][] values =
        [
            [.. data.GetColumn<string>("Kind")], [.. data.GetColumn<string>("Grade")],
            [.. data.GetColumn<float>("Size").Select(size => size.ToString(System.Globalization.CultureInfo.InvariantCulture))],
        ];
        string[] variables = ["Kind", "Grade", "Size"];
        Assert.IsTrue(variables.SequenceEqual(model.Network.Names) && model.Network.Edges.Any());
        float[] states = [.. Enumerable.Range(0, 300 * 3).Select(i => (float)model.Network.StatesOf(variables[i % 3]).ToList().IndexOf(values[i % 3][i / 3]))];
        Assert.IsGreaterThanOrEqualTo(0f, states.Min());
        Dictionary<string, float[]> outputs = Run(model, null, 300, new() { ["states"] = states });
        OnnxFiles.AssertClose(OnnxFiles.Column(view, "Score"), outputs["score"], "score");
        OnnxFiles.AssertClose(OnnxFiles.Column(view, "Shares"), outputs["shares"], "shares");
    }

    [TestMethod]
    [DataRow(false)]
    [DataRow(true)]
    public void States_that_are_not_known_or_never_seen_count_as_by_Transform_or_are_said_to_be_open(bool estimate)
    {
        // Kind and Grade depend on each other, Lone on nothing; of Grade some are missing.
        TableView Rows(int rows, bool odd) => new TableView(rows)
            .Add("Kind", TextDataViewType.Instance, row => (odd && row % 5 == 1 ? "new" : odd && row % 5 == 2 ? "" : $"k{row % 3}").AsMemory())
            .Add("Grade", TextDataViewType.Instance, row => (row % 10 == 3 ? "" : odd && row % 7 == 1 ? "new" : $"g{row % 3 + row % 2}").AsMemory())
            .Add("Lone", TextDataViewType.Instance, row => (odd && row % 4 == 1 ? "new" : odd && row % 4 == 2 ? "" : $"l{row * 7919 % 101 % 2}").AsMemory());
        using BayesianNetworkTransformer model = _ml.Generative.BayesianNetwork(new BayesianNetworkOptions
        {
            ScoreColumnName = "Score", FeatureScoreColumnName = "Shares", PriorRows = 1, EstimateMissing = estimate,
        }).Fit(Rows(300, odd: false));
        const int rows = 140;
        string[] variables = [.. model.Network.Names];
        TableView table = Rows(rows, odd: true);
        Assert.IsTrue(model.Network.Edges.Any() && model.Network.Parents.Zip(variables).Single(v => v.Second == "Lone").First.Length == 0);
        string[][] values = [.. variables.Select(name => (string[])[.. table.GetColumn<string>(name)])];
        float[] states =
        [
            .. from row in Enumerable.Range(0, rows)
               from v in Enumerable.Range(0, 3)
               let found = model.Network.States[v].ToList().IndexOf(values[v][row] == "" ? "(missing)" : values[v][row])
               select found >= 0 ? found : values[v][row] == "" ? row % 2 == 0 ? float.NaN : -1 : -2f,
        ];
        Dictionary<string, float[]> outputs = Run(model, null, rows, new() { ["states"] = states });
        IDataView view = model.Transform(table);
        float[] scores = OnnxFiles.Column(view, "Score"), shares = OnnxFiles.Column(view, "Shares");
        int open = 0;
        for (int row = 0; row < rows; row++)
        {
            bool IsKnown(int v) => states[row * 3 + v] >= 0 && !(estimate && values[v][row] == "");
            for (int v = 0; v < 3; v++)
            {
                if (!IsKnown(v) || model.Network.Parents[v].All(IsKnown))
                    continue;
                shares[row * 3 + v] = scores[row] = float.NaN;
                open++;
            }
        }
        Assert.IsTrue(open is > 0 and < rows / 2);
        OnnxFiles.AssertClose(shares, outputs["shares"], "shares");
        OnnxFiles.AssertClose(scores, outputs["score"], "score");

        // A number that is no state has no score, and does not spoil those of others.
        outputs = Run(model, null, 2, new() { ["states"] = [99, 0, 0, 0, 0, 0] });
        Assert.IsTrue(float.IsNaN(outputs["score"][0]) && float.IsFinite(outputs["score"][1]));
    }

    [TestMethod]
    public void What_a_tables_file_says_of_its_tokens_makes_the_rows_of_Generate()
    {
        IFormatProvider culture = System.Globalization.CultureInfo.InvariantCulture;
        DateTime Date(int row) => new DateTime(2024, 1, 15).AddDays(row * 37 % 400);
        TableView data = new TableView(400)
            .Add("Kind", TextDataViewType.Instance, row => $"k{(row % 10 == 0 ? 1 : row % 3 == 0 ? 2 : 3)}".AsMemory())
            .Add("Day", NumberDataViewType.Int32, row => Date(row).Year * 10_000 + Date(row).Month * 100 + Date(row).Day)
            .Add("Time", DateTimeDataViewType.Instance, row => new DateTime(2020, 5, 1).AddMinutes(row * 91 % 4001))
            .Add("Low", NumberDataViewType.Double, row => row * 7919 % 1009 / 10.0)
            .Add("High", NumberDataViewType.Double, row => row * 7919 % 1009 / 10.0 + 3 + row * 31 % 211 / 10.0);
        var options = new TabularGanOptions
        {
            Epochs = 2, NoiseDimension = 4, HiddenLayers = [8], Constraints = [new TableConstraint.AtMost("Low", "High")],
        };
        using TabularTransformer model = _ml.Generative.TabularGan(options).Fit(data);
        string path = Path.Combine(_folder, "table.onnx");
        model.SaveOnnx(path);
        using var session = new InferenceSession(path);
        JsonElement[] columns = [.. JsonDocument.Parse(session.ModelMetadata.CustomMetadataMap["generativeml.columns"]).RootElement.EnumerateArray()];
        string[] names = [.. columns.Select(column => column.GetProperty("column").GetString()!)];
        string[][] tokens = [.. columns.Select(column => (string[])[.. column.GetProperty("tokens").EnumerateArray().Select(token => token.GetString()!)])];
        double[][] upTo = [.. columns.Select(column => Cumulative.Sums(column.GetProperty("rows").EnumerateArray().Select(n => n.GetDouble())))];
        Assert.AreEqual("Low", columns[Array.IndexOf(names, "High")].GetProperty("above").EnumerateArray().Single().GetString());
        Assert.IsFalse(columns[Array.IndexOf(names, "Kind")].TryGetProperty("above", out _));

        // As the documentation says: what is given is of a column by chance, as often as in training rows.
        const int rows = 40, seed = 7;
        int n = names.Length, width = tokens.Sum(t => t.Length);
        float[] normal = new float[rows * 4], uniform = new float[rows * n], given = new float[rows * width];
        ulong first = SplitMix64.Derive(seed, RandomPurpose.Generation, 0);
        for (int row = 0; row < rows; row++)
        {
            var random = new SplitMix64(new SplitMix64(first + (ulong)row).Next());
            NormalNumbers.Fill(ref random, normal.AsSpan(row * 4, 4));
            int p = random.Next(n);
            given[row * width + tokens.Take(p).Sum(t => t.Length) + Cumulative.Draw(upTo[p], ref random)] = 1;
            for (int i = 0; i < n; i++)
                uniform[row * n + i] = (random.Next() >> 41) * (1f / (1 << 23));
        }
        Dictionary<string, float[]> outputs = OnnxFiles.Run(path, rows, (name, _) => name switch
        {
            "random_normal" => normal,
            "random_uniform" => uniform,
            _ => given,
        });
        IDataView made = model.Generate(rows, seed);
        string[] kinds = [.. made.GetColumn<string>("Kind")];
        int[] days = [.. made.GetColumn<int>("Day")];
        DateTime[] times = [.. made.GetColumn<DateTime>("Time")];
        double[] lows = [.. made.GetColumn<double>("Low")], highs = [.. made.GetColumn<double>("High")];
        int[] numbers = [.. Enumerable.Range(0, n).Where(p => names[p] != "Kind")];
        for (int row = 0; row < rows; row++)
        {
            string Token(string name) => tokens[Array.IndexOf(names, name)][(int)outputs["tokens"][row * n + Array.IndexOf(names, name)]];
            (string Mean, string Reach, float Offset) Mode(string name) => Token(name).Split(" + ") is [var mean, var reach]
                ? (mean, reach.Replace(" · offset", ""), outputs["offsets"][row * numbers.Length + Array.IndexOf(numbers, Array.IndexOf(names, name))])
                : throw new AssertFailedException(Token(name));
            double Number((string Mean, string Reach, float Offset) of) => Parse(of.Mean) + Parse(of.Reach) * of.Offset;
            Assert.AreEqual(kinds[row], Token("Kind"));
            var day = Mode("Day");
            DateTime Exact(string date) => DateTime.ParseExact(date, "yyyyMMdd", culture);
            DateTime said = Exact(day.Mean).AddDays(Parse(day.Reach.Replace(" days", "")) * day.Offset);
            // What comes out is within the range of the training rows.
            (DateTime least, DateTime most) = (Date(0), Enumerable.Range(0, 400).Max(Date));
            said = said < least ? least : said > most ? most : said;
            Assert.IsLessThan(1.6, Math.Abs((Exact($"{days[row]}") - said).TotalDays), $"{row} {day}");
            var time = Mode("Time");
            TimeSpan since = DateTime.Parse(time.Mean, culture) + TimeSpan.Parse(time.Reach, culture) * time.Offset - new DateTime(2020, 5, 1);
            Assert.AreEqual((times[row] - new DateTime(2020, 5, 1)).TotalMinutes, Math.Clamp(since.TotalMinutes, 0, Enumerable.Range(0, 400).Max(row => row * 91 % 4001)), 2, $"{row} {time}");
            Assert.AreEqual(lows[row], Math.Clamp(Number(Mode("Low")), 0, data.GetColumn<double>("Low").Max()), 0.1, $"{row}");
            Assert.AreEqual(
                highs[row], Math.Min(lows[row] + Math.Max(0, Number(Mode("High"))), data.GetColumn<double>("High").Max()), 0.1, $"{row}");
        }

        double Parse(string number) => double.Parse(number, culture);
    }

    [TestMethod]
    public void Rare_values_that_share_a_token_are_listed_and_dates_are_dates()
    {
        TableView data = new TableView(4000)
            .Add("Place", TextDataViewType.Instance, row => (row % 4 == 0 ? $"p{row}" : $"big{row % 4}").AsMemory())
            .Add("Day", NumberDataViewType.Int32, row => 20240101 + row % 28);
        using BayesianNetworkTransformer model = _ml.Generative.BayesianNetwork().Fit(data);
        string path = Path.Combine(_folder, "table.onnx");
        model.SaveOnnx(path);
        using var session = new InferenceSession(path);
        JsonElement[] columns = [.. JsonDocument.Parse(session.ModelMetadata.CustomMetadataMap["generativeml.columns"]).RootElement.EnumerateArray()];
        JsonElement place = columns.Single(c => c.GetProperty("column").GetString() == "Place");
        string[] known = [.. place.GetProperty("tokens").EnumerateArray().Concat(place.GetProperty("others").EnumerateArray()).Select(t => t.GetString()!)];
        Assert.IsTrue(data.GetColumn<string>("Place").Distinct().Order().SequenceEqual(known.Where(name => name != "(others)").Order()));
        Assert.IsFalse(place.TryGetProperty("rows", out _));
        string[] ends = [.. model.Network.StatesOf("Day").SelectMany(state => state.Split(" to "))];
        Assert.IsTrue(ends.All(end => int.Parse(end, System.Globalization.CultureInfo.InvariantCulture) is >= 20240101 and <= 20240128), string.Join(", ", ends));
    }

    private static TableView KindsAndGrades() => new TableView(200)
        .Add("Kind", TextDataViewType.Instance, row => $"k{row % 3}".AsMemory())
        .Add("Grade", TextDataViewType.Instance, row => $"g{row % 3 + row % 2}".AsMemory());

    [TestMethod]
    public void What_is_no_number_is_not_known_to_the_files_of_tables()
    {
        TableView data = KindsAndGrades();
        using TabularTransformer model = _ml.Generative.TabularDiffusion(new TabularDiffusionOptions { Epochs = 1, HiddenWidth = 8, Blocks = 1 }).Fit(data);
        float[] Logits(float[] tokens, float[] known) => Run(model, null, 1, new() { ["tokens"] = tokens, ["known"] = known })["logits"];
        float[] expected = Logits([1, 0], [1, 0]);
        Assert.IsTrue(expected.All(float.IsFinite));
        OnnxFiles.AssertClose(expected, Logits([1, float.NaN], [1, 1]), "token");
        OnnxFiles.AssertClose(expected, Logits([1, -1], [1, float.NaN]), "known");
        using TabularTransformer gan = _ml.Generative.TabularGan(new TabularGanOptions { Epochs = 1, NoiseDimension = 2, HiddenLayers = [4] }).Fit(data);
        Dictionary<string, float[]> outputs = OnnxFiles.SaveAndRun(
            gan, null, 1, (name, width) => [.. Enumerable.Repeat(name == "given" ? float.NaN : 0.5f, width)]);
        Assert.IsTrue(outputs["tokens"].All(token => token is >= 0 and < 4));
    }

    [TestMethod]
    [DataRow("vae", OnnxContent.Generate)]
    [DataRow("gan", OnnxContent.Generate)]
    [DataRow("diffusion", OnnxContent.Denoise)]
    [DataRow("bayes", OnnxContent.Score)]
    public void A_thousand_rows_of_tables_tokens_are_those_of_torch(string method, OnnxContent content)
    {
        IEstimator<TabularTransformer> trainer = method switch
        {
            "vae" => _ml.Generative.TabularVae(new TabularVaeOptions { Epochs = 1, LatentDimension = 4, HiddenWidth = 8 }),
            "gan" => _ml.Generative.TabularGan(new TabularGanOptions { Epochs = 1, NoiseDimension = 4, HiddenLayers = [8] }),
            "diffusion" => _ml.Generative.TabularDiffusion(new TabularDiffusionOptions { Epochs = 1, HiddenWidth = 8, Blocks = 1 }),
            _ => _ml.Generative.BayesianNetwork(),
        };
        using TabularTransformer model = trainer.Fit(MixedTable.Rows(200));
        OnnxFinding file = OnnxAgainstTorch.Findings(model).Single();
        Assert.AreEqual(content, file.Content);
        Assert.IsLessThanOrEqualTo(1e-5, file.Difference, file.Worst);
        StringAssert.Contains(
            Assert.ThrowsExactly<NotSupportedException>(() => model.SaveOnnx(Path.Combine(_folder, "none.onnx"), OnnxContent.Transform)).Message, $"{content}");
    }

    private static Dictionary<string, float[]> Run(ITransformer model, OnnxContent? content, int rows, Dictionary<string, float[]> inputs) =>
        OnnxFiles.SaveAndRun(model, content, rows, (name, _) => inputs[name]);
}
