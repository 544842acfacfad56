using Microsoft.ML;

namespace GenerativeML;

/// <summary>A generator of tables.</summary>
internal sealed class TabularRowGenerator(TabularTransformer model) : IRowGenerator
{
    /// <inheritdoc/>
    public DataViewSchema GeneratedSchema => model.GeneratedSchema;

    /// <inheritdoc/>
    public IDataView Generate(long rows, int seed, ColumnValue? where) => model.Generate(rows, seed, where?.Value switch
    {
        null => null,
        double number => new RowCondition().Equal(where.Column, number),
        bool flag => new RowCondition().Equal(where.Column, flag),
        var text => new RowCondition().Equal(where.Column, (string)text),
    });

    /// <inheritdoc/>
    public void Dispose() => model.Dispose();
}
