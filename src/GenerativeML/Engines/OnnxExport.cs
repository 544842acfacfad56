namespace GenerativeML;

/// <summary>What an ONNX file computes: one of the things that a model can do.</summary>
public enum OnnxContent
{
    /// <summary>
    /// The columns that <c>Transform</c> adds to rows, of those that it reads. Images of a column of
    /// <see cref="Microsoft.ML.Data.MLImage"/>, resized, are numbers from 0 to 1: all pixels of the first channel row by
    /// row, then those of the next; and so are those that come out, also where rows are generated.
    /// </summary>
    Transform,

    /// <summary>Generated rows, of random numbers and conditions; of a table the tokens of its columns.</summary>
    Generate,

    /// <summary>
    /// A language model's logits of the token that follows each token of whole sequences, or of whole targets given their
    /// sources; a masked one's of the token that stands there; those of a text classifier's classes; of a WaveNet those of each
    /// sample of a window, and of a Coconet those of each note's pitch.
    /// </summary>
    Logits,

    /// <summary>
    /// The same for tokens that follow others, whose keys and values, or whose recurrent states, are inputs, and outputs
    /// for the next step; of a model of texts made of texts, given what <see cref="Encode"/> makes of the sources.
    /// </summary>
    LogitsWithCache,

    /// <summary>
    /// What a model of texts made of texts keeps of sources, for <see cref="LogitsWithCache"/>; the latent distributions of a
    /// Sketch-RNN's drawings.
    /// </summary>
    Encode,

    /// <summary>
    /// The network of a diffusion model: what rows are without their noise. The steps that make rows with it are the
    /// caller's; the file says the levels of noise that the model would take. Of a table: logits of what is not known yet.
    /// </summary>
    Denoise,

    /// <summary>Of a model of series: what it says of the steps of windows.</summary>
    Windows,

    /// <summary>
    /// Of a model that makes things step by step what the next step may be, after those before it: a Sketch-RNN's point, a
    /// WaveNet's sample, the stroke of a SPIRAL agent, and of a hidden Markov model the states at a step and how likely it was.
    /// To draw the step, and to call again, is the caller's.
    /// </summary>
    Step,

    /// <summary>What a Sketch-RNN begins its steps with, of latent vectors.</summary>
    Begin,

    /// <summary>Of a Bayesian network: how improbable the states of its variables are, together and each.</summary>
    Score,
}

/// <summary>A pass over rows as a file: names of what goes in, with their widths, and of what comes out.</summary>
internal sealed record OnnxPass(
    HostWeights Weights, IForwardPass Pass, (string Name, int Width)[] Inputs, string[] Outputs, params (string Key, string Value)[] Said)
{
    /// <summary>Writes it, with what the file says of itself.</summary>
    public OnnxExport ToGraph(string family, OnnxContent content)
    {
        var graph = new OnnxExport(Weights, [.. Inputs.Select(input => input.Name), .. Outputs]);
        OnnxTensor[] results = Pass.Run(
            graph.Root, [.. Inputs.Select(input => graph.Input(input.Name, OnnxType.Float, [-1, input.Width], ["rows"]))]);
        for (int i = 0; i < results.Length; i++)
            graph.Output(Outputs[i], results[i], OnnxType.Float, "rows");
        foreach ((string key, string value) in (ReadOnlySpan<(string, string)>)[("family", family), ("content", content.ToString().ToLowerInvariant()), .. Said])
            graph.Describe(key, value);
        return graph;
    }
}

/// <summary>
/// A graph that is handed out: inputs and outputs have names that users know, all operations are ONNX's own, and it says
/// what it is. Its attention is written in products; with a cache, keys and values of earlier tokens go in and come out.
/// </summary>
internal sealed class OnnxExport : OnnxGraph
{
    /// <summary>Larger weights, together, are in a file beside it: messages of the format end at 2 GB.</summary>
    public const long LargestInline = 1L << 28;

    private readonly HostWeights _weights;
    private readonly List<(string Key, string Value)> _metadata = [];
    private readonly List<(OnnxTensor Key, OnnxTensor Value)> _past = [];
    private int _layer;

    /// <summary>A graph of weights, with the names of what will go in and come out.</summary>
    public OnnxExport(HostWeights weights, params IEnumerable<string> names)
        : base(weights)
    {
        _weights = weights;
        string prefix = "net.";
        while (names.Any(name => name.StartsWith(prefix, StringComparison.Ordinal)))
            prefix = "_" + prefix;
        Prefix = prefix;
        Describe("producer", $"GenerativeML {typeof(OnnxExport).Assembly.GetName().Version}");
    }

    /// <summary>The numbers of a sequence's tokens, (T), and of all that they attend to, (S), earlier ones too.</summary>
    public (OnnxTensor Queries, OnnxTensor Keys) Positions { get; set; }

    /// <summary>One for tokens that may be attended to, else zero, (B, S); null: all may.</summary>
    public OnnxTensor? Counts { get; set; }

    /// <summary>Adds to what the file says of itself.</summary>
    public void Describe(string key, string value) => _metadata.Add(("generativeml." + key, value));

