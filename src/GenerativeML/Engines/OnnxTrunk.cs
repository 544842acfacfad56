using System.Buffers;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text.Json.Serialization;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;

namespace GenerativeML;

/// <summary>Feature maps that a network gives of one image, (1, C, H, W), by the name of the value in its graph.</summary>
internal sealed record TrunkStage(string Name, int Channels, int Height, int Width)
{
    /// <summary>Numbers of one image.</summary>
    [JsonIgnore]
    public long Length => (long)Channels * Height * Width;
}

/// <summary>
/// A network of images from elsewhere, an ONNX file, as far as the feature maps that are taken of it: what comes behind
/// them is cut off. It sees one image at a time, of three channels, and ONNX Runtime computes it, whatever its operations are.
/// The file itself is among a model's weights, as bytes in the place of numbers.
/// </summary>
internal sealed record OnnxTrunk(string Input, int Height, int Width, IReadOnlyList<TrunkStage> Stages, int Bytes, string Sha256)
{
    /// <summary>The tensor that holds the file.</summary>
    public const string Tensor = "network";

    private const int Channels = 3, UsualSide = 224;
    private const int LeastOpset = 7; // before, numbers do not broadcast as in NumPy
    private const int LeastFormat = 4; // before, constants have to be inputs, too
    private static readonly int[] s_strides = [8, 16]; // of the second and third of four stages, as PatchCore takes them

    /// <summary>Numbers of all feature maps of an image.</summary>
    [JsonIgnore]
    public int FeatureWidth => checked((int)Stages.Sum(stage => stage.Length));

    /// <summary>Elements of <see cref="Tensor"/>: bytes, four in each.</summary>
    [JsonIgnore]
    public int Elements => (Bytes + sizeof(float) - 1) / sizeof(float);

    /// <summary>Reads a file as far as the values that are named, or, where none is, the last of strides 8 and 16.</summary>
    /// <param name="path">The file.</param>
    /// <param name="names">Values of the graph: the output of any of its operations.</param>
    /// <param name="side">Height and width of what the network sees, where it leaves that open.</param>
    /// <exception cref="ArgumentException">It is no such network; the message says why.</exception>
    public static (OnnxTrunk Trunk, byte[] File) Read(string path, IReadOnlyList<string> names, int? side)
    {
        try
        {
            Graph graph = Graph.Of(File.ReadAllBytes(path));
            HashSet<string> made = [.. graph.Nodes.SelectMany(node => node.Outputs)];
            if (names.FirstOrDefault(name => !made.Contains(name)) is string missing)
                throw new FormatException($"none of its operations gives '{missing}'.");
            // Only ONNX Runtime knows the shapes: it computes all values of a black image once.
            string[] wanted = [.. names.Count > 0 ? names : graph.Nodes.Select(node => node.Outputs[0])];
            using InferenceSession session = Session(graph.WithOutputs(wanted));
            (string input, int height, int width) = InputOf(session, side);
            using var options = new RunOptions();
            using OrtValue image = OrtValue.CreateTensorValueFromMemory(
                new float[Channels * height * width], [1, Channels, height, width]);
            using IDisposableReadOnlyCollection<OrtValue> values = session.Run(options, [input], [image], wanted);
            TrunkStage[] stages = [.. wanted.Zip(values, Stage).OfType<TrunkStage>()];
            if (names.Count == 0)
                stages = [.. s_strides.Select(stride => LastOf(stages, height, width, stride))];
            else if (stages.Length < names.Count)
                throw new FormatException($"'{names.First(name => stages.All(stage => stage.Name != name))}' is no feature "
                    + "map: (1, C, H, W) is expected.");
            byte[] file = graph.Needed([.. stages.Select(stage => stage.Name)]).ToFile(
                OnnxFile.Value(input, OnnxType.Float, [1, Channels, height, width]), []);
            return (new(input, height, width, stages, file.Length, Convert.ToHexString(SHA256.HashData(file))), file);
        }
        catch (Exception e) when (e is FormatException or OnnxRuntimeException or IOException or UnauthorizedAccessException)
        {
            throw new ArgumentException($"Option {nameof(PatchCoreOptions.NetworkPath)} is '{path}', which cannot be used: {e.Message}", e);
        }
    }

    /// <summary>Checks what came from a file.</summary>
    /// <exception cref="ArgumentException">A size is out of every sensible range.</exception>
    public void Validate()
    {
        bool sound = Bytes > 0 && Height is >= 1 and <= 1 << 12 && Width is >= 1 and <= 1 << 12 && Stages.Count is >= 1 and <= 16
            && Stages.All(s => s.Channels is >= 1 and <= 1 << 16 && s.Height is >= 1 and <= 1 << 12 && s.Width is >= 1 and <= 1 << 12)
            && Stages.Sum(stage => stage.Length) <= 1 << 28;
        if (!sound)
            throw new ArgumentException("The sizes of the network's feature maps are out of range.");
    }

