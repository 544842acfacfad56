using System.Text;

namespace GenerativeML.Tests.Weights;

/// <summary>Every way of being unsound is refused with a message that says which.</summary>
[TestClass]
public sealed class SafetensorsRejectionTests
{
    [TestMethod]
    [DataRow(0)]
    [DataRow(7)]
    public void A_file_shorter_than_its_prefix(int length) =>
        Refused(new byte[length], $"it has {length} bytes");

    [TestMethod]
    [DataRow(8_388_609UL, "8388609, and 8388608 bytes are allowed")]
    [DataRow(ulong.MaxValue, "18446744073709551615, and 8388608 bytes are allowed")]
    [DataRow(1UL << 63, "are allowed")]
    [DataRow(3UL, "the header's length is 3, and 2 bytes follow")]
    [DataRow(8_388_608UL, "the header's length is 8388608, and 2 bytes follow")]
    [DataRow(0UL, "does not start with '{'")]
    [DataRow(1UL, "not valid JSON")]
    public void A_header_length_that_cannot_be(ulong length, string reason) =>
        Refused(SafetensorsFiles.Build("{}", headerLength: length), reason);

    [TestMethod]
    [DataRow(" {}", "does not start with '{'")]
    [DataRow("[]", "does not start with '{'")]
    [DataRow("\ufeff{}", "does not start with '{'")]
    [DataRow("{", "not valid JSON")]
    [DataRow("{}}", "not valid JSON")]
    [DataRow("{} {}", "not valid JSON")]
    [DataRow("{}\0", "not valid JSON")]
    [DataRow("{/**/}", "not valid JSON")]
    [DataRow("""{"a":{"dtype":"U8","shape":[],"data_offsets":[0,1]},}""", "not valid JSON")]
    [DataRow("{'a':1}", "not valid JSON")]
    [DataRow("""{"a":1}""", "tensor 'a' is not an object")]
    [DataRow("""{"a":null}""", "tensor 'a' is not an object")]
    [DataRow("""{"a":[[[[[[[[[[[[""", "tensor 'a' is not an object")]
    [DataRow("""{"__metadata__":{"\ud800":"x"}}""", "not valid Unicode")]
    public void A_header_that_is_not_the_formats_JSON(string header, string reason) =>
        Refused(SafetensorsFiles.Build(header), reason);

    [TestMethod]
    public void A_header_that_is_not_UTF_8() =>
        Refused(SafetensorsFiles.Build([(byte)'{', (byte)'"', 0xC3, 0x28, (byte)'"'], []), "not valid UTF-8");

    [TestMethod]
    [DataRow("1")]
    [DataRow("[]")]
    [DataRow("null")]
    [DataRow("\"x\"")]
    public void Metadata_that_is_not_an_object(string value) =>
        Refused(SafetensorsFiles.Build($$$"""{"__metadata__":{{{value}}}}"""), "__metadata__ is not an object");

    [TestMethod]
    [DataRow("1")]
    [DataRow("null")]
    [DataRow("{}")]
    [DataRow("[\"x\"]")]
    public void Metadata_that_is_not_text(string value) =>
        Refused(SafetensorsFiles.Build($$$"""{"__metadata__":{"k":{{{value}}}}}"""), "__metadata__ 'k' is not a text");

    [TestMethod]
    [DataRow("""{"__metadata__":{},"__metadata__":{}}""", "__metadata__ appears twice")]
    [DataRow("""{"__metadata__":{"a":"1","\u0061":"1"}}""", "__metadata__ 'a' appears twice")]
    [DataRow(
        """{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}""",
        "tensor 'a' appears twice")]
    [DataRow(
        """
        {"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"\u0061":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}
        """,
        "tensor 'a' appears twice")]
    public void A_key_that_appears_twice(string header, string reason) =>
        Refused(SafetensorsFiles.Build(header), reason);

