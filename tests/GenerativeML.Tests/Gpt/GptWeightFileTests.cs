using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace GenerativeML.Tests;

[TestClass]
public class GptWeightFileTests
{
    [TestMethod]
    [DataRow(GptWeightLayout.Linear, true)]
    [DataRow(GptWeightLayout.Linear, false)]
    [DataRow(GptWeightLayout.Conv1D, true)]
    [DataRow(GptWeightLayout.Conv1D, false)]
    public void Weights_survive_a_file_of_either_layout_to_the_bit(GptWeightLayout layout, bool biases)
    {
        GptNetwork network = TinyGpt.Network(biases);
        HostWeights weights = TinyGpt.Weights(network);
        byte[] file = Write(network, weights, layout);
        TinyGpt.AssertSame(weights, Read(file, network));
        TinyGpt.AssertSame(weights, Read(file, network, layout));
        CollectionAssert.AreEqual(file, Write(network, Read(file, network), layout));
    }

    [TestMethod]
    public void Conv1D_files_have_inputs_first_square_matrices_too()
    {
        GptNetwork network = TinyGpt.Network();
        HostWeights weights = TinyGpt.Weights(network);
        SafetensorsReader file = SafetensorsReader.Open(new MemoryStream(Write(network, weights, GptWeightLayout.Conv1D)));
        CollectionAssert.AreEqual(
            new long[] { 8, 24 }, file.ByName["h.0.attn.c_attn.weight"].Spec.Shape.ToArray());
        float[] square = Tensor(file, "h.1.attn.c_proj.weight"), embedding = Tensor(file, "wte.weight");
        for (int o = 0; o < 8; o++)
        {
            for (int i = 0; i < 8; i++)
                Assert.AreEqual(weights["h.1.attn.c_proj.weight"][(o * 8) + i], square[(i * 8) + o]);
        }
        CollectionAssert.AreEqual(weights["wte.weight"], embedding);
    }

    [TestMethod]
    [DataRow("transformer.")]
    [DataRow("_orig_mod.transformer.")]
    public void Names_with_modules_before_them_causal_masks_and_a_tied_head_are_understood(string prefix)
    {
        GptNetwork network = TinyGpt.Network();
        HostWeights weights = TinyGpt.Weights(network);
        var tensors = Tensors(weights, prefix);
        tensors[prefix + "h.0.attn.bias"] = ([1, 1, 8, 8], new float[64]);
        tensors[prefix + "h.1.attn.masked_bias"] = ([], new float[1]);
        tensors["lm_head.weight"] = ([11, 8], weights["wte.weight"]);
        TinyGpt.AssertSame(weights, Read(File(tensors), network));

        tensors["lm_head.weight"] = ([11, 8], [.. weights["wte.weight"].Select(v => v + 1)]);
        StringAssert.Contains(
            Assert.ThrowsExactly<FormatException>(() => Read(
                File(tensors), new GptNetwork(TinyGpt.Options() with { TieEmbeddings = true }))).Message,
            "'lm_head.weight' differs from 'wte.weight'");
    }

    [TestMethod]
    public void A_head_of_its_own_as_minGPT_has_it_is_taken()
    {
        var network = new GptNetwork(TinyGpt.Options() with { TieEmbeddings = false });
        HostWeights weights = TinyGpt.Weights(network);
        var tensors = Tensors(weights, "transformer.");
        tensors.Remove("transformer.lm_head.weight", out (long[], float[]) head);
        tensors["lm_head.weight"] = head; // beside the transformer, not within
        foreach (bool? tied in (bool?[])[null, false])
        {
            GptOptions options = TinyGpt.Options() with { TieEmbeddings = tied };
            (GptNetwork read, HostWeights values) = GptWeightFile.Read(new MemoryStream(File(tensors)), options);
            Assert.IsFalse(read.Options.TieEmbeddings);
            TinyGpt.AssertSame(weights, values);
        }
        CollectionAssert.AreEqual(
            Write(network, weights, GptWeightLayout.Linear),
            Write(network, Read(Write(network, weights, GptWeightLayout.Linear), network), GptWeightLayout.Linear));

        // Trained apart from the same values on: a file without a head.
        tensors.Remove("lm_head.weight");
        HostWeights copied = Read(File(tensors), network);
        CollectionAssert.AreEqual(weights["wte.weight"], copied["lm_head.weight"]);
    }

