
namespace GenerativeML;

/// <summary>
/// What a family gives the row mapper: which columns go in, which come out, and a function over a batch of rows.
/// Calls come from any number of threads at once.
/// </summary>
internal interface IBatchModel : IDisposable
{
    /// <summary>The input columns, by name, with the element type and width that the model was trained on.</summary>
    IReadOnlyList<RowField> Inputs { get; }

    /// <summary>The output columns, in the order in which they are added to the schema.</summary>
    IReadOnlyList<OutputColumn> Outputs { get; }

    /// <summary>How many rows are worth computing at once.</summary>
    int BatchSize { get; }

    /// <summary>
    /// How many batches more may be read and computed before anybody asks for their rows, while others are read; none
    /// where a batch costs too much to be computed for nobody.
    /// </summary>
    int BatchesAhead => 0;

    /// <summary>
    /// What takes the place of NaN and infinity in an input row, or null for nothing: such a row is then not computed,
    /// and its outputs are NaN, empty text, and of a Boolean <see cref="OutputColumn.IfUnknown"/>.
    /// </summary>
    NonFiniteReplacement? Replacement { get; }

    /// <summary>
    /// Computes the first <paramref name="rows"/> rows of <paramref name="outputs"/>, for the outputs that
    /// <see cref="OutputBlock.IsWanted"/> names, from those of <paramref name="inputs"/>. Each row's result depends
    /// on that row alone. All inputs are finite.
    /// </summary>
    /// <exception cref="ObjectDisposedException">The model has been disposed.</exception>
    void Run(RowBlock inputs, int rows, OutputBlock outputs);
}

/// <summary>What is wrong with one row of a batch.</summary>
/// <param name="row">Its number in the batch.</param>
/// <param name="column">The column that it is about.</param>
/// <param name="cause">What is wrong.</param>
internal sealed class RowException(int row, string column, Exception cause)
    : InvalidOperationException($"column '{column}': {cause.Message}", cause)
{
    /// <summary>The same for whoever knows the number of the batch's first row.</summary>
    public InvalidOperationException Of(long first) =>
        new($"Row {first + row} (counted from 0), {Message}", InnerException);
}
