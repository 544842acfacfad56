
namespace GenerativeML;

/// <summary>A generator of tables in a pipeline: it reads no column and adds none.</summary>
internal sealed class TabularModel(ITableGenerator generator) : IBatchModel
{
    /// <summary>The generator, for any number of threads.</summary>
    public SharedModel<ITableGenerator> Generator { get; } = new(generator);

    /// <inheritdoc/>
    public IReadOnlyList<RowField> Inputs => [];

    /// <inheritdoc/>
    public IReadOnlyList<OutputColumn> Outputs => [];

    /// <inheritdoc/>
    public int BatchSize => 1;

    /// <inheritdoc/>
    public NonFiniteReplacement? Replacement => null;

    /// <inheritdoc/>
    public void Run(RowBlock inputs, int rows, OutputBlock outputs) =>
        throw new InvalidOperationException("There is nothing to compute.");

    /// <inheritdoc/>
    public void Dispose() => Generator.Dispose();
}