    [TestMethod]
    public void A_head_without_embeddings_is_an_error_that_says_what_to_do()
    {
        GptNetwork network = TinyGpt.Network();
        var tensors = Tensors(TinyGpt.Weights(network), "transformer.");
        tensors.Remove("transformer.wte.weight", out (long[], float[]) embeddings);
        tensors["lm_head.weight"] = embeddings;
        Refused(File(tensors), network, "missing 'wte.weight'", "It has 'lm_head.weight'", "save it under both names");
        FormatException error = Assert.ThrowsExactly<FormatException>(
            () => GptWeightFile.Describe(new MemoryStream(File(tensors))));
        StringAssert.Contains(error.Message, "the matrices 'wte.weight' and 'wpe.weight' are not among");
        StringAssert.Contains(error.Message, "save it under both names");
    }

    [TestMethod]
    [DataRow(float.NaN)]
    [DataRow(float.NegativeInfinity)]
    public void Weights_that_are_no_numbers_are_refused(float value)
    {
        GptNetwork network = TinyGpt.Network();
        HostWeights weights = TinyGpt.Weights(network);
        weights["h.1.mlp.c_fc.bias"][3] = value;
        Refused(File(Tensors(weights, "")), network, "'h.1.mlp.c_fc.bias' has elements that are NaN or infinite");
    }

    [TestMethod]
    public void Everything_that_does_not_fit_is_listed_at_once()
    {
        GptNetwork network = TinyGpt.Network();
        HostWeights weights = TinyGpt.Weights(network);
        var tensors = Tensors(weights, "");
        tensors.Remove("h.0.ln_1.bias");
        tensors.Remove("ln_f.weight");
        tensors["h.7.ln_1.bias"] = ([8], new float[8]);
        tensors["extra"] = ([1], new float[1]);
        tensors["wte.weight"] = ([12, 8], new float[96]);
        tensors["h.1.mlp.c_fc.weight"] = ([8, 32], new float[256]);
        Refused(
            File(tensors), network,
            "'h.0.ln_1.bias'", "'ln_f.weight'", "unexpected", "'h.7.ln_1.bias'", "'extra'",
            "'wte.weight' should be [11, 8], a row for each token of the vocabulary, and is [12, 8]",
            "'h.1.mlp.c_fc.weight' should be [32, 8], and is [8, 32]");
    }

    [TestMethod]
    public void A_layout_that_was_asked_for_is_held_against_the_file()
    {
        GptNetwork network = TinyGpt.Network();
        HostWeights weights = TinyGpt.Weights(network);
        FormatException error = Assert.ThrowsExactly<FormatException>(
            () => Read(Write(network, weights, GptWeightLayout.Conv1D), network, GptWeightLayout.Linear));
        StringAssert.Contains(error.Message, "'h.0.attn.c_attn.weight' should be [24, 8], and is [8, 24]");
    }

    [TestMethod]
    public void Half_precision_is_widened()
    {
        GptNetwork network = TinyGpt.Network();
        HostWeights weights = TinyGpt.Weights(network);
        foreach (TensorType type in new[] { TensorType.F16, TensorType.BF16 })
        {
            HostWeights read = Read(File(Tensors(weights, ""), type), network);
            float[] expected = weights["wte.weight"], actual = read["wte.weight"];
            for (int i = 0; i < expected.Length; i++)
                Assert.AreEqual(type == TensorType.F16 ? (float)(Half)expected[i] : Cut(expected[i]), actual[i]);
        }
    }

