using System.Globalization;
using System.Text;
using System.Xml.Linq;

namespace GenerativeML;

/// <summary>
/// A stroke of a brush: a quadratic Bézier curve, how much it covers, and how wide it is. Coordinates are in pixels from the
/// upper left corner of the paper: the first pixel's middle is (0.5, 0.5).
/// </summary>
/// <param name="StartX">Where it begins, across.</param>
/// <param name="StartY">Where it begins, down.</param>
/// <param name="ControlX">The point that it bends towards, across.</param>
/// <param name="ControlY">The point that it bends towards, down.</param>
/// <param name="EndX">Where it ends, across.</param>
/// <param name="EndY">Where it ends, down.</param>
/// <param name="Pressure">The share of the paper's white that it covers, from 0 to 1; 0 for a brush that only moves.</param>
/// <param name="Width">How wide it is, in pixels.</param>
public readonly record struct BrushStroke(
    float StartX, float StartY, float ControlX, float ControlY, float EndX, float EndY, float Pressure, float Width)
{
    // Of the chords that a curve is drawn as, in pixels: with the least radius of a curve on a small canvas, a
    // chord so long is less than a tenth of a pixel from its arc.
    private const float ChordLength = 1;
    private const int MaxChords = 64;

    /// <summary>
    /// Paints it on a canvas, (H × W), where 0 is bare and 1 is covered: each pixel by its distance from the curve to its
    /// middle, fading over one pixel at the edge, over what is there: c + a·(1 − c).
    /// </summary>
    internal void Paint(Span<float> canvas, int height, int width)
    {
        if (Pressure > 0)
            Cover(canvas, height, width, Pressure, Width);
    }

    /// <summary>The same with another pressure and width.</summary>
    internal void Cover(Span<float> canvas, int height, int width, float pressure, float brush)
    {
        float reach = brush / 2 + 0.5f;
        float polygon = Length(ControlX - StartX, ControlY - StartY) + Length(EndX - ControlX, EndY - ControlY);
        int chords = Math.Clamp((int)MathF.Ceiling(polygon / ChordLength), 1, MaxChords);
        Span<float> xs = stackalloc float[MaxChords + 1], ys = stackalloc float[MaxChords + 1];
        (float minX, float maxX, float minY, float maxY) = (StartX, StartX, StartY, StartY);
        for (int i = 0; i <= chords; i++)
        {
            float t = (float)i / chords, s = 1 - t;
            xs[i] = s * s * StartX + 2 * s * t * ControlX + t * t * EndX;
            ys[i] = s * s * StartY + 2 * s * t * ControlY + t * t * EndY;
            (minX, maxX) = (Math.Min(minX, xs[i]), Math.Max(maxX, xs[i]));
            (minY, maxY) = (Math.Min(minY, ys[i]), Math.Max(maxY, ys[i]));
        }
        int left = Math.Max(0, (int)MathF.Floor(minX - reach - 0.5f)), right = Math.Min(width - 1, (int)MathF.Ceiling(maxX + reach - 0.5f));
        int top = Math.Max(0, (int)MathF.Floor(minY - reach - 0.5f)), bottom = Math.Min(height - 1, (int)MathF.Ceiling(maxY + reach - 0.5f));
        for (int row = top; row <= bottom; row++)
        {
            for (int column = left; column <= right; column++)
            {
                float nearest = float.PositiveInfinity;
                for (int i = 0; i < chords; i++)
                    nearest = Math.Min(nearest, SquaredDistance(column + 0.5f, row + 0.5f, xs[i], ys[i], xs[i + 1], ys[i + 1]));
                float covered = Math.Clamp(reach - MathF.Sqrt(nearest), 0, 1) * pressure;
                ref float pixel = ref canvas[row * width + column];
                pixel += covered * (1 - pixel);
            }
        }
    }

    private static float Length(float x, float y) => MathF.Sqrt(x * x + y * y);

    // From a point to the nearest of a straight line between two.
    private static float SquaredDistance(float x, float y, float fromX, float fromY, float toX, float toY)
    {
        float dx = toX - fromX, dy = toY - fromY, length = dx * dx + dy * dy;
        float along = length > 0 ? Math.Clamp(((x - fromX) * dx + (y - fromY) * dy) / length, 0, 1) : 0;
        (float offX, float offY) = (x - fromX - along * dx, y - fromY - along * dy);
        return offX * offX + offY * offY;
    }
}

