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

    /// <summary>The error for a column that a cursor or row was not asked to deliver.</summary>
    public static ArgumentOutOfRangeException Inactive(DataViewSchema.Column column) =>
        new(nameof(column), $"Column '{column.Name}' is not active here: it was not among the columns asked for.");

    /// <summary>Casts a getter to the type that the caller wants.</summary>
    /// <exception cref="InvalidOperationException">The column's values are of another type.</exception>
    public static ValueGetter<TValue> Cast<TValue>(Delegate getter, DataViewSchema.Column column) =>
        getter as ValueGetter<TValue> ?? throw new InvalidOperationException(
            $"Column '{column.Name}' is of type {column.Type}: its values are {column.Type.RawType}, not {typeof(TValue)}.");
}
