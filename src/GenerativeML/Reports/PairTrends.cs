namespace GenerativeML;

/// <summary>How columns go together in the real table and in the synthetic one.</summary>
internal sealed class PairTrends
{
    private const int Bins = 10;
    private const int MostCells = 1 << 22;

    private readonly ReportTable _real, _synthetic;
    private readonly int[]?[] _realBins, _syntheticBins;

    public PairTrends(ReportTable real, ReportTable synthetic)
    {
        _real = real;
        _synthetic = synthetic;
        _realBins = new int[real.Columns.Count][];
        _syntheticBins = new int[real.Columns.Count][];
    }

    /// <summary>The similarity of a pair, from 0 to 1.</summary>
    public double Trend(int i, int j)
    {
        if (_real.Columns[i].IsNumeric && _real.Columns[j].IsNumeric)
            return 1 - Math.Abs(Correlation(_real, i, j) - Correlation(_synthetic, i, j)) / 2;
        int width = Cells(j);
        long size = (long)Cells(i) * width;
        if (size > MostCells)
            return 1 - SparseDistance(i, j, width);
        long[] real = Joint(_real, i, j, width, size), synthetic = Joint(_synthetic, i, j, width, size);
        return 1 - ColumnShapes.Distance(real, _real.Rows, synthetic, _synthetic.Rows);
    }

    /// <summary>
    /// How strongly two columns go together in a table: the correlation of numbers, from −1 to 1, or Cramér's V, from 0
    /// to 1.
    /// </summary>
    public double Association(bool inReal, int i, int j)
    {
        ReportTable table = inReal ? _real : _synthetic;
        if (table.Columns[i].IsNumeric && table.Columns[j].IsNumeric)
            return Correlation(table, i, j);
        int height = Cells(i), width = Cells(j);
        if ((long)height * width > MostCells)
            return double.NaN;
        long[] joint = Joint(table, i, j, width, (long)height * width);
        double[] rows = new double[height], columns = new double[width];
        for (int cell = 0; cell < joint.Length; cell++)
        {
            rows[cell / width] += joint[cell];
            columns[cell % width] += joint[cell];
        }
        double sum = 0;
        for (int cell = 0; cell < joint.Length; cell++)
        {
            if (joint[cell] > 0)
                sum += joint[cell] / rows[cell / width] * (joint[cell] / columns[cell % width]);
        }
        int least = Math.Min(rows.Count(x => x > 0), columns.Count(x => x > 0));
        return least < 2 ? 0 : Math.Sqrt(Math.Max(0, sum - 1) / (least - 1));
    }

    /// <summary>Pearson's correlation over rows that have both numbers; 0 where one of them never changes.</summary>
    private static double Correlation(ReportTable table, int i, int j)
    {
        ReadOnlySpan<double> a = table.Numbers(i), b = table.Numbers(j);
        double meanA = 0, meanB = 0, squaresA = 0, squaresB = 0, products = 0;
        long count = 0;
        for (int row = 0; row < a.Length; row++)
        {
            if (double.IsNaN(a[row]) || double.IsNaN(b[row]))
                continue;
            count++;
            double da = a[row] - meanA, db = b[row] - meanB;
            meanA += da / count;
            meanB += db / count;
            squaresA += da * (a[row] - meanA);
            squaresB += db * (b[row] - meanB);
            products += da * (b[row] - meanB);
        }
        double scale = Math.Sqrt(squaresA) * Math.Sqrt(squaresB);
        return scale > 0 ? Math.Clamp(products / scale, -1, 1) : 0;
    }

    private int Cells(int column) =>
        _real.Columns[column].IsNumeric ? Bins + 1 : _real.Columns[column].Categories.Count;

    private long[] Joint(ReportTable table, int i, int j, int width, long size)
    {
        long[] counts = new long[size];
        ReadOnlySpan<int> a = Values(table, i), b = Values(table, j);
        for (int row = 0; row < a.Length; row++)
            counts[(long)a[row] * width + b[row]]++;
        return counts;
    }

    private double SparseDistance(int i, int j, int width)
    {
        Dictionary<long, double> difference = [];
        foreach ((ReportTable table, double weight) in
            new[] { (_real, 1.0 / _real.Rows), (_synthetic, -1.0 / _synthetic.Rows) })
        {
            ReadOnlySpan<int> a = Values(table, i), b = Values(table, j);
            for (int row = 0; row < a.Length; row++)
            {
                long cell = (long)a[row] * width + b[row];
                difference[cell] = difference.GetValueOrDefault(cell) + weight;
            }
        }
        return difference.Values.Sum(Math.Abs) / 2;
    }

    private ReadOnlySpan<int> Values(ReportTable table, int column)
    {
        if (!table.Columns[column].IsNumeric)
            return table.Codes(column);
        int[]?[] kept = ReferenceEquals(table, _real) ? _realBins : _syntheticBins;
        return kept[column] ??= Binned(table.Numbers(column), column);
    }

    /// <summary>
    /// Bins of equal width over the real range; what lies outside is in the outer ones, the missing in one more.
    /// </summary>
    private int[] Binned(ReadOnlySpan<double> numbers, int column)
    {
        double low = double.PositiveInfinity, high = double.NegativeInfinity;
        foreach (double number in _real.Numbers(column))
        {
            low = number < low ? number : low;
            high = number > high ? number : high;
        }
        double width = (high - low) / Bins;
        int[] bins = new int[numbers.Length];
        for (int row = 0; row < bins.Length; row++)
        {
            bins[row] = double.IsNaN(numbers[row]) ? Bins
                : width > 0 ? (int)Math.Clamp(Math.Floor((numbers[row] - low) / width), 0, Bins - 1)
                : 0;
        }
        return bins;
    }
}
