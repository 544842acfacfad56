using System.Runtime.CompilerServices;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML;

/// <summary>
/// The file that ML.NET makes of a chain while <c>ml.Model.ConvertToOnnx</c> runs, to which each step adds its part.
/// </summary>
/// <param name="context">ML.NET's own object, which is not public.</param>
/// <param name="source">What the step reads.</param>
internal sealed class OnnxConversion(object context, IDataView source)
{
    // The only version of ONNX's operators for which graphs are written that ML.NET's conversion knows, too.
    private const int Opset = 12;

    // Protocol Buffers end at 2 GB, and ML.NET writes one message with all weights in it; what else is in it is small.
    private const long MostBytes = int.MaxValue - (64L << 20);

    // What the weights of the steps so far take, by the conversion.
    private static readonly ConditionalWeakTable<object, StrongBox<long>> s_written = [];

    /// <summary>Adds what a transformer does to rows.</summary>
    /// <exception cref="NotSupportedException">It cannot be written, or what comes before it.</exception>
    public void Add(GenerativeTransformer transformer, BatchRowMapper mapper)
    {
        if (mapper.Model.Outputs.Count == 0)
            return;
        if (MLNetInternals.Field(context, "_opSetVersion") is not int opset)
            throw Refusal("this version of ML.NET does not say what it writes");
        if (opset != Opset)
            throw Refusal($"it takes operators of opset {Opset}, ConvertToOnnx's default, and opset {opset} is asked for");
        CheckStepsBefore();
        OnnxExport graph;
        try
        {
            graph = transformer.ToOnnxStep(opset);
        }
        catch (NotSupportedException reason)
        {
            throw Refusal(reason.Message.TrimEnd('.'));
        }
        Add(graph, mapper);
    }

    /// <summary>The error for what cannot be written.</summary>
    public static NotSupportedException Refusal(string reason) => new(
        $"ConvertToOnnx cannot write this model's network: {reason}. model.SaveOnnx(path) writes what it can by itself; what comes before it in a "
        + "chain, such as Concatenate, ConvertToOnnx writes.");

    private void Add(OnnxExport graph, BatchRowMapper mapper)
    {
        Dictionary<string, string> variables = [];
        foreach (OnnxValue input in graph.Inputs)
        {
            DataViewSchema.Column column = mapper.ModelInputs.First(c => c.Name == input.Name);
            if (!(bool)Call("ContainsColumn", column.Name)!)
                throw Refusal($"column '{column.Name}' is made by a step before it that cannot be written");
            string variable = (string)Call("GetVariableName", column.Name)!;
            // Shapes of vectors are theirs, and types those of columns; a graph has numbers in rows.
            if (column.Type is VectorDataViewType { Dimensions.Length: > 1 })
                variable = AddNode("Reshape", [variable, AddConstant(new("rows", OnnxType.Int64, [2], new long[] { 0, -1 }))]);
            if (ItemType(column) is var type && type != OnnxType.Float)
                variable = AddNode("Cast", [variable], ("to", (int)OnnxType.Float));
            variables[input.Name] = variable;
        }
        (List<OnnxNode> nodes, List<OnnxConstant> constants) = graph.Needed();
        StrongBox<long> written = s_written.GetOrCreateValue(context);
        written.Value = SizeWith(written.Value, constants.Sum(constant => (long)Buffer.ByteLength(constant.Values)),
            string.Join(", ", mapper.OutputSchema.Skip(mapper.InputSchema.Count).Select(column => $"'{column.Name}'")));
        foreach (OnnxConstant constant in constants)
            variables[constant.Name] = AddConstant(constant);
        foreach (OnnxNode node in nodes)
        {
            // Names of outputs are left to ML.NET, which gives columns' names to what comes out of the whole chain.
            foreach (string output in node.Outputs)
                variables[output] = AddValue(graph.Outputs.Any(o => o.Name == output) ? node.Op : output);
            AddNode(
                node.Op, [.. node.Inputs.Select(name => name.Length > 0 ? variables[name] : "")],
                [.. node.Outputs.Select(name => variables[name])], node.Attributes);
        }
        for (int i = mapper.InputSchema.Count; i < mapper.OutputSchema.Count; i++)
        {
            DataViewSchema.Column column = mapper.OutputSchema[i];
            string variable = variables[VectorOnnx.OutputName(column.Name, graph.Inputs.Select(input => input.Name))];
            if (column.Type is VectorDataViewType { Dimensions: { Length: > 1 } sizes })
            {
                long[] shape = [0, .. sizes.Select(size => (long)size)];
                variable = AddNode("Reshape", [variable, AddConstant(new("shape", OnnxType.Int64, [shape.Length], shape))]);
            }
            string output = (string)Call("AddIntermediateVariable", column.Type, column.Name, false)!;
            AddNode("Cast", [variable], [output], [("to", (int)ItemType(column))]);
        }
    }