    [TestMethod]
    public void A_configuration_of_GPT2_gives_its_sizes()
    {
        GptOptions options = Config(
            """
            {"model_type": "gpt2", "activation_function": "gelu_new", "n_ctx": 1024, "n_embd": 768, "n_head": 12,
             "n_layer": 12, "n_positions": 1024, "resid_pdrop": 0.1, "layer_norm_epsilon": 1e-05, "vocab_size": 50257}
            """);
        Assert.AreEqual(124_439_808, new GptNetwork(options with { VocabularySize = 50257 }).ParameterCount);
        Assert.AreEqual(GeluForm.Tanh, options.Gelu);
        Assert.AreEqual(0.1, options.Dropout);
    }

    [TestMethod]
    public void A_configuration_of_another_network_is_refused_with_all_that_differs()
    {
        FormatException error = Assert.ThrowsExactly<FormatException>(() => Config(
            """
            {"n_head": 2, "n_layer": 1, "n_embd": 8, "activation_function": "relu", "layer_norm_epsilon": 1e-06,
             "n_inner": 9, "scale_attn_weights": false, "add_cross_attention": true}
            """));
        foreach (string part in new[]
            { "n_positions", "\"relu\"", "layer_norm_epsilon is 1E-06", "n_inner is 9", "scale_attn_weights", "add_cross_attention" })
            StringAssert.Contains(error.Message, part);
    }

    private static GptOptions Config(string json)
    {
        string path = Path.GetTempFileName();
        try
        {
            System.IO.File.WriteAllText(path, json);
            return GptOptions.FromConfig(path);
        }
        finally
        {
            System.IO.File.Delete(path);
        }
    }

    private static float Cut(float value) =>
        BitConverter.UInt32BitsToSingle(BitConverter.SingleToUInt32Bits(value) & 0xFFFF0000);

    private static void Refused(byte[] file, GptNetwork shape, params string[] parts)
    {
        FormatException error = Assert.ThrowsExactly<FormatException>(() => Read(file, shape));
        foreach (string part in parts)
            StringAssert.Contains(error.Message, part);
    }

    private static Dictionary<string, (long[] Shape, float[] Values)> Tensors(HostWeights weights, string prefix) =>
        weights.Specs.ToDictionary(t => prefix + t.Name, t => (t.Shape.ToArray(), weights[t.Name]));

    private static byte[] File(
        Dictionary<string, (long[] Shape, float[] Values)> tensors, TensorType type = TensorType.F32)
    {
        using var stream = new MemoryStream();
        SafetensorsWriter.Write(
            stream, tensors.Select(t => new TensorSpec(t.Key, type, t.Value.Shape)),
            (spec, write) => write(Bytes(tensors[spec.Name].Values, type)));
        return stream.ToArray();
    }

    private static byte[] Bytes(float[] values, TensorType type)
    {
        if (type == TensorType.F32)
            return MemoryMarshal.AsBytes<float>(values).ToArray();
        byte[] bytes = new byte[2 * values.Length];
        for (int i = 0; i < values.Length; i++)
            BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(2 * i), type == TensorType.F16
                ? BitConverter.HalfToUInt16Bits((Half)values[i])
                : (ushort)(BitConverter.SingleToUInt32Bits(values[i]) >> 16));
        return bytes;
    }

    private static float[] Tensor(SafetensorsReader file, string name)
    {
        TensorEntry entry = file.ByName[name];
        float[] values = new float[entry.Spec.Length / sizeof(float)];
        file.Read(entry, 0, MemoryMarshal.AsBytes(values.AsSpan()));
        return values;
    }

    private static byte[] Write(GptNetwork network, HostWeights weights, GptWeightLayout layout)
    {
        using var stream = new MemoryStream();
        GptWeightFile.Write(stream, network, weights, layout);
        return stream.ToArray();
    }

    private static HostWeights Read(byte[] file, GptNetwork network, GptWeightLayout? layout = null) => GptWeightFile
        .Read(new MemoryStream(file), network.Options with { InitialWeightsLayout = layout }).Weights;
}
