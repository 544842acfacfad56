using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using System.Xml;
using System.Xml.Linq;

namespace GenerativeML;

/// <summary>
/// A drawing as the movements of a pen: points, each where the last was plus an offset, in lines that end where the pen is
/// lifted. Immutable. x grows to the right and y downwards, in any unit.
/// </summary>
/// <remarks>
/// Formats are those of Sketch-RNN (Ha and Eck 2017, https://arxiv.org/abs/1704.03477). Stroke-3: Δx, Δy and whether the
/// pen is lifted behind the point. Stroke-5: Δx, Δy and one of three that is one: the pen stays down behind the point, is
/// lifted, or the drawing has ended, where the point itself is none. The first offset is from the origin, and no line is
/// drawn along it.
/// </remarks>
public sealed partial class StrokeDrawing
{
    /// <summary>Numbers of a point in stroke-3, and in stroke-5.</summary>
    internal const int Stroke3 = 3, Stroke5 = 5;

    // Beyond it Singles add up to points that are visibly elsewhere.
    private const float MaxOffset = 1e6f;

    private readonly float[] _values;

    private StrokeDrawing(float[] values) => _values = values;

    /// <summary>A drawing without points.</summary>
    public static StrokeDrawing Empty { get; } = new([]);

    /// <summary>The number of points.</summary>
    public int PointCount => _values.Length / Stroke3;

    /// <summary>The numbers of stroke-3, without a copy.</summary>
    internal ReadOnlySpan<float> Values => _values;

    /// <summary>Reads stroke-3: three numbers for each point.</summary>
    /// <param name="values">The points, one after the other.</param>
    /// <exception cref="FormatException">
    /// They are no whole number of points, an offset is not finite or above a million, or a lifted pen is neither 0 nor 1.
    /// </exception>
    public static StrokeDrawing FromStroke3(ReadOnlySpan<float> values)
    {
        if (values.Length % Stroke3 != 0)
            throw new FormatException($"There are {values.Length} numbers, and stroke-3 has three for each point.");
        for (int i = 0; i < values.Length; i++)
        {
            bool fits = i % Stroke3 == 2 ? values[i] is 0 or 1 : Math.Abs(values[i]) <= MaxOffset;
            if (!fits)
                throw new FormatException(FormattableString.Invariant(
                    $"Number {i % Stroke3} of point {i / Stroke3} (both counted from 0) is {values[i]}, and ")
                    + (i % Stroke3 == 2 ? "0 or 1 is expected of the pen." : "at most a million, up or down, is expected of an offset."));
        }
        return new(values.ToArray());
    }

    /// <summary>Reads stroke-5: five numbers for each point, up to the first that says that the drawing has ended.</summary>
    /// <param name="values">The points, one after the other.</param>
    /// <exception cref="FormatException">
    /// They are no whole number of points, an offset is not finite or above a million, or of a point's last three numbers
    /// not one is one and the others zero.
    /// </exception>
    public static StrokeDrawing FromStroke5(ReadOnlySpan<float> values)
    {
        if (values.Length % Stroke5 != 0)
            throw new FormatException($"There are {values.Length} numbers, and stroke-5 has five for each point.");
        List<float> points = [];
        for (int i = 0; i < values.Length; i += Stroke5)
        {
            (float down, float lifted, float ended) = (values[i + 2], values[i + 3], values[i + 4]);
            if ((down, lifted, ended) is not ((1, 0, 0) or (0, 1, 0) or (0, 0, 1)))
                throw new FormatException(FormattableString.Invariant(
                    $"Point {i / Stroke5} (counted from 0) has the pen's states {down}, {lifted}, {ended}; one of them has to be one, and the others zero."));
            if (ended == 1)
                break;
            points.AddRange([values[i], values[i + 1], lifted]);
        }
        return FromStroke3([.. points]);
    }

