using System.Buffers;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Serialization;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;

namespace GenerativeML;

/// <summary>Feature maps that a network gives of one image, (1, C, H, W), by the name of the value in its graph.</summary>
internal sealed record BackboneStage(string Name, int Channels, int Height, int Width)
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
internal sealed record OnnxBackbone(string Input, int Height, int Width, IReadOnlyList<BackboneStage> Stages, int Bytes, string Sha256)
{
    /// <summary>The tensor that holds the file.</summary>
    public const string Tensor = "network";

    private const string Damaged = "The network in the model is another than it was trained with: the file is damaged.";
    private const int Channels = 3, UsualSide = 224;
    private const int LeastOpset = 7; // before, numbers do not broadcast as in NumPy
    private const int LeastFormat = 4; // before, constants have to be inputs, too
    private const int MostLevels = 64; // of graphs within graphs; ONNX Runtime reads some hundred
    private const int MostSide = 1 << 12, MostChannels = 1 << 16, MostStages = 16, MostNumbers = 1 << 28;
    private static readonly int[] s_strides = [8, 16]; // of the second and third of four stages, as PatchCore takes them

    /// <summary>Numbers of all feature maps of an image.</summary>
    [JsonIgnore]
    public int FeatureWidth => checked((int)Stages.Sum(stage => stage.Length));

    /// <summary>Elements of <see cref="Tensor"/>: bytes, four in each.</summary>
    [JsonIgnore]
    public int Elements => (Bytes + sizeof(float) - 1) / sizeof(float);

