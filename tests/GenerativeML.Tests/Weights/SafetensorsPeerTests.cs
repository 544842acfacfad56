using System.Text.Json;
using GenerativeML.Tests;
using TorchSharp;
using static TorchSharp.torch;

namespace GenerativeML.Tests.Weights;

/// <summary>
/// Files travel between this library and PyTorch, both ways, by an implementation of the format of its own.
/// </summary>
[TestClass]
public sealed class SafetensorsPeerTests
{
    private const string Peer = "safetensors_peer.py";

    private static readonly ScalarType[] Types =
    [
        ScalarType.Bool, ScalarType.Byte, ScalarType.Int8, ScalarType.Int16, ScalarType.Int32, ScalarType.Int64,
        ScalarType.Float16, ScalarType.BFloat16, ScalarType.Float32, ScalarType.Float64,
    ];

    private readonly string _folder = Directory.CreateTempSubdirectory("generativeml-").FullName;

    [TestCleanup]
    public void Cleanup() => Directory.Delete(_folder, recursive: true);

    [TestMethod]
    public void PyTorch_reads_every_type_as_it_was_meant_and_what_it_writes_comes_back_the_same()
    {
        using DisposeScope scope = NewDisposeScope();
        List<(string Name, Tensor Value)> everything = Everything();
        AtomicFile.Write(PathOf("ours"), s => TensorFile.Save(s, everything, Notes()));

        using var told = JsonDocument.Parse(TorchPeer.Run(Peer, "copy", PathOf("ours"), PathOf("theirs")));

        Assert.AreEqual("ä \"1\"\n", told.RootElement.GetProperty("notes").GetProperty("ключ").GetString());
        foreach ((string name, Tensor value) in everything)
        {
            JsonElement theirs = told.RootElement.GetProperty("tensors").GetProperty(name);
            double[] values = value.to(ScalarType.Float64).reshape(-1).data<double>().ToArray();
            long[] shape = [.. theirs.GetProperty("shape").EnumerateArray().Select(n => n.GetInt64())];
            CollectionAssert.AreEqual(value.shape, shape, name);
            CollectionAssert.AreEqual(values, Numbers(theirs.GetProperty("values")), name);
        }

        using FileStream file = File.OpenRead(PathOf("theirs"));
        (string Name, Tensor Value)[] read =
            [.. everything.Select(t => (t.Name, zeros(t.Value.shape, t.Value.dtype)))];
        IReadOnlyDictionary<string, string> notes = TensorFile.Load(file, read);
        CollectionAssert.AreEquivalent(Notes().ToArray(), notes.ToArray());
        foreach (((string name, Tensor value), (_, Tensor found)) in everything.Zip(read))
            Assert.IsTrue(value.Equals(found), name);
    }

    [TestMethod]
    public void A_state_dict_travels_both_ways()
    {
        using DisposeScope scope = NewDisposeScope();
        (float[] input, float[] output) = Pass(TorchPeer.Run(Peer, "network", PathOf("theirs")));
        (string Name, Tensor Value)[] network =
            [("0.weight", zeros(4, 5)), ("0.bias", zeros(4)), ("2.weight", zeros(3, 4)), ("2.bias", zeros(3))];

        using (FileStream file = File.OpenRead(PathOf("theirs")))
            TensorFile.Load(file, network);
        Tensor x = tensor(input).reshape(2, 5);
        Tensor hidden = x.matmul(network[0].Value.t()).add(network[1].Value).relu();
        Tensor y = hidden.matmul(network[2].Value.t()).add(network[3].Value);
        AssertClose(output, y.reshape(-1).data<float>().ToArray());

        // Other weights, whose output is known too: doubling the last layer doubles it.
        network[2].Value.mul_(2);
        network[3].Value.mul_(2);
        AtomicFile.Write(PathOf("ours"), s => TensorFile.Save(s, network));
        (_, float[] doubled) = Pass(TorchPeer.Run(Peer, "forward", PathOf("ours")));
        AssertClose([.. output.Select(v => 2 * v)], doubled);
    }

    private string PathOf(string name) => Path.Combine(_folder, name + ".safetensors");

    private static Dictionary<string, string> Notes() => new() { ["format"] = "pt", ["ключ"] = "ä \"1\"\n" };

    private static List<(string Name, Tensor Value)> Everything() =>
    [
        .. Types.Select(t => ($"{t}", tensor([0f, 1f, 1f, 0f, 2f, 100f]).to(t).reshape(2, 3))),
        ("a \"quoted\\name\" 🙂", tensor([-1.5f, float.MaxValue, 1e-40f])),
        ("scalar", tensor(7L)),
        ("empty", zeros([2, 0])),
    ];

    private static (float[] Input, float[] Output) Pass(string json)
    {
        using var told = JsonDocument.Parse(json);
        return (Singles(told.RootElement.GetProperty("input")), Singles(told.RootElement.GetProperty("output")));

        static float[] Singles(JsonElement list) => [.. Numbers(list).Select(n => (float)n)];
    }

    private static double[] Numbers(JsonElement list) => [.. list.EnumerateArray().Select(n => n.GetDouble())];

    private static void AssertClose(float[] expected, float[] actual)
    {
        Assert.HasCount(expected.Length, actual);
        for (int i = 0; i < expected.Length; i++)
            Assert.AreEqual(expected[i], actual[i], 1e-5f);
    }
}
