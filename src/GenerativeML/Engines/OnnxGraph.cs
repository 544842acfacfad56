using System.Globalization;

namespace GenerativeML;

/// <summary>A value of a graph, by its name: an operation adds a node. A size is −1 until the graph runs.</summary>
/// <remarks>
/// A row gets the same bits alone and among others, for which some operations are written otherwise than by the node
/// that ONNX has for them: sums are products with ones, since ReduceSum's order of adding depends on where a row
/// begins in memory; logarithms see more elements than they are asked for, since ONNX Runtime (Eigen) computes the
/// last elements of a tensor by other code, with other bits, than those that fill a vector register; weights are
/// constants, which ONNX Runtime packs, since products with unpacked ones differ between one row and several.
/// </remarks>
internal readonly record struct OnnxTensor(OnnxGraph Graph, string Name, long[] Shape) : ITensor<OnnxTensor>
{
    // The elements of the widest vector register, less one.
    private const int Beyond = 15;

    public int Rank => Shape.Length;

    public static OnnxTensor operator +(OnnxTensor a, OnnxTensor b) => Broadcast("Add", a, b);
    public static OnnxTensor operator -(OnnxTensor a, OnnxTensor b) => Broadcast("Sub", a, b);
    public static OnnxTensor operator *(OnnxTensor a, OnnxTensor b) => Broadcast("Mul", a, b);
    public static OnnxTensor operator /(OnnxTensor a, OnnxTensor b) => Broadcast("Div", a, b);
    public static OnnxTensor operator +(OnnxTensor a, float b) => a + a.Graph.Constant(b);
    public static OnnxTensor operator -(OnnxTensor a, float b) => a - a.Graph.Constant(b);
    public static OnnxTensor operator -(float a, OnnxTensor b) => b.Graph.Constant(a) - b;
    public static OnnxTensor operator *(OnnxTensor a, float b) => a * a.Graph.Constant(b);
    public static OnnxTensor operator /(OnnxTensor a, float b) => a / a.Graph.Constant(b);
    public static OnnxTensor operator -(OnnxTensor a) => a.Node("Neg");
    public static OnnxTensor Max(OnnxTensor a, OnnxTensor b) => Broadcast("Max", a, b);

    public static OnnxTensor Concat(int axis, params OnnxTensor[] parts)
    {
        axis = parts[0].Axis(axis);
        long[] sizes = [.. parts.Select(p => p.Shape[axis])];
        return parts[0].Graph.Node("Concat",
            parts[0].With(axis, sizes.Contains(-1) ? -1 : sizes.Sum()), [.. parts], ("axis", axis));
    }

    public static OnnxTensor IfLess(OnnxTensor a, OnnxTensor limit, OnnxTensor then, OnnxTensor otherwise) =>
        Broadcast("Where", Broadcast("Less", a, limit), then, otherwise);

    // Zero, too, where one is NaN.
    public static OnnxTensor OneIfLess(OnnxTensor a, OnnxTensor limit)
    {
        OnnxTensor less = Broadcast("Less", a, limit);
        return a.Graph.Node("Cast", less.Shape, [less], ("to", (int)OnnxType.Float));
    }

    public OnnxTensor MatMul(OnnxTensor other)
    {
        long[] batch = Broadcast(Shape.AsSpan()[..^2], other.Shape.AsSpan()[..^2]);
        return Graph.Node("MatMul", [.. batch, Shape[^2], other.Shape[^1]], [this, other]);
    }

    public OnnxTensor Linear(OnnxTensor weight, OnnxTensor? bias = null)
    {
        if (Rank == 2 && weight.Rank == 2)
            return Graph.Node("Gemm", [Shape[0], weight.Shape[0]], [this, weight, bias], ("transB", 1));
        if (weight.Rank == 3)
        {
            // Only matrices are packed, so each network's product is one by itself.
            OnnxTensor x = this;
            return Concat(0, [.. Enumerable.Range(0, (int)weight.Shape[0]).Select(m =>
                (x.Rank == 3 ? x.At(m) : x).Linear(weight.At(m), bias?.At(m)).Unsqueeze(0))]);
        }
        OnnxTensor product = MatMul(weight.Transpose(1, 0));
        return bias is { } shift ? product + shift : product;
    }

    public OnnxTensor LayerNorm(OnnxTensor gain, OnnxTensor? bias, float epsilon = 1e-5f) =>
        Graph.Node("LayerNormalization", Shape, [this, gain, bias], ("axis", -1), ("epsilon", epsilon));

    public OnnxTensor GroupNorm(int groups, OnnxTensor? gain = null, OnnxTensor? bias = null, float epsilon = 1e-5f)
    {
        long each = Shape[1] / groups * Shape[2] * Shape[3];
        OnnxTensor normal = Reshape(0, groups, each).LayerNorm(Graph.Ones(each), null, epsilon).Reshape([0, .. Shape[1..]]);
        normal = gain is { } scale ? normal * scale.Reshape(-1, 1, 1) : normal;
        return bias is { } shift ? normal + shift.Reshape(-1, 1, 1) : normal;
    }

    public OnnxTensor Conv2d(OnnxTensor weight, OnnxTensor? bias, int stride = 1, int padding = 0) => Convolve(
        "Conv", weight, bias, stride, padding, weight.Shape[0],
        (size, kernel) => (size + 2 * padding - kernel) / stride + 1);

    public OnnxTensor ConvTranspose2d(OnnxTensor weight, OnnxTensor? bias, int stride = 1, int padding = 0) => Convolve(
        "ConvTranspose", weight, bias, stride, padding, weight.Shape[1],
        (size, kernel) => (size - 1) * stride - 2 * padding + kernel);

    public OnnxTensor Doubled() => Graph.Node(
        "Resize", [.. Shape[..2], 2 * Shape[2], 2 * Shape[3]],
        [this, null, Graph.Constant<float>("doubled", OnnxType.Float, [4], [1, 1, 2, 2])], ("mode", "nearest"),
        ("coordinate_transformation_mode", "asymmetric"), ("nearest_mode", "floor"));

    public OnnxTensor Halved() => Graph.Node(
        "AveragePool", [.. Shape[..2], (Shape[2] + 1) / 2, (Shape[3] + 1) / 2], [this], ("kernel_shape", (int[])[2, 2]),
        ("strides", (int[])[2, 2]), ("ceil_mode", 1));

    public OnnxTensor Embed(OnnxTensor indices) =>
        Graph.Node("Gather", [.. indices.Shape, .. Shape[1..]], [this, indices]);

    public OnnxTensor Gather(OnnxTensor indices) =>
        Graph.Node("GatherElements", indices.Shape, [this, indices], ("axis", -1));

    public OnnxTensor Apply(Function function) => function switch
    {
        Function.Silu => this * Node("Sigmoid"),
        Function.Square => this * this,
        Function.GeluTanh => Graph.Node("Gelu", Shape, [this], ("approximate", "tanh")),
        Function.Log => Log(),
        // By Exp and Log, since the nodes of these names give other bits to a tensor's last elements.
        Function.Elu => Node("Relu") + (Broadcast("Min", this, Graph.Constant(0)).Node("Exp") - 1),
        Function.Softplus => Node("Relu") + ((-Node("Abs")).Node("Exp") + 1).Log(),
        _ => Node(function.ToString()),
    };

    public OnnxTensor LeakyRelu(float slope) => Graph.Node("LeakyRelu", Shape, [this], ("alpha", slope));
    public OnnxTensor Softmax() => Graph.Node("Softmax", Shape, [this], ("axis", -1));

    public OnnxTensor Clamp(float low, float high) =>
        Graph.Node("Clip", Shape, [this, Graph.Constant(low), Graph.Constant(high)]);

    public OnnxTensor Reduce(Reduction reduction, int axis)
    {
        axis = Axis(axis);
        if (reduction is Reduction.Min or Reduction.Max)
            return Graph.Node("Reduce" + reduction, With(axis, 1), [this, Graph.Constant([axis])]);
        if (axis != Rank - 1)
        {
            long[] order = [.. Enumerable.Range(0, Rank)];
            (order[axis], order[^1]) = (order[^1], order[axis]);
            return Transpose(order).Reduce(reduction, -1).Transpose(order);
        }
        if (Shape[axis] < 0)
            throw new NotSupportedException("A sum over the axis of the rows would not be one of a row.");
        OnnxTensor sum = MatMul(Graph.Ones(Shape[axis], 1));
        return reduction == Reduction.Sum ? sum : sum / Shape[axis];
    }

    public OnnxTensor CumulativeSum(int axis) => Graph.Node("CumSum", Shape, [this, Graph.Constant([axis])]);

    public OnnxTensor Reshape(params long[] shape)
    {
        long[] known = Shape, result = [.. shape.Select((n, i) => n == 0 ? known[i] : n)];
        // What is left is known where the only size that is not known stays where it is.
        int rest = Array.IndexOf(shape, -1);
        if (rest >= 0 && !known.Where((n, i) => n < 0 && (i >= shape.Length || shape[i] != 0)).Any())
            result[rest] = Product(known) / Product(result);
        return Graph.Node("Reshape", result, [this, Graph.Constant(shape)]);

        static long Product(long[] sizes) => sizes.Aggregate(1L, (product, n) => product * Math.Max(n, 1));
    }

    public OnnxTensor ReshapeAs(OnnxTensor other) =>
        Graph.Node("Reshape", other.Shape, [this, other.Sizes(0, other.Rank)]);

    public OnnxTensor GroupAs(OnnxTensor other) => Graph.Node(
        "Reshape", [other.Shape[0], -1, Shape[^1]],
        [this, Concat(0, other.Sizes(0, 1), Graph.Constant([-1, Shape[^1]]))]);

    public OnnxTensor Squeeze(int axis) =>
        Graph.Node("Squeeze", [.. Shape[..Axis(axis)], .. Shape[(Axis(axis) + 1)..]], [this, Graph.Constant([axis])]);

    public OnnxTensor Unsqueeze(int axis)
    {
        int at = axis < 0 ? Rank + 1 + axis : axis;
        return Graph.Node("Unsqueeze", [.. Shape[..at], 1, .. Shape[at..]], [this, Graph.Constant([axis])]);
    }

    public OnnxTensor Transpose(params long[] order)
    {
        long[] shape = Shape;
        return Graph.Node("Transpose", [.. order.Select(n => shape[n])], [this],
            ("perm", order.Select(n => (int)n).ToArray()));
    }

    public OnnxTensor Slice(int axis, long start, long length) =>
        Part(axis, start, start < 0 && start + length == 0 ? long.MaxValue : start + length, length);

    public OnnxTensor ToIndices() => Graph.Node("Cast", Shape, [this], ("to", (int)OnnxType.Int64));

    public (OnnxTensor Values, OnnxTensor Indices) Smallest(int count)
    {
        long[] shape = With(Rank - 1, count);
        OnnxTensor[] both = Graph.Nodes("TopK", [shape, shape], [this, Graph.Constant([count])],
            ("axis", -1), ("largest", 0), ("sorted", 0));
        return (both[0], both[1]);
    }

    /// <summary>Sizes as a value of the graph, for those that are not known before it runs.</summary>
    public OnnxTensor Sizes(int start, int end) =>
        Graph.Node("Shape", [end - start], [this], ("start", start), ("end", end));

    private OnnxTensor Log()
    {
        OnnxTensor all = Concat(0, Reshape(-1), Graph.Ones(Beyond)).Node("Log").Part(0, 0, -Beyond, -1);
        return Shape.Count(n => n < 0) < 2
            ? all.Reshape(Shape)
            : Graph.Node("Reshape", Shape, [all, Sizes(0, Rank)]);
    }

    private OnnxTensor At(int place) => Slice(0, place, 1).Squeeze(0);
    private OnnxTensor Node(string op) => Graph.Node(op, Shape, [this]);

    private OnnxTensor Part(int axis, long start, long end, long length)
    {
        OnnxGraph g = Graph;
        return g.Node(
            "Slice", With(Axis(axis), length), [this, g.Constant([start]), g.Constant([end]), g.Constant([axis])]);
    }

    private OnnxTensor Convolve(
        string op, OnnxTensor weight, OnnxTensor? bias, int stride, int padding, long channels,
        Func<long, long, long> size) => Graph.Node(
            op, [Shape[0], channels, size(Shape[2], weight.Shape[2]), size(Shape[3], weight.Shape[3])],
            [this, weight, bias], ("strides", (int[])[stride, stride]),
            ("pads", (int[])[padding, padding, padding, padding]));

    private int Axis(int axis) => axis < 0 ? Rank + axis : axis;
    private long[] With(int axis, long size) => [.. Shape[..axis], size, .. Shape[(axis + 1)..]];

    private static OnnxTensor Broadcast(string op, params OnnxTensor[] inputs) => inputs[0].Graph.Node(
        op, inputs.Aggregate((long[])[], (shape, input) => Broadcast(shape, input.Shape)), [.. inputs]);

    private static long[] Broadcast(ReadOnlySpan<long> a, ReadOnlySpan<long> b)
    {
        var shape = new long[Math.Max(a.Length, b.Length)];
        for (int i = 1; i <= shape.Length; i++)
        {
            long m = i <= a.Length ? a[^i] : 1, n = i <= b.Length ? b[^i] : 1;
            // One of the rows, −1, goes before one that is 1; of a known one, it is the same.
            shape[^i] = m == 1 ? n : n == 1 ? m : Math.Max(m, n);
        }
        return shape;
    }
}