    /// <summary>Makes a drawing of lines by their points; lines without points are left out.</summary>
    /// <param name="lines">The lines; of each the points, in the order in which they are drawn.</param>
    /// <exception cref="FormatException">A coordinate is not finite, or two neighbours are a million apart.</exception>
    public static StrokeDrawing FromLines(IEnumerable<IEnumerable<(float X, float Y)>> lines)
    {
        ArgumentNullException.ThrowIfNull(lines);
        List<float> values = [];
        (float X, float Y) last = (0, 0);
        foreach (IEnumerable<(float X, float Y)> line in lines)
        {
            int before = values.Count;
            foreach ((float X, float Y) point in line)
            {
                values.AddRange([point.X - last.X, point.Y - last.Y, 0]);
                last = point;
            }
            if (values.Count > before)
                values[^1] = 1;
        }
        return FromStroke3([.. values]);
    }

    /// <summary>
    /// Reads stroke-3 as text: for each point <c>Δx,Δy,pen</c>, with space between points. An empty text is a drawing
    /// without points.
    /// </summary>
    /// <param name="text">The points; numbers with a point before decimals, in any culture.</param>
    /// <exception cref="FormatException">It is no such text; the message names the point.</exception>
    public static StrokeDrawing Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        List<float> values = [];
        foreach (Range range in text.AsSpan().SplitAny(" \t\r\n"))
        {
            ReadOnlySpan<char> point = text.AsSpan(range);
            if (point.IsEmpty)
                continue;
            int numbers = 0, number = values.Count / Stroke3;
            foreach (Range part in point.Split(','))
            {
                if (++numbers > Stroke3 || !float.TryParse(point[part], NumberStyles.Float, CultureInfo.InvariantCulture, out float value))
                    throw Wrong(point, number);
                values.Add(value);
            }
            if (numbers != Stroke3)
                throw Wrong(point, number);
        }
        return FromStroke3([.. values]);

