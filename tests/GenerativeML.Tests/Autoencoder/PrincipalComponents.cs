namespace GenerativeML.Tests;

/// <summary>Principal components of a small table by Jacobi rotations of its correlation matrix.</summary>
internal static class PrincipalComponents
{
    /// <summary>
    /// The variance that the first <paramref name="kept"/> components leave unexplained: the sum of the other
    /// eigenvalues of the correlation matrix, and so of the mean squared error of standardised slots.
    /// </summary>
    public static double ResidualOf(float[][] table, int kept)
    {
        int d = table[0].Length;
        double[] mean = [.. Enumerable.Range(0, d).Select(j => table.Average(r => (double)r[j]))];
        double[] deviation = [.. Enumerable.Range(0, d).Select(j => Math.Sqrt(table.Average(r => Math.Pow(r[j] - mean[j], 2))))];
        var a = new double[d, d];
        for (int i = 0; i < d; i++)
            for (int j = 0; j < d; j++)
                a[i, j] = table.Average(r => (r[i] - mean[i]) * (r[j] - mean[j])) / (deviation[i] * deviation[j]);
        for (int sweep = 0; sweep < 50; sweep++)
            for (int p = 0; p < d; p++)
                for (int q = p + 1; q < d; q++)
                    Rotate(a, d, p, q);
        return Enumerable.Range(0, d).Select(i => a[i, i]).OrderDescending().Skip(kept).Sum();
    }

    private static void Rotate(double[,] a, int d, int p, int q)
    {
        if (Math.Abs(a[p, q]) < 1e-15)
            return;
        double angle = 0.5 * Math.Atan2(2 * a[p, q], a[p, p] - a[q, q]);
        double c = Math.Cos(angle), s = Math.Sin(angle);
        for (int i = 0; i < d; i++)
            (a[i, p], a[i, q]) = (c * a[i, p] + s * a[i, q], c * a[i, q] - s * a[i, p]);
        for (int i = 0; i < d; i++)
            (a[p, i], a[q, i]) = (c * a[p, i] + s * a[q, i], c * a[q, i] - s * a[p, i]);
    }
}
