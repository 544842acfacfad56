using System.Globalization;

namespace GenerativeML;

/// <summary>A value of a graph, by its name: an operation adds a node.</summary>
/// <remarks>
/// A row gets the same bits alone and among others, for which some operations are written otherwise than by the node
/// that ONNX has for them: sums are products with ones, since ReduceSum's order of adding depends on where a row
/// begins in memory, and logarithms see more elements than they are asked for, since ONNX Runtime (Eigen) computes
/// the last elements of a tensor by other code, with other bits, than those that fill a vector register.
/// </remarks>
internal readonly record struct OnnxTensor(OnnxGraph Graph, string Name, int Rank) : ITensor<OnnxTensor>
{
    // The elements of the widest vector register, less one.
    private const int Beyond = 15;

    /// <inheritdoc />
    public static OnnxTensor operator +(OnnxTensor a, OnnxTensor b) => a.Broadcast("Add", b);

    /// <inheritdoc />
    public static OnnxTensor operator -(OnnxTensor a, OnnxTensor b) => a.Broadcast("Sub", b);

    /// <inheritdoc />
    public static OnnxTensor operator *(OnnxTensor a, OnnxTensor b) => a.Broadcast("Mul", b);

    /// <inheritdoc />
    public static OnnxTensor operator /(OnnxTensor a, OnnxTensor b) => a.Broadcast("Div", b);

    /// <inheritdoc />
    public static OnnxTensor operator +(OnnxTensor a, float b) => a + a.Graph.Constant(b);

    /// <inheritdoc />
    public static OnnxTensor operator -(OnnxTensor a, float b) => a - a.Graph.Constant(b);

    /// <inheritdoc />
    public static OnnxTensor operator -(float a, OnnxTensor b) => b.Graph.Constant(a) - b;

    /// <inheritdoc />
    public static OnnxTensor operator *(OnnxTensor a, float b) => a * a.Graph.Constant(b);

    /// <inheritdoc />
    public static OnnxTensor operator /(OnnxTensor a, float b) => a / a.Graph.Constant(b);

    /// <inheritdoc />
    public static OnnxTensor operator -(OnnxTensor a) => a.Node("Neg");

    /// <inheritdoc />
    public static OnnxTensor Max(OnnxTensor a, OnnxTensor b) => a.Broadcast("Max", b);

    /// <inheritdoc />
    public static OnnxTensor Min(OnnxTensor a, OnnxTensor b) => a.Broadcast("Min", b);

    /// <inheritdoc />
    public static OnnxTensor Concat(int axis, params OnnxTensor[] parts) =>
        parts[0].Graph.Node("Concat", parts[0].Rank, [.. parts], ("axis", axis));

    /// <inheritdoc />
    public static OnnxTensor IfLess(OnnxTensor a, OnnxTensor limit, OnnxTensor then, OnnxTensor otherwise)
    {
        OnnxTensor less = a.Broadcast("Less", limit);
        int rank = Math.Max(less.Rank, Math.Max(then.Rank, otherwise.Rank));
        return a.Graph.Node("Where", rank, [less, then, otherwise]);
    }

    /// <inheritdoc />
    public OnnxTensor MatMul(OnnxTensor other) => Broadcast("MatMul", other);

    /// <inheritdoc />
    public OnnxTensor Linear(OnnxTensor weight, OnnxTensor? bias = null)
    {
        if (Rank == 2 && weight.Rank == 2)
            return Graph.Node("Gemm", 2, [this, weight, bias], ("transB", 1));
        OnnxTensor product = MatMul(weight.Rank == 2 ? weight.Transpose(1, 0) : weight.Transpose(0, 2, 1));
        return bias is { } shift ? product + shift : product;
    }

    /// <inheritdoc />
    public OnnxTensor LayerNorm(OnnxTensor gain, OnnxTensor? bias, float epsilon = 1e-5f) =>
        Graph.Node("LayerNormalization", Rank, [this, gain, bias], ("axis", -1), ("epsilon", epsilon));

    /// <inheritdoc />
    public OnnxTensor GroupNorm(int groups, OnnxTensor gain, OnnxTensor bias, float epsilon = 1e-5f)
    {
        OnnxTensor rows = Reshape(0, groups, -1);
        OnnxTensor normal = rows.LayerNorm(rows.Ones(rows.Shape(2, 3)), null, epsilon);
        normal = Graph.Node("Reshape", Rank, [normal, Shape(0, Rank)]);
        return normal * gain.Reshape(-1, 1, 1) + bias.Reshape(-1, 1, 1);
    }

    /// <inheritdoc />
    public OnnxTensor Conv2d(OnnxTensor weight, OnnxTensor? bias, int stride = 1, int padding = 0) =>
        Convolve("Conv", weight, bias, stride, padding);

    /// <inheritdoc />
    public OnnxTensor ConvTranspose2d(OnnxTensor weight, OnnxTensor? bias, int stride = 1, int padding = 0) =>
        Convolve("ConvTranspose", weight, bias, stride, padding);

    /// <inheritdoc />
    public OnnxTensor Upsample2() => Graph.Node(
        "Resize", Rank, [this, null, Graph.Constant<float>("scales", OnnxType.Float, [4], [1, 1, 2, 2])],
        ("mode", "nearest"), ("coordinate_transformation_mode", "asymmetric"), ("nearest_mode", "floor"));

    /// <inheritdoc />
    public OnnxTensor Embed(OnnxTensor indices) => Graph.Node("Gather", indices.Rank + Rank - 1, [this, indices]);

    /// <inheritdoc />
    public OnnxTensor Gather(OnnxTensor indices) => Graph.Node("GatherElements", Rank, [this, indices], ("axis", -1));

    /// <inheritdoc />
    public OnnxTensor Apply(Function function) => function switch
    {
        Function.Silu => this * Node("Sigmoid"),
        Function.Square => this * this,
        Function.GeluTanh => Graph.Node("Gelu", Rank, [this], ("approximate", "tanh")),
        Function.Log => Log(),
        // By Exp and Log, since the nodes of these names give other bits to a tensor's last elements.
        Function.Elu => Node("Relu") + (Min(this, Graph.Constant(0)).Node("Exp") - 1),
        Function.Softplus => Node("Relu") + ((-Node("Abs")).Node("Exp") + 1).Log(),
        _ => Node(function.ToString()),
    };

    /// <inheritdoc />
    public OnnxTensor LeakyRelu(float slope) => Graph.Node("LeakyRelu", Rank, [this], ("alpha", slope));

    /// <inheritdoc />
    public OnnxTensor Softmax() => Graph.Node("Softmax", Rank, [this], ("axis", -1));

    /// <inheritdoc />
    public OnnxTensor LogSoftmax() => Graph.Node("LogSoftmax", Rank, [this], ("axis", -1));

    /// <inheritdoc />
    public OnnxTensor Clamp(float low, float high) =>
        Graph.Node("Clip", Rank, [this, Graph.Constant(low), Graph.Constant(high)]);

    /// <inheritdoc />
    public OnnxTensor Reduce(Reduction reduction, int axis)
    {
        axis = axis < 0 ? Rank + axis : axis;
        if (reduction is Reduction.Min or Reduction.Max)
            return Graph.Node("Reduce" + reduction, Rank, [this, Graph.Constant([axis])]);
        if (axis != Rank - 1)
        {
            long[] order = [.. Enumerable.Range(0, Rank)];
            (order[axis], order[^1]) = (order[^1], order[axis]);
            return Transpose(order).Reduce(reduction, -1).Transpose(order);
        }
        OnnxTensor count = Shape(axis, axis + 1);
        OnnxTensor sum = MatMul(Ones(Concat(0, count, Graph.Constant([1]))));
        return reduction == Reduction.Sum
            ? sum
            : sum / Graph.Node("Cast", 1, [count], ("to", (int)OnnxType.Float));
    }

    /// <inheritdoc />
    public OnnxTensor CumulativeSum(int axis) => Graph.Node("CumSum", Rank, [this, Graph.Constant([axis])]);

    /// <inheritdoc />
    public OnnxTensor Reshape(params long[] shape) =>
        Graph.Node("Reshape", shape.Length, [this, Graph.Constant(shape)]);

    /// <inheritdoc />
    public OnnxTensor Squeeze(int axis) => Graph.Node("Squeeze", Rank - 1, [this, Graph.Constant([axis])]);

    /// <inheritdoc />
    public OnnxTensor Unsqueeze(int axis) => Graph.Node("Unsqueeze", Rank + 1, [this, Graph.Constant([axis])]);

    /// <inheritdoc />
    public OnnxTensor Transpose(params long[] order) =>
        Graph.Node("Transpose", Rank, [this], ("perm", order.Select(n => (int)n).ToArray()));

    /// <inheritdoc />
    public OnnxTensor Slice(int axis, long start, long length) =>
        Part(axis, start, start < 0 && start + length == 0 ? long.MaxValue : start + length);

    /// <inheritdoc />
    public OnnxTensor ToIndices() => Graph.Node("Cast", Rank, [this], ("to", (int)OnnxType.Int64));

    /// <inheritdoc />
    public (OnnxTensor Values, OnnxTensor Indices) Smallest(int count)
    {
        OnnxTensor[] both = Graph.Nodes("TopK", [Rank, Rank], [this, Graph.Constant([count])],
            ("axis", -1), ("largest", 0), ("sorted", 0));
        return (both[0], both[1]);
    }

    /// <summary>Sizes of some axes. What is known of them, ONNX Runtime computes once.</summary>
    public OnnxTensor Shape(int start, int end) => Graph.Node("Shape", 1, [this], ("start", start), ("end", end));

    private OnnxTensor Log()
    {
        OnnxTensor all = Concat(0, Reshape(-1), Graph.Constant(1).Node("Expand", Graph.Constant([Beyond])));
        return Graph.Node("Reshape", Rank, [all.Node("Log").Part(0, 0, -Beyond), Shape(0, Rank)]);
    }

    private OnnxTensor Ones(OnnxTensor shape) => Graph.Node("Expand", 2, [Graph.Constant(1), shape]);

    private OnnxTensor Node(string op, params OnnxTensor?[] others) => Graph.Node(op, Rank, [this, .. others]);

    private OnnxTensor Part(int axis, long start, long end)
    {
        OnnxGraph g = Graph;
        return g.Node("Slice", Rank, [this, g.Constant([start]), g.Constant([end]), g.Constant([axis])]);
    }

    private OnnxTensor Broadcast(string op, OnnxTensor other) =>
        Graph.Node(op, Math.Max(Rank, other.Rank), [this, other]);

    private OnnxTensor Convolve(string op, OnnxTensor weight, OnnxTensor? bias, int stride, int pad) => Graph.Node(
        op, Rank, [this, weight, bias], ("strides", (int[])[stride, stride]), ("pads", (int[])[pad, pad, pad, pad]));
}

