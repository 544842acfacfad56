using System.Text;

namespace GenerativeML.Tests.Weights;

[TestClass]
public sealed class SafetensorsGoldenTests
{
    // Laid out by hand: elements of eight bytes before those of four; 140 bytes of JSON and 4 spaces.
    private const string Header =
        """
        {"__metadata__":{"format":"pt"},"n":{"dtype":"I64","shape":[],"data_offsets":[0,8]},"w":{"dtype":"F32","shape":[2,1],"data_offsets":[8,16]}}
        """;

    private static readonly byte[] Golden =
    [
        144, 0, 0, 0, 0, 0, 0, 0,
        .. Encoding.ASCII.GetBytes(Header + "    "),
        3, 0, 0, 0, 0, 0, 0, 0,
        0, 0, 128, 63, 0, 0, 0, 192,
    ];

    [TestMethod]
    public void The_writer_gives_the_golden_file_byte_for_byte()
    {
        byte[] file = SafetensorsFiles.Write(
            [
                (new TensorSpec("w", TensorType.F32, 2, 1), [0, 0, 128, 63, 0, 0, 0, 192]),
                (new TensorSpec("n", TensorType.I64), [3, 0, 0, 0, 0, 0, 0, 0]),
            ],
            new Dictionary<string, string> { ["format"] = "pt" });

        CollectionAssert.AreEqual(Golden, file);
    }

    [TestMethod]
    public void The_reader_understands_the_golden_file()
    {
        (SafetensorsReader header, Dictionary<string, byte[]> bytes) = SafetensorsFiles.Read(Golden);

        Assert.AreEqual("pt", header.Metadata["format"]);
        CollectionAssert.AreEqual(new[] { "n", "w" }, header.Tensors.Select(t => t.Spec.Name).ToArray());
        CollectionAssert.AreEqual(new[] { 2L, 1L }, header.ByName["w"].Spec.Shape.ToArray());
        CollectionAssert.AreEqual(Array.Empty<long>(), header.ByName["n"].Spec.Shape.ToArray());
        CollectionAssert.AreEqual(new byte[] { 0, 0, 128, 63, 0, 0, 0, 192 }, bytes["w"]);
        CollectionAssert.AreEqual(new byte[] { 3, 0, 0, 0, 0, 0, 0, 0 }, bytes["n"]);
    }

    [TestMethod]
    public void A_file_without_tensors_is_a_padded_pair_of_braces()
    {
        byte[] file = SafetensorsFiles.Write([]);

        byte[] expected = [8, 0, 0, 0, 0, 0, 0, 0, .. "{}      "u8];
        CollectionAssert.AreEqual(expected, file);
        Assert.IsEmpty(SafetensorsFiles.Read(file).File.Tensors);
    }

    [TestMethod]
    public void Order_of_arrival_does_not_change_the_file()
    {
        (TensorSpec, byte[])[] tensors =
        [
            (new TensorSpec("b", TensorType.F32, 1), [1, 2, 3, 4]),
            (new TensorSpec("a", TensorType.F32, 1), [5, 6, 7, 8]),
            (new TensorSpec("c", TensorType.F64, 0, 3), []),
            (new TensorSpec("d", TensorType.BOOL, 3), [0, 1, 1]),
        ];
        var notes = new Dictionary<string, string> { ["x"] = "1", ["y"] = "2" };

        byte[] there = SafetensorsFiles.Write(tensors, notes);
        byte[] back = SafetensorsFiles.Write(tensors.Reverse(), new Dictionary<string, string>(notes.Reverse()));

        CollectionAssert.AreEqual(there, back);
        string[] order = [.. SafetensorsFiles.Read(there).File.Tensors.Select(t => t.Spec.Name)];
        CollectionAssert.AreEqual(new[] { "c", "a", "b", "d" }, order);
    }

    [TestMethod]
    public void Tensors_may_be_named_in_another_order_than_their_data()
    {
        byte[] file = SafetensorsFiles.Build(
            """
            {"a":{"dtype":"U8","shape":[1],"data_offsets":[2,3]},
             "b":{"shape":[2],"data_offsets":[0,2],"dtype":"U8"}}
            """u8,
            [7, 8, 9]);

        (SafetensorsReader header, Dictionary<string, byte[]> bytes) = SafetensorsFiles.Read(file);

        CollectionAssert.AreEqual(new[] { "b", "a" }, header.Tensors.Select(t => t.Spec.Name).ToArray());
        CollectionAssert.AreEqual(new byte[] { 9 }, bytes["a"]);
        CollectionAssert.AreEqual(new byte[] { 7, 8 }, bytes["b"]);
    }

    [TestMethod]
    public void Bytes_of_a_tensor_can_be_read_in_pieces_and_in_any_order()
    {
        SafetensorsReader reader = SafetensorsReader.Open(new MemoryStream(Golden));
        var piece = new byte[4];

        reader.Read(reader.ByName["w"], 4, piece);
        CollectionAssert.AreEqual(new byte[] { 0, 0, 0, 192 }, piece);
        reader.Read(reader.ByName["n"], 0, piece);
        CollectionAssert.AreEqual(new byte[] { 3, 0, 0, 0 }, piece);
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => reader.Read(reader.ByName["w"], 5, piece));
    }

    [TestMethod]
    public void The_file_may_start_in_the_middle_of_a_stream()
    {
        using var stream = new MemoryStream([1, 2, 3, .. Golden]) { Position = 3 };
        SafetensorsReader reader = SafetensorsReader.Open(stream);
        var bytes = new byte[8];

        reader.Read(reader.ByName["w"], 0, bytes);

        CollectionAssert.AreEqual(new byte[] { 0, 0, 128, 63, 0, 0, 0, 192 }, bytes);
    }

    [TestMethod]
    public void The_writer_takes_pieces_and_refuses_lost_bytes_and_too_many()
    {
        TensorSpec[] tensors = [new TensorSpec("a", TensorType.U8, 2), new TensorSpec("b", TensorType.U8, 1)];
        foreach (int length in new[] { 0, 1, 2, 3 })
        {
            using var stream = new MemoryStream();
            void Write() => SafetensorsWriter.Write(stream, tensors, (spec, write) =>
            {
                for (int i = 0; i < (spec.Name == "a" ? length : 1); i++)
                    write([(byte)(i + 1)]);
            });

            if (length == 2)
            {
                Write();
                CollectionAssert.AreEqual(new byte[] { 1, 2, 1 }, stream.ToArray()[^3..]);
            }
            else
            {
                Assert.ThrowsExactly<InvalidOperationException>(Write);
            }
        }
    }

    [TestMethod]
    [DataRow("__metadata__")]
    [DataRow("taken")]
    [DataRow("half of a pair")]
    public void The_writer_refuses_a_name_that_no_reader_would_take(string name)
    {
        // An attribute cannot hold half of a surrogate pair itself.
        name = name == "half of a pair" ? ((char)0xD800).ToString() : name;
        TensorSpec[] tensors = [new TensorSpec("taken", TensorType.U8), new TensorSpec(name, TensorType.U8)];

        Assert.Throws<ArgumentException>(() => SafetensorsWriter.Write(new MemoryStream(), tensors, (_, write) => write([0])));
    }
}
