using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using Microsoft.ML.Transforms;

[assembly: Microsoft.ML.LoadableClass(
    typeof(ColumnSelectingTransformer), null, typeof(Microsoft.ML.SignatureLoadModel), "Select columns", "SelectColumns")]

namespace Microsoft.ML.Transforms;

public sealed class ColumnSelectingEstimator : TrivialEstimator<ColumnSelectingTransformer>
{
    internal ColumnSelectingEstimator(IHostEnvironment env, string[] names, bool drop)
        : base(env.Register("ColumnSelectingEstimator"), new ColumnSelectingTransformer(env, names, drop))
    {
    }

    public override SchemaShape GetOutputSchema(SchemaShape inputSchema)
    {
        Transformer.CheckNames(inputSchema.Select(c => c.Name));
        return new(inputSchema.Where(c => Transformer.Keeps(c.Name)));
    }
}

public sealed class ColumnSelectingTransformer : ITransformer
{
    private readonly IHost _host;
    private readonly string[] _names;
    private readonly bool _drop;

    internal ColumnSelectingTransformer(IHostEnvironment env, string[] names, bool drop)
    {
        _host = env.Register("ColumnSelectingTransformer");
        _names = names;
        _drop = drop;
    }

    bool ITransformer.IsRowToRowMapper => true;

    public DataViewSchema GetOutputSchema(DataViewSchema inputSchema) => Bind(inputSchema).OutputSchema;

    public IDataView Transform(IDataView input) => new MappedDataView(Bind(input.Schema), input);

    IRowToRowMapper ITransformer.GetRowToRowMapper(DataViewSchema inputSchema) => new BoundMapper(Bind(inputSchema));

    void ICanSaveModel.Save(ModelSaveContext ctx)
    {
        ctx.SetVersionInfo(GetVersionInfo());
        ctx.Writer.Write(_drop);
        ctx.Writer.WriteStrings(_names);
    }

    internal bool Keeps(string name) => _names.Contains(name) != _drop;

    internal void CheckNames(IEnumerable<string> present)
    {
        string[] missing = [.. _names.Except(present)];
        if (missing.Length > 0)
            throw _host.ExceptSchemaMismatch("inputSchema", "input", string.Join(",", missing));
    }

    private static VersionInfo GetVersionInfo()
        => new("SELCOLST", 1, 1, 1, typeof(ColumnSelectingTransformer).Assembly.FullName, "SelectColumns");

    private static ColumnSelectingTransformer Create(IHostEnvironment env, ModelLoadContext ctx)
    {
        ctx.CheckAtModel(GetVersionInfo());
        bool drop = ctx.Reader.ReadBoolean();
        return new(env, ctx.Reader.ReadStrings(), drop);
    }

    private SelectedColumns Bind(DataViewSchema schema)
    {
        _host.CheckValue(schema, nameof(schema));
        CheckNames(schema.Select(c => c.Name));
        return new(schema, _drop
            ? schema.Where(c => !c.IsHidden && Keeps(c.Name))
            : _names.Select(name => schema[name]));
    }
}
