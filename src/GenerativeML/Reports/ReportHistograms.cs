using System.Globalization;

namespace GenerativeML;

/// <summary>The shares of a column's values, real and synthetic, in the same bins; and what the bins are.</summary>
internal static class ReportHistograms
{
    private const int Bins = 36, MostCategories = 16;

    /// <summary>Bins of equal width over the middle 99 % of both columns; the rest is in the outer ones.</summary>
    public static (double[] Real, double[] Synthetic, string Scale) OfNumbers(
        ReportTable real, ReportTable synthetic, int column)
    {
        double[] a = ColumnShapes.Sorted(real.Numbers(column)), b = ColumnShapes.Sorted(synthetic.Numbers(column));
        if (a.Length + b.Length == 0)
            return (new double[1], new double[1], "all missing");
        double low = new[] { a, b }.Where(x => x.Length > 0).Min(x => x[x.Length / 200]);
        double high = new[] { a, b }.Where(x => x.Length > 0).Max(x => x[x.Length - 1 - x.Length / 200]);
        string scale = string.Create(CultureInfo.InvariantCulture, $"{low:#,0.###} to {high:#,0.###}");
        return (Shares(a, low, high), Shares(b, low, high), scale);
    }

    /// <summary>The categories that are most frequent in the real column, and the others together.</summary>
    public static (double[] Real, double[] Synthetic, string Scale) OfCategories(
        ReportTable real, ReportTable synthetic, int column)
    {
        long[] a = ColumnShapes.Counts(real, column), b = ColumnShapes.Counts(synthetic, column);
        int[] order =
            [.. Enumerable.Range(0, a.Length).OrderByDescending(code => a[code]).ThenByDescending(code => b[code])];
        int[] shown = order[..Math.Min(order.Length, MostCategories)], rest = order[shown.Length..];
        string names = string.Join(", ", shown.Take(4).Select(code => Named(real.Columns[column].Categories[code])));
        return (
            Parts(a, real.Rows),
            Parts(b, synthetic.Rows),
            names + (order.Length > 4 ? $", … ({order.Length} categories)" : ""));

        double[] Parts(long[] counts, double rows)
        {
            IEnumerable<double> single = shown.Select(code => counts[code] / rows);
            return rest.Length == 0 ? [.. single] : [.. single, rest.Sum(code => counts[code]) / rows];
        }
    }

    private static string Named(string category) => category.Length == 0 ? "(empty)"
        : category.Length <= 20 ? category
        : category[..19] + "…";

    private static double[] Shares(double[] numbers, double low, double high)
    {
        double[] shares = new double[Bins];
        foreach (double number in numbers)
        {
            int bin = high > low ? (int)Math.Clamp((number - low) / (high - low) * Bins, 0, Bins - 1) : Bins / 2;
            shares[bin] += 1.0 / numbers.Length;
        }
        return shares;
    }
}
