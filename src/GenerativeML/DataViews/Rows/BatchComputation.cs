using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML;

/// <summary>Where a reader of a batch stands.</summary>
internal interface IBatchPosition
{
    /// <summary>The row of the batch that getters answer for; its outputs are there once this returns.</summary>
    /// <exception cref="InvalidOperationException">There is no current row.</exception>
    int Row { get; }
}

/// <summary>The way of batches through the model: input rows in, a computation each, getters for the outputs.</summary>
/// <remarks>
/// Belongs to one cursor or row. Rows of all batches are counted on: the first row of the second batch follows the last
/// one that there is room for in the first. Different batches may be in different threads' hands.
/// </remarks>
internal sealed class BatchComputation
{
    private readonly IBatchModel _model;
    private readonly FieldReader[] _readers;
    private readonly int _capacity;
    private readonly RowBlock[] _inputs; // of each batch
    private readonly OutputBlock _outputs; // of all batches
    private readonly OutputBlock[] _parts;
    private readonly bool[] _unknown;

    /// <summary>
    /// Makes room for some batches of <paramref name="capacity"/> rows: one reader for each of the model's input
    /// fields; for each of its outputs, whether anybody wants it.
    /// </summary>
    public BatchComputation(IBatchModel model, FieldReader[] readers, bool[] wanted, int capacity, int batches = 1)
    {
        _model = model;
        _readers = readers;
        _capacity = capacity;
        _inputs = [.. Enumerable.Range(0, batches).Select(_ => new RowBlock(model.Inputs, capacity))];
        _outputs = new OutputBlock(model.Outputs, wanted, batches * capacity);
        _parts = [.. Enumerable.Range(0, batches).Select(b => _outputs.Part(b * capacity, capacity))];
        _unknown = new bool[batches * capacity];
    }

    /// <summary>Reads the model's inputs into row <paramref name="row"/> of a batch.</summary>
    public void ReadRow(int batch, int row)
    {
        RowBlock inputs = _inputs[batch];
        _unknown[batch * _capacity + row] = false;
        for (int f = 0; f < _readers.Length; f++)
        {
            if (_readers[f].Read(inputs, f, row))
                continue;
            Span<float> values = inputs.SingleRow(f, row);
            if (_model.Replacement is NonFiniteReplacement replacement)
            {
                replacement.Apply(f, values);
            }
            else
            {
                // The model sees harmless zeros instead, which keeps the row from disturbing its neighbours.
                values.Clear();
                _unknown[batch * _capacity + row] = true;
            }
        }
    }

    /// <summary>Computes all wanted outputs of the first <paramref name="rows"/> rows of a batch.</summary>
    public void Run(int batch, int rows)
    {
        OutputBlock outputs = _parts[batch];
        _model.Run(_inputs[batch], rows, outputs);
        ReadOnlySpan<bool> unknown = _unknown.AsSpan(batch * _capacity, rows);
        for (int row = unknown.IndexOf(true); row >= 0 && row < rows; row++)
        {
            if (unknown[row])
                outputs.SetUnknown(row);
        }
    }

    /// <summary>
    /// A <see cref="ValueGetter{TValue}"/> for output <paramref name="output"/> of the row that <paramref name="at"/>
    /// names, counted over all batches.
    /// </summary>
    public Delegate Getter(int output, IBatchPosition at) => _outputs.Getter(output, at);
}