    [TestMethod]
    [DataRow("""{}""", "needs dtype, shape and two data_offsets")]
    [DataRow("""{"dtype":"U8","shape":[1]}""", "needs dtype, shape and two data_offsets")]
    [DataRow("""{"dtype":"U8","data_offsets":[0,1]}""", "needs dtype, shape and two data_offsets")]
    [DataRow("""{"shape":[1],"data_offsets":[0,1]}""", "needs dtype, shape and two data_offsets")]
    [DataRow("""{"dtype":"U8","shape":[1],"data_offsets":[0]}""", "needs dtype, shape and two data_offsets")]
    [DataRow("""{"dtype":"U8","shape":[1],"data_offsets":[0,1,1]}""", "more than 2 numbers")]
    [DataRow("""{"dtype":"U8","shape":[1],"data_offsets":[0,1],"strides":[1]}""", "unknown or appears twice")]
    [DataRow("""{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}""", "unknown or appears twice")]
    [DataRow("""{"dtype":"U8","shape":[1],"shape":[1],"data_offsets":[0,1]}""", "unknown or appears twice")]
    [DataRow("""{"dtype":"U8","shape":[1],"data_offsets":[0,1],"data_offsets":[0,1]}""", "unknown or appears twice")]
    [DataRow("""{"Dtype":"U8","shape":[1],"data_offsets":[0,1]}""", "unknown or appears twice")]
    [DataRow("""{"dtype":"u8","shape":[1],"data_offsets":[0,1]}""", "dtype 'u8' of tensor 't' is unknown")]
    [DataRow("""{"dtype":"F4","shape":[1],"data_offsets":[0,1]}""", "dtype 'F4' of tensor 't' is unknown")]
    [DataRow("""{"dtype":"","shape":[1],"data_offsets":[0,1]}""", "dtype '' of tensor 't' is unknown")]
    [DataRow("""{"dtype":1,"shape":[1],"data_offsets":[0,1]}""", "dtype of tensor 't' is not a text")]
    [DataRow("""{"dtype":"U8","shape":1,"data_offsets":[0,1]}""", "the shape of tensor 't' is not an array")]
    [DataRow("""{"dtype":"U8","shape":[1],"data_offsets":{}}""", "data_offsets of tensor 't' is not an array")]
    public void A_tensor_that_is_not_described_as_it_should_be(string tensor, string reason) =>
        Refused(SafetensorsFiles.Build($$$"""{"t":{{{tensor}}}}""", 1), reason);

    [TestMethod]
    [DataRow("-1")]
    [DataRow("-0")]
    [DataRow("1.0")]
    [DataRow("1e0")]
    [DataRow("9223372036854775808")]
    [DataRow("18446744073709551617")]
    [DataRow("\"1\"")]
    [DataRow("null")]
    [DataRow("[1]")]
    public void A_number_that_is_not_a_whole_one(string number)
    {
        Refused(
            SafetensorsFiles.Build($$$"""{"t":{"dtype":"U8","shape":[{{{number}}}],"data_offsets":[0,1]}}""", 1),
            "the shape of tensor 't' holds something other than whole numbers");
        Refused(
            SafetensorsFiles.Build($$$"""{"t":{"dtype":"U8","shape":[1],"data_offsets":[0,{{{number}}}]}}""", 1),
            "data_offsets of tensor 't' holds something other than whole numbers");
    }

    [TestMethod]
    [DataRow("F32", "4611686018427387904")]
    [DataRow("U8", "4294967296,4294967296")]
    [DataRow("U8", "9223372036854775807,2")]
    [DataRow("U8", "0,9223372036854775807,9223372036854775807")]
    public void A_shape_whose_size_overflows(string type, string shape) =>
        Refused(
            SafetensorsFiles.Build($$$"""{"t":{"dtype":"{{{type}}}","shape":[{{{shape}}}],"data_offsets":[0,0]}}"""),
            "of tensor 't' is too large");

    [TestMethod]
    public void A_shape_of_more_dimensions_than_a_tensor_has()
    {
        string shape = string.Join(',', Enumerable.Repeat(1, 65));

        Refused(
            SafetensorsFiles.Build($$$"""{"t":{"dtype":"U8","shape":[{{{shape}}}],"data_offsets":[0,1]}}""", 1),
            "more than 64 numbers");
    }

    [TestMethod]
    [DataRow("F32", "1", 0, 3)]
    [DataRow("F32", "1", 0, 5)]
    [DataRow("F32", "", 0, 0)]
    [DataRow("U8", "2", 1, 0)]
    [DataRow("BF16", "2,2", 0, 16)]
    [DataRow("U8", "0", 0, 1)]
    public void Offsets_that_are_not_type_times_shape(string type, string shape, int begin, int end) =>
        Refused(
            SafetensorsFiles.Build(
                $$$"""{"t":{"dtype":"{{{type}}}","shape":[{{{shape}}}],"data_offsets":[{{{begin}}},{{{end}}}]}}""",
                Math.Max(begin, end)),
            $"and its data_offsets are {begin} to {end}");

    [TestMethod]
    [DataRow(0, 2, 3, 4, 4, "tensor 'b' starts at 3, after a hole: 2 was expected", DisplayName = "hole")]
    [DataRow(0, 2, 1, 2, 2, "tensor 'b' starts at 1, inside another tensor: 2 was expected", DisplayName = "overlap")]
    [DataRow(0, 2, 0, 2, 2, "starts at 0, inside another tensor: 2 was expected", DisplayName = "shared")]
    [DataRow(1, 2, 2, 3, 3, "tensor 'a' starts at 1, after a hole: 0 was expected", DisplayName = "hole first")]
    [DataRow(0, 1, 1, 2, 3, "the tensors take 2 bytes, and 3 bytes follow the header", DisplayName = "rest")]
    [DataRow(0, 1, 1, 3, 2, "the tensors take 3 bytes, and 2 bytes follow the header", DisplayName = "beyond the end")]
    public void Data_that_is_not_covered_once(int aBegin, int aEnd, int bBegin, int bEnd, int length, string reason) =>
        Refused(
            SafetensorsFiles.Build(
                $$$"""
                {"a":{"dtype":"U8","shape":[{{{aEnd - aBegin}}}],"data_offsets":[{{{aBegin}}},{{{aEnd}}}]},
                 "b":{"dtype":"U8","shape":[{{{bEnd - bBegin}}}],"data_offsets":[{{{bBegin}}},{{{bEnd}}}]}}
                """,
                length),
            reason);

