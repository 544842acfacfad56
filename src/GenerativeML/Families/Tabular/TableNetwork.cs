using System.Numerics.Tensors;
using System.Runtime.InteropServices;

namespace GenerativeML;

/// <summary>A family's model of tables, without weights: what of it is kept, how rows of tokens are drawn.</summary>
internal abstract class TableNetwork(TokenTable tokens) : Network
{
    // What is added to the shares of tokens that a condition limits, so that no row is without any.
    private const float MinShare = 1e-9f;

    // A number's token in so many rows counts half by itself, and half by where it lies.
    private const double HalfOwnRows = 50;

    /// <summary>The tokens of the table's columns.</summary>
    public TokenTable Tokens => tokens;

    /// <summary>Names the tensors of a trained model.</summary>
    public abstract void DeclareTrained(Layers layers);

    /// <summary>Sets, before training, what the layers' own initialisation does not.</summary>
    public abstract void Initialize(HostWeights weights, ulong seed);

    /// <summary>The tensors of a trained model, of the weights that training ended with.</summary>
    public virtual HostWeights Trained(HostWeights weights) =>
        new HostWeights(TrainedTensors()).With(weights, spec => spec);

    /// <summary>
    /// Draws rows by each one's random numbers, of the tokens that are allowed in each position: tokens, (rows ×
    /// positions), and the offsets of the positions that have one, (rows × offsets).
    /// </summary>
    public abstract (float[] Tokens, float[] Offsets) Draw(
        RunPass run, IReadOnlyList<TokenColumn> columns, SplitMix64[] random);

    /// <summary>What an ONNX file can be of it: how rows of tokens are made, or, where that takes steps, one of these.</summary>
    public abstract (OnnxContent Content, IForwardPass Pass, (string Name, int Width)[] Inputs, string[] Outputs) File { get; }

    /// <summary>The tensors of a trained model.</summary>
    public IReadOnlyList<TensorSpec> TrainedTensors()
    {
        var specs = new LayerSpecs();
        DeclareTrained(specs);
        return specs.Tensors;
    }

    /// <summary>
    /// Draws a position's tokens by their logits, (B, n), and uniform numbers of <see cref="FillUniform"/>, (B, 1), of
    /// those whose values are allowed, a share for each token of all positions, (B, T), or null where all are: the
    /// tokens, and what is left of their shares, both (B, 1).
    /// </summary>
    protected (T Token, T Sum) Choose<T>(Scope<T> w, int position, T logits, T uniform, T? allowed)
        where T : struct, ITensor<T>
    {
        T share = logits.Softmax();
        if (allowed is { } some)
            share = (share + MinShare) * some.Slice(1, tokens.Starts[position], tokens.Counts[position]);
        T upTo = share.CumulativeSum(1), sum = upTo.Slice(1, -1, 1);
        // As many as the point is not below: what has no share adds nothing, and is passed over.
        T passed = T.IfLess(uniform * sum, upTo, w.Constant(0), w.Constant(1));
        return (passed.Reduce(Reduction.Sum, 1).Clamp(0, tokens.Counts[position] - 1), sum);
    }

    /// <summary>
    /// Draws a token by the logits of a position, of those whose values are allowed, a share for each, or null where all
    /// are: the token, and what is left of the shares.
    /// </summary>
    protected static (int Token, double Sum) Choose(ReadOnlySpan<float> logits, float[]? allowed, ref SplitMix64 random)
    {
        Span<double> upTo = logits.Length <= 512 ? stackalloc double[logits.Length] : new double[logits.Length];
        double most = TensorPrimitives.Max(logits), all = 0, sum = 0;
        foreach (float logit in logits)
            all += Math.Exp(logit - most);
        for (int token = 0; token < upTo.Length; token++)
        {
            double share = Math.Exp(logits[token] - most) / all;
            upTo[token] = sum += allowed is null ? share : (share + MinShare) * allowed[token];
        }
        return (Cumulative.Draw(upTo, ref random), sum);
    }

    /// <summary>Whether a position's tokens have, beside vectors of their own, smooth functions of where they lie.</summary>
    protected bool IsSmooth(int position) => tokens.Columns[position] is NumberTokens;

