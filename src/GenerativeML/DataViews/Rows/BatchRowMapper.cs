using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML;

/// <summary>
/// A model bound to the schema of the rows that come in: which columns it reads, and what the rows look like that
/// come out. All columns of the input pass through, the model's outputs follow them.
/// </summary>
/// <remarks>Columns are known by index from here on: an output may hide an input column of the same name.</remarks>
internal sealed class BatchRowMapper : IRowToRowMapper
{
    /// <exception cref="ArgumentOutOfRangeException">
    /// An input column is missing from <paramref name="inputSchema"/> or is not what the model was trained on.
    /// </exception>
    public BatchRowMapper(DataViewSchema inputSchema, IBatchModel model)
    {
        ArgumentNullException.ThrowIfNull(inputSchema);
        Model = model;
        InputSchema = inputSchema;
        ModelInputs = [.. model.Inputs.Select(field => InputColumns.Find(inputSchema, field, nameof(inputSchema)))];

        var builder = new DataViewSchema.Builder();
        builder.AddColumns(inputSchema);
        uint setId = OutputAnnotations.NextSetId(inputSchema);
        foreach (OutputColumn column in model.Outputs)
            OutputAnnotations.Deliver(builder, column, inputSchema, setId);
        OutputSchema = builder.ToSchema();
    }

    public IBatchModel Model { get; }

    /// <inheritdoc/>
    public DataViewSchema InputSchema { get; }

    /// <inheritdoc/>
    /// <remarks>One object for the mapper's whole life: ML.NET compares schemas by reference.</remarks>
    public DataViewSchema OutputSchema { get; }

    /// <summary>The columns of <see cref="InputSchema"/> that the model reads, one for each of its fields.</summary>
    public IReadOnlyList<DataViewSchema.Column> ModelInputs { get; }

    /// <summary>Which columns of <see cref="OutputSchema"/> are asked for.</summary>
    public bool[] Activate(IEnumerable<DataViewSchema.Column> columns) => ActiveColumns.Of(OutputSchema, columns);

    /// <summary>Whether any of the model's own outputs is asked for.</summary>
    public bool NeedsModel(bool[] active) => Array.IndexOf(active, true, InputSchema.Count) >= 0;

    /// <summary>The columns of <see cref="InputSchema"/> that it takes to deliver what is asked for.</summary>
    public IEnumerable<DataViewSchema.Column> Required(bool[] active)
    {
        var required = active[..InputSchema.Count];
        if (NeedsModel(active))
        {
            foreach (DataViewSchema.Column column in ModelInputs)
                required[column.Index] = true;
        }
        return InputSchema.Where(c => required[c.Index]);
    }

    /// <inheritdoc/>
    public IEnumerable<DataViewSchema.Column> GetDependencies(IEnumerable<DataViewSchema.Column> dependingColumns) =>
        Required(Activate(dependingColumns));

    /// <inheritdoc/>
    public DataViewRow GetRow(DataViewRow input, IEnumerable<DataViewSchema.Column> activeColumns)
    {
        ArgumentNullException.ThrowIfNull(input);
        if (!ReferenceEquals(input.Schema, InputSchema))
            throw new ArgumentException("The row has another schema than the one this mapper was made for.", nameof(input));
        return new MappedRow(this, input, Activate(activeColumns));
    }
}
