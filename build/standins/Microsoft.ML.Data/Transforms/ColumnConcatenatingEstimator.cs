using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Transforms;

public sealed class ColumnConcatenatingEstimator : IEstimator<ColumnConcatenatingTransformer>
{
    private readonly IHost _host;
    private readonly string _name;
    private readonly string[] _sources;

    internal ColumnConcatenatingEstimator(IHostEnvironment env, string name, string[] sources)
    {
        _host = env.Register("ColumnConcatenatingEstimator");
        _host.CheckNonEmpty(name, nameof(name));
        _host.CheckParam(sources?.Length > 0, nameof(sources), "no columns to concatenate");
        _name = name;
        _sources = sources;
    }

    /// <summary>A column that is missing is missed when the transformer is used.</summary>
    public ColumnConcatenatingTransformer Fit(IDataView input)
    {
        _host.CheckValue(input, nameof(input));
        return new(_host, _name, _sources);
    }

    public SchemaShape GetOutputSchema(SchemaShape inputSchema)
    {
        SchemaShape.Column[] columns = [.. _sources.Select(name => inputSchema.TryFindColumn(name, out var column)
            ? column
            : throw _host.ExceptSchemaMismatch(nameof(inputSchema), "input", name))];
        foreach (SchemaShape.Column column in columns)
        {
            _host.Check(!column.IsKey, $"Column '{column.Name}' is a key: keys are not concatenated");
            _host.Check(
                column.ItemType.Equals(columns[0].ItemType),
                $"Concatenated columns are of one type: '{column.Name}' is {column.ItemType}, not {columns[0].ItemType}");
        }

        List<SchemaShape.Column> annotations = [];
        if (columns.All(c => c.Annotations.TryFindColumn(AnnotationUtils.Kinds.IsNormalized, out _)))
            annotations.Add(AnnotationUtils.IsNormalizedShape());
        if (columns.Any(c => c.Kind == SchemaShape.Column.VectorKind.Scalar
            || c.Annotations.TryFindColumn(AnnotationUtils.Kinds.SlotNames, out _)))
        {
            annotations.Add(AnnotationUtils.SlotNamesShape());
        }

        var kind = columns.Any(c => c.Kind == SchemaShape.Column.VectorKind.VariableVector)
            ? SchemaShape.Column.VectorKind.VariableVector
            : SchemaShape.Column.VectorKind.Vector;
        return inputSchema.With(new(_name, kind, columns[0].ItemType, isKey: false, new SchemaShape(annotations)));
    }
}
