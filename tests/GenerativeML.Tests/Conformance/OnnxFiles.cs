using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;

namespace GenerativeML.Tests.Conformance;

/// <summary>Runs ONNX files as others would: by ONNX Runtime alone, by names.</summary>
internal static class OnnxFiles
{
    /// <summary>Writes a model, and again after loading it, which gives the same file; and runs it.</summary>
    public static Dictionary<string, float[]> SaveAndRun(
        ITransformer model, OnnxContent? content, int rows, Func<string, int, float[]> input)
    {
        string folder = Directory.CreateTempSubdirectory("genml-onnx").FullName;
        try
        {
            string path = Path.Combine(folder, "model.onnx"), again = Path.Combine(folder, "again.onnx");
            model.SaveOnnx(path, content);
            using var saved = new MemoryStream();
            new MLContext().Model.Save(model, null, saved);
            ITransformer loaded = new MLContext().Model.Load(saved, out _);
            loaded.SaveOnnx(again, content);
            CollectionAssert.AreEqual(File.ReadAllBytes(path), File.ReadAllBytes(again));
            Assert.HasCount(2, Directory.GetFiles(folder), "something is left over");
            return Run(path, rows, input);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>
    /// All outputs of a file, by name, for inputs by name and width; of Booleans, ones and zeros; of keys, their numbers.
    /// </summary>
    public static Dictionary<string, float[]> Run(string path, int rows, Func<string, int, float[]> input)
    {
        using var session = new InferenceSession(path);
        Assert.AreEqual("", Foreign(path), "operations that are not ONNX's own");
        OrtValue[] values =
        [
            .. session.InputNames.Select(name => Tensor(
                session.InputMetadata[name].ElementDataType, [rows, .. session.InputMetadata[name].Dimensions.Skip(1).Select(n => (long)n)],
                input(name, session.InputMetadata[name].Dimensions.Skip(1).Aggregate(1, (product, n) => product * n)))),
        ];
        using var options = new RunOptions();
        using IDisposableReadOnlyCollection<OrtValue> results =
            session.Run(options, session.InputNames, values, session.OutputNames);
        var outputs = new Dictionary<string, float[]>();
        for (int i = 0; i < results.Count; i++)
        {
            if (session.OutputNames[i].StartsWith("mlnet.", StringComparison.Ordinal))
                continue; // where ML.NET puts names of slots
            Assert.AreEqual(rows, results[i].GetTensorTypeAndShape().Shape[0]);
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

    private static OrtValue Tensor(TensorElementType type, long[] shape, float[] values) => type switch
    {
        TensorElementType.Bool => OrtValue.CreateTensorValueFromMemory(Array.ConvertAll(values, v => v != 0), shape),
        TensorElementType.UInt8 => OrtValue.CreateTensorValueFromMemory(Array.ConvertAll(values, v => (byte)v), shape),
        TensorElementType.UInt32 => OrtValue.CreateTensorValueFromMemory(Array.ConvertAll(values, v => (uint)v), shape),
        _ => OrtValue.CreateTensorValueFromMemory(values, shape),
    };

    /// <summary>
    /// A chain converted by ML.NET gives its columns in ONNX Runtime, all rows at once, and in ML.NET's transformer of ONNX
    /// files, row by row.
    /// </summary>
    public static void AssertConverted(ITransformer chain, IDataView data, params IEnumerable<string> columns)
    {
        string path = Path.Combine(Path.GetTempPath(), $"genml-{Guid.NewGuid():N}.onnx");
        try
        {
            var ml = new MLContext();
            using (FileStream file = File.Create(path))
                ml.Model.ConvertToOnnx(chain, data, file);
            Assert.AreEqual(12, Opset(path));
            int rows = (int)data.GetRowCount()!.Value;
            Dictionary<string, float[]> outputs = Run(path, rows, (name, _) => Column(data, name));
            IDataView expected = chain.Transform(data);
            string[] all = [.. columns];
            using var applied = (IDisposable)ml.Transforms.ApplyOnnxModel(
                [.. all.Select(column => column + ".output")], [.. data.Schema.Select(c => c.Name)], path).Fit(data);
            IDataView theirs = ((ITransformer)applied).Transform(data);
            foreach (string column in all)
            {
                AssertClose(Column(expected, column), outputs[column + ".output"], column);
                AssertClose(Column(expected, column), Column(theirs, column), column + " by ML.NET");
            }
        }
        finally
        {
            File.Delete(path);
        }
    }

    /// <summary>
    /// ML.NET's own transformer of ONNX files gives a detector's scores and labels, where all that it reads are vectors of
    /// numbers.
    /// </summary>
    public static void AssertAppliedByMLNet(ITransformer model, IDataView data, IDataView expected)
    {
        string path = Path.Combine(Path.GetTempPath(), $"genml-{Guid.NewGuid():N}.onnx");
        try
        {
            model.SaveOnnx(path);
            string[] inputs;
            using (var session = new InferenceSession(path))
                inputs = [.. session.InputNames];
            if (!inputs.All(name => data.Schema[name].Type is VectorDataViewType))
                return;
            using var applied = (IDisposable)new MLContext().Transforms.ApplyOnnxModel(["Score", "PredictedLabel"], inputs, path).Fit(data);
            IDataView theirs = ((ITransformer)applied).Transform(data);
            AssertClose(Column(expected, "Score"), Column(theirs, "Score"), "Score");
            CollectionAssert.AreEqual(
                expected.GetColumn<bool>("PredictedLabel").ToArray(),
                theirs.GetColumn<bool[]>("PredictedLabel").Select(label => label[0]).ToArray());
        }
        finally
        {
            File.Delete(path);
        }
    }

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

    /// <summary>Equal to 1e-5 of their size, and of the usual size of their column; NaN where NaN is.</summary>
    public static void AssertClose(float[] expected, float[] actual, string column)
    {
        Assert.HasCount(expected.Length, actual, column);
        float usual = expected.Where(float.IsFinite).Select(Math.Abs).DefaultIfEmpty().Average();
        for (int i = 0; i < expected.Length; i++)
        {
            bool close = expected[i].Equals(actual[i])
                || Math.Abs(expected[i] - actual[i]) <= 1e-5f * (Math.Abs(expected[i]) + usual);
            Assert.IsTrue(close, $"{column}[{i}] is {actual[i]}, not {expected[i]}");
        }
    }

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

    private static string Foreign(string path) =>
        File.ReadAllBytes(path).AsSpan().IndexOf("com.microsoft"u8) >= 0 ? "com.microsoft" : "";
}