        static FormatException Wrong(ReadOnlySpan<char> point, int number) => new(
            $"Point {number} (counted from 0) is '{point[..Math.Min(point.Length, 40)]}', and Δx,Δy,pen is expected, such as 12,-3.5,0.");
    }

    /// <summary>
    /// Reads the lines of an SVG document: of <c>path</c> elements the commands M, L, H, V and Z, of <c>polyline</c>,
    /// <c>polygon</c> and <c>line</c> elements the points, in the order of the document. Other elements are passed over;
    /// transformations are not applied.
    /// </summary>
    /// <param name="svg">The document's text.</param>
    /// <exception cref="FormatException">
    /// It is no SVG, has no line, or a path has a curve or is damaged.
    /// </exception>
    public static StrokeDrawing ParseSvg(string svg)
    {
        ArgumentNullException.ThrowIfNull(svg);
        List<SvgElement> elements = SvgElement.Read(svg);
        if (elements[0].Name != "svg")
            throw new FormatException($"This is no SVG document: its root is '{elements[0].Name}'.");
        List<List<(float, float)>> lines = [];
        foreach (SvgElement element in elements)
        {
            string Text(string name) => element[name] ?? "";
            switch (element.Name)
            {
                case "path":
                    lines.AddRange(PathLines(Text("d")));
                    break;
                case "polyline":
                    lines.Add(Points(Text("points")));
                    break;
                case "polygon":
                    List<(float, float)> corners = Points(Text("points"));
                    lines.Add([.. corners, .. corners.Take(1)]);
                    break;
                case "line":
                    string Or0(string name) => Text(name) is { Length: > 0 } given ? given : "0";
                    lines.Add(Points($"{Or0("x1")} {Or0("y1")} {Or0("x2")} {Or0("y2")}"));
                    break;
                default:
                    break;
            }
        }
        return lines.Any(line => line.Count > 0)
            ? FromLines(lines)
            : throw new FormatException("The SVG document has no line: no path, polyline, polygon or line element with points.");
    }

    /// <summary>The drawing as stroke-3: three numbers for each point.</summary>
    public float[] ToStroke3() => [.. _values];

    /// <summary>
    /// The drawing as stroke-5: five numbers for each point, and behind them at least one that says that it has ended.
    /// </summary>
    /// <param name="points">How many points, the ending ones among them. Default: one more than there are.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no room for the points and one that ends them.</exception>
    public float[] ToStroke5(int? points = null)
    {
        int count = points ?? PointCount + 1;
        if (count <= PointCount)
            throw new ArgumentOutOfRangeException(
                nameof(points), points, $"The drawing has {PointCount} points, and one more is needed, but {points} are asked for.");
        float[] values = new float[count * Stroke5];
        WriteStroke5(values);
        return values;
    }

    /// <summary>The lines by their points.</summary>
    public IReadOnlyList<IReadOnlyList<(float X, float Y)>> ToLines()
    {
        List<IReadOnlyList<(float, float)>> lines = [];
        List<(float, float)> line = [];
        double x = 0, y = 0;
        for (int i = 0; i < _values.Length; i += Stroke3)
        {
            (x, y) = (x + _values[i], y + _values[i + 1]);
            line.Add(((float)x, (float)y));
            if (_values[i + 2] == 1 || i + Stroke3 == _values.Length)
            {
                lines.Add(line);
                line = [];
            }
        }
        return lines;
    }

    /// <summary>The drawing as <see cref="Parse"/> reads it.</summary>
    public override string ToString()
    {
        var text = new StringBuilder();
        for (int i = 0; i < _values.Length; i += Stroke3)
            text.Append(CultureInfo.InvariantCulture, $"{(i > 0 ? " " : "")}{_values[i]},{_values[i + 1]},{_values[i + 2]}");
        return text.ToString();
    }

    /// <summary>
    /// The drawing with fewer points: of each line those that are farther than a tolerance from the straight line between
    /// those that stay (Ramer 1972, Douglas and Peucker 1973).
    /// </summary>
    /// <param name="tolerance">The largest distance that is passed over, in the drawing's unit; zero or more.</param>
    /// <exception cref="ArgumentOutOfRangeException">The tolerance is negative or no number.</exception>
    /// <exception cref="FormatException">Of two points that stay, one would be a million from the other.</exception>
    public StrokeDrawing Simplify(double tolerance)
    {
        if (!(tolerance >= 0))
            throw new ArgumentOutOfRangeException(nameof(tolerance), tolerance, "The tolerance has to be zero or more.");
        float[] values = FromLines(ToLines().Select(line => Simplified(line, tolerance)))._values;
        if (values.Length > 0)
            values[^1] = _values[^1]; // the pen stays where it was
        return new(values);
    }

    /// <summary>The drawing as an SVG document, fitted into a square.</summary>
    /// <param name="size">The square's side, in pixels.</param>
    public string ToSvg(double size = 256) => ToSvgGrid([this], 1, size);

    /// <summary>Drawings side by side as one SVG document, each fitted into a square.</summary>
    /// <param name="drawings">The drawings, row by row.</param>
    /// <param name="columns">Squares in a row; at least one.</param>
    /// <param name="size">A square's side, in pixels.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no column, or a square has no size.</exception>
    public static string ToSvgGrid(IEnumerable<StrokeDrawing> drawings, int columns = 8, double size = 128)
    {
        ArgumentNullException.ThrowIfNull(drawings);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(columns);
        if (!(size > 0) || !double.IsFinite(size))
            throw new ArgumentOutOfRangeException(nameof(size), size, "The size has to be positive.");
        StrokeDrawing[] all = [.. drawings];
        columns = Math.Clamp(all.Length, 1, columns);
        int rows = (all.Length + columns - 1) / columns;
        XNamespace svg = "http://www.w3.org/2000/svg";
        string Number(double value) => value.ToString("0.###", CultureInfo.InvariantCulture);
        string width = Number(columns * size), height = Number(rows * size);
        var root = new XElement(
            svg + "svg", new XAttribute("width", width), new XAttribute("height", height),
            new XAttribute("viewBox", $"0 0 {width} {height}"),
            new XElement(svg + "rect", new XAttribute("width", "100%"), new XAttribute("height", "100%"), new XAttribute("fill", "white")));
        for (int i = 0; i < all.Length; i++)
        {
            string path = all[i].SvgPath(size, i % columns * size, i / columns * size, Number);
            if (path.Length > 0)
                root.Add(new XElement(
                    svg + "path", new XAttribute("d", path), new XAttribute("fill", "none"), new XAttribute("stroke", "black"),
                    new XAttribute("stroke-width", Number(size / 64)), new XAttribute("stroke-linecap", "round"),
                    new XAttribute("stroke-linejoin", "round")));
        }
        return root.ToString();
    }

    /// <summary>Writes stroke-5 in place of zeros: the points, and behind them ends as far as there is room.</summary>
    internal void WriteStroke5(Span<float> target)
    {
        for (int i = 0; i < target.Length / Stroke5; i++)
        {
            Span<float> point = target.Slice(i * Stroke5, Stroke5);
            if (i >= PointCount)
            {
                point[4] = 1;
                continue;
            }
            (point[0], point[1]) = (_values[i * Stroke3], _values[i * Stroke3 + 1]);
            point[_values[i * Stroke3 + 2] == 1 ? 3 : 2] = 1;
        }
    }

    private string SvgPath(double size, double left, double top, Func<double, string> number)
    {
        IReadOnlyList<IReadOnlyList<(float X, float Y)>> lines = ToLines();
        if (lines.Count == 0)
            return "";
        double minX = lines.Min(line => line.Min(p => p.X)), minY = lines.Min(line => line.Min(p => p.Y));
        double across = lines.Max(line => line.Max(p => p.X)) - minX, down = lines.Max(line => line.Max(p => p.Y)) - minY;
        const double margin = 0.08;
        double scale = (1 - 2 * margin) * size / Math.Max(Math.Max(across, down), 1e-6);
        double x0 = left + (size - scale * across) / 2 - scale * minX, y0 = top + (size - scale * down) / 2 - scale * minY;
        var path = new StringBuilder();
        foreach (IReadOnlyList<(float X, float Y)> line in lines)
        {
            string[] points = [.. line.Select(p => $"{number(x0 + scale * p.X)} {number(y0 + scale * p.Y)}")];
            // A line of one point is a dot: drawn to itself, with round ends.
            path.Append(path.Length > 0 ? " " : "").Append('M').AppendJoin('L', points.Length > 1 ? points : [points[0], points[0]]);
        }
        return path.ToString();
    }

    private static IReadOnlyList<(float X, float Y)> Simplified(IReadOnlyList<(float X, float Y)> line, double tolerance)
    {
        bool[] stays = new bool[line.Count];
        stays[0] = stays[^1] = true;
        var open = new Stack<(int First, int Last)>([(0, line.Count - 1)]);
        while (open.TryPop(out (int First, int Last) part))
        {
            (double largest, int at) = (tolerance, -1);
            for (int i = part.First + 1; i < part.Last; i++)
            {
                double distance = Distance(line[i], line[part.First], line[part.Last]);
                if (distance > largest)
                    (largest, at) = (distance, i);
            }
            if (at < 0)
                continue;
            stays[at] = true;
            open.Push((part.First, at));
            open.Push((at, part.Last));
        }
        return [.. line.Where((_, i) => stays[i])];
    }

    // From a point to the nearest of a straight line between two.
    private static double Distance((float X, float Y) point, (float X, float Y) from, (float X, float Y) to)
    {
        double dx = (double)to.X - from.X, dy = (double)to.Y - from.Y, length = dx * dx + dy * dy;
        double along = length > 0 ? Math.Clamp(((point.X - from.X) * dx + (point.Y - from.Y) * dy) / length, 0, 1) : 0;
        return Math.Sqrt(Math.Pow(point.X - from.X - along * dx, 2) + Math.Pow(point.Y - from.Y - along * dy, 2));
    }

    private static List<(float, float)> Points(string text)
    {
        float[] numbers = [.. Tokens().Matches(text).Select(match => Number(match.Value))];
        if (numbers.Length % 2 != 0)
            throw new FormatException($"A line of the SVG document has {numbers.Length} coordinates, which are no whole points.");
        return [.. numbers.Chunk(2).Select(pair => (pair[0], pair[1]))];
    }

    private static List<List<(float, float)>> PathLines(string path)
    {
        List<List<(float X, float Y)>> lines = [];
        string[] tokens = [.. Tokens().Matches(path).Select(match => match.Value)];
        (float X, float Y) now = (0, 0), start = now;
        char command = '\0';
        for (int i = 0; i < tokens.Length;)
        {
            if (char.IsLetter(tokens[i][0]))
            {
                command = tokens[i++][0];
                if (!"MmLlHhVvZz".Contains(command))
                    throw new FormatException($"A path of the SVG document has the command {command}: lines alone are read (M, L, H, V and Z).");
                if (command is 'Z' or 'z')
                {
                    Go(start);
                    command = '\0';
                    continue;
                }
            }
            bool relative = char.IsLower(command);
            switch (char.ToUpperInvariant(command))
            {
                case 'M':
                    now = start = (Next(relative, now.X), Next(relative, now.Y));
                    lines.Add([now]);
                    command = relative ? 'l' : 'L'; // points that follow are lines
                    break;
                case 'L':
                    Go((Next(relative, now.X), Next(relative, now.Y)));
                    break;
                case 'H':
                    Go((Next(relative, now.X), now.Y));
                    break;
                case 'V':
                    Go((now.X, Next(relative, now.Y)));
                    break;
                default:
                    throw new FormatException($"A path of the SVG document has a number, '{tokens[i]}', where a command is expected.");
            }

            float Next(bool relative, float from) => i < tokens.Length && !char.IsLetter(tokens[i][0])
                ? Number(tokens[i++]) + (relative ? from : 0)
                : throw new FormatException("A path of the SVG document ends within a point.");
        }
        return lines;

        void Go((float X, float Y) to)
        {
            if (lines.Count == 0)
                throw new FormatException("A path of the SVG document does not begin with the command M.");
            lines[^1].Add(now = to);
        }
    }

    private static float Number(string token) => float.TryParse(token, NumberStyles.Float, CultureInfo.InvariantCulture, out float value)
        ? value : throw new FormatException($"The SVG document has '{token}' where a number is expected.");

    // Numbers as SVG writes them, commands, and whatever else there is, which is then no number.
    [GeneratedRegex(@"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|[A-Za-z]|[^\s,]+")]
    private static partial Regex Tokens();
}

