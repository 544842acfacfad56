using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using Microsoft.ML.Transforms;

[assembly: Microsoft.ML.LoadableClass(
    typeof(ColumnCopyingTransformer), null, typeof(Microsoft.ML.SignatureLoadModel), "Copy columns", "CopyTransform")]

namespace Microsoft.ML.Transforms;

public sealed class ColumnCopyingEstimator : TrivialEstimator<ColumnCopyingTransformer>
{
    private readonly string _output;
    private readonly string _input;

    internal ColumnCopyingEstimator(IHostEnvironment env, string output, string input)
        : base(env.Register("ColumnCopyingEstimator"), new ColumnCopyingTransformer(env, [(output, input)]))
    {
        _output = output;
        _input = input;
    }

    public override SchemaShape GetOutputSchema(SchemaShape inputSchema)
    {
        if (!inputSchema.TryFindColumn(_input, out SchemaShape.Column column))
            throw Host.ExceptSchemaMismatch(nameof(inputSchema), "input", _input);
        return inputSchema.With(new(_output, column.Kind, column.ItemType, column.IsKey, column.Annotations));
    }
}

public sealed class ColumnCopyingTransformer : OneToOneTransformerBase
{
    internal ColumnCopyingTransformer(IHostEnvironment env, (string Output, string Input)[] columns)
        : base(env.Register("ColumnCopyingTransformer"), columns)
    {
    }

    private static VersionInfo GetVersionInfo()
        => new("COPYCOLT", 1, 1, 1, typeof(ColumnCopyingTransformer).Assembly.FullName, "CopyTransform");

    private static ColumnCopyingTransformer Create(IHostEnvironment env, ModelLoadContext ctx)
    {
        ctx.CheckAtModel(GetVersionInfo());
        return new(env, [(ctx.Reader.ReadString(), ctx.Reader.ReadString())]);
    }

    private protected override void SaveModel(ModelSaveContext ctx)
    {
        ctx.SetVersionInfo(GetVersionInfo());
        ctx.Writer.Write(Columns[0].Output);
        ctx.Writer.Write(Columns[0].Input);
    }

    private protected override RowMapper MakeRowMapper(DataViewSchema schema)
        => new Mapper(Columns[0].Output, FindInputs(schema)[0]);

    private sealed class Mapper(string name, DataViewSchema.Column input) : RowMapper
    {
        public override DataViewSchema.DetachedColumn[] Columns { get; } = [new(name, input.Type, input.Annotations)];

        public override IEnumerable<int> DependenciesOf(int added) => [input.Index];

        public override Delegate MakeGetter(DataViewRow row, int added)
            => ColumnSets.ForRawType<Delegate>(this, nameof(Getter), input.Type.RawType, row);

        private ValueGetter<T> Getter<T>(DataViewRow row) => row.GetGetter<T>(row.Schema[input.Index]);
    }
}