/// <summary>Writes networks down as an ONNX graph.</summary>
/// <param name="weights">The network's weights.</param>
/// <param name="cached">
/// Whether attention sees the tokens of earlier runs, whose keys and values are inputs and outputs.
/// </param>
internal sealed class OnnxGraph(HostWeights weights, bool cached = false) : Ops<OnnxTensor>
{
    /// <summary>The domain of the operations that ONNX Runtime has and ONNX has not.</summary>
    public const string Contributed = "com.microsoft";

    private readonly List<(ProtobufMessage Node, string[] Inputs, string[] Outputs)> _nodes = [];
    private readonly List<ProtobufMessage> _inputs = [], _outputs = [];
    private readonly List<string> _outputNames = [];
    private readonly Dictionary<string, (OnnxTensor Tensor, Func<bool, ProtobufMessage>? Constant)> _named = [];

    /// <summary>The names of the outputs, in the order in which they were added.</summary>
    public IReadOnlyList<string> Outputs => _outputNames;

    /// <summary>
    /// The keys and values that a session with a cache keeps: the names of inputs and outputs, and sizes.
    /// </summary>
    public List<(string Past, string Present, int Heads, int HeadWidth)> Cache { get; } = [];

    /// <inheritdoc />
    public override bool Has(string name) => weights.Find(name) is not null;