/// <summary>An element of an SVG document: its name and attributes, without namespaces.</summary>
internal sealed class SvgElement
{
    private readonly Dictionary<string, string> _attributes = [];

    private SvgElement(XmlReader reader)
    {
        Name = reader.LocalName;
        while (reader.MoveToNextAttribute())
        {
            if (reader.NamespaceURI.Length == 0)
                _attributes[reader.LocalName] = reader.Value;
        }
    }

    public string Name { get; }

    public string? this[string attribute] => _attributes.GetValueOrDefault(attribute);

    /// <summary>All elements, in the order of the document, its root first.</summary>
    /// <exception cref="FormatException">It is no XML.</exception>
    public static List<SvgElement> Read(string svg)
    {
        List<SvgElement> elements = [];
        try
        {
            // No document type is read, so that nothing is expanded or fetched; and no tree is built, which takes a time that
            // grows with the square of how deep elements lie in each other.
            using var reader = XmlReader.Create(new StringReader(svg), new() { DtdProcessing = DtdProcessing.Ignore, XmlResolver = null });
            while (reader.Read())
            {
                if (reader.NodeType == XmlNodeType.Element)
                    elements.Add(new(reader));
            }
        }
        catch (XmlException invalid)
        {
            throw new FormatException($"This is no SVG document: {invalid.Message}");
        }
        return elements;
    }
}
