using System.Xml.Linq;

namespace GenerativeML.Tests.Strokes;

[TestClass]
public sealed class StrokeDrawingTests
{
    // A right angle, and a dot.
    private const string Angle = "1,2,0 10,0,0 0,5,1 -3,-2,1";

    [TestMethod]
    public void Text_stroke_3_lines_and_stroke_5_are_the_same_drawing()
    {
        StrokeDrawing drawing = StrokeDrawing.Parse(Angle);
        Assert.AreEqual(4, drawing.PointCount);
        Assert.AreSequenceEqual(new float[] { 1, 2, 0, 10, 0, 0, 0, 5, 1, -3, -2, 1 }, drawing.ToStroke3());
        IReadOnlyList<IReadOnlyList<(float, float)>> lines = drawing.ToLines();
        Assert.AreSequenceEqual(new[] { (1f, 2f), (11f, 2f), (11f, 7f) }, lines[0]);
        Assert.AreSequenceEqual(new[] { (8f, 5f) }, lines[1]);
        float[] five = drawing.ToStroke5(6);
        Assert.AreSequenceEqual(
            new float[]
            {
                1, 2, 1, 0, 0, 10, 0, 1, 0, 0, 0, 5, 0, 1, 0, -3, -2, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1,
            },
            five);
        foreach (StrokeDrawing same in (StrokeDrawing[])
            [StrokeDrawing.FromLines(lines), StrokeDrawing.FromStroke5(five), StrokeDrawing.FromStroke3(drawing.ToStroke3())])
        {
            Assert.AreEqual(Angle, same.ToString());
        }
        Assert.AreEqual(0, StrokeDrawing.Parse(" \n").PointCount);
        Assert.AreEqual("", StrokeDrawing.Empty.ToString());
        Assert.HasCount(0, StrokeDrawing.Empty.ToLines());
        Assert.AreSequenceEqual(new float[] { 0, 0, 0, 0, 1 }, StrokeDrawing.Empty.ToStroke5());
    }

    [TestMethod]
    [DataRow("1,2", "Point 0")]
    [DataRow("1,2,0 3,4,0,1", "Point 1")]
    [DataRow("1,2,0 3;4;1", "'3;4;1'")]
    [DataRow("1,2,0 3,4,2", "Number 2 of point 1")]
    [DataRow("1,NaN,0", "Number 1 of point 0")]
    [DataRow("1,2e6,0", "Number 1 of point 0")]
    [DataRow("1,1e30,0", "Number 1 of point 0")]
    public void What_is_no_drawing_is_refused_with_its_place(string text, string expected)
    {
        StringAssert.Contains(Assert.Throws<FormatException>(() => StrokeDrawing.Parse(text)).Message, expected);
        Assert.Throws<FormatException>(() => StrokeDrawing.FromStroke3([1, 2]));
        Assert.Throws<FormatException>(() => StrokeDrawing.FromStroke5([1, 2, 1, 1, 0]));
        Assert.Throws<ArgumentOutOfRangeException>(() => StrokeDrawing.Parse(Angle).ToStroke5(4));
    }

    [TestMethod]
    public void Svg_comes_back_as_the_same_drawing_but_for_place_and_size()
    {
        // 10 × 5 fitted into 100 with margins of 8: 84 pixels across, so 8.4 pixels for a unit, in the middle.
        StrokeDrawing drawing = StrokeDrawing.Parse(Angle);
        string svg = drawing.ToSvg(100);
        XNamespace space = "http://www.w3.org/2000/svg";
        Assert.AreEqual("M8 29L92 29L92 71 M66.8 54.2L66.8 54.2", XDocument.Parse(svg).Root!.Element(space + "path")!.Attribute("d")!.Value);
        IReadOnlyList<IReadOnlyList<(float X, float Y)>> lines = StrokeDrawing.ParseSvg(svg).ToLines();
        Assert.AreEqual(10, (lines[0][1].X - lines[0][0].X) / 8.4f, 1e-4f);
        Assert.AreEqual(5, (lines[0][2].Y - lines[0][1].Y) / 8.4f, 1e-4f);
        Assert.HasCount(2, XDocument.Parse(StrokeDrawing.ToSvgGrid([drawing, drawing, StrokeDrawing.Empty], 2)).Descendants(space + "path"));
    }