    /// <summary>Puts the file among a model's weights.</summary>
    public static void Store(byte[] file, HostWeights weights) =>
        file.CopyTo(MemoryMarshal.AsBytes(weights[Tensor].AsSpan()));

    /// <summary>Makes what computes the feature maps of images of a shape, with numbers from 0 to 1.</summary>
    /// <exception cref="InvalidOperationException">The file is another than was read, or ONNX Runtime is not there.</exception>
    public TrunkSession Open(HostWeights weights, ImageShape picture, IReadOnlyList<float> means, IReadOnlyList<float> deviations) =>
        Open(MemoryMarshal.AsBytes(weights[Tensor].AsSpan())[..Bytes].ToArray(), picture, means, deviations);

    /// <inheritdoc cref="Open(HostWeights, ImageShape, IReadOnlyList{float}, IReadOnlyList{float})"/>
    public TrunkSession Open(byte[] file, ImageShape picture, IReadOnlyList<float> means, IReadOnlyList<float> deviations)
    {
        if (NativeParts.OnnxFailure is Exception missing)
        {
            throw new InvalidOperationException(
                "The network of the model is computed by ONNX Runtime alone: reference the package Microsoft.ML.OnnxRuntime from "
                + $"the program that you run ({missing.GetType().Name}: {missing.Message}).");
        }
        if (Convert.ToHexString(SHA256.HashData(file)) != Sha256)
            throw new InvalidOperationException("The network in the model is another than it was trained with: the file is damaged.");
        Graph graph = Graph.Of(file).WithOutputs([.. Stages.Select(stage => stage.Name)]);
        int seen = picture.Channels < Channels ? 1 : Channels;
        // Resized along either axis by a product, then in the units that the network was trained with.
        string P(string name) => "generativeml/" + name;
        (string, float[], long[])[] constants =
        [
            ("down", Resampling.Resize(Height, picture.Height).Values, [Height, picture.Height]),
            ("across", Resampling.Resize(Width, picture.Width).Transpose().Values, [picture.Width, Width]),
            ("scale", [.. deviations.Select(deviation => 1 / deviation)], [Channels, 1, 1]),
            ("shift", [.. means.Zip(deviations, (mean, deviation) => -mean / deviation)], [Channels, 1, 1]),
        ];
        ProtobufMessage[] steps =
        [
            Step("MatMul", ["down", "pixels"], P("lines")), Step("MatMul", ["lines", "across"], P("resized")),
            Step("Mul", ["resized", "scale"], P("scaled")), // one channel becomes three
            Step("Add", ["scaled", "shift"], Input),
        ];
        byte[] whole = graph.ToFile(
            OnnxFile.Value(P("pixels"), OnnxType.Float, [1, seen, picture.Height, picture.Width]), steps,
            constants.Select(c => OnnxFile.Tensor(P(c.Item1), OnnxType.Float, c.Item3, c.Item2)));
        return new TrunkSession(this, Session(whole), P("pixels"), seen, picture);

        ProtobufMessage Step(string op, string[] inputs, string output) => OnnxFile.Node(op, "", inputs.Select(P), [output], []);
    }

    private static InferenceSession Session(Graph graph) => Session(graph.ToFile(null, []));

    private static InferenceSession Session(byte[] file)
    {
        using var options = new SessionOptions { IntraOpNumThreads = 1, LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR };
        options.AddSessionConfigEntry("session.intra_op.allow_spinning", "0");
        return new InferenceSession(file, options);
    }

    private static (string Name, int Height, int Width) InputOf(InferenceSession session, int? side)
    {
        if (session.InputMetadata.Count != 1)
            throw new FormatException($"it has the inputs {string.Join(", ", session.InputMetadata.Keys)}, and images alone are to go in.");
        (string name, NodeMetadata input) = session.InputMetadata.First();
        if (input.ElementDataType != TensorElementType.Float || input.Dimensions is not [<= 1, <= 0 or Channels, _, _] shape)
        {
            throw new FormatException(
                $"its input '{name}' is {input.ElementDataType} ({string.Join(" × ", input.Dimensions)}), and images are expected as "
                + "Float (1 × 3 × height × width).");
        }
        return (name, shape[2] > 0 ? shape[2] : side ?? UsualSide, shape[3] > 0 ? shape[3] : side ?? UsualSide);
    }

