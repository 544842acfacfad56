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
            .. session.InputNames.Select(name => (name, width: session.InputMetadata[name].Dimensions[1]))
                .Select(i => OrtValue.CreateTensorValueFromMemory(input(i.name, i.width), [rows, i.width])),
        ];
        using var options = new RunOptions();
        using IDisposableReadOnlyCollection<OrtValue> results =
            session.Run(options, session.InputNames, values, session.OutputNames);
        var outputs = new Dictionary<string, float[]>();
        for (int i = 0; i < results.Count; i++)
        {
            Assert.AreEqual(rows, results[i].GetTensorTypeAndShape().Shape[0]);
            outputs[session.OutputNames[i]] = results[i].GetTensorTypeAndShape().ElementDataType switch
            {
                TensorElementType.Bool => [.. results[i].GetTensorDataAsSpan<bool>().ToArray().Select(b => b ? 1f : 0f)],
                TensorElementType.Int64 => [.. results[i].GetTensorDataAsSpan<long>().ToArray().Select(key => (float)key)],
                _ => results[i].GetTensorDataAsSpan<float>().ToArray(),
            };
        }
        Array.ForEach(values, v => v.Dispose());
        return outputs;
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
        VectorDataViewType => [.. view.GetColumn<float[]>(name).SelectMany(row => row)],
        BooleanDataViewType => [.. view.GetColumn<bool>(name).Select(b => b ? 1f : 0f)],
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

    private static string Foreign(string path) =>
        File.ReadAllBytes(path).AsSpan().IndexOf("com.microsoft"u8) >= 0 ? "com.microsoft" : "";
}
