using System.Runtime.InteropServices;
using TorchSharp;

namespace GenerativeML;

/// <summary>What is kept of a trained GAN of tables: the generator, and what its tokens stand for.</summary>
internal sealed class TabularGanModel : torch.nn.Module
{
    private readonly TableShape _table;

    private readonly TabularGanGenerator generator;
    private readonly torch.Tensor category_counts; // of all columns' categories, position after position
    private readonly torch.Tensor token_counts; // how often each token occurs in training rows
    private readonly torch.Tensor modes; // (modes, 3): mean, deviation, weight

    public TabularGanModel(TabularGanShape shape, TableShape table, SeededRandom random)
        : base(nameof(TabularGanModel))
    {
        _table = table;
        Shape = shape;
        generator = new TabularGanGenerator(shape, random);
        category_counts = torch.zeros([table.Columns.Sum(c => (long)c.Categories)], torch.ScalarType.Int64);
        token_counts = torch.zeros([shape.Tokens.Sum(n => (long)n)], torch.ScalarType.Int64);
        modes = torch.zeros([shape.Modes.Sum(n => (long)n), 3], torch.ScalarType.Float64);
        RegisterComponents();
    }

    /// <summary>The widths and the tokens.</summary>
    public TabularGanShape Shape { get; }

    /// <summary>The generator.</summary>
    public TabularGanGenerator Generator => generator;

    /// <summary>Takes over what tokens stand for and how often they occur.</summary>
    public void SetTokens(TokenTable tokens, TokenCounts counts)
    {
        TokenTensors.Write<long>(
            category_counts, tokens.Columns.OfType<CategoryTokens>().SelectMany(c => c.CategoryCounts));
        TokenTensors.Write<long>(token_counts, Enumerable.Range(0, tokens.Columns.Count).SelectMany(counts.Of));
        TokenTensors.Write<double>(modes, tokens.Columns.OfType<NumberModes>().SelectMany(n => n.Modes)
            .SelectMany(m => new[] { m.Mean, m.Deviation, m.Weight }));
    }

    /// <summary>How often each token of each position occurs in training rows.</summary>
    public double[][] TokenCounts()
    {
        ReadOnlySpan<long> counts = MemoryMarshal.Cast<byte, long>(token_counts.bytes);
        var all = new List<double[]>();
        foreach (int tokens in Shape.Tokens)
        {
            all.Add([.. counts[..tokens].ToArray().Select(n => (double)Math.Max(n, 0))]);
            counts = counts[tokens..];
        }
        return [.. all];
    }

    /// <summary>What tokens stand for.</summary>
    /// <exception cref="FormatException">The tensors came from a file and make no sense.</exception>
    public TokenTable Tokens()
    {
        ReadOnlySpan<long> counts = MemoryMarshal.Cast<byte, long>(category_counts.bytes);
        ReadOnlySpan<double> values = MemoryMarshal.Cast<byte, double>(modes.bytes);
        var columns = new List<TokenColumn>();
        foreach ((int column, int tokens, int modeCount) in
            TokenTable.OrderOf(_table).Zip(Shape.Tokens, Shape.Modes))
        {
            TableColumn described = _table.Columns[column];
            if (described.Kind == TableColumnKind.Continuous)
            {
                var numbers = new NumberModes(described, [.. Read(values[..(3 * modeCount)])]);
                columns.Add(numbers.Count == tokens ? numbers : throw TokenTensors.Unsound());
                values = values[(3 * modeCount)..];
            }
            else
            {
                columns.Add(TokenTensors.Categories(counts[..described.Categories], tokens));
                counts = counts[described.Categories..];
            }
        }
        return new TokenTable(_table, columns);
    }

    private static List<NumberMode> Read(ReadOnlySpan<double> values)
    {
        var modes = new List<NumberMode>();
        for (; values.Length > 0; values = values[3..])
        {
            var mode = new NumberMode(values[0], values[1], values[2]);
            bool sound = double.IsFinite(mode.Mean) && mode.Deviation > 0 && double.IsFinite(mode.Deviation)
                && mode.Weight is > 0 and <= 1.000001;
            modes.Add(sound ? mode : throw TokenTensors.Unsound());
        }
        return modes;
    }
}