/// <summary>
/// A grey picture as the strokes of a brush that paint it, in their order: what a <see cref="SpiralTransformer"/> makes.
/// </summary>
public sealed class StrokePainting
{
    private const int NumbersOfStroke = 8;

    /// <param name="height">Pixels down; from 1 to 4096.</param>
    /// <param name="width">Pixels across; from 1 to 4096.</param>
    /// <param name="strokes">The strokes.</param>
    /// <param name="darkInk">Whether ink is dark on bright paper. Default: bright on dark, as digits of MNIST are.</param>
    /// <exception cref="ArgumentOutOfRangeException">A size is out of its range, or a stroke's number is.</exception>
    public StrokePainting(int height, int width, IEnumerable<BrushStroke> strokes, bool darkInk = false)
    {
        ArgumentNullException.ThrowIfNull(strokes);
        OptionChecks.Within(height, 1, 4096);
        OptionChecks.Within(width, 1, 4096);
        (Height, Width, Strokes, DarkInk) = (height, width, [.. strokes], darkInk);
        foreach (BrushStroke stroke in Strokes)
        {
            if (Wrong(stroke) is string what)
                throw new ArgumentOutOfRangeException(nameof(strokes), $"{stroke}: {what}.");
        }
    }

    /// <summary>Pixels down.</summary>
    public int Height { get; }

    /// <summary>Pixels across.</summary>
    public int Width { get; }

    /// <summary>Whether ink is dark on bright paper.</summary>
    public bool DarkInk { get; }

    /// <summary>The strokes, also those of no pressure, which only move the brush.</summary>
    public IReadOnlyList<BrushStroke> Strokes { get; }

    /// <summary>
    /// Reads what <see cref="ToString"/> writes: sizes and ink, and behind them strokes, with semicolons between, as in
    /// <c>16 16 light; 8.5 8.5 3.5 2.5 4.5 12.5 1 2</c>; a stroke is start, control point and end, each across and down,
    /// then pressure and width.
    /// </summary>
    /// <param name="text">The text; numbers in the invariant culture.</param>
    /// <exception cref="FormatException">It is no painting; the message says which part.</exception>
    public static StrokePainting Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        string[] parts = text.Split(';', StringSplitOptions.TrimEntries);
        string[] first = parts[0].Split(' ', StringSplitOptions.RemoveEmptyEntries);
        if (first is not [string down, string across, "light" or "dark"]
            || !int.TryParse(down, NumberStyles.None, CultureInfo.InvariantCulture, out int height)
            || !int.TryParse(across, NumberStyles.None, CultureInfo.InvariantCulture, out int width)
            || height is < 1 or > 4096 || width is < 1 or > 4096)
            throw new FormatException($"The text begins with '{Short(parts[0])}'; height, width and light or dark are expected, such as 16 16 light.");
        return new(height, width, parts.Skip(1).Select(Stroke), first[2] == "dark");