/// <summary>
/// Writes networks down as an ONNX graph; if it is cached, attention sees the tokens of earlier runs, whose keys and
/// values are inputs and outputs.
/// </summary>
internal class OnnxGraph(HostWeights weights, bool cached = false) : Ops<OnnxTensor>
{
    /// <summary>The domain of the operations that ONNX Runtime has and ONNX has not.</summary>
    public const string Contributed = "com.microsoft";

    private readonly List<OnnxNode> _nodes = [];
    private readonly List<OnnxValue> _inputs = [], _outputs = [];
    private readonly Dictionary<string, (OnnxTensor Tensor, OnnxConstant? Constant)> _named = [];
    private bool _contributed;

    /// <summary>The version of ONNX's operators that nodes are written for.</summary>
    public int Opset { get; init; } = OnnxFile.Opset;

    /// <summary>What names begin with that are not those of inputs or outputs.</summary>
    protected string Prefix { get; init; } = "";

    /// <summary>What goes in and comes out, in the order in which it was declared.</summary>
    public IReadOnlyList<OnnxValue> Inputs => _inputs;

    /// <inheritdoc cref="Inputs"/>
    public IReadOnlyList<OnnxValue> Outputs => _outputs;

    /// <summary>The most numbers of a row, or of another size that is not known yet, that any value has.</summary>
    public long LargestRow { get; private set; }

