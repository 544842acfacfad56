namespace GenerativeML;

/// <summary>How far rows are from the closest training row, and whether they are copies of one.</summary>
internal sealed class RowDistances
{
    private readonly ReportTable _training;
    private readonly int[] _categories, _numbers, _gaps; // columns of each kind, and of numbers that may be missing
    private readonly double[] _rows;

    public RowDistances(ReportTable training)
    {
        _training = training;
        ILookup<bool, int> columns = Enumerable.Range(0, training.Columns.Count)
            .ToLookup(c => training.Columns[c].IsNumeric);
        (_categories, _numbers) = ([.. columns[false]], [.. columns[true]]);
        _gaps = [.. _numbers.Where(c => training.MissingShare(c) > 0)];
        _rows = Encode(training, training.Rows);
    }

    private int Width => _categories.Length + _numbers.Length + _gaps.Length;

    /// <summary>The median distance of the first <paramref name="most"/> rows of a table to the closest one.</summary>
    public double Median(ReportTable table, int most, CancellationToken cancellation)
    {
        double[] encoded = Encode(table, Math.Min(most, table.Rows));
        double[] closest = new double[Math.Min(most, table.Rows)];
        for (int row = 0; row < closest.Length; row++)
        {
            cancellation.ThrowIfCancellationRequested();
            closest[row] = Math.Sqrt(Closest(encoded.AsSpan(row * Width, Width)));
        }
        Array.Sort(closest);
        return (closest[(closest.Length - 1) / 2] + closest[closest.Length / 2]) / 2;
    }

    /// <summary>The share of a table's rows that equal a training row.</summary>
    public double Copies(ReportTable table)
    {
        // A missing number equals another.
        var equality = EqualityComparer<(ReportTable Table, int Row)>.Create(
            (x, y) => x.Table.Row(x.Row).SequenceEqual(y.Table.Row(y.Row)),
            x => x.Table.Row(x.Row).Aggregate(0, HashCode.Combine));
        HashSet<(ReportTable, int)> known = new(
            Enumerable.Range(0, _training.Rows).Select(row => (_training, row)), equality);
        return Enumerable.Range(0, table.Rows).Count(row => known.Contains((table, row))) / (double)table.Rows;
    }

    private double Closest(ReadOnlySpan<double> row)
    {
        double least = double.PositiveInfinity;
        for (int start = 0; start < _rows.Length; start += row.Length)
        {
            ReadOnlySpan<double> other = _rows.AsSpan(start, row.Length);
            double sum = 0;
            for (int i = 0; i < other.Length && sum < least; i++)
            {
                double away = row[i] - other[i];
                sum += i >= _categories.Length ? away * away : away == 0 ? 0 : 1;
            }
            least = Math.Min(least, sum);
        }
        return least;
    }

    /// <summary>Rows, (rows × Width): categories, numbers in standard units, and whether one is missing.</summary>
    private double[] Encode(ReportTable table, int rows)
    {
        double[] encoded = new double[rows * Width];
        int place = 0;
        foreach (int column in _categories)
            Add(column, code => code);
        foreach (int column in _numbers)
        {
            (double mean, double deviation) = _training.Scale(column);
            Add(column, number => double.IsNaN(number) ? 0 : (number - mean) / deviation);
        }
        foreach (int column in _gaps)
            Add(column, number => double.IsNaN(number) ? 1 : 0);
        return encoded;

        void Add(int column, Func<double, double> encode)
        {
            ReadOnlySpan<double> values = table.Values(column);
            for (int row = 0; row < rows; row++)
                encoded[row * Width + place] = encode(values[row]);
            place++;
        }
    }
}
