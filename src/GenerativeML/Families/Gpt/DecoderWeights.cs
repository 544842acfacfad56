using System.Runtime.InteropServices;

namespace GenerativeML;

/// <summary>A GPT's weights, laid out for decoding in managed code.</summary>
internal sealed class DecoderWeights
{
    // Rows travel between a file and the packed matrices in pieces of about this many numbers.
    private const int PieceLength = 1 << 20;

    private readonly Dictionary<string, PackedMatrix> _matrices = new(StringComparer.Ordinal);
    private readonly Dictionary<string, float[]> _vectors = new(StringComparer.Ordinal);

    /// <param name="shape">The shape.</param>
    /// <param name="bfloat16">Whether matrices are rounded to bfloat16.</param>
    public DecoderWeights(GptShape shape, bool bfloat16 = false)
    {
        Shape = shape;
        foreach ((string name, long[] size) in shape.Tensors())
        {
            if (IsPacked(name, size))
                _matrices[name] = new PackedMatrix((int)size[0], (int)size[1], bfloat16);
            else
                _vectors[name] = new float[size.Aggregate(1L, (n, s) => n * s)];
        }
        TokenEmbedding = _matrices["wte.weight"];
        PositionEmbedding = _vectors["wpe.weight"];
        Blocks = [.. Enumerable.Range(0, shape.Layers).Select(i => new DecoderBlock(
            Norm($"h.{i}.ln_1"),
            Layer($"h.{i}.attn.c_attn"),
            Layer($"h.{i}.attn.c_proj"),
            Norm($"h.{i}.ln_2"),
            Layer($"h.{i}.mlp.c_fc"),
            Layer($"h.{i}.mlp.c_proj")))];
        FinalNorm = Norm("ln_f");
    }

    public GptShape Shape { get; }

    /// <summary>(V, C): what tokens become, and the output layer.</summary>
    public PackedMatrix TokenEmbedding { get; }

    /// <summary>(T × C).</summary>
    public float[] PositionEmbedding { get; }

    public IReadOnlyList<DecoderBlock> Blocks { get; }

    public DecoderNorm FinalNorm { get; }

    /// <summary>Takes rows of a tensor; a tensor of one dimension has rows of one number.</summary>
    /// <param name="name">The tensor's name.</param>
    /// <param name="first">The first row.</param>
    /// <param name="values">Whole rows.</param>
    public void Set(string name, int first, ReadOnlySpan<float> values)
    {
        if (_matrices.TryGetValue(name, out PackedMatrix? matrix))
            matrix.SetRows(first, values);
        else
            values.CopyTo(_vectors[name].AsSpan(first * RowLength(name)));
    }

    /// <summary>Gives rows of a tensor, as <see cref="Set"/> took them.</summary>
    public void Get(string name, int first, Span<float> values)
    {
        if (_matrices.TryGetValue(name, out PackedMatrix? matrix))
        {
            for (int at = 0; at < values.Length; at += matrix.Inputs)
                matrix.GetRow(first++, values.Slice(at, matrix.Inputs));
        }
        else
        {
            _vectors[name].AsSpan(first * RowLength(name), values.Length).CopyTo(values);
        }
    }

    /// <summary>The same weights, with the matrices rounded to bfloat16.</summary>
    public DecoderWeights ToBFloat16()
    {
        var rounded = new DecoderWeights(Shape, bfloat16: true);
        foreach ((string name, long[] size) in Shape.Tensors())
        {
            foreach ((int first, int count) in Pieces(size))
            {
                var rows = new float[count * RowLength(name)];
                Get(name, first, rows);
                rounded.Set(name, first, rows);
            }
        }
        return rounded;
    }

    /// <summary>Takes over what training or an import made.</summary>
    public static DecoderWeights Pack(GptWeights weights)
    {
        var packed = new DecoderWeights(weights.Shape);
        foreach ((string name, _) in weights.Shape.Tensors())
            packed.Set(name, 0, weights[name]);
        return packed;
    }

    /// <summary>The weights as training and export want them.</summary>
    public GptWeights Unpack()
    {
        var weights = new GptWeights(Shape);
        foreach ((string name, _) in Shape.Tensors())
            Get(name, 0, weights[name]);
        return weights;
    }