    [TestMethod]
    public void Svg_is_read_as_its_commands_say()
    {
        string svg = """
            <svg xmlns="http://www.w3.org/2000/svg"><g>
            <path d="m1,1 2 0v3h-2z M10-5.5L.5.5"/><polyline points="0,0 1,1 2,0"/><polygon points="0 0 1 0 1 1"/>
            <line x1="1" y1="2" x2="3" y2="4"/><line x2="5"/><text>7 8</text></g></svg>
            """;
        IReadOnlyList<IReadOnlyList<(float, float)>> lines = StrokeDrawing.ParseSvg(svg).ToLines();
        Assert.AreSequenceEqual(new[] { (1f, 1f), (3f, 1f), (3f, 4f), (1f, 4f), (1f, 1f) }, lines[0]);
        Assert.AreSequenceEqual(new[] { (10f, -5.5f), (0.5f, 0.5f) }, lines[1]);
        Assert.AreSequenceEqual(new[] { (0f, 0f), (1f, 1f), (2f, 0f) }, lines[2]);
        Assert.AreSequenceEqual(new[] { (0f, 0f), (1f, 0f), (1f, 1f), (0f, 0f) }, lines[3]);
        Assert.AreSequenceEqual(new[] { (1f, 2f), (3f, 4f) }, lines[4]);
        Assert.AreSequenceEqual(new[] { (0f, 0f), (5f, 0f) }, lines[5]);
        // Transformations are not applied, and a path goes on where it was closed.
        Assert.AreEqual("0,0,0 4,0,1", StrokeDrawing.ParseSvg("<svg><g transform='rotate(90)'><line x2='4'/></g></svg>").ToString());
        Assert.AreEqual("0,0,0 2,0,0 -2,0,0 5,5,1", StrokeDrawing.ParseSvg("<svg><path d='M0 0H2ZL5 5'/></svg>").ToString());
    }

    [TestMethod]
    [DataRow("no xml", "no SVG")]
    [DataRow("<html/>", "its root is 'html'")]
    [DataRow("<svg><circle r='3'/></svg>", "no line")]
    [DataRow("<svg><path d='M0 0C1 1 2 2 3 3'/></svg>", "command C")]
    [DataRow("<svg><path d='M0 0A1 1 0 0 1 2 2'/></svg>", "command A")]
    [DataRow("<svg><path d='M0 0L1cm 2'/></svg>", "within a point")]
    [DataRow("<svg><line x1='10%' x2='2'/></svg>", "'%'")]
    [DataRow("<svg><polyline points='1e39,2 3,4'/></svg>", "Infinity")]
    [DataRow("<svg><path d='M0 0L1e7 0'/></svg>", "a million")]
    [DataRow("<svg><path d='M0 0Z5 5'/></svg>", "where a command is expected")]
    [DataRow("<!DOCTYPE svg [<!ENTITY a 'M0 0'>]><svg><path d='&a;L1 1'/></svg>", "undeclared entity")]
    [DataRow("<svg><path d='M0 0L1'/></svg>", "within a point")]
    [DataRow("<svg><path d='L1 1'/></svg>", "command M")]
    [DataRow("<svg><path d='M1 x'/></svg>", "within a point")]
    [DataRow("<svg><polyline points='1 2 3'/></svg>", "3 coordinates")]
    public void An_svg_that_is_no_drawing_is_refused(string svg, string expected) =>
        StringAssert.Contains(Assert.Throws<FormatException>(() => StrokeDrawing.ParseSvg(svg)).Message, expected);

    [TestMethod]
    public void Simplifying_leaves_out_what_is_near_a_straight_line()
    {
        StrokeDrawing drawing = StrokeDrawing.FromLines([[(0, 0), (5, 0.5f), (10, 0), (10, 10)], [(1, 1), (1, 1), (1, 1)]]);
        Assert.AreSequenceEqual(new[] { (0f, 0f), (10f, 0f), (10f, 10f) }, drawing.Simplify(0.6).ToLines()[0]);
        Assert.HasCount(4, drawing.Simplify(0.4).ToLines()[0]);
        Assert.HasCount(2, drawing.Simplify(0).ToLines()[1]);
        Assert.AreEqual("0,0,0 10,0,0", StrokeDrawing.Parse("0,0,0 5,0,0 5,0,0").Simplify(1).ToString()); // the pen stays down
        Assert.Throws<ArgumentOutOfRangeException>(() => drawing.Simplify(-1));
    }

    [TestMethod]
    public void Numbers_are_written_alike_in_any_culture()
    {
        System.Globalization.CultureInfo before = System.Globalization.CultureInfo.CurrentCulture;
        try
        {
            var comma = (System.Globalization.CultureInfo)System.Globalization.CultureInfo.InvariantCulture.Clone();
            (comma.NumberFormat.NumberDecimalSeparator, comma.NumberFormat.NegativeSign) = (",", "~");
            System.Globalization.CultureInfo.CurrentCulture = comma;
            StrokeDrawing drawing = StrokeDrawing.Parse("1.5,-2.25,0 3,4,1");
            Assert.AreEqual("1.5,-2.25,0 3,4,1", drawing.ToString());
            Assert.IsFalse(drawing.ToSvg().Contains(','));
        }
        finally
        {
            System.Globalization.CultureInfo.CurrentCulture = before;
        }
    }
}
