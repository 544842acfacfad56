using Microsoft.ML;

namespace GenerativeML;

/// <summary>A data view with a model's outputs beside it, computed batch by batch while somebody reads.</summary>
internal sealed class BatchDataView(BatchRowMapper mapper, IDataView source) : IDataView
{
    /// <inheritdoc/>
    public bool CanShuffle => source.CanShuffle;

    /// <inheritdoc/>
    public DataViewSchema Schema => mapper.OutputSchema;

    /// <inheritdoc/>
    public long? GetRowCount() => source.GetRowCount();

    /// <inheritdoc/>
    public DataViewRowCursor GetRowCursor(IEnumerable<DataViewSchema.Column> columnsNeeded, Random? rand = null)
    {
        bool[] active = mapper.Activate(columnsNeeded);
        return Wrap(source.GetRowCursor(mapper.Required(active), rand), active, ahead: true);
    }

    /// <inheritdoc/>
    public DataViewRowCursor[] GetRowCursorSet(
        IEnumerable<DataViewSchema.Column> columnsNeeded, int n, Random? rand = null)
    {
        bool[] active = mapper.Activate(columnsNeeded);
        DataViewRowCursor[] inputs = source.GetRowCursorSet(mapper.Required(active), n, rand);
        try
        {
            // Several cursors have a thread each already.
            return [.. inputs.Select(input => Wrap(input, active, ahead: inputs.Length == 1))];
        }
        catch
        {
            foreach (DataViewRowCursor input in inputs)
                input.Dispose();
            throw;
        }
    }

    private DataViewRowCursor Wrap(DataViewRowCursor input, bool[] active, bool ahead)
    {
        try
        {
            return mapper.NeedsModel(active)
                ? new BatchCursor(mapper, input, active, ahead)
                : new PassThroughCursor(mapper, input, active);
        }
        catch
        {
            input.Dispose();
            throw;
        }
    }
}