    private static TrunkStage? Stage(string name, OrtValue value)
    {
        if (!value.IsTensor || value.GetTensorTypeAndShape() is not { ElementDataType: TensorElementType.Float, Shape: [1, > 0, > 0, > 0] shape })
            return null;
        return new(name, (int)shape[1], (int)shape[2], (int)shape[3]);
    }

    private static TrunkStage LastOf(TrunkStage[] stages, int height, int width, int stride) =>
        stages.LastOrDefault(s => s.Height == (height + stride - 1) / stride && s.Width == (width + stride - 1) / stride)
        ?? throw new FormatException(
            $"no feature map in it is one {stride}th as high and wide as its input, {height} × {width}: name others by the option "
            + $"{nameof(PatchCoreOptions.FeatureTensors)}. There are "
            + $"{string.Join(", ", stages.Select(s => $"{s.Name} ({s.Channels} × {s.Height} × {s.Width})").TakeLast(20))}.");

    /// <summary>An operation: its names, and its bytes.</summary>
    private sealed record Node(string[] Inputs, string[] Outputs, ReadOnlyMemory<byte> Bytes)
    {
        public static Node Of(ProtobufField node)
        {
            List<ProtobufField> fields = node.Fields;
            return new(
                [.. Names(fields, 1), .. fields.Where(f => f.Number == 5).SelectMany(InGraphs)],
                [.. Names(fields, 2)], node.Bytes);
        }

        // What the graphs of a branch or a loop read may come from without.
        private static IEnumerable<string> InGraphs(ProtobufField attribute) => attribute.Fields
            .Where(f => f.Number is 6 or 11).SelectMany(graph => graph.Fields.Where(f => f.Number == 1)).SelectMany(node => Of(node).Inputs);

        private static IEnumerable<string> Names(List<ProtobufField> fields, int number) =>
            fields.Where(f => f.Number == number).Select(f => f.Text);
    }

    /// <summary>The parts of an ONNX file that count.</summary>
    private sealed record Graph(
        long Format, IReadOnlyList<ReadOnlyMemory<byte>> Versions, IReadOnlyList<ReadOnlyMemory<byte>> Functions,
        IReadOnlyList<Node> Nodes, IReadOnlyList<ProtobufField> Constants, IReadOnlyList<ReadOnlyMemory<byte>> Inputs,
        IReadOnlyList<string> Outputs)
    {
        public static Graph Of(byte[] file)
        {
            List<ProtobufField> model = ProtobufField.Read(file);
            List<ProtobufField> graph = model.LastOrDefault(f => f.Number == 7).Fields;
            long opset = model.Where(f => f.Number == 8).Select(f => f.Fields)
                .Where(set => set.All(f => f.Number != 1 || f.Bytes.IsEmpty || f.Text == "ai.onnx"))
                .Select(set => set.LastOrDefault(f => f.Number == 2).Value).DefaultIfEmpty().Max();
            if (graph.Count == 0)
                throw new FormatException("it is no ONNX file.");
            if (opset < LeastOpset)
                throw new FormatException($"it is written for version {opset} of ONNX's operators; {LeastOpset} or a later one is expected.");
            ProtobufField[] constants = [.. graph.Where(f => f.Number is 5 or 15)];
            HashSet<string> named = [.. constants.Select(NameOf)];
            return new(
                model.LastOrDefault(f => f.Number == 1).Value, All(model, 8), All(model, 25),
                [.. graph.Where(f => f.Number == 1).Select(Node.Of).Where(node => node.Outputs is [{ Length: > 0 }, ..])], constants,
                [.. graph.Where(f => f.Number == 11 && !named.Contains(f.Fields.LastOrDefault(v => v.Number == 1).Text)).Select(f => f.Bytes)],
                []);

            static List<ReadOnlyMemory<byte>> All(List<ProtobufField> fields, int number) =>
                [.. fields.Where(f => f.Number == number).Select(f => f.Bytes)];
        }

        public Graph WithOutputs(IReadOnlyList<string> outputs) => this with { Outputs = outputs };

        /// <summary>What these outputs need.</summary>
        public Graph Needed(IReadOnlyList<string> outputs)
        {
            HashSet<string> needed = [.. outputs];
            var nodes = new List<Node>();
            foreach (Node node in Nodes.Reverse().Where(node => node.Outputs.Any(needed.Contains)))
            {
                needed.UnionWith(node.Inputs);
                nodes.Insert(0, node);
            }
            return this with { Nodes = nodes, Constants = [.. Constants.Where(c => needed.Contains(NameOf(c)))], Outputs = outputs };
        }

        /// <summary>The file, with other inputs where they are given, and operations before all others.</summary>
        public byte[] ToFile(ProtobufMessage? input, ProtobufMessage[] before, IEnumerable<ProtobufMessage>? constants = null)
        {
            ProtobufMessage graph = new ProtobufMessage().Add(1, before);
            foreach (Node node in Nodes)
                graph.Add(1, node.Bytes.Span);
            graph.Add(2, "trunk").Add(5, constants ?? []);
            foreach (ProtobufField constant in Constants)
                graph.Add(constant.Number, constant.Bytes.Span);
            foreach (ReadOnlyMemory<byte> one in input is null ? Inputs : [input.Bytes.ToArray()])
                graph.Add(11, one.Span);
            graph.Add(12, Outputs.Select(name => new ProtobufMessage().Add(1, name)));
            ProtobufMessage model = new ProtobufMessage().Add(1, Math.Max(Format, LeastFormat)).Add(7, graph.Bytes);
            foreach (ReadOnlyMemory<byte> version in Versions)
                model.Add(8, version.Span);
            foreach (ReadOnlyMemory<byte> function in Functions)
                model.Add(25, function.Span);
            return model.Bytes.ToArray();
        }

        // A sparse constant has the name of its values.
        private static string NameOf(ProtobufField constant) => constant.Number == 5
            ? constant.Fields.LastOrDefault(f => f.Number == 8).Text
            : constant.Fields.LastOrDefault(f => f.Number == 1).Fields.LastOrDefault(f => f.Number == 8).Text;
    }
}