    /// <summary>What a session with a cache keeps.</summary>
    public List<KeptValue> Cache { get; } = [];

    public override bool Has(string name) => weights.Find(name) is not null;

    public override OnnxTensor Weight(string name)
    {
        string key = Prefix + name;
        if (_named.TryGetValue(key, out (OnnxTensor Tensor, OnnxConstant?) known))
            return known.Tensor;
        TensorSpec spec = weights.Find(name) ?? throw new KeyNotFoundException($"There is no weight '{name}'.");
        return Add(new(key, OnnxType.Float, spec.Shape.ToArray(), weights[name], spec));
    }

    public override OnnxTensor Constant(float value) => Constant<float>(
        value.ToString("R", CultureInfo.InvariantCulture), OnnxType.Float, [], [value]);

    public override float Number(string name) => weights[name][0];

    public OnnxTensor Constant(long[] values) =>
        Constant(string.Join(',', values), OnnxType.Int64, [values.Length], values);

    /// <summary>A constant that is written once, by this description.</summary>
    public OnnxTensor Constant<T>(string text, OnnxType type, long[] shape, T[] values)
        where T : unmanaged
    {
        string name = $"{Prefix}{type} {text}";
        return _named.TryGetValue(name, out (OnnxTensor Tensor, OnnxConstant?) known)
            ? known.Tensor
            : Add(new(name, type, shape, values));
    }