    /// <inheritdoc />
    public override OnnxTensor Weight(string name)
    {
        if (_named.TryGetValue(name, out (OnnxTensor Tensor, Func<bool, ProtobufMessage>?) known))
            return known.Tensor;
        TensorSpec spec = weights.Find(name) ?? throw new KeyNotFoundException($"There is no weight '{name}'.");
        return Add(name, spec.Shape.Length, external => external
            ? OnnxFile.ExternalTensor(name, OnnxType.Float, spec.Shape)
            : OnnxFile.Tensor<float>(name, OnnxType.Float, spec.Shape, weights[name]));
    }

    /// <inheritdoc />
    public override OnnxTensor Constant(float value) => Constant<float>(
        value.ToString("R", CultureInfo.InvariantCulture), OnnxType.Float, [], [value]);

    /// <summary>A vector of whole numbers.</summary>
    public OnnxTensor Constant(long[] values) =>
        Constant(string.Join(',', values), OnnxType.Int64, [values.Length], values);

    /// <summary>A constant that is written once, by this description.</summary>
    public OnnxTensor Constant<T>(string text, OnnxType type, long[] shape, T[] values)
        where T : unmanaged
    {
        string name = $"{type} {text}";
        return _named.TryGetValue(name, out (OnnxTensor Tensor, Func<bool, ProtobufMessage>?) known)
            ? known.Tensor
            : Add(name, shape.Length, _ => OnnxFile.Tensor<T>(name, type, shape, values));
    }

    /// <summary>Declares an input; −1 for a size that is not known.</summary>
    public OnnxTensor Input(string name, OnnxType type, params long[] shape)
    {
        _inputs.Add(OnnxFile.Value(name, type, shape));
        return new(this, name, shape.Length);
    }

    /// <summary>Declares an output.</summary>
    public string Output(OnnxTensor value)
    {
        _outputs.Add(OnnxFile.Value(value.Name, OnnxType.Float, Enumerable.Repeat(-1L, value.Rank)));
        _outputNames.Add(value.Name);
        return value.Name;
    }

