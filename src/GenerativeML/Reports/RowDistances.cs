namespace GenerativeML;

/// <summary>How far rows are from the closest training row, and whether they are copies of one.</summary>
internal sealed class RowDistances
{
    private readonly ReportTable _training;
    private readonly (double Mean, double Deviation, bool HasMissing)[] _scales;
    private readonly double[] _numbers;
    private readonly int[] _codes;
    private readonly int _numberWidth, _codeWidth;

    public RowDistances(ReportTable training)
    {
        _training = training;
        _scales = [.. Enumerable.Range(0, training.Columns.Count).Select(c => ScaleOf(training, c))];
        (_numbers, _codes) = Encode(training, training.Rows);
        _numberWidth = _numbers.Length / training.Rows;
        _codeWidth = _codes.Length / training.Rows;
    }

    /// <summary>The median distance of the first <paramref name="most"/> rows of a table to the closest one.</summary>
    public double Median(ReportTable table, int most, CancellationToken cancellation)
    {
        int rows = Math.Min(most, table.Rows);
        (double[] numbers, int[] codes) = Encode(table, rows);
        double[] closest = new double[rows];
        for (int row = 0; row < rows; row++)
        {
            cancellation.ThrowIfCancellationRequested();
            closest[row] = Math.Sqrt(Closest(
                numbers.AsSpan(row * _numberWidth, _numberWidth), codes.AsSpan(row * _codeWidth, _codeWidth)));
        }
        Array.Sort(closest);
        return (closest[(rows - 1) / 2] + closest[rows / 2]) / 2;
    }

    /// <summary>The share of a table's rows that equal a training row.</summary>
    public double Copies(ReportTable table)
    {
        RowEquality equality = new();
        HashSet<(ReportTable, int)> known = new(equality);
        for (int row = 0; row < _training.Rows; row++)
            known.Add((_training, row));
        int copies = 0;
        for (int row = 0; row < table.Rows; row++)
            copies += known.Contains((table, row)) ? 1 : 0;
        return (double)copies / table.Rows;
    }

    private double Closest(ReadOnlySpan<double> numbers, ReadOnlySpan<int> codes)
    {
        double least = double.PositiveInfinity;
        for (int row = 0; row < _training.Rows; row++)
        {
            double sum = 0;
            ReadOnlySpan<int> otherCodes = _codes.AsSpan(row * _codeWidth, _codeWidth);
            for (int i = 0; i < codes.Length; i++)
                sum += codes[i] == otherCodes[i] ? 0 : 1;
            ReadOnlySpan<double> otherNumbers = _numbers.AsSpan(row * _numberWidth, _numberWidth);
            for (int i = 0; i < numbers.Length && sum < least; i++)
                sum += (numbers[i] - otherNumbers[i]) * (numbers[i] - otherNumbers[i]);
            least = sum < least ? sum : least;
        }
        return least;
    }

    /// <summary>
    /// Row after row: numbers in standard units, each with whether it is missing where some are; and categories.
    /// </summary>
    private (double[] Numbers, int[] Codes) Encode(ReportTable table, int rows)
    {
        int numberWidth = _scales.Where((_, c) => table.Columns[c].IsNumeric).Sum(scale => scale.HasMissing ? 2 : 1);
        int codeWidth = table.Columns.Count(c => !c.IsNumeric);
        double[] numbers = new double[rows * numberWidth];
        int[] codes = new int[rows * codeWidth];
        int number = 0, code = 0;
        for (int column = 0; column < table.Columns.Count; column++)
        {
            if (!table.Columns[column].IsNumeric)
            {
                ReadOnlySpan<int> values = table.Codes(column);
                for (int row = 0; row < rows; row++)
                    codes[row * codeWidth + code] = values[row];
                code++;
                continue;
            }
            (double mean, double deviation, bool hasMissing) = _scales[column];
            ReadOnlySpan<double> given = table.Numbers(column);
            for (int row = 0; row < rows; row++)
            {
                bool missing = double.IsNaN(given[row]);
                numbers[row * numberWidth + number] = missing ? 0 : (given[row] - mean) / deviation;
                if (hasMissing)
                    numbers[row * numberWidth + number + 1] = missing ? 1 : 0;
            }
            number += hasMissing ? 2 : 1;
        }
        return (numbers, codes);
    }

    /// <summary>Mean and population deviation of a column's numbers, and whether some are missing.</summary>
    internal static (double Mean, double Deviation, bool HasMissing) ScaleOf(ReportTable table, int column)
    {
        if (!table.Columns[column].IsNumeric)
            return default;
        double mean = 0, squares = 0;
        long count = 0;
        foreach (double number in table.Numbers(column))
        {
            if (double.IsNaN(number))
                continue;
            double step = number - mean;
            mean += step / ++count;
            squares += step * (number - mean);
        }
        double deviation = count == 0 ? 0 : Math.Sqrt(squares / count);
        return (mean, deviation > 0 ? deviation : 1, count < table.Rows);
    }

    /// <summary>Two rows are equal where all their values are; a missing number equals another.</summary>
    private sealed class RowEquality : IEqualityComparer<(ReportTable Table, int Row)>
    {
        public bool Equals((ReportTable Table, int Row) x, (ReportTable Table, int Row) y)
        {
            for (int c = 0; c < x.Table.Columns.Count; c++)
            {
                bool same = x.Table.Columns[c].IsNumeric
                    ? x.Table.Numbers(c)[x.Row].Equals(y.Table.Numbers(c)[y.Row])
                    : x.Table.Codes(c)[x.Row] == y.Table.Codes(c)[y.Row];
                if (!same)
                    return false;
            }
            return true;
        }

        public int GetHashCode((ReportTable Table, int Row) row)
        {
            HashCode hash = default;
            for (int c = 0; c < row.Table.Columns.Count; c++)
            {
                if (row.Table.Columns[c].IsNumeric)
                    hash.Add(row.Table.Numbers(c)[row.Row]);
                else
                    hash.Add(row.Table.Codes(c)[row.Row]);
            }
            return hash.ToHashCode();
        }
    }
}
