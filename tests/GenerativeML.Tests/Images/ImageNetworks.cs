namespace GenerativeML.Tests.Images;

/// <summary>Files of small networks of images, as users would have them from elsewhere.</summary>
internal static class ImageNetworks
{
    private static readonly Lazy<string> s_halvings = new(() => Write("halvings.onnx", x => Halvings(x, 16)));

    /// <summary>
    /// A file of a network of 16 × 16 pixels whose means of 2 × 2 are taken four times, each followed by a ReLU: the last of stride 8
    /// is 2 × 2, the last of stride 16 is one pixel. Behind them is a sum of all.
    /// </summary>
    public static string HalvingsPath => s_halvings.Value;

    /// <summary>Writes a network that takes <c>image</c>, (1, channels, side, side).</summary>
    public static string Write(
        string name, Func<OnnxTensor, IEnumerable<OnnxTensor>> network, int channels = 3, int side = 16, int opset = OnnxFile.Opset)
    {
        string path = Path.Combine(Directory.CreateTempSubdirectory("generativeml-").FullName, name);
        var graph = new OnnxGraph(new HostWeights([])) { Opset = opset };
        foreach (OnnxTensor output in network(graph.Input("image", OnnxType.Float, 1, channels, side, side)))
            graph.Output(output);
        File.WriteAllBytes(path, graph.ToFile(long.MaxValue).File);
        return path;
    }

    private static IEnumerable<OnnxTensor> Halvings(OnnxTensor x, int stride)
    {
        for (int i = 1; i < stride; i *= 2)
            x = x.Halved().Apply(Function.Relu);
        yield return x.Reshape(1, 3).Reduce(Reduction.Sum, 1) * 12345f;
    }
}
