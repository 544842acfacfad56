namespace GenerativeML;

/// <summary>How much the values of one column are like those of another.</summary>
internal static class ColumnShapes
{
    /// <summary>1 − the Kolmogorov–Smirnov statistic of numbers, or the distance of categories' shares.</summary>
    public static double Shape(ReportTable real, ReportTable synthetic, int column) => real.Columns[column].IsNumeric
        ? NumericShape(Sorted(real.Numbers(column)), Sorted(synthetic.Numbers(column)))
        : 1 - Distance(Counts(real, column), real.Rows, Counts(synthetic, column), synthetic.Rows);

    /// <summary>The share of the real range, or of the real categories, that the synthetic column reaches.</summary>
    public static double Coverage(ReportTable real, ReportTable synthetic, int column)
    {
        if (!real.Columns[column].IsNumeric)
        {
            long[] all = Counts(real, column), found = Counts(synthetic, column);
            int reached = all.Where((count, code) => count > 0 && found[code] > 0).Count();
            return (double)reached / all.Count(count => count > 0);
        }
        double[] a = Sorted(real.Numbers(column)), b = Sorted(synthetic.Numbers(column));
        if (a.Length == 0)
            return 1;
        if (b.Length == 0)
            return 0;
        if (a[^1] == a[0])
            return b[0] <= a[0] && b[^1] >= a[0] ? 1 : 0;
        double missed = Math.Max(b[0] - a[0], 0) + Math.Max(a[^1] - b[^1], 0);
        return Math.Max(0, 1 - missed / (a[^1] - a[0]));
    }

    /// <summary>How often each category occurs.</summary>
    public static long[] Counts(ReportTable table, int column)
    {
        long[] counts = new long[table.Columns[column].Categories.Count];
        foreach (int code in table.Codes(column))
            counts[code]++;
        return counts;
    }

    /// <summary>The total variation distance of two sets of counts, whose sums are given.</summary>
    public static double Distance(ReadOnlySpan<long> a, double allA, ReadOnlySpan<long> b, double allB)
    {
        double sum = 0;
        for (int i = 0; i < a.Length; i++)
            sum += Math.Abs(a[i] / allA - b[i] / allB);
        return sum / 2;
    }

    /// <summary>The numbers that are there, in order.</summary>
    public static double[] Sorted(ReadOnlySpan<double> numbers)
    {
        List<double> there = new(numbers.Length);
        foreach (double number in numbers)
        {
            if (!double.IsNaN(number))
                there.Add(number);
        }
        there.Sort();
        return [.. there];
    }

    private static double NumericShape(double[] a, double[] b)
    {
        if (a.Length == 0 || b.Length == 0)
            return a.Length == b.Length ? 1 : 0;
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
}
