using System.Globalization;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML;

/// <summary>How many synthetic rows of which kind are added to how many real ones.</summary>
/// <param name="RealRows">The number of real rows.</param>
/// <param name="Parts">The synthetic rows: how many, and what they have in common.</param>
internal sealed record AugmentationPlan(long RealRows, IReadOnlyList<(long Rows, ColumnValue? Where)> Parts)
{
    private const int MostValues = 1000;

    /// <summary>Reads the column that is to be balanced; where there is none, the rows are only counted.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The column is missing or of the wrong type.</exception>
    /// <exception cref="InvalidOperationException">There are no rows, or too many values to balance.</exception>
    public static AugmentationPlan Of(IDataView data, AugmentationOptions options)
    {
        if (options.BalancedColumnName is string name)
            return Balanced(data, name);
        long rows = data.GetRowCount() ?? Count(data);
        long added = (long)Math.Round(rows * (options.Ratio ?? 1), MidpointRounding.AwayFromZero);
        return rows == 0 ? throw Empty() : new(rows, added == 0 ? [] : [(added, null)]);
    }

    private static AugmentationPlan Balanced(IDataView data, string name)
    {
        if (data.Schema.GetColumnOrNull(name) is not DataViewSchema.Column column)
        {
            throw new ArgumentOutOfRangeException(
                nameof(data),
                $"Column '{name}', which is to be balanced, is missing; the data has the columns "
                + $"{string.Join(", ", data.Schema.Where(c => !c.IsHidden).Take(20).Select(c => $"'{c.Name}'"))}.");
        }
        if (column.Type is VectorDataViewType)
        {
            throw new ArgumentOutOfRangeException(
                nameof(data),
                $"Column '{name}', which is to be balanced, is a vector: expected a scalar, found {column.Type}.");
        }
        TableCells.AreNumbers(column, nameof(data));
        Dictionary<object, long> counts = [];
        long rows = 0;
        using (DataViewRowCursor cursor = data.GetRowCursor([column]))
        {
            TableCells cells = new(cursor, column);
            for (; cursor.MoveNext(); rows++)
            {
                cells.Read();
                if (cells.Value(0) is not object value)
                    continue;
                counts[value] = counts.GetValueOrDefault(value) + 1;
                if (counts.Count > MostValues)
                {
                    throw new InvalidOperationException(
                        $"Column '{name}' has more than {MostValues} different values: too many to balance.");
                }
            }
        }
        if (rows == 0)
            throw Empty();
        long most = counts.Values.DefaultIfEmpty(0).Max();
        return new(
            rows,
            [
                .. counts.Where(pair => pair.Value < most)
                    .OrderBy(pair => Convert.ToString(pair.Key, CultureInfo.InvariantCulture), StringComparer.Ordinal)
                    .Select(pair => (most - pair.Value, (ColumnValue?)new ColumnValue(name, pair.Key))),
            ]);
    }

    private static long Count(IDataView data)
    {
        using DataViewRowCursor cursor = data.GetRowCursor([]);
        long rows = 0;
        while (cursor.MoveNext())
            rows++;
        return rows;
    }

    private static InvalidOperationException Empty() => new("There are no rows to learn from.");
}
