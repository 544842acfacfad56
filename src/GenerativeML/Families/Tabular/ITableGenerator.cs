namespace GenerativeML;

/// <summary>A trained model that makes rows of a table. Safe to use from several threads.</summary>
internal interface ITableGenerator : IDisposable
{
    /// <summary>The columns that it was trained on.</summary>
    TableShape Shape { get; }

    /// <summary>What must be known, beside <see cref="Shape"/> and the tensors, to build the model again.</summary>
    TableModelShape ModelShape { get; }

    /// <summary>
    /// Fills all rows of <paramref name="block"/>, with the same values for the same <paramref name="seed"/>, condition
    /// and capacity. Blocks of different seeds are independent.
    /// </summary>
    /// <param name="block">Its shape is <see cref="Shape"/>.</param>
    /// <param name="seed">The seed of everything random in this block.</param>
    /// <param name="where">
    /// What rows are asked for, or null for any. Each of its columns is limited to the values allowed, and the others
    /// go with them as in the training rows, as well as the model can. A row that fails nevertheless is no error: the
    /// caller sorts it out and asks for more.
    /// </param>
    /// <exception cref="ObjectDisposedException">The model has been disposed.</exception>
    void Fill(TableBlock block, ulong seed, TableCondition? where);

    /// <summary>Writes all that was learned as safetensors.</summary>
    void Save(Stream stream);
}
