using GenerativeML.Persistence;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Tests.Platform;

/// <summary>A transformer of public types that changes nothing, and tells what ML.NET does with it.</summary>
internal sealed class ProbeTransformer : ITransformer, IDisposable
{
    public int Disposals { get; private set; }

    public ProbeMapper? Mapper { get; private set; }

    /// <summary>Another schema for each row than for the mapper that makes it.</summary>
    public bool RowsCarryAnotherSchema { get; init; }

    public Action<ModelSaveContext>? OnSave { get; init; }

    public bool IsRowToRowMapper => true;

    public DataViewSchema GetOutputSchema(DataViewSchema inputSchema) => inputSchema;

    public IDataView Transform(IDataView input) => input;

    public IRowToRowMapper GetRowToRowMapper(DataViewSchema inputSchema) =>
        Mapper = new ProbeMapper(inputSchema, RowsCarryAnotherSchema);

    public void Save(ModelSaveContext ctx) => OnSave?.Invoke(ctx);

    public void Dispose() => Disposals++;

    public static Action<ModelSaveContext> SaveHeader(
        string signature = "PROBEXFM", string loader = "Probe", string? assembly = null) =>
        context => MLNetInternals.WriteHeader(
            context, new ModelHeader(signature, 1, loader, assembly ?? typeof(ProbeTransformer).Assembly.FullName!));
}

/// <summary>The mapper of a <see cref="ProbeTransformer"/>.</summary>
internal sealed class ProbeMapper(DataViewSchema schema, bool rowsCarryAnotherSchema) : IRowToRowMapper
{
    public IReadOnlyList<string> ActiveColumns { get; private set; } = [];

    public DataViewRow? Input { get; private set; }

    public DataViewSchema InputSchema => schema;

    public DataViewSchema OutputSchema => schema;

    public IEnumerable<DataViewSchema.Column> GetDependencies(IEnumerable<DataViewSchema.Column> dependingColumns) =>
        dependingColumns;

    public DataViewRow GetRow(DataViewRow input, IEnumerable<DataViewSchema.Column> activeColumns)
    {
        Input = input;
        ActiveColumns = [.. activeColumns.Select(c => c.Name)];
        return rowsCarryAnotherSchema ? new RowOfAnotherSchema(input) : input;
    }

    private sealed class RowOfAnotherSchema(DataViewRow input) : DataViewRow
    {
        public override long Position => input.Position;

        public override long Batch => input.Batch;

        public override DataViewSchema Schema { get; } = CopyOf(input.Schema);

        public override ValueGetter<DataViewRowId> GetIdGetter() => input.GetIdGetter();

        public override bool IsColumnActive(DataViewSchema.Column column) => true;

        public override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column) =>
            input.GetGetter<TValue>(input.Schema[column.Index]);

        private static DataViewSchema CopyOf(DataViewSchema schema)
        {
            var builder = new DataViewSchema.Builder();
            builder.AddColumns(schema);
            return builder.ToSchema();
        }
    }
}