    /// <summary>
    /// Writes the file, and where weights are large, before it, one beside it whose name has <c>.data</c> behind. Each
    /// appears under its name when it is complete.
    /// </summary>
    public void Save(string path, long largestInline = LargestInline)
    {
        (byte[] file, IReadOnlyList<string> external) =
            ToFile(largestInline, Path.GetFileName(path) + ".data", [.. _metadata]);
        if (external.Count > 0)
        {
            AtomicFile.Write(path + ".data", stream =>
            {
                foreach (string name in external)
                    _weights.Write(_weights.Find(name)!, stream.Write);
            });
        }
        AtomicFile.Write(path, stream => stream.Write(file));
    }

    /// <summary>Whether the states of recurrent layers go in and come out.</summary>
    public bool CarriesStates { get; set; }

    /// <summary>Numbers from one, inclusive, to another, exclusive, both scalars, as indices, (T).</summary>
    public OnnxTensor Range(OnnxTensor start, OnnxTensor end) =>
        Node("Range", [-1], [start, end, Constant<long>("step", OnnxType.Int64, [], [1])]);

    /// <summary>Declares the keys and values of earlier tokens, (B, heads, P, width), of all layers; gives P.</summary>
    public OnnxTensor AddPast(int layers, int heads, int width)
    {
        for (int i = 0; i < layers; i++)
            _past.Add((Past(i, "key"), Past(i, "value")));
        return _past[0].Key.Sizes(2, 3).Squeeze(0);

        OnnxTensor Past(int layer, string what) => Input(
            $"past_key_values.{layer}.{what}", OnnxType.Float, [-1, heads, -1, width], ["batch", "", "past"]);
    }

    public override OnnxTensor Attention(
        OnnxTensor queryKeyValue, int heads, int width, string layer, double dropout)
    {
        OnnxTensor all = queryKeyValue.Reshape(0, 0, 3 * heads, width).Transpose(0, 2, 1, 3); // (B, 3·heads, T, width)
        OnnxTensor query = all.Slice(1, 0, heads), key = all.Slice(1, heads, heads), value = all.Slice(1, 2 * heads, heads);
        if (_past.Count > 0)
        {
            (key, value) = (OnnxTensor.Concat(2, _past[_layer].Key, key), OnnxTensor.Concat(2, _past[_layer].Value, value));
            Output($"present.{_layer}.key", key, OnnxType.Float, "batch", "", "total");
            Output($"present.{_layer++}.value", value, OnnxType.Float, "batch", "", "total");
        }
        OnnxTensor scores = query.MatMul(key.Transpose(0, 1, 3, 2)) * (1 / MathF.Sqrt(width)); // (B, heads, T, S)
        // Not infinite: a token that does not count may have nothing to see.
        OnnxTensor unseen = Constant(float.MinValue);
        OnnxTensor seen = OnnxTensor.IfLess(Positions.Queries.Unsqueeze(1), Positions.Keys, unseen, scores);
        if (Counts is { } counts)
            seen = OnnxTensor.IfLess(counts.Unsqueeze(1).Unsqueeze(1), Constant(0.5f), unseen, seen);
        return seen.Softmax().MatMul(value).Transpose(0, 2, 1, 3).Reshape(0, 0, heads * width);
    }

    /// <summary>A node, or of an earlier opset what stands for it there.</summary>
    public override OnnxTensor[] Nodes(
        string op, long[][] shapes, OnnxTensor?[] inputs, params (string, object)[] attributes)
    {
        if (Opset >= OnnxFile.Opset || inputs is not [{ } x, ..])
            return base.Nodes(op, shapes, inputs, attributes);
        switch (op)
        {
            case "Squeeze" or "Unsqueeze" or "ReduceMin" or "ReduceMax" when inputs is [_, { } axes]:
                return base.Nodes(
                    op, shapes, [x], [("axes", Array.ConvertAll((long[])ValuesOf(axes), axis => (int)axis)), .. attributes]);
            case "Shape" when attributes is [(_, int start), (_, int end)]:
                return [base.Nodes(op, [[x.Rank]], [x])[0].Slice(0, start, end - start)];
            case "Resize":
                return base.Nodes(op, shapes, [x, Constant<float>("none", OnnxType.Float, [0], []), .. inputs[2..]], attributes);
            case "Gelu" when attributes.Length == 0:
                return [x * 0.5f * (Node("Erf", x.Shape, [x * MathF.Sqrt(0.5f)]) + 1)];
            case "Gelu":
                return [x * 0.5f * (((x + x * x * x * 0.044715f) * MathF.Sqrt(2 / MathF.PI)).Apply(Function.Tanh) + 1)];
            case "LayerNormalization" when inputs is [_, { } gain, ..] && attributes is [_, (_, float epsilon)]:
                OnnxTensor centred = x - x.Reduce(Reduction.Mean, -1);
                OnnxTensor normal = centred / ((centred * centred).Reduce(Reduction.Mean, -1) + epsilon).Apply(Function.Sqrt) * gain;
                return [inputs is [_, _, { } bias] ? normal + bias : normal];
            default:
                return base.Nodes(op, shapes, inputs, attributes);
        }
    }

    protected override OnnxTensor? Past(string layer, string part, int width) => CarriesStates
        ? Input($"past.{layer}{part}", OnnxType.Float, [-1, width], ["batch", ""])
        : null;

    protected override void Keep(string layer, string part, OnnxTensor past, OnnxTensor present) =>
        Output($"present.{layer}{part}", present, OnnxType.Float, "batch", "");
}
