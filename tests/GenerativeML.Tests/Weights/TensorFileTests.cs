using TorchSharp;
using static TorchSharp.torch;

namespace GenerativeML.Tests.Weights;

[TestClass]
public sealed class TensorFileTests
{
    private static readonly ScalarType[] Types =
    [
        ScalarType.Bool, ScalarType.Byte, ScalarType.Int8, ScalarType.Int16, ScalarType.Int32, ScalarType.Int64,
        ScalarType.Float16, ScalarType.BFloat16, ScalarType.Float32, ScalarType.Float64,
    ];

    [TestMethod]
    public void Tensors_of_every_type_come_back_into_tensors_that_are_there()
    {
        using DisposeScope scope = NewDisposeScope();
        (string Name, Tensor Value)[] saved = [.. Types.Select(t => (t.ToString(), Numbered(t, 2, 3)))];
        (string Name, Tensor Value)[] loaded = [.. Types.Select(t => (t.ToString(), zeros([2, 3], t)))];

        IReadOnlyDictionary<string, string> notes =
            TensorFile.Load(Save(saved, new() { ["format"] = "pt" }), loaded);

        Assert.AreEqual("pt", notes["format"]);
        for (int i = 0; i < Types.Length; i++)
            Assert.IsTrue(saved[i].Value.Equals(loaded[i].Value), saved[i].Name);
    }

    [TestMethod]
    public void Tensors_of_every_type_and_shape_come_back()
    {
        using DisposeScope scope = NewDisposeScope();
        long[][] shapes = [[], [0], [1], [2, 0, 3], [2, 3, 4]];
        (string Name, Tensor Value)[] saved =
            [.. Types.SelectMany(t => shapes.Select((s, i) => ($"{t} {i}", Numbered(t, s))))];

        Dictionary<string, Tensor> read = Copy(saved);

        foreach ((string name, Tensor value) in saved)
            Assert.IsTrue(value.Equals(read[name]), name);
    }

    [TestMethod]
    public void A_tensor_that_travels_in_several_pieces_comes_back()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor value = Numbered(ScalarType.Int64, 3, 500_001);

        Dictionary<string, Tensor> read = Copy([("value", value), ("b", ones(3))]);

        Assert.IsTrue(value.Equals(read["value"]));
    }

    [TestMethod]
    public void A_view_is_saved_by_its_values()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor whole = Numbered(ScalarType.Float32, 3, 4);
        Tensor turned = whole.t();
        Tensor part = whole.narrow(0, 1, 2);

        Dictionary<string, Tensor> read = Copy([("turned", turned), ("part", part)]);

        Assert.IsTrue(turned.Equals(read["turned"]));
        Assert.IsTrue(part.Equals(read["part"]));
    }

    [TestMethod]
    public void Parameters_are_loaded_in_place_and_still_learn()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor weight = zeros(2, 3).requires_grad_();

        TensorFile.Load(Save([("weight", Numbered(ScalarType.Float32, 2, 3))]), [("weight", weight)]);
        weight.sum().backward();

        Assert.IsTrue(weight.is_leaf);
        Assert.IsTrue(weight.detach().Equals(Numbered(ScalarType.Float32, 2, 3)));
        Assert.IsNotNull(weight.grad);
    }

    [TestMethod]
    [DataRow("b", 3L, ScalarType.Float32, "missing 'b'; unexpected 'c'")]
    [DataRow("c", 4L, ScalarType.Float32, "tensor 'c' should be F32 [4] and is F32 [3]")]
    [DataRow("c", 3L, ScalarType.Float64, "tensor 'c' should be F64 [3] and is F32 [3]")]
    public void Other_weights_are_refused_and_change_nothing(string name, long size, ScalarType type, string reason)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor a = zeros(2);
        Tensor other = zeros([size], type);

        FormatException refusal = Assert.ThrowsExactly<FormatException>(() => TensorFile.Load(
            Save([("a", ones(2)), ("c", ones(3))]), [("a", a), (name, other)]));

        Assert.Contains(reason, refusal.Message);
        Assert.AreEqual(0f, a.sum().item<float>());
    }

    [TestMethod]
    public void A_file_that_fails_at_its_end_changes_nothing()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor first = zeros(2);
        Tensor last = zeros([2], ScalarType.Bool);
        byte[] file = Save([("first", ones(2)), ("last", ones([2], ScalarType.Bool))]).ToArray();
        file[^1] = 2;

        FormatException refusal = Assert.ThrowsExactly<FormatException>(() => TensorFile.Load(
            new MemoryStream(file), [("first", first), ("last", last)]));

        Assert.Contains("tensor 'last' is BOOL and has bytes other than 0 and 1", refusal.Message);
        Assert.AreEqual(0f, first.sum().item<float>());
    }

    [TestMethod]
    public void No_tensor_is_left_behind()
    {
        using Tensor value = ones(2, 3), target = zeros(2, 3), flag = zeros([1], ScalarType.Bool);
        byte[] broken = Save([("a", value), ("flag", flag)]).ToArray();
        broken[^1] = 2;
        long before = Tensor.TotalCount;

        TensorFile.Load(Save([("a", value)]), [("a", target)]);
        Assert.ThrowsExactly<FormatException>(
            () => TensorFile.Load(new MemoryStream(broken), [("a", target), ("flag", flag)]));

        Assert.AreEqual(before, Tensor.TotalCount);
    }

    // Saved, and loaded into tensors of zeros of the same types and shapes.
    private static Dictionary<string, Tensor> Copy((string Name, Tensor Value)[] tensors)
    {
        var copies = tensors.ToDictionary(t => t.Name, t => zeros(t.Value.shape, t.Value.dtype));
        TensorFile.Load(Save(tensors), [.. copies.Select(t => (t.Key, t.Value))]);
        return copies;
    }

    private static MemoryStream Save(
        IEnumerable<(string Name, Tensor Value)> tensors, Dictionary<string, string>? notes = null)
    {
        var stream = new MemoryStream();
        TensorFile.Save(stream, tensors, notes);
        stream.Position = 0;
        return stream;
    }

    // 0, 1, 2, …: every type has them exactly, with booleans taking all but the first for true.
    private static Tensor Numbered(ScalarType type, params long[] shape)
    {
        long count = shape.Aggregate(1L, (a, b) => a * b);
        return arange(count, dtype: ScalarType.Int64).to(type).reshape(shape);
    }
}