    /// <summary>Declares smooth functions of a position's tokens, where it has them, for vectors of so many features.</summary>
    protected void DeclareSmooth(Layers layers, int position, params (string Part, int Width)[] parts)
    {
        if (!IsSmooth(position))
            return;
        layers.Buffer($"smooth.{position}.features", tokens.Counts[position], NumberTokens.FeatureCount);
        layers.Buffer($"smooth.{position}.own", tokens.Counts[position], 1);
        foreach ((string part, int width) in parts.Where(part => part.Width > 0))
            layers.Parameter($"smooth.{position}.{part}", 0, NumberTokens.FeatureCount, width);
    }

    /// <summary>
    /// Sets what is known of a position's tokens: biases by which an untrained network gives them as often as they occur,
    /// and where numbers lie.
    /// </summary>
    protected void InitializeTokens(HostWeights weights, int position, string bias)
    {
        long[] counts = tokens.Frequencies[position];
        double rows = counts.Sum() + 0.1 * counts.Length;
        for (int token = 0; token < counts.Length; token++) // what does not occur, as if in a tenth of a row
            weights[bias][token] = (float)Math.Log((counts[token] + 0.1) / rows);
        if (tokens.Columns[position] is not NumberTokens numbers)
            return;
        numbers.ScaleFeatures().CopyTo(weights[$"smooth.{position}.features"], 0);
        float[] own = weights[$"smooth.{position}.own"];
        for (int token = 0; token < counts.Length; token++)
            own[token] = (float)(counts[token] / (counts[token] + HalfOwnRows));
    }

    /// <summary>What the tokens of a position have of their own and by where they lie, (tokens, W).</summary>
    protected TorchTensor Vectors(Scope<TorchTensor> w, int position, string own, string smooth)
    {
        if (!IsSmooth(position))
            return w[own];
        Scope<TorchTensor> part = w.Of($"smooth.{position}");
        return w[own] * part["own"] + part["features"].MatMul(part[smooth]);
    }

    /// <summary>Makes the vectors of a position's tokens what <see cref="Vectors"/> gives.</summary>
    protected void WorkInSmooth(HostWeights weights, int position, string name, string part)
    {
        if (!IsSmooth(position))
            return;
        float[] own = weights[$"smooth.{position}.own"], features = weights[$"smooth.{position}.features"];
        float[] smooth = weights[$"smooth.{position}.{part}"], values = weights[name];
        int width = smooth.Length / NumberTokens.FeatureCount;
        for (int i = 0; i < values.Length; i++)
        {
            (int token, int column) = Math.DivRem(i, width);
            double sum = values[i] * own[token];
            for (int f = 0; f < NumberTokens.FeatureCount; f++)
                sum += features[token * NumberTokens.FeatureCount + f] * smooth[f * width + column];
            values[i] = (float)sum;
        }
    }

    /// <summary>Normal numbers with this deviation, by a seed.</summary>
    protected static void FillNormal(Span<float> values, double deviation, ulong seed)
    {
        var random = new SplitMix64(seed);
        NormalNumbers.Fill(ref random, values);
        foreach (ref float value in values)
            value = (float)(value * deviation);
    }

    /// <summary>The share of each token's values that is allowed, of the first positions.</summary>
    protected static float[] Allowed(IReadOnlyList<TokenColumn> columns, int positions) =>
        [.. columns.Take(positions).SelectMany(c => c.Allowed ?? Enumerable.Repeat(1f, c.Count))];

    /// <summary>Numbers in [0, 1) of so few bits that a product with one is less than the other factor.</summary>
    protected static void FillUniform(ref SplitMix64 random, Span<float> values)
    {
        foreach (ref float value in values)
            value = (random.Next() >> 41) * (1f / (1 << 23));
    }
}

/// <summary>Computes a forward pass over rows; the key says which pass it is.</summary>
internal delegate void RunPass(
    string key, Func<IForwardPass> pass, int rows, ReadOnlyMemory<float>[] values, params Memory<float>[] results);

/// <summary>A trained model that makes rows of a table. Safe to use from several threads.</summary>
internal interface ITableGenerator : IDisposable
{
    /// <summary>The columns that it was trained on.</summary>
    TableShape Shape { get; }

    /// <summary>The options that it was trained with, with everything decided that they left open.</summary>
    TabularOptions Options { get; }

    /// <summary>One of the things that it can do with tokens, where that is a pass over rows, and the tokens; else null.</summary>
    (OnnxPass Pass, TokenTable Tokens)? PassOf(OnnxContent content) => null;

