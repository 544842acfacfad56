using System.Globalization;
using System.Text;

namespace AnomalyDetection;

/// <summary>A drawing in the making; what its classes look like is up to the page.</summary>
internal sealed class Svg
{
    private readonly StringBuilder _text = new();

    /// <summary>Begins a drawing of this size, which scales with the page.</summary>
    public Svg(int width, int height, string title) =>
        _text.Append(I($"""<svg viewBox="0 0 {width} {height}" role="img" aria-label="{title}">""")).Append('\n');

    /// <summary>A path, such as <c>M0 0H10</c>.</summary>
    public void Path(string style, FormattableString path) => Path(style, I(path));

    /// <summary>A path that is text already.</summary>
    public void Path(string style, string path) => Add($"""<path class="{style}" d="{path}"/>""");

    /// <summary>A rectangle from its upper left corner.</summary>
    public void Rectangle(string style, double x, double y, double width, double height) =>
        Add($"""<rect class="{style}" x="{x:F1}" y="{y:F1}" width="{width:F1}" height="{height:F1}"/>""");

    /// <summary>A circle around a point.</summary>
    public void Circle(string style, double x, double y, double radius) =>
        Add($"""<circle class="{style}" cx="{x:F1}" cy="{y:F1}" r="{radius:F1}"/>""");

    /// <summary>
    /// A line of text; <paramref name="anchor"/> (start, middle or end) says which end of it is at x.
    /// </summary>
    public void Text(double x, double y, string text, string anchor = "start", string style = "") =>
        Add($"""<text class="{style}" x="{x:F1}" y="{y:F1}" text-anchor="{anchor}">{text}</text>""");

    /// <summary>A line of text that runs upwards and is centred at y.</summary>
    public void TextUpwards(double x, double y, string text) =>
        Add($"""<text transform="translate({x:F1} {y:F1}) rotate(-90)" text-anchor="middle">{text}</text>""");

    /// <summary>The finished drawing.</summary>
    public override string ToString() => _text + "</svg>";

    /// <summary>Numbers as SVG reads them, whatever the culture.</summary>
    public static string I(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    private void Add(FormattableString element) => _text.Append(I(element)).Append('\n');
}
