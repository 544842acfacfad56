using System.Globalization;
using System.Net;
using System.Text;

namespace GenerativeML;

/// <summary>A Bayesian network as a drawing: each variable in a row below all its parents.</summary>
internal static class NetworkDrawing
{
    private const int RowHeight = 84, BoxHeight = 30, Gap = 24, Letter = 8, MaxLetters = 28, Sweeps = 8;

    public static string Svg(BayesianNetwork network)
    {
        int n = network.Count;
        int[] level = new int[n];
        foreach (int v in network.Order)
            level[v] = network.Parents[v].Select(p => level[p] + 1).DefaultIfEmpty(0).Max();
        string[] labels = [.. network.Names.Select(name => name.Length > MaxLetters ? name[..(MaxLetters - 1)] + "…" : name)];
        double[] width = [.. labels.Select(l => (double)l.Length * Letter + 20)], x = new double[n];
        int[][] rows = [.. Enumerable.Range(0, n).GroupBy(v => level[v]).OrderBy(g => g.Key).Select(g => g.ToArray())];
        double all = rows.Max(row => row.Sum(v => width[v] + Gap)) + Gap;
        int[][] linked = [.. Enumerable.Range(0, n).Select(v => Enumerable.Range(0, n)
            .Where(u => network.Parents[v].Contains(u) || network.Parents[u].Contains(v)).ToArray())];
        foreach (int[] row in rows)
            Place(row);
        // Each row by where what its variables are linked to lies, which leaves few arrows crossing (Sugiyama 1981).
        for (int sweep = 0; sweep < Sweeps; sweep++)
        {
            foreach (int[] row in sweep % 2 == 0 ? rows : rows.Reverse())
            {
                Array.Sort(Array.ConvertAll(row, v => linked[v].Select(u => x[u]).DefaultIfEmpty(x[v]).Average()), row);
                Place(row);
            }
        }

        var svg = new StringBuilder();
        Add($"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {all:0} {rows.Length * RowHeight:0}\" font-family=\"sans-serif\" font-size=\"13\">");
        Add($"<defs><marker id=\"arrow\" viewBox=\"0 0 10 10\" refX=\"10\" refY=\"5\" markerWidth=\"8\" markerHeight=\"8\" orient=\"auto\"><path d=\"M0 0L10 5L0 10z\" fill=\"#555\"/></marker></defs>");
        for (int v = 0; v < n; v++)
        {
            foreach (int p in network.Parents[v])
                Add($"<line x1=\"{x[p]:0.#}\" y1=\"{Y(p) + BoxHeight / 2.0:0.#}\" x2=\"{x[v]:0.#}\" y2=\"{Y(v) - BoxHeight / 2.0:0.#}\" stroke=\"#555\" marker-end=\"url(#arrow)\"/>");
        }
        for (int v = 0; v < n; v++)
        {
            Add($"<rect x=\"{x[v] - width[v] / 2:0.#}\" y=\"{Y(v) - BoxHeight / 2.0:0.#}\" width=\"{width[v]:0.#}\" height=\"{BoxHeight}\" rx=\"8\" fill=\"#eef3fa\" stroke=\"#34567a\"/>");
            Add($"<text x=\"{x[v]:0.#}\" y=\"{Y(v) + 4.5:0.#}\" text-anchor=\"middle\">{WebUtility.HtmlEncode(labels[v])}</text>");
        }
        return svg.Append("</svg>\n").ToString();

        double Y(int v) => level[v] * RowHeight + RowHeight / 2.0;

        void Place(int[] row)
        {
            double at = (all - row.Sum(v => width[v] + Gap)) / 2;
            foreach (int v in row)
            {
                x[v] = at + (width[v] + Gap) / 2;
                at += width[v] + Gap;
            }
        }

        void Add(FormattableString part) => svg.Append(part.ToString(CultureInfo.InvariantCulture)).Append('\n');
    }
}
