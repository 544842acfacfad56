using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML;

/// <summary>Data views in parts, for several processes or jobs that share the work without speaking with each other.</summary>
public static class DataPartExtensions
{
    /// <summary>One of so many parts of a view's rows, which together are exactly the whole, in its order.</summary>
    /// <remarks>
    /// Parts are as long as each other, but for one row; of generated rows they may differ by some of those that are made at
    /// once, so that none are made twice where there are enough. Rows before the part are passed over, and nothing
    /// that is computed when it is asked for is computed for them: take a part of what <c>Transform</c> or
    /// <see cref="IDataGenerator.Generate"/> gives, not of what goes in, where a row's result depends on its place.
    /// </remarks>
    /// <param name="view">The whole.</param>
    /// <param name="index">Which part, from zero.</param>
    /// <param name="count">Of how many.</param>
    /// <returns>The part, which reads the whole when it is read.</returns>
    /// <exception cref="ArgumentOutOfRangeException">There is no such part.</exception>
    public static IDataView Part(this IDataView view, int index, int count) => view.Part(new DataPart(index, count));

    /// <summary>The same of a part that, for example, <see cref="DataPart.FromEnvironment"/> names.</summary>
    /// <param name="view">The whole.</param>
    /// <param name="part">Which part.</param>
    /// <returns>The part, which reads the whole when it is read.</returns>
    public static IDataView Part(this IDataView view, DataPart part)
    {
        ArgumentNullException.ThrowIfNull(view);
        if (part.Count <= 1)
            return view; // the default of the structure, too
        return view is GeneratedDataView generated ? generated.Part(part) : new PartDataView(view, part);
    }
}

/// <summary>Some of a view's rows, by their numbers.</summary>
internal sealed class PartDataView(IDataView whole, DataPart part) : IDataView
{
    private readonly Lock _gate = new();
    private (long First, long End)? _rows;

    public bool CanShuffle => false;

    public DataViewSchema Schema => whole.Schema;

    public long? GetRowCount() => (_rows ?? (whole.GetRowCount() is long rows ? Range(rows) : null)) is { } range
        ? range.End - range.First
        : null;

    public DataViewRowCursor GetRowCursor(IEnumerable<DataViewSchema.Column> columnsNeeded, Random? rand = null)
    {
        bool[] active = ActiveColumns.Of(Schema, columnsNeeded);
        (long first, long end) range;
        lock (_gate)
            range = _rows ??= Range(whole.GetRowCount() ?? Count());
        (long first, long end) = range;
        return new Cursor(whole.GetRowCursor(Schema.Where(c => active[c.Index])), active, first, end);
    }

    public DataViewRowCursor[] GetRowCursorSet(
        IEnumerable<DataViewSchema.Column> columnsNeeded, int n, Random? rand = null) => [GetRowCursor(columnsNeeded, rand)];

    private (long, long) Range(long rows) =>
        ((long)((Int128)rows * part.Index / part.Count), (long)((Int128)rows * (part.Index + 1) / part.Count));

    // One pass that asks for no value.
    private long Count()
    {
        using DataViewRowCursor cursor = whole.GetRowCursor([]);
        long rows = 0;
        while (cursor.MoveNext())
            rows++;
        return rows;
    }

    private sealed class Cursor(DataViewRowCursor input, bool[] active, long first, long end) : RowCursor(input.Schema, active)
    {
        public override long Batch => input.Batch;

        public override ValueGetter<DataViewRowId> GetIdGetter() => input.GetIdGetter();

        protected override bool Advance()
        {
            while (input.Position + 1 < first && input.MoveNext())
            {
            }
            return input.Position + 1 < end && input.MoveNext();
        }

        protected override Delegate Getter<TValue>(int column) => input.GetGetter<TValue>(input.Schema[column]);

        protected override void Dispose(bool disposing)
        {
            if (disposing)
                input.Dispose();
            base.Dispose(disposing);
        }
    }
}
