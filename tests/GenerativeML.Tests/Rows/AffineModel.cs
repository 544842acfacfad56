
namespace GenerativeML.Tests.Rows;

/// <summary>A model without a network: outputs that a test can work out by hand, and a count of calls.</summary>
internal sealed class AffineModel : IBatchModel
{
    private readonly Lock _lock = new();
    private readonly string _input;
    private bool _disposed;

    public AffineModel(int width = 3, int batchSize = 4, string input = "Features", string score = "Score")
    {
        _input = input;
        Width = width;
        BatchSize = batchSize;
        Inputs = [new RowField(input, FieldKind.Single, width)];
        Outputs = OutputsOf(width, input, score);
    }

    public static IReadOnlyList<OutputColumn> OutputsOf(int width, string input, string score = "Score") =>
    [
        new(score, OutputKind.Single) { Score = ScoreAnnotation.AnomalyScore },
        new("PredictedLabel", OutputKind.Boolean) { Score = ScoreAnnotation.AnomalyLabel },
        new("Twice", OutputKind.Single, width) { SlotNamesFrom = input },
        new("Words", OutputKind.Text),
    ];

    public int Width { get; }

    public IReadOnlyList<RowField> Inputs { get; }

    public IReadOnlyList<OutputColumn> Outputs { get; }

    public int BatchSize { get; }

    public int BatchesAhead { get; init; }

    /// <summary>Called before each call is made, with the first value of its first row.</summary>
    public Action<float>? Computing { get; init; }

    public NonFiniteReplacement? Replacement { get; init; }

    /// <summary>Calls of <see cref="Run"/>.</summary>
    public int Calls { get; private set; }

    /// <summary>Rows over all calls.</summary>
    public int Rows { get; private set; }

    /// <summary>The outputs that the last call was asked for.</summary>
    public string LastWanted { get; private set; } = "";

    /// <summary>The score of a row: each value times its number, counted from one.</summary>
    public static float ScoreOf(ReadOnlySpan<float> row)
    {
        float sum = 0;
        for (int i = 0; i < row.Length; i++)
            sum += row[i] * (i + 1);
        return sum;
    }

    public static bool LabelOf(float score) => score > 100;

    public static string WordsOf(float score) => FormattableString.Invariant($"score {score}");

    public void Run(RowBlock inputs, int rows, OutputBlock outputs)
    {
        Computing?.Invoke(inputs.SingleRow(0, 0)[0]);
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            Calls++;
            Rows += rows;
            LastWanted = string.Join(" ", Outputs.Where((_, i) => outputs.IsWanted(i)).Select(o => o.Name));
        }
        for (int r = 0; r < rows; r++)
        {
            Span<float> row = inputs.SingleRow(0, r);
            float score = ScoreOf(row);
            if (outputs.IsWanted(0))
                outputs.Singles(0)[r] = score;
            if (outputs.IsWanted(1))
                outputs.Booleans(1)[r] = LabelOf(score);
            for (int i = 0; outputs.IsWanted(2) && i < Width; i++)
                outputs.Singles(2)[(r * Width) + i] = 2 * row[i];
            if (outputs.IsWanted(3))
                outputs.Texts(3)[r] = WordsOf(score);
        }
    }

    public void Dispose() => _disposed = true;

    public override string ToString() => $"{_input} × {Width}";
}
