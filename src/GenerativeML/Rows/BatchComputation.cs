using GenerativeML.Torch;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Rows;

/// <summary>Where a reader of a batch stands.</summary>
internal interface IBatchPosition
{
    /// <summary>The row of the batch that getters answer for; its outputs are there once this returns.</summary>
    /// <exception cref="InvalidOperationException">There is no current row.</exception>
    int Row { get; }
}

/// <summary>The way of a batch through the model: input rows in, one computation, getters for the outputs.</summary>
/// <remarks>Belongs to one cursor or row, and so to one thread at a time.</remarks>
internal sealed class BatchComputation
{
    private readonly IBatchModel _model;
    private readonly FieldReader[] _readers;
    private readonly RowBlock _inputs;
    private readonly OutputBlock _outputs;
    private readonly bool[] _unknown;

    /// <summary>
    /// Makes room for <paramref name="capacity"/> rows: one reader for each of the model's input fields; for each of
    /// its outputs, whether anybody wants it.
    /// </summary>
    public BatchComputation(IBatchModel model, FieldReader[] readers, bool[] wanted, int capacity)
    {
        _model = model;
        _readers = readers;
        _inputs = new RowBlock(model.Inputs, capacity);
        _outputs = new OutputBlock(model.Outputs, wanted, capacity);
        _unknown = new bool[capacity];
    }

    /// <summary>Reads the model's inputs into row <paramref name="row"/> of the batch.</summary>
    public void ReadRow(int row)
    {
        _unknown[row] = false;
        for (int f = 0; f < _readers.Length; f++)
        {
            if (_readers[f].Read(_inputs, f, row))
                continue;
            Span<float> values = _inputs.SingleRow(f, row);
            if (_model.Replacement is NonFiniteReplacement replacement)
            {
                replacement.Apply(f, values);
            }
            else
            {
                // The model sees harmless zeros instead, which keeps the row from disturbing its neighbours.
                values.Clear();
                _unknown[row] = true;
            }
        }
    }

    /// <summary>Computes all wanted outputs of the first <paramref name="rows"/> rows.</summary>
    public void Run(int rows)
    {
        _model.Run(_inputs, rows, _outputs);
        for (int row = 0; row < rows; row++)
        {
            if (_unknown[row])
                _outputs.SetUnknown(row);
        }
    }

    /// <summary>
    /// A <see cref="ValueGetter{TValue}"/> for output <paramref name="output"/> of the row that <paramref name="at"/>
    /// names.
    /// </summary>
    public Delegate Getter(int output, IBatchPosition at) => _outputs.Getter(output, at);
}
