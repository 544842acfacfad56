using TorchSharp;

namespace GenerativeML;

/// <summary>A trained GAN of tables. Safe to use from several threads.</summary>
internal sealed class TrainedTabularGan : TrainedModel<TabularGanModel>, ITableGenerator
{
    private readonly TokenTable _tokens;
    private readonly TabularGanRows _rows;
    private readonly double[][] _counts;

    public TrainedTabularGan(TabularGanModel model, TokenTable tokens, torch.Device device)
        : base(model, device)
    {
        _tokens = tokens;
        _rows = new TabularGanRows(model.Shape);
        _counts = model.TokenCounts();
    }

    /// <inheritdoc/>
    public TableShape Shape => _tokens.Shape;

    /// <inheritdoc/>
    public TableModelShape ModelShape => Model.Shape;

    /// <inheritdoc/>
    public void Fill(TableBlock block, ulong seed, TableCondition? where)
    {
        using IDisposable computation = Enter();
        using var random = new SeededRandom(Device, seed);
        int rows = block.Capacity, positions = _tokens.Columns.Count;
        TableLimit?[] limits =
            [.. _tokens.Order.Select(column => where?.Limits.FirstOrDefault(l => l.Column == column))];
        TokenValues?[] values = [.. _tokens.Columns.Zip(limits, (c, l) => (c as DrawnTokens)?.Values(l))];
        float[]?[] allowed = [.. Enumerable.Range(0, positions).Select(p => limits[p] is NumberLimit range
            ? ((NumberModes)_tokens.Columns[p]).Allowed(range)
            : values[p]?.Allowed)];

        torch.Tensor noise = random.Normal([rows, Model.Shape.NoiseDimension]);
        torch.Tensor given = Model.Generator.call(torch.cat([noise, _rows.Slots(Conditions(allowed, rows, seed))], 1));
        float[] offsets = new float[rows * Model.Shape.Numbers.Count];
        if (offsets.Length > 0)
            HostTensors.CopyTo(_rows.Offsets(given), offsets);
        for (int p = 0, number = 0; p < positions; p++)
        {
            torch.Tensor share = _rows.Odds(given, p).softmax(1);
            if (allowed[p] is float[] some)
                share = share.add(TokenChoice.LeastShare).mul(HostTensors.FromRows(some, 1, some.Length, Device));
            int[] drawn = TokenChoice.ToArray(TokenChoice.Draw(share, random));
            if (_tokens.Columns[p] is NumberModes modes)
            {
                double[] to = block.Numbers(_tokens.Order[p]);
                for (int row = 0; row < rows; row++)
                    to[row] = modes.Value(drawn[row], offsets[row * Model.Shape.Numbers.Count + number]);
                number++;
            }
            else
            {
                TokenChoice.Write(values[p]!, drawn, block, 0, _tokens.Order[p], seed, p);
            }
        }
    }

    /// <summary>Builds a model of a shape and reads its tensors.</summary>
    /// <exception cref="FormatException">The file does not hold exactly its tensors.</exception>
    public static TrainedTabularGan Load(TableShape table, TabularGanShape shape, Stream weights, torch.Device device)
    {
        TabularGanModel model = Read(
            "table generator", shape.Elements(), weights, device, random => new TabularGanModel(shape, table, random));
        try
        {
            return new TrainedTabularGan(model, model.Tokens(), device);
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    protected override IReadOnlyList<(string Name, torch.Tensor Value)> Exported() => Model.Generator.NamedTensors();

    /// <summary>
    /// The token that is given for each row, counted over all positions, (rows, 1): of a position that is limited, if
    /// there is one, and as often as in the training rows.
    /// </summary>
    private torch.Tensor Conditions(float[]?[] allowed, int rows, ulong seed)
    {
        var random = new SplitMix64(seed);
        long[] starts = Model.Shape.Starts();
        int[] positions = [.. Enumerable.Range(0, allowed.Length).Where(p => allowed[p] is not null)];
        if (positions.Length == 0)
            positions = [.. Enumerable.Range(0, allowed.Length)];
        double[][] upTo = [.. positions.Select(p =>
        {
            double sum = 0;
            return _counts[p].Select((n, t) => sum += n * (allowed[p]?[t] ?? 1)).ToArray();
        })];
        long[] tokens = new long[rows];
        for (int row = 0; row < rows; row++)
        {
            int i = random.Next(positions.Length);
            tokens[row] = starts[positions[i]] + Cumulative.Find(upTo[i], random.NextDouble() * upTo[i][^1]);
        }
        return HostTensors.Index(tokens, Device).unsqueeze(1);
    }
}
