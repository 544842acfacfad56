using Microsoft.ML;

namespace GenerativeML;

/// <summary>A transformer that also generates rows like those that it was trained on.</summary>
/// <remarks><inheritdoc cref="GenerativeTransformer" path="/remarks"/></remarks>
public abstract class GeneratorTransformer : NetworkTransformer
{
    private readonly Action<Action<IVectorGenerator>> _use;
    private readonly IReadOnlyList<RowField> _fields;

    private protected GeneratorTransformer(
        IBatchModel model, VectorSchema columns, Action<Action<IVectorGenerator>> use)
        : base(model)
    {
        _use = use;
        _fields = model.Inputs;
        Columns = columns;
        GeneratedSchema = columns.ToSchema();
    }

    /// <summary>
    /// The columns of generated rows: the vector and the condition columns, in the order of the training data, with
    /// their types and annotations.
    /// </summary>
    public DataViewSchema GeneratedSchema { get; }

    /// <summary>The same as they are saved.</summary>
    private protected VectorSchema Columns { get; }

    /// <summary>Generates rows. Nothing is computed before they are read.</summary>
    /// <remarks>
    /// Rows are made in batches as a cursor asks for them, and made again for each cursor, so that any number of them
    /// takes no memory: <c>mlContext.Data.Cache</c> keeps them. The same seed gives the same rows, by any cursor, set of
    /// cursors or number of threads; with more rows, the first are those of fewer. A shuffled cursor reads them in
    /// another order.
    /// </remarks>
    /// <param name="rows">How many; zero or more.</param>
    /// <param name="seed">Other seeds give other rows.</param>
    /// <param name="where">
    /// Values of condition columns that every row has, each by <c>Equal</c>. Default: as in the training rows.
    /// </param>
    /// <returns>The rows, with <see cref="GeneratedSchema"/>.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The number of rows is negative.</exception>
    /// <exception cref="ArgumentException">
    /// No row can meet the condition: its column is no condition column, its value was never seen, or two contradict each
    /// other; the message says which.
    /// </exception>
    /// <exception cref="ObjectDisposedException">The transformer has been disposed.</exception>
    public IDataView Generate(long rows, int seed = 0, RowCondition? where = null)
    {
        if (rows < 0)
            throw new ArgumentOutOfRangeException(nameof(rows), rows, $"The number of rows is {rows}; zero or more is expected.");
        float[] means = [];
        _use(generator => means = generator.ConditionMeans());
        float[] given = VectorCondition.Resolve(where, Columns, _fields, means);
        return new GeneratedDataView(
            new GeneratedVectors((r, c, n, s, w) => _use(g => g.Generate(r, c, n, s, w)), Columns, GeneratedSchema, _fields, seed, given), rows);
    }
}
