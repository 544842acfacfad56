using Microsoft.ML.Runtime;

namespace Microsoft.ML.Data;

/// <summary>A cursor with rows of its own. At its end it is disposed, and its position is again -1.</summary>
internal abstract class RootCursorBase(DataViewSchema schema, IEnumerable<DataViewSchema.Column> active) : DataViewRowCursor
{
    private readonly bool[] _active = ColumnSets.Flags(schema, active);
    private long _position = -1;
    private bool _disposed;

    public sealed override long Position => _position;

    public override long Batch => 0;

    public sealed override DataViewSchema Schema => schema;

    public override bool IsColumnActive(DataViewSchema.Column column) => _active[column.Index];

    public override ValueGetter<DataViewRowId> GetIdGetter()
        => (ref DataViewRowId value) => value = new((ulong)_position, 0);

    public sealed override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column)
    {
        if (column.Index >= schema.Count || !IsColumnActive(column))
            throw Contracts.ExceptParam(null, nameof(column), $"Column '{column.Name}' was not asked for");
        return MakeGetter(column.Index).As<TValue>(column);
    }

    public sealed override bool MoveNext()
    {
        if (!_disposed && MoveNextCore())
        {
            _position++;
            return true;
        }

        Dispose();
        return false;
    }

    protected abstract Delegate MakeGetter(int column);

    protected abstract bool MoveNextCore();

    protected override void Dispose(bool disposing)
    {
        _disposed = true;
        _position = -1;
    }
}

/// <summary>A cursor over another one's rows, with other columns.</summary>
internal abstract class SynchronizedCursorBase(DataViewRowCursor input) : DataViewRowCursor
{
    protected DataViewRowCursor Input => input;

    public override long Position => input.Position;

    public override long Batch => input.Batch;

    public override bool MoveNext() => input.MoveNext();

    public override ValueGetter<DataViewRowId> GetIdGetter() => input.GetIdGetter();

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            input.Dispose();
    }
}

internal static class ColumnSets
{
    /// <summary>One flag for each column of the schema; columns of another schema of the same size pass.</summary>
    public static bool[] Flags(DataViewSchema schema, IEnumerable<DataViewSchema.Column> columns)
    {
        bool[] flags = new bool[schema.Count];
        foreach (DataViewSchema.Column column in columns ?? [])
        {
            Contracts.CheckParam(
                null,
                column.Index < flags.Length && schema[column.Index].Name == column.Name,
                nameof(columns),
                $"Column '{column.Name}' is not in this schema");
            flags[column.Index] = true;
        }

        return flags;
    }

    public static ValueGetter<TValue> As<TValue>(this Delegate getter, DataViewSchema.Column column)
        => getter as ValueGetter<TValue>
            ?? throw Contracts.Except(
                null,
                $"Column {column} gives {getter.GetType().GenericTypeArguments[0]}, not {typeof(TValue)}");

    /// <summary>Runs a generic method with the type that values of a column are held as.</summary>
    public static T ForRawType<T>(object target, string method, Type rawType, params object[] arguments)
        => (T)target.GetType()
            .GetMethod(method, System.Reflection.BindingFlags.Instance | System.Reflection.BindingFlags.NonPublic)
            .MakeGenericMethod(rawType)
            .Invoke(target, System.Reflection.BindingFlags.DoNotWrapExceptions, null, arguments, null);
}
