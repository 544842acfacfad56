using System.Globalization;

namespace GenerativeML;

/// <summary>
/// Models of vectors as graphs whose inputs and outputs are in the units of the data: what C# does before and after a
/// network is part of them. Each input and output is named as its column, and its first axis is that of the rows.
/// </summary>
internal static class VectorOnnx
{
    private const string Rows = "rows";

    /// <summary>The columns that a transformer adds.</summary>
    /// <exception cref="NotSupportedException">It adds none, or one that takes gradients.</exception>
    public static OnnxExport Transform(VectorModelState state, float threshold, int opset = OnnxFile.Opset)
    {
        VectorNetwork network = state.Model.Network;
        VectorColumns columns = state.Options.Columns;
        (string? Name, VectorOutputs Flag)[] values =
        [
            (columns.Score, network.Input.Classes > 0 ? VectorOutputs.Class : VectorOutputs.Score), (columns.FeatureScore, VectorOutputs.FeatureScore),
            (columns.Reconstruction, VectorOutputs.Reconstruction), (columns.Latent, VectorOutputs.Latent),
            (columns.LatentDeviation, VectorOutputs.LatentDeviation), (columns.AnomalyMap, VectorOutputs.AnomalyMap),
            (columns.Translation, VectorOutputs.Translation),
        ];
        values = Array.FindAll(values, value => value.Name is not null
            || value.Flag is VectorOutputs.Score or VectorOutputs.Class && (columns.PredictedLabel ?? columns.PValue) is not null);
        if (values.Length == 0)
            throw new NotSupportedException("The model adds no column to rows: there is nothing to write.");
        if (values.FirstOrDefault(value => network.RequiresTorch(value.Flag)) is { Name: string searched })
        {
            throw new NotSupportedException(
                $"Column '{searched}' is found by a search along gradients, which an ONNX graph cannot compute.");
        }
        if (network.Backbone is not null)
        {
            throw new NotSupportedException(
                "The model's features are those of a network from elsewhere, which may be written for another version of ONNX: they "
                + "cannot be in one ONNX file.");
        }
        Array.Sort(values, (a, b) => a.Flag.CompareTo(b.Flag)); // as a pass gives them
        VectorOutputs wanted = values.Aggregate(VectorOutputs.None, (all, value) => all | value.Flag);

        var graph = new OnnxExport(
            state.Model.Weights,
            [
                .. state.Fields.Select(f => f.Name), .. values.Select(v => v.Name ?? ""), columns.PredictedLabel ?? "",
                columns.PValue ?? "",
            ])
        { Opset = opset };
        (OnnxTensor[] fields, OnnxTensor unknown) = Read(graph, state, first: 0);
        Scope<OnnxTensor> weights = graph.Root;
        OnnxTensor z = ScalerPart<OnnxTensor>.OfFeatures(weights).Apply(fields[0]);
        OnnxTensor[] results = new TrainedVector.RowPass(network, wanted, fields.Length > 1).Run(
            weights, fields.Length > 1 ? [z, ScaledConditions(weights, fields[1..])] : [z]);
        for (int i = 0; i < values.Length; i++)
        {
            (string? name, VectorOutputs flag) = values[i];
            OnnxTensor result = results[i];
            if (flag is VectorOutputs.Reconstruction or VectorOutputs.Translation)
                result = ScalerPart<OnnxTensor>.OfFeatures(weights).Undo(result);
            if (flag is VectorOutputs.Score or VectorOutputs.FeatureScore)
                result = InUnitsOfTheData(weights, state.Model, fields[0], z, result, flag == VectorOutputs.Score);
            result += unknown;
            if (name is not null)
                graph.Output(Free(name), result, OnnxType.Float, Rows);
            if (flag == VectorOutputs.Class && columns.PredictedLabel is string predicted)
            {
                OnnxTensor place = graph.Node("ArgMax", [-1, 1], [results[i]], ("axis", -1));
                OnnxTensor key = graph.Node("Cast", [-1, 1], [place], ("to", (int)OnnxType.Float)) + 1f;
                // Of a row that is not known there is none, which is zero.
                OnnxTensor isNaN = graph.Node("IsNaN", [-1, 1], [unknown]);
                key = graph.Node("Where", [-1, 1], [isNaN, graph.Constant(0), key]);
                graph.Output(Free(predicted), graph.Node("Cast", [-1, 1], [key], ("to", (int)OnnxType.Int64)), OnnxType.Int64, Rows);
            }
            if (flag == VectorOutputs.Score && columns.PredictedLabel is string label)
            {
                // A score of NaN is strange, too.
                OnnxTensor ordinary = graph.Node("LessOrEqual", [-1, 1], [result, graph.Constant(threshold)]);
                graph.Output(Free(label), graph.Node("Not", [-1, 1], [ordinary]), OnnxType.Boolean, Rows);
            }
            if (flag == VectorOutputs.Score && columns.PValue is string pValue)
                graph.Output(Free(pValue), PValue(result, state.Calibration!), OnnxType.Float, Rows);
        }
        Describe(graph, state, "transform");
        if (columns.PredictedLabel is not null)
            graph.Describe("threshold", threshold.ToString("R", CultureInfo.InvariantCulture));
        return graph;

        string Free(string name) => OutputName(name, state.Fields.Select(f => f.Name));
    }

