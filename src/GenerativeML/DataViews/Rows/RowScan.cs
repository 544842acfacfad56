using System.Globalization;
using System.Text;

namespace GenerativeML;

/// <summary>What one pass over the training rows finds that is not finite.</summary>
internal sealed class RowScan(IReadOnlyList<RowField> fields)
{
    private readonly long[] _badRows = new long[fields.Count];
    private readonly long[] _badValues = new long[fields.Count];
    private readonly (long Row, int Slot, float Value)?[] _first = new (long, int, float)?[fields.Count];
    private long _rowInDoubt = -1;

    /// <summary>All rows seen.</summary>
    public long Rows { get; private set; }

    /// <summary>Rows in which at least one value of one field is not finite.</summary>
    public long BadRows { get; private set; }

    /// <summary>Counts one more row as seen.</summary>
    public void NextRow() => Rows++;

    /// <summary>
    /// Counts what is not finite in <paramref name="values"/>, field <paramref name="field"/> of the newest row.
    /// </summary>
    public void AddBad(int field, ReadOnlySpan<float> values)
    {
        if (_rowInDoubt != Rows)
        {
            _rowInDoubt = Rows;
            BadRows++;
        }
        _badRows[field]++;
        for (int slot = 0; slot < values.Length; slot++)
        {
            if (float.IsFinite(values[slot]))
                continue;
            _badValues[field]++;
            _first[field] ??= (Rows - 1, slot, values[slot]);
        }
    }

    /// <summary>Says, column by column, how much is not finite and where the first of it is.</summary>
    public string Describe()
    {
        var text = new StringBuilder();
        for (int f = 0; f < fields.Count; f++)
        {
            if (_first[f] is not (long row, int slot, float value))
                continue;
            text.Append(CultureInfo.InvariantCulture,
                $"Column '{fields[f].Name}' holds {_badValues[f]} values that are NaN or infinite, in {_badRows[f]} of ")
                .Append(CultureInfo.InvariantCulture, $"{Rows} rows; the first is {value} in slot {slot} of row {row} ")
                .Append("(both counted from 0). ");
        }
        return text.ToString().TrimEnd();
    }
}