    [TestMethod]
    public void An_empty_tensor_inside_another() =>
        Refused(
            SafetensorsFiles.Build(
                """
                {"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"e":{"dtype":"U8","shape":[0],"data_offsets":[1,1]}}
                """,
                2),
            "the data of tensor 'e' starts at 1, inside another tensor");

    [TestMethod]
    public void A_terabyte_that_is_not_there() =>
        Refused(
            SafetensorsFiles.Build("""{"t":{"dtype":"U8","shape":[1099511627776],"data_offsets":[0,1099511627776]}}"""),
            "the tensors take 1099511627776 bytes, and 0 bytes follow the header");

    [TestMethod]
    public void A_name_in_a_message_is_short_and_harmless()
    {
        string name = "\\u001b[31m" + new string('x', 10_000);

        FormatException refusal = Refused(SafetensorsFiles.Build($$$"""{"{{{name}}}":1}"""), "tensor '?[31mxxx");

        Assert.IsLessThan(250, refusal.Message.Length);
    }

    [TestMethod]
    public void Names_that_a_model_does_not_have_are_listed()
    {
        SafetensorsReader header = SafetensorsFiles.Read(SafetensorsFiles.Write(
            [(new TensorSpec("a", TensorType.U8), [1]), (new TensorSpec("b", TensorType.U8), [2])])).File;

        header.Require([new TensorSpec("b", TensorType.U8), new TensorSpec("a", TensorType.U8)]);
        Says("missing 'c'; unexpected 'a'", () =>
            header.Require([new TensorSpec("b", TensorType.U8), new TensorSpec("c", TensorType.U8)]));
        Says("unexpected 'a', 'b'", () => header.Require([]));
        IEnumerable<TensorSpec> more = Enumerable.Range(0, 9).Select(i => new TensorSpec($"t{i}", TensorType.U8));
        Says("missing 't0', 't1', 't2', 't3', 't4' and 4 more", () =>
            header.Require([.. header.Tensors.Select(t => t.Spec), .. more]));
        Says("tensor 'a' should be U8 [1] and is U8 []", () =>
            header.Require([new TensorSpec("a", TensorType.U8, 1), new TensorSpec("b", TensorType.U8)]));
        Says("tensor 'b' should be I8 [] and is U8 []", () =>
            header.Require([new TensorSpec("a", TensorType.U8), new TensorSpec("b", TensorType.I8)]));
    }

    [TestMethod]
    public void A_stream_that_ends_before_its_length()
    {
        byte[] file = SafetensorsFiles.Write([(new TensorSpec("a", TensorType.U8, 4), [1, 2, 3, 4])]);

        Says("ends earlier", () => SafetensorsReader.Open(new CutStream(file[..20], file.Length)));
        SafetensorsReader reader = SafetensorsReader.Open(new CutStream(file[..^1], file.Length));
        Says("ends earlier", () => reader.Read(reader.Tensors[0], 0, new byte[4]));
    }

    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public void The_longest_header_takes_fifteen_times_its_length_at_most(bool metadata)
    {
        var json = new StringBuilder(metadata ? """{"__metadata__":{""" : "{");
        for (int i = 0; json.Length < SafetensorsReader.MaxHeaderLength - 100; i++)
        {
            json.Append(i == 0 ? "" : ",").Append('"').Append(i).Append("\":");
            json.Append(metadata ? "\"\"" : """{"dtype":"U8","shape":[0],"data_offsets":[0,0]}""");
        }
        byte[] file = SafetensorsFiles.Build(json.Append(metadata ? "}}" : "}").ToString());
        long before = GC.GetAllocatedBytesForCurrentThread();

        SafetensorsReader.Open(new MemoryStream(file));

        Assert.IsLessThan(15L * file.Length, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    private static FormatException Refused(byte[] file, string reason) =>
        Says(reason, () => SafetensorsReader.Open(new MemoryStream(file)));

    private static FormatException Says(string reason, Action action)
    {
        FormatException refusal = Assert.ThrowsExactly<FormatException>(action);
        Assert.Contains(reason, refusal.Message);
        return refusal;
    }

    /// <summary>A file that is longer when its length is asked for than when it is read.</summary>
    private sealed class CutStream(byte[] bytes, long length) : MemoryStream(bytes)
    {
        public override long Length => length;
    }
}