    /// <summary>What an output is called whose column may be one of the inputs: values of a graph are not replaced.</summary>
    public static string OutputName(string column, IEnumerable<string> inputs) =>
        inputs.Contains(column) ? OutputName(column + ".output", inputs) : column;

    /// <summary>Rows of random numbers, and of conditions where there are any.</summary>
    /// <exception cref="NotSupportedException">The model generates nothing, or in steps.</exception>
    public static OnnxExport Generate(VectorModelState state)
    {
        if (state.Model.Network is IDenoiser)
        {
            throw new NotSupportedException(
                $"Models of the family '{state.Family.Name}' generate rows in many steps, which an ONNX graph does not hold: "
                + $"{nameof(OnnxContent)}.{nameof(OnnxContent.Denoise)} writes the network, of which each step is a call.");
        }
        // Made anew, of options that may have changed since training.
        if (state.Family.Create(state.Options, state.Model.Network.Input) is not ISampler sampler)
            throw new NotSupportedException($"Models of the family '{state.Family.Name}' generate no rows.");
        if (sampler.SamplesByTorch)
            throw new NotSupportedException($"The model makes {state.Model.Network.Input.Width} features one after the other: too many for an ONNX graph.");
        string[] names = [.. state.Fields.Select(f => f.Name)];
        var graph = new OnnxExport(state.Model.Weights, names);
        List<OnnxTensor> inputs = [];
        if (sampler.NormalWidth > 0)
            inputs.Add(Input(graph, state, "random_normal", sampler.NormalWidth));
        if (sampler.UniformWidth > 0)
            inputs.Add(Input(graph, state, "random_uniform", sampler.UniformWidth));
        bool conditional = names.Length > 1;
        (OnnxTensor[] conditions, OnnxTensor? unknown) = conditional ? Read(graph, state, first: 1) : ([], default);
        if (conditional)
            inputs.Add(ScaledConditions(graph.Root, conditions));
        OnnxTensor made = new TrainedVector.SamplePass(sampler, conditional).Run(graph.Root, [.. inputs])[0];
        OnnxTensor rows = ScalerPart<OnnxTensor>.OfFeatures(graph.Root).Undo(made);
        if (sampler.WholeNumbers is (string lowest, string highest))
            rows = Round(rows, graph.Root[lowest], graph.Root[highest]);
        graph.Output(names[0], conditional ? rows + unknown!.Value : rows, OnnxType.Float, Rows);
        Describe(graph, state, "generate");
        return graph;
    }

    /// <summary>Rows with noise of a level, as the network sees them → what they are without, also in the units of the data.</summary>
    /// <exception cref="NotSupportedException">The model takes no noise away, or reads captions.</exception>
    public static OnnxExport Denoise(VectorModelState state)
    {
        if (state is not { Model.Network: DenoisingNetwork network, Options: DenoisingOptions options })
            throw new NotSupportedException($"Models of the family '{state.Family.Name}' take no noise away.");
        if (network.Input.ConditionCaptions.Any(caption => caption is not null))
            throw new NotSupportedException("The model reads captions, texts, which an ONNX graph does not know.");
        string[] names = [.. state.Fields.Select(f => f.Name)];
        int width = state.Fields[0].Width;
        var graph = new OnnxExport(state.Model.Weights, names);
        List<OnnxTensor> inputs = [Input(graph, state, "noisy", width), Input(graph, state, "level", 1)];
        bool conditional = names.Length > 1;
        OnnxTensor? unknown = null;
        if (conditional)
        {
            (OnnxTensor[] conditions, unknown) = Read(graph, state, first: 1);
            inputs.AddRange([ScaledConditions(graph.Root, conditions), Input(graph, state, "is_known", 1)]);
        }
        if (network.TakesGiven)
            inputs.Add(Input(graph, state, "is_given", width));
        OnnxTensor clean = new DenoisingNetwork.DenoisePass(network, conditional).Run(graph.Root, [.. inputs])[0];
        clean = unknown is { } missing ? clean + missing : clean;
        graph.Output(Free(state, "clean"), clean, OnnxType.Float, Rows);
        graph.Output(names[0], ScalerPart<OnnxTensor>.OfFeatures(graph.Root).Undo(clean), OnnxType.Float, Rows);
        Describe(graph, state, "denoise");
        DiffusionSampling sampling = options.Sampling;
        graph.Describe("schedule", $"{options.NoiseSchedule}");
        graph.Describe("levels", string.Join(' ', network.LevelsOf(sampling.Steps).Select(
            level => level.ToString("R", CultureInfo.InvariantCulture))));
        graph.Describe("sampler", $"{sampling.Sampler}");
        graph.Describe("guidance_scale", sampling.GuidanceScale.ToString("R", CultureInfo.InvariantCulture));
        return graph;
    }

