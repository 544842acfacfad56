using System.Buffers.Binary;
using System.Text;
using System.Text.Json;
using FsCheck;
using FsCheck.Fluent;

namespace GenerativeML.Tests.Weights;

/// <summary>What is written is what is read, for any names, types, shapes, contents and notes.</summary>
[TestClass]
public sealed class SafetensorsRoundTripTests
{
    private static readonly Config Tries = Config.QuickThrowOnFailure.WithMaxTest(300);

    [TestMethod]
    public void Tensors_and_notes_come_back() => ForAll(content =>
    {
        (SafetensorsReader header, Dictionary<string, byte[]> bytes) = SafetensorsFiles.Read(content.Write());

        Assert.HasCount(content.Tensors.Length, header.Tensors);
        foreach ((TensorSpec spec, byte[] expected) in content.Tensors)
        {
            TensorSpec found = header.ByName[spec.Name].Spec;
            Assert.AreEqual(spec.Type, found.Type);
            CollectionAssert.AreEqual(spec.Shape.ToArray(), found.Shape.ToArray());
            CollectionAssert.AreEqual(expected, bytes[spec.Name]);
        }

        CollectionAssert.AreEquivalent(content.Metadata.ToArray(), header.Metadata.ToArray());
    });

    [TestMethod]
    public void What_was_read_writes_the_same_file() => ForAll(content =>
    {
        byte[] file = content.Write();
        (SafetensorsReader header, Dictionary<string, byte[]> bytes) = SafetensorsFiles.Read(file);

        byte[] again = SafetensorsFiles.Write(
            header.Tensors.Select(t => (t.Spec, bytes[t.Spec.Name])), header.Metadata);

        CollectionAssert.AreEqual(file, again);
    });

    [TestMethod]
    public void The_header_is_plain_JSON_and_the_data_is_aligned() => ForAll(content =>
    {
        byte[] file = content.Write();
        int headerLength = (int)BinaryPrimitives.ReadUInt64LittleEndian(file);
        Assert.AreEqual(0, headerLength % 8);
        using var json = JsonDocument.Parse(file.AsMemory(8, headerLength));
        foreach ((TensorSpec spec, _) in content.Tensors)
        {
            JsonElement tensor = json.RootElement.GetProperty(spec.Name);
            long[] offsets = [.. tensor.GetProperty("data_offsets").EnumerateArray().Select(o => o.GetInt64())];
            Assert.AreEqual(spec.Type.ToString(), tensor.GetProperty("dtype").GetString());
            Assert.AreEqual(spec.Length, offsets[1] - offsets[0]);
            Assert.AreEqual(0, offsets[0] % spec.Type.Size());
        }
    });

    [TestMethod]
    public void A_file_without_its_last_byte_is_refused() => ForAll(content =>
    {
        byte[] file = content.Write();

        Assert.ThrowsExactly<FormatException>(() => SafetensorsFiles.Read(file[..^1]));
        Assert.ThrowsExactly<FormatException>(() => SafetensorsFiles.Read([.. file, 0]));
    });

    private static void ForAll(Action<Content> check) =>
        Prop.ForAll(Contents().ToArbitrary(), content =>
        {
            check(content);
            return true;
        }).Check(Tries);

    private static Gen<Content> Contents() =>
        from names in Texts().ListOf()
        from tensors in Tensors(names.Where(n => n != SafetensorsReader.MetadataKey).Distinct())
        from keys in Texts().ListOf()
        from values in Texts().ListOf(keys.Count)
        select new Content(
            tensors, keys.Zip(values).DistinctBy(n => n.First).ToDictionary(n => n.First, n => n.Second));

    private static Gen<(TensorSpec, byte[])[]> Tensors(IEnumerable<string> names) =>
        Gen.CollectToArray(names, Tensor);

    private static Gen<(TensorSpec, byte[])> Tensor(string name) =>
        from type in Gen.Elements(Enum.GetValues<TensorType>())
        from rank in Gen.Choose(0, 4)
        from shape in Gen.Choose(0, 4).Select(size => (long)size).ListOf(rank)
        from seed in Gen.Choose(0, int.MaxValue)
        let spec = new TensorSpec(name, type, shape.ToArray())
        select (spec, RandomBytes(spec.Length, seed));

    // Names as networks have them, and any other text: quotes, control characters, all of Unicode.
    private static Gen<string> Texts() => Gen.OneOf(
        Gen.Elements(
            "encoder.0.weight", "encoder.0.bias", "", "\"", "\\", "a/b", "\u007f", "\u2028", "__metadata__", "shape"),
        Runes().ListOf().Select(runes => string.Concat(runes.Select(r => r.ToString()))));

    private static Gen<Rune> Runes() =>
        Gen.OneOf(Gen.Choose(0, 0x7F), Gen.Choose(0x80, 0xD7FF), Gen.Choose(0xE000, 0x10FFFF))
            .Select(value => new Rune(value));

    private static byte[] RandomBytes(long length, int seed)
    {
        var bytes = new byte[length];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    private sealed record Content((TensorSpec Spec, byte[] Bytes)[] Tensors, Dictionary<string, string> Metadata)
    {
        public byte[] Write() => SafetensorsFiles.Write(Tensors, Metadata);

        /// <inheritdoc />
        public override string ToString() =>
            $"{string.Join("; ", Tensors.Select(t => t.Spec))} | {string.Join("; ", Metadata)}";
    }
}