    public OnnxTensor Ones(params long[] shape) => Constant(
        $"ones {string.Join(',', shape)}", OnnxType.Float, shape,
        [.. Enumerable.Repeat(1f, (int)shape.Aggregate((a, b) => a * b))]);

    /// <summary>Declares an input; −1 for a size that is not known.</summary>
    public OnnxTensor Input(string name, OnnxType type, params long[] shape) => Input(name, type, shape, []);

    /// <summary>Declares an input; sizes that are not known have these names.</summary>
    public OnnxTensor Input(string name, OnnxType type, long[] shape, string[] sizeNames)
    {
        _inputs.Add(new(name, type, shape, sizeNames));
        return Add(new OnnxTensor(this, name, shape));
    }

    public string Output(OnnxTensor value)
    {
        // An output is what a node gives, and only once.
        if (_named.ContainsKey(value.Name) || _outputs.Any(output => output.Name == value.Name))
            value = Node("Identity", value.Shape, [value]);
        _outputs.Add(new(value.Name, OnnxType.Float, value.Shape, []));
        return value.Name;
    }

    /// <summary>Declares an output under a name of its own.</summary>
    public void Output(string name, OnnxTensor value, OnnxType type, params string[] sizeNames)
    {
        _nodes.Add(new("Identity", "", [value.Name], [name], []));
        _outputs.Add(new(name, type, value.Shape, sizeNames));
    }