/// <summary>A trunk as networks have it: how wide its features are, and what computes them with a model's weights.</summary>
internal sealed record TrunkPart(int FeatureWidth, Func<HostWeights, TrunkSession> Open);

/// <summary>Computes the feature maps of images, one by one on each thread. Safe to use from several threads.</summary>
internal sealed class TrunkSession(OnnxTrunk trunk, InferenceSession session, string input, int channels, ImageShape picture) : IDisposable
{
    private readonly string[] _outputs = [.. trunk.Stages.Select(stage => stage.Name)];
    private readonly RunOptions _options = new();

    /// <summary>Images, (count × D), → of each all feature maps, one after the other, (count × F).</summary>
    public void Run(int count, ReadOnlyMemory<float> images, Memory<float> features) => Parallel.For(
        0, count, new() { MaxDegreeOfParallelism = Environment.ProcessorCount }, row =>
        {
            int width = images.Length / count;
            // Alpha, the last channel of two or four, is left out.
            float[] seen = images.Slice(row * width, channels * picture.Height * picture.Width).ToArray();
            using OrtValue image = OrtValue.CreateTensorValueFromMemory(seen, [1, channels, picture.Height, picture.Width]);
            var maps = new List<OrtValue>();
            try
            {
                int at = row * trunk.FeatureWidth;
                foreach (TrunkStage stage in trunk.Stages)
                {
                    maps.Add(OrtValue.CreateTensorValueFromMemory(
                        OrtMemoryInfo.DefaultInstance, features.Slice(at, (int)stage.Length),
                        [1, stage.Channels, stage.Height, stage.Width]));
                    at += (int)stage.Length;
                }
                session.Run(_options, [input], [image], _outputs, maps);
            }
            finally
            {
                maps.ForEach(map => map.Dispose());
            }
        });

    public void Dispose()
    {
        session.Dispose();
        _options.Dispose();
    }
}

/// <summary>Rows by a trunk and then by an engine, which is given feature maps in the place of images.</summary>
internal sealed class TrunkRows(TrunkSession trunk, int featureWidth, IRowEngine engine) : IRowEngine
{
    private const int AtOnce = 16; // feature maps of more would take much memory, and gain nothing

    public void Run(int rows, ReadOnlyMemory<float>[] inputs, Memory<float>[] outputs)
    {
        for (int first = 0; first < rows; first += AtOnce)
        {
            int begin = first, count = Math.Min(AtOnce, rows - first), width = inputs[0].Length / rows;
            float[] rented = ArrayPool<float>.Shared.Rent(count * featureWidth);
            try
            {
                Memory<float> features = rented.AsMemory(0, count * featureWidth);
                trunk.Run(count, inputs[0].Slice(begin * width, count * width), features);
                engine.Run(count, [features], Array.ConvertAll(outputs, o => o.Slice(begin * (o.Length / rows), count * (o.Length / rows))));
            }
            finally
            {
                ArrayPool<float>.Shared.Return(rented);
            }
        }
    }

    public void Dispose()
    {
        trunk.Dispose();
        engine.Dispose();
    }
}