    /// <summary>
    /// Reads a file as far as the values that are named, or, where none is, the last of strides 8 and 16 that no shortcut goes around.
    /// </summary>
    /// <param name="path">The file.</param>
    /// <param name="names">Values of the graph: the output of any of its operations.</param>
    /// <param name="side">Height and width of what the network sees, where it leaves that open.</param>
    /// <exception cref="ArgumentException">It is no such network; the message says why.</exception>
    public static (OnnxBackbone Backbone, byte[] File) Read(string path, IReadOnlyList<string> names, int? side)
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
            BackboneStage[] stages = [.. wanted.Zip(values, Stage).OfType<BackboneStage>()];
            if (names.Count == 0)
                stages = [.. s_strides.Select(stride => LastOf(graph, input, stages, height, width, stride)).Distinct()];
            else if (stages.Length < names.Count)
                throw new FormatException($"'{names.First(name => stages.All(stage => stage.Name != name))}' is no feature "
                    + "map: (1, C, H, W) is expected.");
            byte[] file = graph.Needed([.. stages.Select(stage => stage.Name)]).ToFile(
                OnnxFile.Value(input, OnnxType.Float, [1, Channels, height, width]), []);
            OnnxBackbone backbone = Of(input, height, width, stages, file);
            if (!backbone.IsSound())
            {
                throw new FormatException("its feature maps are too large: "
                    + $"{string.Join(", ", stages.Select(s => $"{s.Name} ({s.Channels} × {s.Height} × {s.Width})"))}.");
            }
            return (backbone, file);
        }
        catch (Exception e) when (IsOfFile(e) || e is IOException or UnauthorizedAccessException or NotSupportedException or ArgumentException)
        {
            throw new ArgumentException($"Option {nameof(PatchCoreOptions.NetworkPath)} is '{path}', which cannot be used: {e.Message}", e);
        }
    }

    /// <summary>What is known of a file, which holds nothing but what is needed.</summary>
    internal static OnnxBackbone Of(string input, int height, int width, IReadOnlyList<BackboneStage> stages, byte[] file)
    {
        var backbone = new OnnxBackbone(input, height, width, stages, file.Length, "");
        return backbone with { Sha256 = backbone.HashWith(file) };
    }

    /// <summary>Checks what came from a file.</summary>
    /// <exception cref="ArgumentException">A size is out of every sensible range.</exception>
    public void Validate()
    {
        if (!IsSound())
            throw new ArgumentException("The sizes of the network's feature maps are out of range.");
    }

    private bool IsSound() =>
        Bytes > 0 && Input is not null && Sha256 is not null && IsSide(Height) && IsSide(Width)
        && Stages?.Count is >= 1 and <= MostStages
        && Stages.All(s => s?.Name is not null && s.Channels is >= 1 and <= MostChannels && IsSide(s.Height) && IsSide(s.Width))
        && Stages.Sum(stage => stage.Length) <= MostNumbers;

    private static bool IsSide(int side) => side is >= 1 and <= MostSide;

    // What a file can be wrong by.
    private static bool IsOfFile(Exception e) => e is FormatException or OnnxRuntimeException;

    /// <summary>Puts the file among a model's weights.</summary>
    public static void Store(byte[] file, HostWeights weights) =>
        file.CopyTo(MemoryMarshal.AsBytes(weights[Tensor].AsSpan()));

    /// <summary>Checks that the file among a saved model's weights is the one that was read, which takes no ONNX Runtime.</summary>
    /// <exception cref="FormatException">It is another.</exception>
    public void Check(HostWeights weights)
    {
        if (!IsSame(MemoryMarshal.AsBytes(weights[Tensor].AsSpan())[..Bytes]))
            throw new FormatException(Damaged);
    }

    private bool IsSame(ReadOnlySpan<byte> file) => HashWith(file) == Sha256;

    // What is said of the file, too: a network that is read by another name or as other sizes would fail at the first row only.
    private string HashWith(ReadOnlySpan<byte> file)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        IEnumerable<object> said = [Input, Height, Width, .. Stages.SelectMany(s => (object[])[s.Name, s.Channels, s.Height, s.Width])];
        hash.AppendData(Encoding.UTF8.GetBytes(string.Join('\n', said.Select(part => Convert.ToString(part, CultureInfo.InvariantCulture)))));
        hash.AppendData(file);
        return Convert.ToHexString(hash.GetHashAndReset());
    }

    /// <summary>Makes what computes the feature maps of images of a shape, with numbers from 0 to 1.</summary>
    /// <exception cref="InvalidOperationException">
    /// The file is another than was read, or ONNX Runtime is not there or cannot compute it.
    /// </exception>
    public BackboneSession Open(HostWeights weights, ImageShape picture, IReadOnlyList<float> means, IReadOnlyList<float> deviations) =>
        Open(MemoryMarshal.AsBytes(weights[Tensor].AsSpan())[..Bytes].ToArray(), picture, means, deviations);

    /// <inheritdoc cref="Open(HostWeights, ImageShape, IReadOnlyList{float}, IReadOnlyList{float})"/>
    public BackboneSession Open(byte[] file, ImageShape picture, IReadOnlyList<float> means, IReadOnlyList<float> deviations)
    {
        if (NativeParts.OnnxFailure is Exception missing)
        {
            throw new InvalidOperationException(
                "The network of the model is computed by ONNX Runtime alone: reference the package Microsoft.ML.OnnxRuntime from "
                + $"the program that you run ({missing.GetType().Name}: {missing.Message}).");
        }
        if (!IsSame(file))
            throw new InvalidOperationException(Damaged);
        try
        {
            return OpenChecked(file, picture, means, deviations);
        }
        catch (Exception e) when (IsOfFile(e))
        {
            throw new InvalidOperationException($"The network of the model cannot be used: {e.Message}", e);
        }
    }

    private BackboneSession OpenChecked(byte[] file, ImageShape picture, IReadOnlyList<float> means, IReadOnlyList<float> deviations)
    {
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
        return new BackboneSession(this, Session(whole), P("pixels"), seen, picture);

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
        int height = shape[2] > 0 ? shape[2] : side ?? UsualSide, width = shape[3] > 0 ? shape[3] : side ?? UsualSide;
        if (!IsSide(height) || !IsSide(width))
            throw new FormatException($"it sees images of {height} × {width}; at most {MostSide} × {MostSide} is expected.");
        return (name, height, width);
    }

    private static BackboneStage? Stage(string name, OrtValue value)
    {
        if (!value.IsTensor || value.GetTensorTypeAndShape() is not { ElementDataType: TensorElementType.Float, Shape: [1, > 0, > 0, > 0] shape }
            || shape.Any(size => size > int.MaxValue))
        {
            return null;
        }
        return new(name, (int)shape[1], (int)shape[2], (int)shape[3]);
    }

    private static BackboneStage LastOf(Graph graph, string input, BackboneStage[] stages, int height, int width, int stride)
    {
        BackboneStage[] found =
            [.. stages.Where(s => s.Height == (height + stride - 1) / stride && s.Width == (width + stride - 1) / stride)];
        Dictionary<string, BackboneStage> maps = stages.ToDictionary(stage => stage.Name);
        return found.LastOrDefault(stage => !IsGoneAround(stage)) ?? found.LastOrDefault() ?? throw NoneOf(stages, height, width, stride);

        // Whether there is a way from the input, map by map, to a coarser one behind this that does not lead through this.
        bool IsGoneAround(BackboneStage stage)
        {
            HashSet<string> reached = [input];
            bool behind = false;
            foreach (Node node in graph.Nodes)
            {
                if (node.Outputs.Contains(stage.Name))
                {
                    behind = true;
                }
                else if (maps.TryGetValue(node.Outputs[0], out BackboneStage? map) && node.Inputs.Any(reached.Contains))
                {
                    reached.Add(map.Name);
                    if (behind && map.Height < stage.Height && map.Width < stage.Width)
                        return true;
                }
            }
            return false;
        }
    }

    private static FormatException NoneOf(BackboneStage[] stages, int height, int width, int stride) => new(
            $"no feature map in it is one {stride}th as high and wide as its input, {height} × {width}: name others by the option "
            + $"{nameof(PatchCoreOptions.FeatureTensors)}. There are "
            + $"{string.Join(", ", stages.Select(s => $"{s.Name} ({s.Channels} × {s.Height} × {s.Width})").TakeLast(20))}.");

    /// <summary>An operation: its names, and its bytes.</summary>
    private sealed record Node(string[] Inputs, string[] Outputs, ReadOnlyMemory<byte> Bytes)
    {
        /// <summary>Reads an operation, so many graphs within the file's own.</summary>
        public static Node Of(ProtobufField node, int level)
        {
            List<ProtobufField> fields = node.Fields;
            string[] inner = [.. fields.Where(f => f.Number == 5).SelectMany(f => f.Fields).SelectMany(value => InAttribute(value, level))];
            return new([.. Names(fields, 1), .. inner], [.. Names(fields, 2)], node.Bytes);
        }

        /// <summary>Checks that a constant of a graph has its numbers in the file.</summary>
        public static void CheckConstant(ProtobufField constant)
        {
            List<ProtobufField> fields = constant.Fields;
            if (constant.Number == 15) // sparse: values and where they are
            {
                foreach (ProtobufField part in fields.Where(f => f.Number is 1 or 2))
                    CheckTensor(part.Fields);
            }
            else
            {
                CheckTensor(fields);
            }
        }

        private static void CheckTensor(List<ProtobufField> tensor)
        {
            if (tensor.LastOrDefault(f => f.Number == 14).Value == 0)
                return;
            throw new FormatException(
                $"its tensor '{tensor.LastOrDefault(f => f.Number == 8).Text}' has its numbers in another file. Save it with the weights "
                + "inside: onnx.save with save_as_external_data=False, or torch.onnx.export with external_data=False.");
        }

        // What the graphs of a branch or a loop read may come from without.
        private static string[] InAttribute(ProtobufField value, int level)
        {
            if (value.Number is 5 or 10 or 22 or 23) // a tensor, tensors, and sparse ones
                CheckConstant(value with { Number = value.Number > 10 ? 15 : 5 });
            if (value.Number is not (6 or 11))
                return [];
            if (level == MostLevels)
                throw new FormatException($"its graphs are nested more than {MostLevels} levels deep.");
            List<ProtobufField> graph = value.Fields;
            foreach (ProtobufField constant in graph.Where(f => f.Number is 5 or 15))
                CheckConstant(constant);
            return [.. graph.Where(f => f.Number == 1).SelectMany(node => Of(node, level + 1).Inputs)];
        }

        // One that is left out has an empty name.
        private static IEnumerable<string> Names(List<ProtobufField> fields, int number) =>
            fields.Where(f => f.Number == number && !f.Bytes.IsEmpty).Select(f => f.Text);
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
            foreach (ProtobufField constant in constants)
                Node.CheckConstant(constant);
            foreach (ProtobufField node in model.Where(f => f.Number == 25).SelectMany(f => f.Fields).Where(f => f.Number == 7))
                _ = Node.Of(node, 0); // of a function: checked
            HashSet<string> named = [.. constants.Select(NameOf)];
            return new(
                model.LastOrDefault(f => f.Number == 1).Value, All(model, 8), All(model, 25),
                [.. graph.Where(f => f.Number == 1).Select(node => Node.Of(node, 0)).Where(node => node.Outputs.Length > 0)], constants,
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
                nodes.Add(node);
            }
            nodes.Reverse();
            return this with { Nodes = nodes, Constants = [.. Constants.Where(c => needed.Contains(NameOf(c)))], Outputs = outputs };
        }

        /// <summary>The file, with other inputs where they are given, and operations before all others.</summary>
        public byte[] ToFile(ProtobufMessage? input, ProtobufMessage[] before, IEnumerable<ProtobufMessage>? constants = null)
        {
            ProtobufMessage graph = new ProtobufMessage().Add(1, before);
            foreach (Node node in Nodes)
                graph.Add(1, node.Bytes.Span);
            graph.Add(2, "backbone").Add(5, constants ?? []);
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

/// <summary>
/// A backbone as networks have it: how wide its features are, of how many rows they are computed at once, and by what, with a model's
/// weights.
/// </summary>
internal sealed record BackbonePart(int FeatureWidth, int RowsAtOnce, Func<HostWeights, BackboneSession> Open);

/// <summary>Computes the feature maps of images, one by one on each thread. Safe to use from several threads.</summary>
internal sealed class BackboneSession(OnnxBackbone backbone, InferenceSession session, string input, int channels, ImageShape picture) : IDisposable
{
    private readonly string[] _outputs = [.. backbone.Stages.Select(stage => stage.Name)];
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
                int at = row * backbone.FeatureWidth;
                foreach (BackboneStage stage in backbone.Stages)
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

/// <summary>Rows by a backbone and then by an engine, which is given feature maps in the place of images.</summary>
internal sealed class BackboneRows(BackboneSession backbone, BackbonePart part, IRowEngine engine) : IRowEngine
{
    public void Run(int rows, ReadOnlyMemory<float>[] inputs, Memory<float>[] outputs)
    {
        for (int first = 0; first < rows; first += part.RowsAtOnce)
        {
            int begin = first, count = Math.Min(part.RowsAtOnce, rows - first), width = inputs[0].Length / rows;
            int length = checked(count * part.FeatureWidth);
            float[] rented = ArrayPool<float>.Shared.Rent(length);
            try
            {
                Memory<float> features = rented.AsMemory(0, length);
                backbone.Run(count, inputs[0].Slice(begin * width, count * width), features);
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
        backbone.Dispose();
        engine.Dispose();
    }
}