    public OnnxTensor Node(string op, long[] shape, OnnxTensor?[] inputs, params (string, object)[] attributes) =>
        Nodes(op, [shape], inputs, attributes)[0];

    /// <summary>Adds a node of several results.</summary>
    public virtual OnnxTensor[] Nodes(
        string op, long[][] shapes, OnnxTensor?[] inputs, params (string, object)[] attributes)
    {
        string domain = op == "GroupQueryAttention" ? Contributed : "";
        _contributed |= domain.Length > 0;
        OnnxTensor[] outputs = [.. shapes.Select((n, i) => new OnnxTensor(this, $"{Prefix}{op}_{_nodes.Count}_{i}", n))];
        // Without empty names at the end: legal, but ONNX Runtime 1.31.1 does not survive one in a Gemm.
        string[] from = [.. inputs.Reverse().SkipWhile(i => i is null).Reverse().Select(i => i?.Name ?? "")];
        string[] to = [.. outputs.Select(o => o.Name)];
        foreach (long[] shape in shapes.Where(shape => shape.Contains(-1)))
            LargestRow = Math.Max(LargestRow, shape.Aggregate(1L, (product, n) => product * Math.Max(n, 1)));
        _nodes.Add(new(op, domain, from, to, attributes));
        return outputs;
    }

    public override OnnxTensor Attention(
        OnnxTensor queryKeyValue, int heads, int width, string layer, double dropout)
    {
        // ONNX Runtime has heads of whole eights only: zeros behind queries and keys change no score.
        int wide = (width + 7) / 8 * 8;
        long[] outer = [.. queryKeyValue.Shape[..^1].Select(_ => 0L)];
        if (wide > width)
        {
            long[] ends = [.. outer, 0, 0, .. outer, 0, wide - width];
            queryKeyValue = Node(
                "Pad", [.. queryKeyValue.Shape[..^1], 3 * heads, wide],
                [queryKeyValue.Reshape([.. outer, 3 * heads, width]), Constant(ends)]).Reshape([.. outer, 3 * heads * wide]);
        }
        (string, object)[] sizes =
            [("num_heads", heads), ("kv_num_heads", heads), ("scale", 1 / MathF.Sqrt(width))];
        bool rows = queryKeyValue.Rank == 2;
        long[] mixed = rows ? [-1, -1, heads * wide] : [.. queryKeyValue.Shape[..2], heads * wide];
        long[] kept = [-1, heads, -1, wide];
        OnnxTensor? key = null, value = null;
        OnnxTensor last, total;
        if (cached)
        {
            // The cache stays where it is if past and present are given the same memory.
            key = Shared($"{layer}past_key", OnnxType.Float, kept);
            value = Shared($"{layer}past_value", OnnxType.Float, kept);
            (last, total) = (Shared("last", OnnxType.Int32, -1), Shared("total", OnnxType.Int32));
        }
        else
        {
            OnnxTensor length = Node("Cast", [1], [queryKeyValue.Sizes(1, 2)], ("to", (int)OnnxType.Int32));
            OnnxTensor lengths = Node("Expand", [-1], [length, queryKeyValue.Sizes(0, 1)]);
            last = lengths - Constant<int>("one", OnnxType.Int32, [1], [1]);
            // Not the length itself: whose type ONNX Runtime mistakes where it is known beforehand.
            total = Node("ReduceMax", [], [lengths], ("keepdims", 0));
        }
        if (rows)
        {
            OnnxTensor shape = OnnxTensor.Concat(0, last.Sizes(0, 1), Constant([-1, 3 * heads * wide]));
            queryKeyValue = Node("Reshape", [-1, -1, 3 * heads * wide], [queryKeyValue, shape]);
        }
        OnnxTensor[] results = Nodes("GroupQueryAttention", [mixed, kept, kept],
            [queryKeyValue, null, null, key, value, last, total], sizes);
        if (key is { } pastKey && value is { } pastValue)
        {
            Cache.Add(new(pastKey.Name, Output(results[1]), heads, wide));
            Cache.Add(new(pastValue.Name, Output(results[2]), heads, wide));
        }
        OnnxTensor result = rows ? results[0].Reshape(-1, heads * wide) : results[0];
        return wide == width
            ? result
            : result.Reshape([.. outer, heads, wide]).Slice(-1, 0, width).Reshape([.. outer, heads * width]);
    }

