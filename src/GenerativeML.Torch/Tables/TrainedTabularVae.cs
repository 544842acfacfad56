using TorchSharp;

namespace GenerativeML.Torch;

/// <summary>A trained VAE of tables. Safe to use from several threads.</summary>
internal sealed class TrainedTabularVae : TrainedModel<TabularVaeModel>, ITableGenerator
{
    // Rows that are drawn for each that is asked for with a condition; one of them is taken. More come closer to the
    // distribution that the model has among rows that meet the condition.
    private const int Candidates = 8;

    // Rows that a thread makes at once.
    private const int PartRows = 512;

    private readonly TokenTable _tokens;

    public TrainedTabularVae(TabularVaeModel model, TokenTable tokens, torch.Device device)
        : base(model, device)
    {
        _tokens = tokens;
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
        using IDisposable computation = Enter();
        seed = new SplitMix64(seed).Next();
        int[][] drawn = Draw(values, Math.Min(PartRows, block.Capacity - start), seed);
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

    /// <summary>The tokens of rows, position by position.</summary>
    private int[][] Draw(TokenValues[] values, int rows, ulong seed)
    {
        TabularDecoder decoder = Model.Decoder;
        using var random = new SeededRandom(Device, seed);
        int last = Array.FindLastIndex(values, v => v.Allowed is not null);
        int count = last < 0 ? rows : rows * Candidates;
        torch.Tensor code = random.Normal([count, decoder.Shape.LatentDimension]);
        torch.Tensor context = decoder.Context(code);
        torch.Tensor[] drawn = new torch.Tensor[values.Length];
        torch.Tensor? logWeight = null;
        for (int position = 0; position < values.Length; position++)
        {
            // A scope for each, so that memory is used again while it is near.
            using DisposeScope scope = torch.NewDisposeScope();
            torch.Tensor known = context;
            torch.Tensor hidden = decoder.Hidden(position, known.unsqueeze(0), code).select(0, 0);
            torch.Tensor weights = decoder.Of(position, decoder.OutputWeight);
            torch.Tensor share = decoder.Logits(position, hidden, weights).softmax(1);
            if (values[position].Allowed is float[] allowed)
            {
                torch.Tensor mask = HostTensors.FromRows(allowed, 1, allowed.Length, Device);
                share = share.add(TokenChoice.LeastShare).mul(mask);
                torch.Tensor mass = share.sum(1L).log();
                logWeight = (logWeight is null ? mass : logWeight.add(mass)).MoveToOuterDisposeScope();
            }
            drawn[position] = TokenChoice.Draw(share, random).MoveToOuterDisposeScope();
            if (position == last)
            {
                torch.Tensor weight = logWeight!.view(rows, Candidates);
                torch.Tensor chosen = TokenChoice.Draw(weight.softmax(1), random)
                    .add(HostTensors.Index([.. Enumerable.Range(0, rows).Select(r => (long)r * Candidates)], Device));
                for (int p = 0; p <= position; p++)
                    drawn[p] = drawn[p].index_select(0, chosen).MoveToOuterDisposeScope();
                code = code.index_select(0, chosen).MoveToOuterDisposeScope();
                known = known.index_select(0, chosen);
            }
            torch.Tensor told = decoder.Of(position, decoder.TokenEmbedding).index_select(0, drawn[position]);
            torch.Tensor next = known.add(told).MoveToOuterDisposeScope();
            context.Dispose();
            context = next;
        }
        return [.. drawn.Select(TokenChoice.ToArray)];
    }
}
