using System.Buffers;

namespace GenerativeML;

/// <summary>
/// Between the row mapper and a trained network that gives rows a score, a label by a threshold, or other columns.
/// </summary>
internal abstract class TrainedBatchModel<TModel> : IBatchModel
    where TModel : class, IDisposable
{
    // Enough rows to make the cost of operator calls small, few enough for a CPU's caches; fewer where rows are wide.
    private const int MostRows = 256;
    private const int MostValues = 1 << 18;
    private const int LeastRows = 16;

    // Enough batches that threads seldom wait for each other; fewer where rows are wide, which take longer anyway.
    private const int MostAhead = 15;
    private const int MostValuesAhead = 1 << 19;

    private readonly SharedModel<TModel> _model;
    private readonly int _score, _label;

    /// <param name="model">The network.</param>
    /// <param name="inputs">What it reads.</param>
    /// <param name="outputs">What it adds.</param>
    /// <param name="replacement">What takes the place of NaN and infinity.</param>
    /// <param name="score">The name of the output that the score goes to; null for none.</param>
    /// <param name="label">The name of the output for the predicted label; null for none.</param>
    /// <param name="threshold">The label is whether the score is above it.</param>
    protected TrainedBatchModel(
        TModel model, IReadOnlyList<RowField> inputs, IReadOnlyList<OutputColumn> outputs,
        NonFiniteReplacement? replacement, string? score, string? label, float threshold)
    {
        _model = new(model);
        Inputs = inputs;
        Outputs = outputs;
        Replacement = replacement;
        int width = inputs.Sum(f => f.Width);
        BatchSize = Math.Clamp(MostValues / width, LeastRows, MostRows);
        BatchesAhead = Math.Clamp(MostValuesAhead / (BatchSize * width), 1, MostAhead);
        Threshold = threshold;
        _score = IndexOf(score);
        _label = IndexOf(label);
    }

    /// <inheritdoc/>
    public IReadOnlyList<RowField> Inputs { get; }

    /// <inheritdoc/>
    public IReadOnlyList<OutputColumn> Outputs { get; }

    /// <inheritdoc/>
    public int BatchSize { get; }

    /// <inheritdoc/>
    public virtual int BatchesAhead { get; }

    /// <inheritdoc/>
    public NonFiniteReplacement? Replacement { get; }

    /// <summary>The label is whether the score is above it.</summary>
    public float Threshold { get; set; }

    /// <summary>Uses the network itself, as for saving it.</summary>
    public void Use(Action<TModel> use) => _model.Use(use);

    /// <summary>Changes the network itself, while no row is computed.</summary>
    public void Change(Action<TModel> change) => _model.Change(change);

    /// <inheritdoc/>
    public void Run(RowBlock inputs, int rows, OutputBlock outputs)
    {
        bool label = IsWanted(outputs, _label), score = IsWanted(outputs, _score);
        float[]? rented = label && !score ? ArrayPool<float>.Shared.Rent(rows) : null;
        try
        {
            Memory<float> scores =
                score ? outputs.SingleMemory(_score)[..rows] : rented.AsMemory(0, rented is null ? 0 : rows);
            using SharedModel<TModel>.Lease lease = _model.Borrow();
            Compute(lease.Model, inputs, rows, outputs, scores);
            if (!label)
                return;
            Span<bool> labels = outputs.Booleans(_label);
            float threshold = Threshold;
            for (int row = 0; row < rows; row++)
                labels[row] = scores.Span[row] > threshold;
        }
        finally
        {
            if (rented is not null)
                ArrayPool<float>.Shared.Return(rented);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _model.Dispose();

    /// <summary>
    /// Computes the outputs that are wanted, and the scores of the rows where <paramref name="scores"/> is not empty.
    /// </summary>
    protected abstract void Compute(
        TModel model, RowBlock inputs, int rows, OutputBlock outputs, Memory<float> scores);

    /// <summary>Where a wanted vector output of these rows goes; empty for one that is not wanted.</summary>
    protected Memory<float> Values(OutputBlock outputs, int rows, int column) =>
        IsWanted(outputs, column) ? outputs.SingleMemory(column)[..(rows * Outputs[column].Width)] : default;

    /// <summary>The number of an output; −1 for none of that name.</summary>
    protected int IndexOf(string? name)
    {
        for (int i = 0; i < Outputs.Count; i++)
        {
            if (Outputs[i].Name == name)
                return i;
        }
        return -1;
    }

    private static bool IsWanted(OutputBlock outputs, int column) => column >= 0 && outputs.IsWanted(column);
}