    public override OnnxTensor Recurrent(
        RecurrentCell cell, OnnxTensor x, RecurrentWeights<OnnxTensor> layerWeights, string layer)
    {
        int width = (int)layerWeights.State.Shape[1], inputs = (int)layerWeights.Input.Shape[1];
        OnnxTensor[] first = [.. cell.Parts().Select(part => Past(layer, part, width)).OfType<OnnxTensor>()];
        bool rows = x.Rank == 2;
        if (rows)
        {
            OnnxTensor shape = OnnxTensor.Concat(0, first[0].Sizes(0, 1), Constant([-1, inputs]));
            x = Node("Reshape", [-1, -1, inputs], [x, shape]);
        }
        // Of weights alone: ONNX Runtime computes it once.
        OnnxTensor bias = OnnxTensor.Concat(0, Gates(layerWeights.InputBias), Gates(layerWeights.StateBias));
        long[] last = [1, x.Shape[0], width];
        OnnxTensor[] results = Nodes(
            cell == RecurrentCell.Lstm ? "LSTM" : "GRU", [[x.Shape[1], 1, x.Shape[0], width], .. first.Select(_ => last)],
            [
                x.Transpose(1, 0, 2), Gates(layerWeights.Input).Unsqueeze(0), Gates(layerWeights.State).Unsqueeze(0),
                bias.Unsqueeze(0), null, .. first.Select(state => (OnnxTensor?)state.Unsqueeze(0)),
            ],
            [("hidden_size", width), .. cell == RecurrentCell.Gru ? [("linear_before_reset", (object)1)] : ((string, object)[])[]]);
        for (int i = 0; i < first.Length; i++)
            Keep(layer, cell.Parts()[i], first[i], results[i + 1].Squeeze(0));
        OnnxTensor hidden = results[0].Squeeze(1).Transpose(1, 0, 2);
        return rows ? hidden.Reshape(-1, width) : hidden;

        OnnxTensor Gates(OnnxTensor all) => OnnxTensor.Concat(
            0, [.. cell.OnnxGates().Select(gate => all.Slice(0, (long)gate * width, width))]);
    }

    /// <summary>A part of a recurrent layer's state before the run, (B, width); null for zeros.</summary>
    protected virtual OnnxTensor? Past(string layer, string part, int width) =>
        cached ? Shared($"{layer}past_{part}", OnnxType.Float, -1, width) : null;

    /// <summary>Gives it after the run.</summary>
    protected virtual void Keep(string layer, string part, OnnxTensor past, OnnxTensor present) =>
        Cache.Add(new(past.Name, Output(present), 1, (int)past.Shape[1], PerToken: false));

