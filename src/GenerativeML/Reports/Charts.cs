using System.Globalization;
using System.Net;
using OxyPlot;
using OxyPlot.Axes;
using OxyPlot.Series;

namespace GenerativeML;

/// <summary>Charts of reports, drawn by OxyPlot as SVG within a page, in the page's colours.</summary>
internal static class Charts
{
    /// <summary>Stands for the page's faint text, whose colour is light on dark pages.</summary>
    public static readonly OxyColor Faint = OxyColor.FromRgb(0x7c, 0x87, 0x94);

    /// <summary>Stands for what is real, or normal.</summary>
    public static readonly OxyColor Real = OxyColor.FromRgb(0x7a, 0x8a, 0xa0);

    /// <summary>Stands for what is made, or strange.</summary>
    public static readonly OxyColor Made = OxyColor.FromRgb(0xd2, 0x60, 0x2a);

    /// <summary>The colours of lines.</summary>
    public static readonly IReadOnlyList<OxyColor> Lines =
        [.. new[] { "#3b7dd8", "#e0663a", "#2c9a6a", "#a15fc4", "#c9a227", "#d84f7f" }.Select(OxyColor.Parse)];

    private static readonly (OxyColor Colour, string Name)[] s_page = [(Faint, "--faint"), (Real, "--real"), (Made, "--made")];

    /// <summary>A chart without data.</summary>
    public static PlotModel Model(Axis x, string below, Axis y, string beside)
    {
        var model = new PlotModel
        {
            Culture = CultureInfo.InvariantCulture, DefaultFont = "system-ui, sans-serif", TextColor = Faint, PlotAreaBorderThickness = new(0, 0, 0, 1),
            PlotAreaBorderColor = Faint, Padding = new(beside.Length > 0 ? 8 : 24, 8, 8, 8), // browsers write wider than OxyPlot measures
        };
        (x.Position, x.Title, y.Position, y.Title) = (AxisPosition.Bottom, below, AxisPosition.Left, beside);
        foreach (Axis axis in (Axis[])[x, y])
        {
            (axis.TicklineColor, axis.MinorTickSize, axis.AxisTitleDistance) = (Faint, 0, axis == y ? 20 : 10);
            model.Axes.Add(axis);
        }
        (y.MajorGridlineStyle, y.MajorGridlineColor) = (LineStyle.Solid, OxyColor.FromAColor(60, Faint));
        return model;
    }

    /// <summary>Bars of one kind, and the outline of bars of another, without axes.</summary>
    public static PlotModel Bars(double[] bars, double[] outline)
    {
        PlotModel model = Model(
            new LinearAxis { Minimum = 0, Maximum = bars.Length, IsAxisVisible = false }, "",
            new LinearAxis { Minimum = 0, Maximum = Math.Max(Math.Max(bars.Max(), outline.Max()), 1e-12) * 1.02, IsAxisVisible = false }, "");
        (model.Padding, model.PlotMargins) = (new(0), new(1));
        var filled = new RectangleBarSeries { FillColor = Real, StrokeThickness = 0 };
        foreach ((int i, double bar) in bars.Index())
            filled.Items.Add(new(i, 0, i + 1, bar));
        var steps = new StairStepSeries { Color = Made, StrokeThickness = 1.6 };
        steps.Points.AddRange([new(0, 0), .. outline.Select((bar, i) => new DataPoint(i, bar)), new(outline.Length, 0)]);
        model.Series.Add(filled);
        model.Series.Add(steps);
        return model;
    }

    /// <summary>The drawing, as wide as its place on the page; what it shows is said to those who cannot see it.</summary>
    /// <param name="model">The chart.</param>
    /// <param name="name">A name of its own within the page.</param>
    /// <param name="shows">What it shows.</param>
    /// <param name="width">The width in units, which are pixels where there is as much room.</param>
    /// <param name="height">The height in the same.</param>
    public static string Svg(PlotModel model, string name, string shows, int width, int height)
    {
        // Within a page there is neither a declaration nor a namespace.
        string svg = new SvgExporter { Width = width, Height = height, IsDocument = false }.ExportToString(model);
        svg = svg[svg.IndexOf("<svg ", StringComparison.Ordinal)..]
            .Replace(" xmlns:xlink=\"http://www.w3.org/1999/xlink\"", "", StringComparison.Ordinal)
            .Replace(" xmlns=\"http://www.w3.org/2000/svg\"", "", StringComparison.Ordinal)
            .Replace("<svg ", $"<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{WebUtility.HtmlEncode(shows)}\" ", StringComparison.Ordinal)
            .Replace("id=\"clipPath", $"id=\"{name}", StringComparison.Ordinal)
            .Replace("#clipPath", $"#{name}", StringComparison.Ordinal);
        foreach ((OxyColor colour, string variable) in s_page)
            svg = svg.Replace($"rgb({colour.R},{colour.G},{colour.B})", $"var({variable})", StringComparison.Ordinal);
        return svg;
    }
}
