using System.Runtime.InteropServices;

namespace GenerativeML;

/// <summary>A trained model that makes rows of a table. Safe to use from several threads.</summary>
internal interface ITableGenerator : IDisposable
{
    /// <summary>The columns that it was trained on.</summary>
    TableShape Shape { get; }

    /// <summary>The options that it was trained with, with everything decided that they left open.</summary>
    TabularOptions Options { get; }

    /// <summary>
    /// Fills the first rows of <paramref name="block"/>. A row is the same for the same seed, number and condition,
    /// whichever are made with it; rows of different seeds and numbers are independent.
    /// </summary>
    /// <param name="block">Its shape is <see cref="Shape"/>.</param>
    /// <param name="count">How many rows.</param>
    /// <param name="seed">The seed of everything random in these rows.</param>
    /// <param name="first">The number of the first row.</param>
    /// <param name="where">
    /// What rows are asked for, or null for any. Each of its columns is limited to the values allowed, and the others
    /// go with them as in the training rows, as well as the model can. A row that fails nevertheless is no error: the
    /// caller sorts it out and asks for more.
    /// </param>
    void Fill(TableBlock block, int count, ulong seed, long first, TableCondition? where);

    /// <summary>Writes all that was learned as safetensors.</summary>
    void Save(Stream stream);
}

/// <summary>
/// A trained network of tables. Its weights are in managed memory; what computes with them is made when it is first
/// needed, and again after <see cref="Dispose"/>.
/// </summary>
internal sealed class TableGenerator : ITableGenerator
{
    private const string TokensName = "tokens";

    // What the rows that are drawn at once may hold of all tokens together, so that wide tables take no more memory.
    private const int DrawnTokens = 1 << 21;
    private const int MinRows = 16;

    private readonly TableNetwork _network;
    private readonly HostWeights _weights;
    private readonly InferenceCache _inference;

    public TableGenerator(
        TableNetwork network, TabularOptions options, HostWeights weights, ComputeDevice device, bool fallbackToCpu)
    {
        (_network, Options, _weights) = (network, options, weights);
        _inference = new InferenceCache(device, fallbackToCpu);
    }

    public TableShape Shape => _network.Tokens.Shape;

    public TabularOptions Options { get; }

    public void Fill(TableBlock block, int count, ulong seed, long first, TableCondition? where)
    {
        TokenTable tokens = _network.Tokens;
        int positions = tokens.Columns.Count;
        TokenValues[] values =
        [
            .. tokens.Columns.Zip(tokens.Order, (column, number) =>
                column.Values(where?.Limits.FirstOrDefault(limit => limit.Column == number))),
        ];
        int atOnce = Math.Max(MinRows, DrawnTokens / tokens.Starts[^1]);
        for (int start = 0; start < count; start += atOnce)
        {
            var random = new SplitMix64[Math.Min(atOnce, count - start)];
            for (int row = 0; row < random.Length; row++)
                random[row] = new SplitMix64(new SplitMix64(seed + (ulong)(first + start + row)).Next());
            (float[] drawn, float[] offsets) = _network.Draw(Run, values, random);
            for (int p = 0, next = 0; p < positions; p++)
            {
                bool hasOffset = tokens.Columns[p].HasOffset;
                for (int row = 0; row < random.Length; row++)
                {
                    float offset = hasOffset ? offsets[row * tokens.WithOffset.Count + next] : 0;
                    int token = (int)drawn[row * positions + p];
                    values[p].Draw(token, offset, block, tokens.Order[p], start + row, ref random[row]);
                }
                next += hasOffset ? 1 : 0;
            }
        }
    }

    public void Save(Stream stream)
    {
        double[] tokens = _network.Tokens.Save();
        var spec = new TensorSpec(TokensName, TensorType.F64, tokens.Length);
        SafetensorsWriter.Write(stream, [.. _weights.Specs, spec], (tensor, write) =>
        {
            if (tensor == spec)
                write(MemoryMarshal.AsBytes<double>(tokens));
            else
                _weights.Write(tensor, write);
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
        IReadOnlyList<TensorSpec> specs = TableNetwork.Specs(network.DeclareTrained);
        reader.Require([.. specs, entry.Spec]);
        return new TableGenerator(network, options, HostWeights.Read(reader, specs), device, fallbackToCpu);
    }

    /// <summary>
    /// Lets go of what computes, and of the device's memory. It is made again if rows are asked for after all.
    /// </summary>
    public void Dispose() => _inference.Dispose();

    private void Run(
        string key, Func<IForwardPass> pass, int rows, ReadOnlyMemory<float>[] values, Memory<float>[] results) =>
        _inference.Run(key, pass, _weights, rows, values, results);
}