    /// <summary>Rows with missing values → the same, with what they are expected to be.</summary>
    public static OnnxExport Impute(VectorModelState state, int opset = OnnxFile.Opset)
    {
        string name = state.Fields[0].Name;
        var graph = new OnnxExport(state.Model.Weights, state.Fields.Select(f => f.Name)) { Opset = opset };
        bool conditional = state.Fields.Count > 1;
        int width = state.Fields[0].Width;
        OnnxTensor rows = graph.Input(name, OnnxType.Float, [-1, width], [Rows]);
        (OnnxTensor z, OnnxTensor isGiven) = Known(ScalerPart<OnnxTensor>.OfFeatures(graph.Root).Apply(rows), rows * 0f);
        List<OnnxTensor> inputs = [z, isGiven];
        if (conditional)
        {
            // A condition that is missing is not known, whatever training has put in its place.
            (OnnxTensor[] conditions, OnnxTensor unknown) = Read(graph, state with { Replacement = null }, first: 1);
            (OnnxTensor c, OnnxTensor isKnown) = Known(ScaledConditions(graph.Root, conditions), unknown);
            inputs.AddRange([c, isKnown]);
        }
        OnnxTensor expected = new DenoisingNetwork.ExpectPass((DenoisingNetwork)state.Model.Network, conditional)
            .Run(graph.Root, [.. inputs])[0];
        OnnxTensor made = ScalerPart<OnnxTensor>.OfFeatures(graph.Root).Undo(expected);
        OnnxTensor filled = graph.Node("Where", rows.Shape, [graph.Node("IsNaN", rows.Shape, [rows * 0f]), made, rows]);
        graph.Output(OutputName(name, state.Fields.Select(f => f.Name)), filled, OnnxType.Float, Rows);
        Describe(graph, state, "transform");
        return graph;

        // Zeros where numbers are NaN, and ones where they are not.
        (OnnxTensor, OnnxTensor) Known(OnnxTensor values, OnnxTensor isNaN)
        {
            OnnxTensor missing = graph.Node("IsNaN", isNaN.Shape, [isNaN]);
            return (
                graph.Node("Where", values.Shape, [missing, graph.Constant(0), values]),
                graph.Node("Where", isNaN.Shape, [missing, graph.Constant(0), graph.Constant(1)]));
        }
    }

    // An input beside columns, by a name that none of them has.
    private static OnnxTensor Input(OnnxExport graph, VectorModelState state, string name, int width) =>
        graph.Input(Free(state, name), OnnxType.Float, [-1, width], [Rows]);

    private static string Free(VectorModelState state, string name) =>
        state.Fields.Any(f => f.Name == name) ? Free(state, "_" + name) : name;

    // To whole numbers between these, where the first is not above the second.
    private static OnnxTensor Round(OnnxTensor rows, OnnxTensor lowest, OnnxTensor highest)
    {
        OnnxTensor whole = rows.Graph.Node("Round", rows.Shape, [rows]);
        whole = OnnxTensor.IfLess(whole, lowest, lowest, OnnxTensor.IfLess(highest, whole, highest, whole));
        return OnnxTensor.IfLess(highest, lowest, rows, whole);
    }

    // The fields from one on as the model sees them, and (B, 1), NaN for rows with values that are not known, else 0.
    private static (OnnxTensor[] Fields, OnnxTensor Unknown) Read(OnnxExport graph, VectorModelState state, int first)
    {
        var fields = new List<OnnxTensor>();
        OnnxTensor? unknown = null;
        for (int f = first; f < state.Fields.Count; f++)
        {
            RowField field = state.Fields[f];
            OnnxTensor x = graph.Input(field.Name, OnnxType.Float, [-1, field.IsCondition ? 1 : field.Width], [Rows]);
            int keys = state.Schema.Columns[f].Type.KeyCount > 0 ? field.Width : 0;
            if (field.Categories is { } categories)
                x = OneHot(x, [.. categories], missing: float.NaN);
            else if (keys > 0)
                x = OneHot(x, [.. Enumerable.Range(1, keys).Select(key => (float)key)], missing: 0);
            if (state.Replacement is { } replacement)
                x = Replace(x, replacement.Fields[f]);
            OnnxTensor finite = (x * 0f).Reduce(Reduction.Sum, 1);
            unknown = unknown is { } others ? others + finite : finite;
            fields.Add(x);
        }
        return ([.. fields], unknown!.Value);
    }