        static BrushStroke Stroke(string part, int number)
        {
            string[] words = part.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            float[] n = new float[NumbersOfStroke];
            for (int i = 0; i < words.Length && i < n.Length; i++)
            {
                if (!float.TryParse(words[i], NumberStyles.Float, CultureInfo.InvariantCulture, out n[i]))
                    throw new FormatException($"Stroke {number} (counted from 0) has '{Short(words[i])}' where a number is expected.");
            }
            if (words.Length != n.Length)
                throw new FormatException($"Stroke {number} (counted from 0) has {words.Length} numbers; {n.Length} are expected: start, control point and end, then pressure and width.");
            var stroke = new BrushStroke(n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7]);
            return Wrong(stroke) is string what ? throw new FormatException($"Stroke {number} (counted from 0): {what}.") : stroke;
        }
    }

    /// <summary>Reads what <see cref="ToSvg"/> writes. Strokes of no pressure are not in it.</summary>
    /// <param name="svg">The document's text.</param>
    /// <exception cref="FormatException">It is no SVG document, or not of this form.</exception>
    public static StrokePainting ParseSvg(string svg)
    {
        ArgumentNullException.ThrowIfNull(svg);
        List<SvgElement> elements = SvgElement.Read(svg);
        SvgElement root = elements[0];
        string[] view = Words(root, "viewBox");
        string ink = elements.Find(element => element.Name == "rect")?["fill"] == "white" ? "dark" : "light";
        if (root.Name != "svg" || view.Length != 4)
            throw new FormatException($"This is no painting as SVG: its root is '{root.Name}', and an svg with a viewBox is expected.");
        IEnumerable<string> strokes = elements.Where(element => element.Name == "path").Select((path, i) =>
            Words(path, "d") is ["M", var x, var y, "Q", var cx, var cy, var ex, var ey]
                ? $"{x} {y} {cx} {cy} {ex} {ey} {Words(path, "stroke-opacity").FirstOrDefault() ?? "1"} {Words(path, "stroke-width").FirstOrDefault() ?? "1"}"
                : throw new FormatException($"Path {i} (counted from 0) of the SVG document is '{Short(path["d"] ?? "")}'; M x y Q x y x y is expected."));
        return Parse(string.Join(';', [$"{view[3]} {view[2]} {ink}", .. strokes]));

        static string[] Words(SvgElement element, string name) =>
            (element[name] ?? "").Split(' ', StringSplitOptions.RemoveEmptyEntries);
    }

    /// <summary>The picture, (<see cref="Height"/> × <see cref="Width"/>) row by row: 0 is black, 1 is white.</summary>
    public float[] ToPixels()
    {
        float[] pixels = new float[Height * Width];
        foreach (BrushStroke stroke in Strokes)
            stroke.Paint(pixels, Height, Width);
        for (int i = 0; DarkInk && i < pixels.Length; i++)
            pixels[i] = 1 - pixels[i];
        return pixels;
    }

    /// <summary>The picture as an SVG document: a path for each stroke that has pressure.</summary>
    /// <param name="scale">Pixels of the shown document for one of the picture.</param>
    /// <exception cref="ArgumentOutOfRangeException">The scale is not above zero.</exception>
    public string ToSvg(double scale = 16)
    {
        OptionChecks.PositiveFinite(scale);
        XNamespace svg = "http://www.w3.org/2000/svg";
        (string paper, string ink) = DarkInk ? ("white", "black") : ("black", "white");
        var root = new XElement(
            svg + "svg", new XAttribute("width", Number(Width * scale)), new XAttribute("height", Number(Height * scale)),
            new XAttribute("viewBox", $"0 0 {Number(Width)} {Number(Height)}"),
            new XElement(svg + "rect", new XAttribute("width", "100%"), new XAttribute("height", "100%"), new XAttribute("fill", paper)));
        foreach (BrushStroke s in Strokes.Where(s => s.Pressure > 0))
            root.Add(new XElement(
                svg + "path",
                new XAttribute("d", $"M {Number(s.StartX)} {Number(s.StartY)} Q {Number(s.ControlX)} {Number(s.ControlY)} {Number(s.EndX)} {Number(s.EndY)}"),
                new XAttribute("fill", "none"), new XAttribute("stroke", ink), new XAttribute("stroke-width", Number(s.Width)),
                new XAttribute("stroke-opacity", Number(s.Pressure)), new XAttribute("stroke-linecap", "round")));
        return root.ToString();
    }

    /// <summary>The painting as <see cref="Parse"/> reads it.</summary>
    public override string ToString()
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"{Height} {Width} {(DarkInk ? "dark" : "light")}");
        foreach (BrushStroke s in Strokes)
            text.Append(CultureInfo.InvariantCulture, $"; {s.StartX} {s.StartY} {s.ControlX} {s.ControlY} {s.EndX} {s.EndY} {s.Pressure} {s.Width}");
        return text.ToString();
    }

    // What is wrong with a stroke, if anything.
    private static string? Wrong(BrushStroke stroke)
    {
        foreach (float place in (ReadOnlySpan<float>)[stroke.StartX, stroke.StartY, stroke.ControlX, stroke.ControlY, stroke.EndX, stroke.EndY])
        {
            if (!(Math.Abs(place) <= 1e6f))
                return $"a coordinate is {place.ToString(CultureInfo.InvariantCulture)}, and at most a million is expected";
        }
        if (!(stroke.Pressure is >= 0 and <= 1))
            return $"the pressure is {stroke.Pressure.ToString(CultureInfo.InvariantCulture)}, and 0 to 1 is expected";
        return stroke.Width is > 0 and <= 4096
            ? null : $"the width is {stroke.Width.ToString(CultureInfo.InvariantCulture)}, and above 0 and at most 4096 is expected";
    }

    private static string Number(double value) => ((float)value).ToString(CultureInfo.InvariantCulture);

    private static string Short(string text) => text[..Math.Min(text.Length, 40)];
}
