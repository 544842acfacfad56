using TorchSharp;

namespace GenerativeML;

/// <summary>A trained VAE of tables. Safe to use from several threads.</summary>
internal sealed class TrainedTabularVae : TrainedModel<TabularVaeModel>, ITableGenerator
{
    // Rows that a thread makes at once.
    private const int PartRows = 512;

    private readonly TokenTable _tokens;
    private readonly Lazy<TabularRows> _rows; // what only loads a model, or saves it, does without

    public TrainedTabularVae(TabularVaeModel model, TokenTable tokens, torch.Device device)
        : base(model, device)
    {
        _tokens = tokens;
        _rows = new(() => new TabularRows(model.Decoder));
    }

    /// <inheritdoc/>
    public TableShape Shape => _tokens.Shape;

    /// <inheritdoc/>
    public TableModelShape ModelShape => Model.Decoder.Shape;

    /// <inheritdoc/>
    public void Fill(TableBlock block, ulong seed, TableCondition? where)
    {
        TokenValues[] values =
        [
            .. _tokens.Columns.Select((tokens, position) =>
                ((DrawnTokens)tokens).Values(where?.Limits.FirstOrDefault(l => l.Column == _tokens.Order[position]))),
        ];
        // The parts do not depend on how many threads there are, so neither do the rows.
        int parts = (block.Capacity + PartRows - 1) / PartRows;
        Parallelism.ForEach(
            parts, Environment.ProcessorCount,
            part => FillPart(block, part * PartRows, values, seed + (ulong)part));
    }

    private void FillPart(TableBlock block, int start, TokenValues[] values, ulong seed)
    {
        CheckAlive();
        seed = new SplitMix64(seed).Next();
        int[][] drawn = _rows.Value.Draw(values, Math.Min(PartRows, block.Capacity - start), seed);
        for (int position = 0; position < drawn.Length; position++)
            TokenChoice.Write(values[position], drawn[position], block, start, _tokens.Order[position], seed, position);
    }

    /// <summary>Builds a model of a shape and reads its tensors.</summary>
    /// <exception cref="FormatException">The file does not hold exactly its tensors.</exception>
    public static TrainedTabularVae Load(TableShape table, TabularVaeShape shape, Stream weights, torch.Device device)
    {
        TabularVaeModel model = Read(
            "table generator", shape.Elements(), weights, device, random => new TabularVaeModel(shape, table, random));
        try
        {
            return new TrainedTabularVae(model, model.Tokens(), device);
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    protected override IReadOnlyList<(string Name, torch.Tensor Value)> Exported() => Model.Decoder.NamedTensors();
}
