using System.Diagnostics;
using System.Text.Json;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using TorchSharp;

namespace GenerativeML.TestData;

/// <summary>An ONNX file of a model: what ONNX Runtime makes of it differs so much from torch, each in shares of 1 or its size.</summary>
internal sealed record OnnxFinding(OnnxContent Content, long Opset, long Bytes, TimeSpan Writing, double Difference, string Worst);

/// <summary>Writes every ONNX file that a model can be, and compares what ONNX Runtime and torch make of the same rows.</summary>
internal static class OnnxAgainstTorch
{
    /// <summary>Rows of each comparison: a block of those that are generated.</summary>
    public const int Rows = 1024;

    private const int Tokens = 4, Seed = 7; // fewer than any text may have

    /// <summary>All files of a model of this package; of rows, where it reads such as vectors.</summary>
    public static IEnumerable<OnnxFinding> Findings(ITransformer model, IDataView? data = null)
    {
        string folder = Directory.CreateTempSubdirectory("genml-onnx").FullName, path = Path.Combine(folder, "model.onnx");
        try
        {
            foreach (OnnxContent content in Enum.GetValues<OnnxContent>())
            {
                long start = Stopwatch.GetTimestamp();
                try
                {
                    model.SaveOnnx(path, content);
                }
                catch (NotSupportedException)
                {
                    continue;
                }
                TimeSpan writing = Stopwatch.GetElapsedTime(start);
                (Dictionary<string, float[]> expected, Func<string, NodeMetadata, OrtValue> input) = Torch(model, content, data);
                Dictionary<string, float[]> found = OnnxRun.Run(path, input);
                (double difference, string worst) = expected.Select(e => (Difference(e.Value, found[e.Key]), e.Key)).Max();
                yield return new(
                    content, OnnxRun.Opset(path), Directory.GetFiles(folder).Sum(file => new FileInfo(file).Length), writing, difference, worst);
            }
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static double Difference(float[] expected, float[] found) => expected.Length != found.Length
        ? double.PositiveInfinity
        : expected.Zip(found, (a, b) => a.Equals(b) ? 0 : Math.Abs(a - (double)b) / Math.Max(1, Math.Abs((double)a)))
            .Select(d => double.IsNaN(d) ? double.PositiveInfinity : d).DefaultIfEmpty().Max();

    // What torch says, and what goes in.
    private static (Dictionary<string, float[]>, Func<string, NodeMetadata, OrtValue>) Torch(
        ITransformer model, OnnxContent content, IDataView? data)
    {
        if (((GenerativeTransformer)model).PassOf(content) is { } pass)
            return Pass(model, pass);
        using var scope = torch.NewDisposeScope();
        using IDisposable noGradient = torch.no_grad();
        return model switch
        {
            VectorTransformer vectors when content == OnnxContent.Denoise => Denoised(vectors),
            VectorTransformer when content == OnnxContent.Generate => Generated(model),
            LanguageModelTransformer text => Language(text.Text.Model),
            MaskedLanguageModelTransformer text => Masked(text.Model),
            SequenceToSequenceTransformer text => Translated(text.Trained, content),
            _ => Transformed(model, data ?? throw new ArgumentNullException(nameof(data))),
        };
    }

    private static (Dictionary<string, float[]>, Func<string, NodeMetadata, OrtValue>) Pass(ITransformer model, OnnxPass pass)
    {
        int[] counts = TokenCounts(pass);
        HiddenMarkovInput? steps = (model as HiddenMarkovTransformer)?.Rows.Input;
        Dictionary<string, float[]> inputs = pass.Inputs.ToDictionary(input => input.Name, input => (float[])
        [
            .. Enumerable.Range(0, Rows * input.Width).Select(i => Value(input.Name, i / input.Width, i % input.Width, input.Width)),
        ]);
        using var engine = new TorchRows(pass.Pass, pass.Weights, torch.CPU);
        int[] widths = Widths(pass);
        float[][] results = [.. widths.Select(width => new float[Rows * width])];
        engine.Run(
            Rows, [.. pass.Inputs.Select(input => (ReadOnlyMemory<float>)inputs[input.Name])], [.. results.Select(r => r.AsMemory())]);
        return (pass.Outputs.Zip(results).ToDictionary(r => r.First, r => r.Second), Floats(name => inputs[name]));

        // Whole numbers where they are such: a sample's level, a class, a drawing's points, tokens; shares of states.
        float Value(string name, int row, int at, int width) => name switch
        {
            "before" => (row * width + at) * 7 % 8,
            "condition" => 0,
            "count" => 1 + row % 3,
            "known" when counts.Length > 0 => (row + at) % 3 == 0 ? 1 : 0,
            "states" when row % 50 == 49 => -1,
            "tokens" or "states" => (row * 7 + at * 3) % counts[at],
            "random_uniform" => 0.999f * MathF.Abs(MathF.Sin(row * 0.7f + at)),
            "past" when steps is not null => row % 2 == 0 ? 0 : (at + 1) * 2f / (width * (width + 1)),
            _ when steps is { IsCategorical: true } => row % (steps.Categories + 1),
            _ when steps is not null && row % 50 == 49 => float.NaN,
            _ => MathF.Sin((row * width + at) * 0.7f),
        };
    }

    // Of a table's columns, how many tokens each has, as the file says.
    private static int[] TokenCounts(OnnxPass pass) => pass.Said.FirstOrDefault(said => said.Key == "columns").Value is string columns
        ? [.. JsonDocument.Parse(columns).RootElement.EnumerateArray().Select(column => column.GetProperty("tokens").GetArrayLength())]
        : [];

    // Of one row, each result's numbers.
    private static int[] Widths(OnnxPass pass)
    {
        using var scope = torch.NewDisposeScope();
        using IDisposable noGradient = torch.no_grad();
        Dictionary<string, torch.Tensor> weights = pass.Weights.ToTensors(torch.CPU);
        TorchTensor[] results = pass.Pass.Run(
            new TorchOps(weights).Root, [.. pass.Inputs.Select(input => (TorchTensor)torch.zeros(1, input.Width))]);
        foreach (torch.Tensor weight in weights.Values)
            weight.Dispose();
        return [.. results.Select(result => (int)((torch.Tensor)result).numel())];
    }

    private static (Dictionary<string, float[]>, Func<string, NodeMetadata, OrtValue>) Transformed(ITransformer model, IDataView data)
    {
        using TorchModel loaded = OnTorch(model);
        IDataView view = loaded.Transformer.Transform(data);
        string[] read = [.. data.Schema.Select(c => c.Name)];
        return (
            view.Schema.Skip(data.Schema.Count).ToDictionary(c => read.Contains(c.Name) ? c.Name + ".output" : c.Name, c => OnnxRun.Column(view, c.Name)),
            Floats(name => OnnxRun.Column(data, name)));
    }

    private static (Dictionary<string, float[]>, Func<string, NodeMetadata, OrtValue>) Generated(ITransformer model)
    {
        using TorchModel loaded = OnTorch(model);
        IDataView view = ((IDataGenerator)loaded.Transformer).Generate(Rows, Seed);
        string vector = ((VectorTransformer)model).State.Fields[0].Name;
        // All normal numbers of the block, then the uniform ones.
        var random = new SplitMix64(SplitMix64.Derive(Seed, RandomPurpose.Generation, 0));
        return (new() { [vector] = OnnxRun.Column(view, vector) }, (name, shape) =>
        {
            int width = shape.Dimensions[1];
            float[] values = new float[Rows * width];
            if (name == "random_normal")
                NormalNumbers.Fill(ref random, values);
            else if (name == "random_uniform")
                values = [.. values.Select(_ => (float)((random.Next() >> 40) * (1.0 / (1 << 24))))];
            else
                values = OnnxRun.Column(view, name);
            return OnnxRun.Tensor(shape.ElementDataType, [Rows, width], values);
        });
    }

    private static (Dictionary<string, float[]>, Func<string, NodeMetadata, OrtValue>) Denoised(VectorTransformer model)
    {
        var network = (DenoisingNetwork)model.State.Model.Network;
        int width = model.InputWidth;
        float[] Noisy(int numbers, float size) => [.. Enumerable.Range(0, numbers).Select(i => size * (1.1f + MathF.Sin(i)))];
        Dictionary<string, float[]> inputs = new()
        {
            ["noisy"] = Noisy(Rows * width, 1), ["level"] = Noisy(Rows, 0.5f), ["is_known"] = Noisy(Rows, 0), ["is_given"] = new float[Rows * width],
        };
        bool conditional = model.State.Fields.Count > 1;
        if (conditional)
            throw new NotSupportedException("A condition is given in other units than the network's.");
        float[][] given = [inputs["noisy"], inputs["level"], .. network.TakesGiven ? [inputs["is_given"]] : (float[][])[]];
        float[] clean = new float[Rows * width];
        using var engine = new TorchRows(new DenoisingNetwork.DenoisePass(network, conditional), model.State.Model.Weights, torch.CPU);
        engine.Run(Rows, [.. given.Select(g => (ReadOnlyMemory<float>)g)], [clean]);
        float[] inUnits = [.. clean];
        VectorNetwork.FeatureScaler(model.State.Model.Weights).Undo(inUnits);
        return (new() { ["clean"] = clean, [model.State.Fields[0].Name] = inUnits }, Floats(name => inputs[name]));
    }

    private static (Dictionary<string, float[]>, Func<string, NodeMetadata, OrtValue>) Language(TrainedLanguageModel model)
    {
        float[] logits = With(model.Weights, w => model.Network.Logits(w, model.Network.Hidden<TorchTensor>(w, Ids(0), torch.arange(Tokens))));
        return (new() { ["logits"] = logits }, Texts([]));
    }

    private static (Dictionary<string, float[]>, Func<string, NodeMetadata, OrtValue>) Masked(TrainedMaskedLanguageModel model)
    {
        float[] logits = With(model.Weights, w => model.Network.Logits(
            w, model.Network.States<TorchTensor>(w, Ids(0), torch.arange(Tokens)).Last));
        return (new() { ["logits"] = logits }, Texts([]));
    }

    private static (Dictionary<string, float[]>, Func<string, NodeMetadata, OrtValue>) Translated(
        TrainedSequenceToSequence model, OnnxContent content)
    {
        List<(float[] Values, long[] Shape)> kept = [];
        float[] logits = With(model.Weights, w =>
        {
            TorchTensor[] made = model.Network.Encode<TorchTensor>(
                w, Ids(0), torch.arange(Tokens), torch.ones(Rows / Tokens, Tokens));
            kept = [.. made.Select(m => (Values(m), ((torch.Tensor)m).shape))];
            return SequenceToSequenceNetwork.Logits(w, model.Network.Decode<TorchTensor>(w, Ids(1), torch.arange(Tokens), made));
        });
        string[] names =
            ["source.mask", .. Enumerable.Range(0, model.Network.Options.DecoderLayers).SelectMany(i => (string[])[$"source.{i}.key", $"source.{i}.value"])];
        Dictionary<string, (float[] Values, long[] Shape)> sources = names.Zip(kept).ToDictionary(n => n.First, n => n.Second);
        return (
            content == OnnxContent.Encode ? sources.ToDictionary(s => s.Key, s => s.Value.Values) : new() { ["logits"] = logits },
            Texts(sources));
    }

    // Texts of tokens that every vocabulary has, all of which count; behind none that were before.
    private static Func<string, NodeMetadata, OrtValue> Texts(Dictionary<string, (float[] Values, long[] Shape)> given) => (name, metadata) =>
    {
        const int texts = Rows / Tokens;
        if (given.TryGetValue(name, out (float[] Values, long[] Shape) value))
            return OrtValue.CreateTensorValueFromMemory(value.Values, value.Shape);
        if (metadata.ElementDataType == TensorElementType.Int64)
        {
            return OrtValue.CreateTensorValueFromMemory<long>(
                [
                    .. Enumerable.Range(0, texts * Tokens).Select(i => name switch
                    {
                        "attention_mask" => 1,
                        "token_type_ids" => 0,
                        "position_ids" => i % Tokens,
                        _ => Id(i, name == "decoder_input_ids" ? 1 : 0),
                    }),
                ],
                [texts, Tokens]);
        }
        int[] sizes = metadata.Dimensions;
        return sizes.Length == 2
            ? OrtValue.CreateTensorValueFromMemory(new float[texts * sizes[1]], [texts, sizes[1]])
            : OrtValue.CreateAllocatedTensorValue(OrtAllocator.DefaultInstance, TensorElementType.Float, [texts, sizes[1], 0, sizes[3]]);
    };

    private static long Id(int place, int text) => (place * 5 + place / Tokens + text) % 4;

    private static torch.Tensor Ids(int text) =>
        torch.tensor(Enumerable.Range(0, Rows).Select(i => Id(i, text)).ToArray(), [Rows / Tokens, Tokens]);

    private static float[] With(HostWeights weights, Func<Scope<TorchTensor>, TorchTensor> compute)
    {
        Dictionary<string, torch.Tensor> tensors = weights.ToTensors(torch.CPU);
        try
        {
            return Values(compute(new TorchOps(tensors).Root));
        }
        finally
        {
            foreach (torch.Tensor tensor in tensors.Values)
                tensor.Dispose();
        }
    }

    private static float[] Values(torch.Tensor tensor)
    {
        float[] values = new float[tensor.numel()];
        HostTensors.CopyTo(tensor, values);
        return values;
    }

    private static Func<string, NodeMetadata, OrtValue> Floats(Func<string, float[]> values) => (name, metadata) => OnnxRun.Tensor(
        metadata.ElementDataType, [Rows, .. metadata.Dimensions.Skip(1).Select(n => (long)n)], values(name));

    /// <summary>The same model in a world where ONNX Runtime is missing.</summary>
    private static TorchModel OnTorch(ITransformer model)
    {
        using var saved = new MemoryStream();
        new MLContext().Model.Save(model, null, saved);
        IDisposable pretence = NativeParts.Pretend(new DllNotFoundException("onnxruntime"), null);
        return new(new MLContext().Model.Load(saved, out _), pretence);
    }

    private sealed record TorchModel(ITransformer Transformer, IDisposable Pretence) : IDisposable
    {
        public void Dispose()
        {
            ((IDisposable)Transformer).Dispose();
            Pretence.Dispose();
        }
    }
}

/// <summary>ONNX files as others run them: by ONNX Runtime alone, by names.</summary>
internal static class OnnxRun
{
    /// <summary>All outputs by name, as numbers: of Booleans ones and zeros, of keys their numbers.</summary>
    public static Dictionary<string, float[]> Run(string path, Func<string, NodeMetadata, OrtValue> input)
    {
        using var session = new InferenceSession(path);
        OrtValue[] values = [.. session.InputNames.Select(name => input(name, session.InputMetadata[name]))];
        using var options = new RunOptions();
        using IDisposableReadOnlyCollection<OrtValue> results =
            session.Run(options, session.InputNames, values, session.OutputNames);
        var outputs = new Dictionary<string, float[]>();
        for (int i = 0; i < results.Count; i++)
        {
            if (session.OutputNames[i].StartsWith("mlnet.", StringComparison.Ordinal))
                continue; // where ML.NET puts names of slots
            outputs[session.OutputNames[i]] = results[i].GetTensorTypeAndShape().ElementDataType switch
            {
                TensorElementType.Bool => [.. results[i].GetTensorDataAsSpan<bool>().ToArray().Select(b => b ? 1f : 0f)],
                TensorElementType.UInt8 => [.. results[i].GetTensorDataAsSpan<byte>().ToArray().Select(key => (float)key)],
                TensorElementType.UInt32 => [.. results[i].GetTensorDataAsSpan<uint>().ToArray().Select(key => (float)key)],
                TensorElementType.Int64 => [.. results[i].GetTensorDataAsSpan<long>().ToArray().Select(key => (float)key)],
                _ => results[i].GetTensorDataAsSpan<float>().ToArray(),
            };
        }
        Array.ForEach(values, v => v.Dispose());
        return outputs;
    }

    /// <summary>Numbers as a tensor of a type.</summary>
    public static OrtValue Tensor(TensorElementType type, long[] shape, float[] values) => type switch
    {
        TensorElementType.Bool => OrtValue.CreateTensorValueFromMemory(Array.ConvertAll(values, v => v != 0), shape),
        TensorElementType.UInt8 => OrtValue.CreateTensorValueFromMemory(Array.ConvertAll(values, v => (byte)v), shape),
        TensorElementType.UInt32 => OrtValue.CreateTensorValueFromMemory(Array.ConvertAll(values, v => (uint)v), shape),
        _ => OrtValue.CreateTensorValueFromMemory(values, shape),
    };

    /// <summary>A column's numbers, row after row.</summary>
    public static float[] Column(IDataView view, string name) => view.Schema[name].Type switch
    {
        VectorDataViewType { ItemType.RawType: var item } when item == typeof(bool) =>
            [.. view.GetColumn<bool[]>(name).SelectMany(row => row).Select(b => b ? 1f : 0f)],
        VectorDataViewType { ItemType.RawType: var item } when item == typeof(uint) =>
            [.. view.GetColumn<uint[]>(name).SelectMany(row => row).Select(key => (float)key)],
        VectorDataViewType => [.. view.GetColumn<float[]>(name).SelectMany(row => row)],
        BooleanDataViewType => [.. view.GetColumn<bool>(name).Select(b => b ? 1f : 0f)],
        KeyDataViewType { RawType: var item } when item == typeof(byte) => [.. view.GetColumn<byte>(name).Select(key => (float)key)],
        KeyDataViewType => [.. view.GetColumn<uint>(name).Select(key => (float)key)],
        _ => [.. view.GetColumn<float>(name)],
    };

    /// <summary>The version of ONNX's operators that a file names: field 8 of the model, whose domain is empty, field 2 of that.</summary>
    public static long Opset(string path)
    {
        ReadOnlySpan<byte> file = File.ReadAllBytes(path);
        long? opset = null;
        while (file.Length > 0)
        {
            long field = Next(ref file, out ReadOnlySpan<byte> value);
            if (field != 8)
                continue;
            bool own = true;
            long version = 0;
            while (value.Length > 0)
            {
                long inner = Next(ref value, out ReadOnlySpan<byte> content);
                own &= inner != 1 || content.Length == 0;
                version = inner == 2 ? content[0] : version;
            }
            if (own)
                opset = opset is null ? version : throw new FormatException("two opsets");
        }
        return opset!.Value;
    }

    // A field of a message of Protocol Buffers: its number, and its bytes, or those of its number.
    private static long Next(ref ReadOnlySpan<byte> message, out ReadOnlySpan<byte> value)
    {
        long tag = Varint(ref message);
        ReadOnlySpan<byte> rest = message;
        int number = (int)Varint(ref message);
        bool isNumber = (tag & 7) == 0;
        value = isNumber ? rest[..^message.Length] : message[..number];
        message = isNumber ? message : message[number..];
        return tag >> 3;
    }

    private static long Varint(ref ReadOnlySpan<byte> message)
    {
        long value = 0;
        for (int shift = 0; ; shift += 7)
        {
            byte next = message[0];
            message = message[1..];
            value |= (long)(next & 127) << shift;
            if (next < 128)
                return value;
        }
    }
}