    /// <summary>
    /// The file, and the weights that are not in it: all where they are larger than a limit. Each of them is a file of
    /// its own name, or they follow each other in <paramref name="dataFile"/>.
    /// </summary>
    public (byte[] File, IReadOnlyList<string> External) ToFile(
        long largest, string? dataFile = null, params (string Key, string Value)[] metadata)
    {
        (List<OnnxNode> nodes, List<OnnxConstant> constants) = Needed();
        TensorSpec[] used = [.. constants.Select(c => c.Weight).OfType<TensorSpec>().Where(spec => spec.Length > 0)];
        bool external = used.Sum(spec => spec.Length) > largest;
        Dictionary<TensorSpec, (string, string)[]> places = [];
        long offset = 0;
        foreach (TensorSpec spec in external ? used : [])
        {
            places.Add(spec, dataFile is null
                ? [("location", spec.Name)]
                : [("location", dataFile), ("offset", Text(offset)), ("length", Text(spec.Length))]);
            offset += spec.Length;
        }
        ProtobufMessage model = OnnxFile.Model(
            Opset, nodes.Select(node => node.ToMessage()),
            constants.Select(c => c.Weight is { } spec && places.TryGetValue(spec, out (string, string)[]? place)
                ? OnnxFile.ExternalTensor(c.Name, c.Type, c.Shape, place)
                : OnnxFile.Tensor(c.Name, c.Type, c.Shape, c.Values)),
            _inputs.Select(input => input.ToMessage()), _outputs.Select(output => output.ToMessage()), _contributed, metadata);
        return (model.Bytes.ToArray(), [.. places.Keys.Select(spec => spec.Name)]);

        static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);
    }

    /// <summary>
    /// The nodes and constants that outputs need, in order: what no output needs is left out, since ONNX Runtime would
    /// compute it.
    /// </summary>
    public (List<OnnxNode> Nodes, List<OnnxConstant> Constants) Needed()
    {
        HashSet<string> needed = [.. _outputs.Select(output => output.Name)];
        List<OnnxNode> nodes = [];
        foreach (OnnxNode node in Enumerable.Reverse(_nodes).Where(node => node.Outputs.Any(needed.Contains)))
        {
            needed.UnionWith(node.Inputs);
            nodes.Add(node);
        }
        nodes.Reverse();
        return (nodes, [.. _named.Values.Select(n => n.Constant).OfType<OnnxConstant>().Where(c => needed.Contains(c.Name))]);
    }

    /// <summary>The elements of a constant.</summary>
    protected Array ValuesOf(OnnxTensor constant) => _named[constant.Name].Constant!.Values;

    private OnnxTensor Shared(string name, OnnxType type, params long[] shape) =>
        _named.TryGetValue(name, out (OnnxTensor Tensor, OnnxConstant?) known)
            ? known.Tensor
            : Input(name, type, shape);

    private OnnxTensor Add(OnnxConstant constant) => Add(new(this, constant.Name, constant.Shape), constant);

    private OnnxTensor Add(OnnxTensor tensor, OnnxConstant? constant = null)
    {
        _named.Add(tensor.Name, (tensor, constant));
        return tensor;
    }
}

/// <summary>What goes in or comes out.</summary>
internal sealed record OnnxValue(string Name, OnnxType Type, long[] Shape, string[] SizeNames)
{
    public ProtobufMessage ToMessage() => OnnxFile.Value(Name, Type, Shape, SizeNames);
}

/// <summary>An operation, with the names of what it takes and gives.</summary>
internal sealed record OnnxNode(
    string Op, string Domain, string[] Inputs, string[] Outputs, (string Name, object Value)[] Attributes)
{
    public ProtobufMessage ToMessage() => OnnxFile.Node(Op, Domain, Inputs, Outputs, Attributes);
}

/// <summary>A constant with its elements, of a weight also what that is.</summary>
internal sealed record OnnxConstant(string Name, OnnxType Type, long[] Shape, Array Values, TensorSpec? Weight = null);

/// <summary>
/// An input and an output by which a session keeps something: of each token (B, heads, tokens, width), or of a sequence
/// (B, width).
/// </summary>
internal readonly record struct KeptValue(string Past, string Present, int Heads, int Width, bool PerToken = true);