    /// <summary>
    /// Fills the first rows of a block of <see cref="Shape"/>. A row is the same for the same seed, number and
    /// condition, whichever are made with it; rows of different seeds and numbers are independent. Under a condition
    /// each of its columns is limited to the values allowed, and the others go with them as in the training rows, as
    /// well as the model can. A row that fails nevertheless is no error: the caller sorts it out and asks for more.
    /// </summary>
    void Fill(TableBlock block, int count, ulong seed, long first, TableCondition? where);

    /// <summary>Writes all that was learned as safetensors.</summary>
    void Save(Stream stream);
}

/// <summary>A trained network of tables; what computes is made when it is needed, also after Dispose.</summary>
internal sealed class TableGenerator(
    TableNetwork network, TabularOptions options, HostWeights weights, ComputeDevice device, bool fallbackToCpu)
    : ITableGenerator
{
    private const string TokensName = "tokens";

    // What the rows that are drawn at once may hold of all tokens together, so that wide tables take no more memory.
    private const int DrawnTokens = 1 << 21;
    private const int MinRows = 16;

    private readonly InferenceCache _inference = new(weights, device, fallbackToCpu);

    public TableShape Shape => network.Tokens.Shape;

    public TabularOptions Options => options;

    public (OnnxPass Pass, TokenTable Tokens)? PassOf(OnnxContent content) => network.File is var file && file.Content == content
        ? (new(weights, file.Pass, file.Inputs, file.Outputs), network.Tokens) : null;

    public void Fill(TableBlock block, int count, ulong seed, long first, TableCondition? where)
    {
        TokenTable tokens = network.Tokens;
        TokenColumn[] columns =
        [
            .. tokens.Columns.Zip(tokens.Order, (column, number) =>
                column.Limited(where?.Limits.FirstOrDefault(limit => limit.Column == number))),
        ];
        int atOnce = Math.Max(MinRows, DrawnTokens / tokens.Starts[^1]);
        for (int start = 0; start < count; start += atOnce)
        {
            var random = new SplitMix64[Math.Min(atOnce, count - start)];
            for (int row = 0; row < random.Length; row++)
                random[row] = new SplitMix64(new SplitMix64(seed + (ulong)(first + start + row)).Next());
            (float[] drawn, float[] offsets) = network.Draw(Run, columns, random);
            int next = 0; // among the columns that have offsets
            for (int p = 0; p < columns.Length; p++)
            {
                for (int row = 0; row < random.Length; row++)
                {
                    int token = (int)drawn[row * columns.Length + p];
                    float offset = columns[p].HasOffset ? offsets[row * tokens.Offsets + next] : 0;
                    block[tokens.Order[p]][start + row] = columns[p].Draw(token, offset, ref random[row]);
                }
                next += columns[p].HasOffset ? 1 : 0;
            }
        }
    }

    public void Save(Stream stream)
    {
        double[] tokens = network.Tokens.Save();
        var spec = new TensorSpec(TokensName, TensorType.F64, tokens.Length);
        SafetensorsWriter.Write(stream, [.. weights.Specs, spec], (tensor, write) =>
        {
            if (tensor == spec)
                write(MemoryMarshal.AsBytes<double>(tokens));
            else
                weights.Write(tensor, write);
        });
    }

    /// <summary>Reads what <see cref="Save"/> wrote, for columns and options that were checked.</summary>
    /// <exception cref="FormatException">The file does not hold exactly its tensors.</exception>
    public static TableGenerator Load(
        TableShape shape, TabularOptions options, Stream stream, ComputeDevice device, bool fallbackToCpu)
    {
        SafetensorsReader reader = SafetensorsReader.Open(stream);
        if (reader.ByName.GetValueOrDefault(TokensName) is not { Spec.Type: TensorType.F64 } entry)
            throw TokenReader.Unsound();
        // The header was held against the length of the file.
        double[] tokens = new double[entry.Spec.Length / sizeof(double)];
        reader.Read(entry, 0, MemoryMarshal.AsBytes(tokens.AsSpan()));
        TableNetwork network = options.CreateNetwork(TokenTable.Load(shape, tokens, options.UsesModes));
        IReadOnlyList<TensorSpec> specs = network.TrainedTensors();
        reader.Require([.. specs, entry.Spec]);
        return new TableGenerator(network, options, HostWeights.Read(reader, specs), device, fallbackToCpu);
    }

    public void Dispose() => _inference.Dispose();

    private void Run(
        string key, Func<IForwardPass> pass, int rows, ReadOnlyMemory<float>[] values, Memory<float>[] results) =>
        _inference.Run(key, pass, rows, values, results);
}