    /// <summary>Writes what <see cref="GptWeights.Save"/> would, without a second copy in memory.</summary>
    public void Save(Stream stream)
    {
        var writer = new SafetensorsWriter(stream, GptWeights.Specs(Shape));
        foreach (TensorSpec spec in writer.Tensors)
        {
            foreach ((int first, int count) in Pieces(spec.Shape))
            {
                var rows = new float[count * RowLength(spec.Name)];
                Get(spec.Name, first, rows);
                writer.Write(spec, MemoryMarshal.AsBytes<float>(rows));
            }
        }
        writer.Complete();
    }

    /// <summary>Reads what <see cref="Save"/> wrote, without a second copy in memory.</summary>
    /// <exception cref="FormatException">
    /// The shape is out of range, or the file does not hold exactly its tensors.
    /// </exception>
    public static DecoderWeights Load(GptShape shape, Stream stream)
    {
        shape.Check();
        SafetensorsReader reader = SafetensorsReader.Open(stream);
        // Before anything is allocated: the header was held against the length of the file.
        reader.Header.Require(GptWeights.Specs(shape));
        var weights = new DecoderWeights(shape);
        foreach (TensorEntry entry in reader.Header.Tensors)
        {
            int length = weights.RowLength(entry.Spec.Name);
            foreach ((int first, int count) in Pieces(entry.Spec.Shape))
            {
                var rows = new float[count * length];
                reader.Read(entry, (long)first * length * sizeof(float), MemoryMarshal.AsBytes(rows.AsSpan()));
                weights.Set(entry.Spec.Name, first, rows);
            }
        }
        return weights;
    }

    // Position embeddings are only ever added: they need no packing.
    private static bool IsPacked(string name, long[] size) => size.Length == 2 && name != "wpe.weight";

    private static List<(int First, int Count)> Pieces(ReadOnlySpan<long> size)
    {
        int rows = (int)size[0], length = size.Length > 1 ? (int)size[1] : 1;
        int most = Math.Max(1, PieceLength / length);
        var pieces = new List<(int, int)>();
        for (int first = 0; first < rows; first += most)
            pieces.Add((first, Math.Min(most, rows - first)));
        return pieces;
    }

    private int RowLength(string name) =>
        _matrices.TryGetValue(name, out PackedMatrix? matrix) ? matrix.Inputs : name == "wpe.weight" ? Shape.Width : 1;

    private DecoderNorm Norm(string name) => new(_vectors[$"{name}.weight"], Bias(name));

    private DecoderLayer Layer(string name) => new(_matrices[$"{name}.weight"], Bias(name));

    private float[] Bias(string name) => _vectors.GetValueOrDefault($"{name}.bias", []);
}

/// <summary>A block's layers.</summary>
internal sealed record DecoderBlock(
    DecoderNorm AttentionNorm, DecoderLayer Attention, DecoderLayer AttentionOut,
    DecoderNorm PerceptronNorm, DecoderLayer Hidden, DecoderLayer HiddenOut);

/// <summary>A layer normalisation; without a bias that is empty.</summary>
internal sealed record DecoderNorm(float[] Gain, float[] Bias)
{
    /// <summary>Normalises rows.</summary>
    public void Apply(ReadOnlySpan<float> x, Span<float> y)
    {
        for (int at = 0; at < x.Length; at += Gain.Length)
            LayerNormalization.Apply(x.Slice(at, Gain.Length), Gain, Bias, GptShape.NormEpsilon, y[at..]);
    }
}

/// <summary>A linear layer; without a bias that is empty.</summary>
internal sealed record DecoderLayer(PackedMatrix Weights, float[] Bias)
{
    /// <summary>y = x·Wᵀ + b for rows; those of y are padded.</summary>
    public void Apply(ReadOnlyMemory<float> x, int xStride, int rows, Memory<float> y, int threads)
    {
        Weights.Multiply(x, xStride, rows, y, threads);
        for (int row = 0; row < rows && Bias.Length > 0; row++)
            VectorSum.AddTo(y.Span.Slice(row * Weights.PaddedOutputs, Bias.Length), Bias);
    }
}