    /// <summary>Adds a node of one result.</summary>
    public OnnxTensor Node(string op, int rank, OnnxTensor?[] inputs, params (string, object)[] attributes) =>
        Nodes(op, [rank], inputs, attributes)[0];

    /// <summary>Adds a node of several results.</summary>
    public OnnxTensor[] Nodes(string op, int[] ranks, OnnxTensor?[] inputs, params (string, object)[] attributes)
    {
        string domain = op == "GroupQueryAttention" ? Contributed : "";
        OnnxTensor[] outputs = [.. ranks.Select((rank, i) => new OnnxTensor(this, $"{op}_{_nodes.Count}_{i}", rank))];
        // Without empty names at the end: legal, but ONNX Runtime 1.31.1 does not survive one in a Gemm.
        string[] from = [.. inputs.Reverse().SkipWhile(i => i is null).Reverse().Select(i => i?.Name ?? "")];
        string[] to = [.. outputs.Select(o => o.Name)];
        _nodes.Add((OnnxFile.Node(op, domain, from, to, attributes), from, to));
        return outputs;
    }

    /// <inheritdoc />
    public override OnnxTensor Attention(
        OnnxTensor queryKeyValue, int heads, int width, string layer, double dropout)
    {
        (string, object)[] sizes = [("num_heads", heads), ("kv_num_heads", heads)];
        if (!cached)
        {
            OnnxTensor batch = queryKeyValue.Shape(0, 1), length = queryKeyValue.Shape(1, 2);
            OnnxTensor count = Node("Cast", 1, [length], ("to", (int)OnnxType.Int32));
            OnnxTensor one = Constant<int>("one", OnnxType.Int32, [1], [1]);
            OnnxTensor ends = Node("Expand", 1, [count - one, batch]);
            return Nodes("GroupQueryAttention", [3, 4, 4],
                [queryKeyValue, null, null, null, null, ends, count.Squeeze(0)], sizes)[0];
        }
        // The cache stays where it is if past and present are given the same memory.
        OnnxTensor key = Shared($"{layer}past_key", OnnxType.Float, -1, heads, -1, width);
        OnnxTensor value = Shared($"{layer}past_value", OnnxType.Float, -1, heads, -1, width);
        OnnxTensor last = Shared("last", OnnxType.Int32, -1), total = Shared("total", OnnxType.Int32);
        // Products of rows get the same bits in any number, which those of (B, T, C) need not: rows are taken, too.
        bool rows = queryKeyValue.Rank == 2;
        if (rows)
            queryKeyValue = Node("Reshape", 3, [queryKeyValue, OnnxTensor.Concat(0, last.Shape(0, 1), Constant([-1, 3 * heads * width]))]);
        OnnxTensor[] results = Nodes("GroupQueryAttention", [3, 4, 4],
            [queryKeyValue, null, null, key, value, last, total], sizes);
        Cache.Add((key.Name, results[1].Name, heads, width));
        Cache.Add((value.Name, results[2].Name, heads, width));
        Output(results[1]);
        Output(results[2]);
        return rows ? results[0].Reshape(-1, heads * width) : results[0];
    }

    /// <summary>
    /// The file, and the weights that it refers to but does not hold: all where they are larger than a limit.
    /// </summary>
    public (byte[] File, IReadOnlyList<string> External) ToFile(long largest)
    {
        // What no output needs is left out: ONNX Runtime would compute it.
        HashSet<string> needed = [.. _outputNames];
        List<ProtobufMessage> nodes = [];
        foreach ((ProtobufMessage node, string[] inputs, string[] outputs) in Enumerable.Reverse(_nodes))
        {
            if (!outputs.Any(needed.Contains))
                continue;
            needed.UnionWith(inputs);
            nodes.Insert(0, node);
        }
        string[] used = [.. needed.Where(Has)];
        bool external = used.Sum(name => weights.Find(name)!.Length) > largest;
        IEnumerable<ProtobufMessage> constants = _named
            .Where(c => needed.Contains(c.Key) && c.Value.Constant is not null)
            .Select(c => c.Value.Constant!(external));
        return (OnnxFile.Model(nodes, constants, _inputs, _outputs).Bytes.ToArray(), external ? used : []);
    }

    private OnnxTensor Shared(string name, OnnxType type, params long[] shape)
    {
        if (!_named.ContainsKey(name))
            _named[name] = (Input(name, type, shape), null);
        return _named[name].Tensor;
    }

    private OnnxTensor Add(string name, int rank, Func<bool, ProtobufMessage> constant)
    {
        OnnxTensor tensor = new(this, name, rank);
        _named.Add(name, (tensor, constant));
        return tensor;
    }
}
