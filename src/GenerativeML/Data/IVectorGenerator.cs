namespace GenerativeML;

/// <summary>A trained model that makes rows: a vector, and the conditions that it goes with.</summary>
internal interface IVectorGenerator
{
    /// <summary>Slots of the vector, D.</summary>
    int InputWidth { get; }

    /// <summary>Slots of each condition; empty for none. Their sum is C.</summary>
    IReadOnlyList<int> ConditionWidths { get; }

    /// <summary>The mean of each slot of the conditions over the training rows, (C); of a key's slot, its share.</summary>
    float[] ConditionMeans();

    /// <summary>
    /// Makes rows, the same for the same seed, number and condition: conditions as in training rows, vectors that go
    /// with them.
    /// </summary>
    /// <param name="rows">(count × D), for the vectors, in the units of the data.</param>
    /// <param name="conditions">(count × C), for their conditions.</param>
    /// <param name="count">The number of rows.</param>
    /// <param name="seed">The seed of everything random.</param>
    /// <param name="where">
    /// The conditions that all rows have, (C): NaN in slots that are free. Empty: all are. Free ones come from training
    /// rows that share the others, or from any where none does.
    /// </param>
    /// <exception cref="ObjectDisposedException">The model has been disposed.</exception>
    void Generate(Memory<float> rows, Memory<float> conditions, int count, ulong seed, ReadOnlySpan<float> where);
}