    /// <summary>What the weights of steps take with those of another.</summary>
    /// <exception cref="NotSupportedException">It is more than a file holds; the message names the step.</exception>
    public static long SizeWith(long before, long own, string step) => before + own <= MostBytes ? before + own : throw Refusal(
        $"with the {own >> 20} MB of weights of the step that makes {step}, the chain's file would have {(before + own) >> 20} MB, and files of "
        + "chains end at 2 GB");

    // What ML.NET's conversion stops at, without a word, may have changed what the model reads; filters change no columns.
    private void CheckStepsBefore()
    {
        for (IDataView? step = source; MLNetInternals.SourceOf(step) is { } before; step = before)
        {
            if (step is OnnxStep || MLNetInternals.CanConvert(step, context))
                continue;
            IDataView first = before;
            while (MLNetInternals.SourceOf(first) is { } earlier)
                first = earlier;
            if (!ReferenceEquals(step.Schema, first.Schema))
            {
                throw Refusal(
                    $"a step before it, {step.GetType().Name}, is none that ConvertToOnnx writes. Of ml.Data.Cache(data) in the place of "
                    + "the data, ConvertToOnnx writes what comes behind that alone");
            }
            return;
        }
    }

    private static OnnxType ItemType(DataViewSchema.Column column)
    {
        DataViewType item = (column.Type as VectorDataViewType)?.ItemType ?? column.Type;
        return item.RawType == typeof(float) ? OnnxType.Float
            : item.RawType == typeof(bool) ? OnnxType.Boolean
            : item is KeyDataViewType ? OnnxType.UInt32 // of other sizes, too, where it is read
            : throw Refusal($"column '{column.Name}' is of {item}, which is no number");
    }

    private string AddNode(string op, string[] inputs, params (string, object)[] attributes)
    {
        string output = AddValue(op);
        AddNode(op, inputs, [output], attributes);
        return output;
    }

    private void AddNode(string op, string[] inputs, string[] outputs, (string Name, object Value)[] attributes)
    {
        object node = Call("CreateNode", op, inputs, outputs, (string)Call("GetNodeName", op)!, "")!;
        foreach ((string name, object value) in attributes)
        {
            CallOf(node, "AddAttribute", name, value switch
            {
                int i => (long)i,
                float f => (double)f,
                int[] all => Array.ConvertAll(all, i => (long)i),
                _ => value,
            });
        }
    }

    private string AddConstant(OnnxConstant constant) => Named(constant.Name, name => constant switch
    {
        { Shape.Length: 0, Values: float[] values } => Call("AddInitializer", values[0], name, true),
        { Shape.Length: 0, Values: long[] values } => Call("AddInitializer", values[0], name, true),
        _ => Call("AddInitializer", constant.Values, constant.Shape, name, true),
    });

    private string AddValue(string name) =>
        Named(name, free => Call("AddIntermediateVariable", NumberDataViewType.Single, free, true));

    // ML.NET takes every new name for a column's, which later steps would find: so it is none that is one already, and
    // it is one for no longer than it takes.
    private string Named(string name, Func<string, object?> add)
    {
        while ((bool)Call("ContainsColumn", name)!)
            name = "_" + name;
        string variable = (string)add(name)!;
        Call("RemoveColumn", name, false);
        return variable;
    }

    private object? Call(string method, params object[] arguments) => CallOf(context, method, arguments);

    private static object? CallOf(object target, string method, params object[] arguments) =>
        (MLNetInternals.Find(target, method, arguments) ?? throw Refusal($"this version of ML.NET has no {method}"))();
}
