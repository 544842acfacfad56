using System.Runtime.InteropServices;
using TorchSharp;

namespace GenerativeML;

/// <summary>What is kept of a trained VAE of tables: the decoder, and what its tokens stand for.</summary>
internal sealed class TabularVaeModel : torch.nn.Module
{
    private readonly TableShape _table;

    private readonly TabularDecoder decoder;
    private readonly torch.Tensor category_counts; // of all columns' categories, position after position
    private readonly torch.Tensor token_segments; // how many segments each number's token has
    private readonly torch.Tensor segments; // (segments, 3): low, high, weight

    public TabularVaeModel(TabularVaeShape shape, TableShape table, SeededRandom random)
        : base(nameof(TabularVaeModel))
    {
        _table = table;
        decoder = new TabularDecoder(shape, random);
        IReadOnlyList<int> order = TokenTable.OrderOf(table);
        long numberTokens = order.Zip(shape.Tokens).Sum(p => IsNumber(p.First) ? (long)p.Second : 0);
        category_counts = torch.zeros([table.Columns.Sum(c => (long)c.Categories)], torch.ScalarType.Int64);
        token_segments = torch.zeros([numberTokens], torch.ScalarType.Int64);
        segments = torch.zeros([shape.Segments.Sum(n => (long)n), 3], torch.ScalarType.Float64);
        RegisterComponents();
    }

    /// <summary>The decoder.</summary>
    public TabularDecoder Decoder => decoder;

    /// <summary>Takes over what tokens stand for.</summary>
    public void SetTokens(TokenTable tokens)
    {
        TokenTensors.Write<long>(
            category_counts, tokens.Columns.OfType<CategoryTokens>().SelectMany(c => c.CategoryCounts));
        NumberTokens[] numbers = [.. tokens.Columns.OfType<NumberTokens>()];
        TokenTensors.Write<long>(token_segments, numbers.SelectMany(n => n.Segments).Select(s => (long)s.Length));
        TokenTensors.Write<double>(segments, numbers.SelectMany(n => n.Segments).SelectMany(s => s)
            .SelectMany(s => new[] { s.Low, s.High, s.Weight }));
    }

    /// <summary>What tokens stand for.</summary>
    /// <exception cref="FormatException">The tensors came from a file and make no sense.</exception>
    public TokenTable Tokens()
    {
        ReadOnlySpan<long> counts = MemoryMarshal.Cast<byte, long>(category_counts.bytes);
        ReadOnlySpan<long> lengths = MemoryMarshal.Cast<byte, long>(token_segments.bytes);
        ReadOnlySpan<double> numbers = MemoryMarshal.Cast<byte, double>(segments.bytes);
        var columns = new List<TokenColumn>();
        foreach ((int column, int tokens, int segmentCount) in
            TokenTable.OrderOf(_table).Zip(decoder.Shape.Tokens, decoder.Shape.Segments))
        {
            if (IsNumber(column))
            {
                columns.Add(Numbers(_table.Columns[column], lengths[..tokens], numbers[..(3 * segmentCount)]));
                lengths = lengths[tokens..];
                numbers = numbers[(3 * segmentCount)..];
            }
            else
            {
                int categories = _table.Columns[column].Categories;
                columns.Add(TokenTensors.Categories(counts[..categories], tokens));
                counts = counts[categories..];
            }
        }
        return new TokenTable(_table, columns);
    }

    private bool IsNumber(int column) => _table.Columns[column].Kind == TableColumnKind.Continuous;

    private static NumberTokens Numbers(
        TableColumn column, ReadOnlySpan<long> lengths, ReadOnlySpan<double> numbers)
    {
        var tokens = new List<NumberSegment[]>();
        for (int token = 0; token < lengths.Length; token++)
        {
            bool last = token == lengths.Length - 1;
            if (lengths[token] < (last ? 0 : 1) || lengths[token] > numbers.Length / 3)
                throw TokenTensors.Unsound();
            var segments = new NumberSegment[lengths[token]];
            for (int i = 0; i < segments.Length; i++, numbers = numbers[3..])
            {
                segments[i] = new NumberSegment(numbers[0], numbers[1], numbers[2]);
                bool sound = double.IsFinite(numbers[0]) && numbers[0] <= numbers[1] && double.IsFinite(numbers[1])
                    && numbers[2] is > 0 and < 1L << 53;
                if (!sound)
                    throw TokenTensors.Unsound();
            }
            tokens.Add(segments);
        }
        if (numbers.Length > 0 || column.HasMissing && tokens[^1].Length > 0)
            throw TokenTensors.Unsound();
        return new NumberTokens(column, tokens);
    }
}
