using System.Runtime.InteropServices;

namespace GenerativeML;

/// <summary>How much the columns of two tables are alike, and how they go together in each.</summary>
internal sealed class TableLikeness(ReportTable real, ReportTable synthetic)
{
    private const int Bins = 10;

    private readonly Dictionary<(ReportTable, int), int[]> _categories = [];

    /// <summary>Whether the real table has no value in a column: there is nothing to be like.</summary>
    public bool IsEmpty(int column) => real.MissingShare(column) == 1;

    /// <summary>
    /// 1 − the Kolmogorov–Smirnov statistic of numbers, or the distance of categories' shares; NaN of an empty column.
    /// </summary>
    public double Shape(int column)
    {
        if (IsEmpty(column))
            return double.NaN;
        if (!real.Columns[column].IsNumeric)
            return 1 - real.Counts(column).Zip(synthetic.Counts(column), Apart).Sum() / 2;
        double[] a = real.Sorted(column), b = synthetic.Sorted(column);
        if (b.Length == 0)
            return 0;
        double largest = 0;
        for (int i = 0, j = 0; i < a.Length && j < b.Length;)
        {
            double at = Math.Min(a[i], b[j]);
            while (i < a.Length && a[i] == at)
                i++;
            while (j < b.Length && b[j] == at)
                j++;
            largest = Math.Max(largest, Math.Abs((double)i / a.Length - (double)j / b.Length));
        }
        return 1 - largest;
    }

    /// <summary>
    /// The share of the real range, or of the real categories, that the synthetic column reaches; NaN of an empty column.
    /// </summary>
    public double Coverage(int column)
    {
        if (IsEmpty(column))
            return double.NaN;
        if (!real.Columns[column].IsNumeric)
        {
            int[] all = real.Counts(column), found = synthetic.Counts(column);
            return all.Zip(found).Count(n => n.First > 0 && n.Second > 0) / (double)all.Count(n => n > 0);
        }
        double[] a = real.Sorted(column), b = synthetic.Sorted(column);
        if (b.Length == 0)
            return 0;
        if (a[^1] == a[0])
            return b[0] <= a[0] && b[^1] >= a[0] ? 1 : 0;
        double missed = Math.Max(b[0] - a[0], 0) + Math.Max(a[^1] - b[^1], 0);
        return Math.Max(0, 1 - missed / (a[^1] - a[0]));
    }

    /// <summary>How alike two columns go together, from 0 to 1.</summary>
    public double Trend(int i, int j)
    {
        if (real.Columns[i].IsNumeric && real.Columns[j].IsNumeric)
            return 1 - Math.Abs(Correlation(real, i, j) - Correlation(synthetic, i, j)) / 2;
        Dictionary<long, int> a = Joint(real, i, j), b = Joint(synthetic, i, j);
        return 1 - a.Keys.Union(b.Keys).Sum(cell => Apart(a.GetValueOrDefault(cell), b.GetValueOrDefault(cell))) / 2;
    }

    /// <summary>The correlation of two columns of numbers, from −1 to 1; otherwise Cramér's V, from 0 to 1.</summary>
    public double Association(ReportTable table, int i, int j)
    {
        if (table.Columns[i].IsNumeric && table.Columns[j].IsNumeric)
            return Correlation(table, i, j);
        Dictionary<long, int> joint = Joint(table, i, j);
        Dictionary<long, double> rows = [], columns = [];
        foreach ((long cell, int count) in joint)
        {
            CollectionsMarshal.GetValueRefOrAddDefault(rows, cell >> 32, out _) += count;
            CollectionsMarshal.GetValueRefOrAddDefault(columns, (int)cell, out _) += count;
        }
        double sum = joint.Sum(cell => cell.Value / rows[cell.Key >> 32] * (cell.Value / columns[(int)cell.Key]));
        int least = Math.Min(rows.Count, columns.Count);
        return least < 2 ? 0 : Math.Sqrt(Math.Max(0, sum - 1) / (least - 1));
    }

    // How far two counts are apart, as shares of the tables' rows.
    private double Apart(int a, int b) => Math.Abs(a / (double)real.Rows - b / (double)synthetic.Rows);

    /// <summary>Pearson's correlation over rows that have both numbers; 0 where one of them never changes.</summary>
    private static double Correlation(ReportTable table, int i, int j)
    {
        ReadOnlySpan<double> a = table.Values(i), b = table.Values(j);
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

    /// <summary>How often each two categories occur together: the first in the upper half of the key.</summary>
    private Dictionary<long, int> Joint(ReportTable table, int i, int j)
    {
        Dictionary<long, int> counts = [];
        int[] a = Categories(table, i), b = Categories(table, j);
        for (int row = 0; row < a.Length; row++)
            CollectionsMarshal.GetValueRefOrAddDefault(counts, ((long)a[row] << 32) + b[row], out _)++;
        return counts;
    }

    // A column's categories; of numbers, bins of equal width over the real range: what lies outside is in the outer
    // ones, the missing in one more.
    private int[] Categories(ReportTable table, int column)
    {
        if (_categories.TryGetValue((table, column), out int[]? known))
            return known;
        int[] categories = new int[table.Rows];
        ReadOnlySpan<double> values = table.Values(column);
        double[] range = table.Columns[column].IsNumeric ? real.Sorted(column) : [];
        double low = range.FirstOrDefault(), width = (range.LastOrDefault() - low) / Bins;
        for (int row = 0; row < categories.Length; row++)
        {
            categories[row] = !table.Columns[column].IsNumeric ? (int)values[row]
                : double.IsNaN(values[row]) ? Bins
                : width > 0 ? (int)Math.Clamp(Math.Floor((values[row] - low) / width), 0, Bins - 1)
                : 0;
        }
        return _categories[(table, column)] = categories;
    }
}
