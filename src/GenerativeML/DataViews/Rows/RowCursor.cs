using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML;

/// <summary>What readers of rows ask for, and the errors for asking amiss.</summary>
internal static class ActiveColumns
{
    /// <summary>For each column of a schema, whether it is among <paramref name="columns"/>.</summary>
    public static bool[] Of(DataViewSchema schema, IEnumerable<DataViewSchema.Column> columns)
    {
        ArgumentNullException.ThrowIfNull(columns);
        var active = new bool[schema.Count];
        foreach (DataViewSchema.Column column in columns)
        {
            if (column.Index >= active.Length)
            {
                throw new ArgumentOutOfRangeException(nameof(columns),
                    $"Column '{column.Name}' has the number {column.Index}, but there are {schema.Count} columns.");
            }
            active[column.Index] = true;
        }
        return active;
    }

    /// <summary>Whether a column is one of them.</summary>
    public static bool Has(this bool[] active, DataViewSchema.Column column) =>
        column.Index < active.Length && active[column.Index];

    /// <summary>The getter that <paramref name="open"/> gives for an active column, as the caller wants it.</summary>
    public static ValueGetter<TValue> Getter<TValue>(
        this bool[] active, DataViewSchema.Column column, Func<int, Delegate> open)
    {
        if (!active.Has(column))
        {
            throw new ArgumentOutOfRangeException(
                nameof(column), $"Column '{column.Name}' is not active here: it was not among the columns asked for.");
        }
        return open(column.Index) as ValueGetter<TValue> ?? throw new InvalidOperationException(
            $"Column '{column.Name}' is of type {column.Type}: its values are {column.Type.RawType}, not {typeof(TValue)}.");
    }
}

/// <summary>Where a reader of a block of rows stands.</summary>
internal interface IBatchPosition
{
    /// <summary>The row of the block that getters answer for; its values are there once this returns.</summary>
    int Row { get; }
}

/// <summary>What all cursors of this package do alike: they count rows, and give getters for active columns.</summary>
internal abstract class RowCursor(DataViewSchema schema, bool[] active) : DataViewRowCursor
{
    private long _position = -1;
    private bool _ended;

    public override DataViewSchema Schema => schema;

    public override long Position => _position;

    /// <summary>The error for a value that is asked for where there is none.</summary>
    protected static InvalidOperationException NoRow =>
        new("The cursor stands on no row: MoveNext was not called, or returned false.");

    public override bool MoveNext()
    {
        if (!_ended && Advance())
        {
            _position++;
            return true;
        }
        End();
        return false;
    }

    public override bool IsColumnActive(DataViewSchema.Column column) => active.Has(column);

    public override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column) =>
        active.Getter<TValue>(column, Getter<TValue>);

    /// <summary>Goes on to the next row; false where there is none.</summary>
    protected abstract bool Advance();

    /// <summary>A <see cref="ValueGetter{TValue}"/> for an active column of the schema, by its number.</summary>
    protected abstract Delegate Getter<TValue>(int column);

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            End();
        base.Dispose(disposing);
    }

    private void End()
    {
        _ended = true;
        _position = -1;
    }
}