    // (B, 1) → (B, values): one where it is the value, zero elsewhere; all are missing where it is none.
    private static OnnxTensor OneHot(OnnxTensor x, float[] values, float missing)
    {
        OnnxTensor known = Row(x.Graph, values);
        OnnxTensor equal = x.Graph.Node("Equal", [-1, values.Length], [x, known]);
        OnnxTensor slots = x.Graph.Node("Cast", [-1, values.Length], [equal], ("to", (int)OnnxType.Float));
        return missing == 0
            ? slots
            : OnnxTensor.IfLess(
                slots.Reduce(Reduction.Max, 1), x.Graph.Constant(0.5f), x.Graph.Constant(missing), slots);
    }

    private static OnnxTensor Replace(OnnxTensor x, NonFiniteReplacement.SlotRange range)
    {
        OnnxGraph graph = x.Graph;
        OnnxTensor isNaN = graph.Node("IsNaN", x.Shape, [x]);
        OnnxTensor most = graph.Constant(float.MaxValue), least = graph.Constant(float.MinValue);
        OnnxTensor known = graph.Node("Where", x.Shape, [isNaN, Row(graph, range.Median), x]);
        known = OnnxTensor.IfLess(most, known, Row(graph, range.Max), known);
        return OnnxTensor.IfLess(known, least, Row(graph, range.Min), known);
    }

    private static OnnxTensor ScaledConditions(Scope<OnnxTensor> w, OnnxTensor[] conditions) =>
        ScalerPart<OnnxTensor>.OfConditions(w).Apply(conditions.Length == 1 ? conditions[0] : OnnxTensor.Concat(1, conditions));

    // What TrainedVector adds to scores: likelihoods are those of rows as they come, and constants count that changed.
    private static OnnxTensor InUnitsOfTheData(
        Scope<OnnxTensor> w, TrainedVector model, OnnxTensor rows, OnnxTensor z, OnnxTensor score, bool sum)
    {
        ScalerPart<OnnxTensor> scaler = ScalerPart<OnnxTensor>.OfFeatures(w);
        if (model.Network is IScorer { IsLogLikelihood: true })
            score -= Sum(scaler.LogDerivative(z));
        if (model.Features.Constants.Length == 0)
            return score;
        OnnxTensor distance = (rows - scaler.Mean).Apply(Function.Abs).Clamp(0, float.MaxValue), no = w.Constant(0);
        OnnxTensor strange = ((distance + 1).Apply(Function.Log) + 1) * TrainedVector.ChangedConstant;
        OnnxTensor varies = OnnxTensor.IfLess(no, scaler.Scale, no, OnnxTensor.IfLess(no, distance, strange, no));
        return score + Sum(varies);

        OnnxTensor Sum(OnnxTensor values) => sum ? values.Reduce(Reduction.Sum, 1) : values;
    }

    // As CalibrationScores has it.
    private static OnnxTensor PValue(OnnxTensor score, CalibrationScores calibration)
    {
        OnnxGraph graph = score.Graph;
        int count = calibration.Sorted.Count;
        OnnxTensor isNaN = graph.Node("IsNaN", score.Shape, [score]);
        OnnxTensor below = OnnxTensor
            .IfLess(Row(graph, [.. calibration.Sorted]), score, graph.Constant(1), graph.Constant(0))
            .Reduce(Reduction.Sum, 1);
        return graph.Node("Where", score.Shape, [isNaN, graph.Constant(float.NaN), (1f + count - below) / (count + 1f)]);
    }

    private static OnnxTensor Row(OnnxGraph graph, float[] values) => graph.Constant(
        string.Join(',', values.Select(v => v.ToString("R", CultureInfo.InvariantCulture))), OnnxType.Float,
        [values.Length], values);

    private static void Describe(OnnxExport graph, VectorModelState state, string content)
    {
        graph.Describe("family", state.Family.Name);
        graph.Describe("content", content);
        if (state.Model.Network.Input.Image is { IsPicture: true, Shape: { } shape })
        {
            graph.Describe("input." + state.Schema.Columns[0].Name, FormattableString.Invariant(
                $"numbers from 0 to 1: {shape.Channels} channels of {shape.Height} rows of {shape.Width} pixels"));
        }
        for (int f = 1; f < state.Fields.Count; f++)
        {
            VectorSchemaColumn column = state.Schema.Columns[f];
            graph.Describe("input." + column.Name, column.Type.KeyCount > 0
                ? "a key's number, counted from 1; 0 is a missing one"
                : column.Type.Item == "Boolean" ? "1 for true, 0 for false" : "a number");
        }
    }
}
