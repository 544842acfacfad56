using Microsoft.ML;

namespace GenerativeML;

/// <summary>A trained model that generates rows like those that it was trained on.</summary>
public interface IDataGenerator
{
    /// <summary>The columns of generated rows, with the types and annotations of the training data.</summary>
    DataViewSchema GeneratedSchema { get; }

    /// <summary>Generates rows. Nothing is computed before they are read.</summary>
    /// <remarks>
    /// Rows are made in batches as a cursor asks for them, and made again for each cursor, so that any number of them
    /// takes no memory: <c>mlContext.Data.Cache</c> keeps them. The same seed gives the same rows, by any cursor, set of
    /// cursors or number of threads; with more rows, the first are those of fewer. A shuffled cursor reads them in
    /// another order.
    /// </remarks>
    /// <param name="rows">How many; zero or more.</param>
    /// <param name="seed">Other seeds give other rows.</param>
    /// <param name="where">What every row meets, exactly. Default: as in the training rows.</param>
    /// <returns>The rows, with <see cref="GeneratedSchema"/>.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The number of rows is negative.</exception>
    /// <exception cref="ArgumentException">No row can meet the condition; the message says why.</exception>
    IDataView Generate(long rows, int seed = 0, RowCondition? where = null);
}
